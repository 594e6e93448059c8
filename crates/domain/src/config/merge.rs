//! Changing settings: what a mask keeps, and what a patch does.

use serde_json::{Map, Value};

use super::{ConfigError, nodes::Nodes, plain::wipe, pointer::child, split::Rules};
use crate::is_mask;

impl Rules<'_> {
    /// Puts the secrets of `base` where `patch` has masks for them.
    pub(super) fn unmask(
        &self,
        nodes: &Nodes,
        at: &str,
        patch: &mut Value,
        base: Option<&Value>,
    ) -> Result<(), ConfigError> {
        if self.is_secret(nodes, at) {
            if patch.as_str().is_some_and(is_mask) {
                let stored = base.filter(|it| !it.is_null());
                *patch = stored.cloned().ok_or_else(|| ConfigError::NothingStored { pointer: at.to_owned() })?;
            }
            return Ok(());
        }
        match patch {
            Value::Object(map) => map.iter_mut().try_for_each(|(key, it)| {
                let base = base.and_then(Value::as_object).and_then(|base| base.get(key));
                self.unmask(&nodes.property(key).nodes, &child(at, key), it, base)
            }),
            Value::Array(items) => {
                let base = base.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                self.unmask_items(nodes, at, items, base)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    fn unmask_items(
        &self,
        nodes: &Nodes,
        at: &str,
        items: &mut [Value],
        base: &[Value],
    ) -> Result<(), ConfigError> {
        let places: Vec<_> = (0..items.len().max(base.len()))
            .map(|index| (nodes.item(index), child(at, &index.to_string())))
            .collect();
        let bare = |them: &[Value]| -> Vec<Value> {
            them.iter().zip(&places).map(|(it, (nodes, at))| self.without_secrets(nodes, at, it)).collect()
        };
        let (after, before) = (bare(items), bare(base));
        for (index, (item, (nodes, at))) in items.iter_mut().zip(&places).enumerate() {
            let mut same = (0..base.len()).filter(|it| before.get(*it) == after.get(index));
            let counterpart = match (same.next(), same.next()) {
                (Some(only), None) => Some(only),
                // Among equals only the position tells, and only while nothing was taken out.
                (Some(_), Some(_)) if before.len() == after.len() && before.get(index) == after.get(index) => {
                    Some(index)
                }
                (Some(_), Some(_)) | (None, _) => None,
            };
            self.unmask(nodes, at, item, counterpart.and_then(|it| base.get(it)))?;
        }
        Ok(())
    }

    /// `value` with `null` for every secret.
    fn without_secrets(&self, nodes: &Nodes, at: &str, value: &Value) -> Value {
        if self.is_secret(nodes, at) {
            return Value::Null;
        }
        match value {
            Value::Object(map) => {
                let bare = map.iter().map(|(key, it)| {
                    (key.clone(), self.without_secrets(&nodes.property(key).nodes, &child(at, key), it))
                });
                Value::Object(bare.collect())
            }
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, it)| self.without_secrets(&nodes.item(index), &child(at, &index.to_string()), it))
                .collect(),
            other => other.clone(),
        }
    }

    /// Merges `patch`, which is not `null`, into `base` (RFC 7396).
    pub(super) fn apply(&self, nodes: &Nodes, at: &str, base: &mut Value, patch: Value) {
        let changes = match patch {
            Value::Object(changes) if !self.is_secret(nodes, at) => changes,
            other => {
                wipe(base);
                *base = other;
                return;
            }
        };
        if !base.as_object().is_some_and(|before| !nodes.is_other_variant(before, &changes)) {
            wipe(base);
            *base = Value::Object(Map::new());
        }
        let Value::Object(target) = base else { return };
        for (key, change) in changes {
            if change.is_null() {
                target.shift_remove(&key).as_mut().map(wipe);
                continue;
            }
            let (nodes, pointer) = (nodes.property(&key).nodes, child(at, &key));
            self.apply(&nodes, &pointer, target.entry(key).or_insert(Value::Null), change);
        }
    }
}
