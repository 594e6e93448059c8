//! Changing settings: what a mask keeps, and what a patch does.

use std::collections::BTreeMap;

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
                *patch = stored
                    .cloned()
                    .ok_or_else(|| ConfigError::NothingStored { pointer: at.to_owned() })?;
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
        let texts = |them: &[Value]| -> Vec<String> {
            let pairs = them.iter().zip(&places);
            pairs.map(|(it, (nodes, at))| self.without_secrets(nodes, at, it).to_string()).collect()
        };
        let (after, before) = (texts(items), texts(base));
        let mut stored = BTreeMap::<&str, Vec<usize>>::new();
        for (index, it) in before.iter().enumerate() {
            stored.entry(it).or_default().push(index);
        }
        for (index, ((item, it), (nodes, at))) in
            items.iter_mut().zip(&after).zip(&places).enumerate()
        {
            let counterpart = match stored.get(it.as_str()).map(Vec::as_slice) {
                Some([only]) => Some(*only),
                // Among equals only the position tells, and only while nothing was taken out.
                Some(_) if before.len() == after.len() && before.get(index) == Some(it) => {
                    Some(index)
                }
                Some(_) | None => None,
            };
            self.unmask(nodes, at, item, counterpart.and_then(|it| base.get(it)))?;
        }
        Ok(())
    }

    /// `value` with `null` for every secret, and keys in order.
    fn without_secrets(&self, nodes: &Nodes, at: &str, value: &Value) -> Value {
        if self.is_secret(nodes, at) {
            return Value::Null;
        }
        match value {
            Value::Object(map) => {
                let bare = map.iter().map(|(key, it)| {
                    (
                        key.clone(),
                        self.without_secrets(&nodes.property(key).nodes, &child(at, key), it),
                    )
                });
                let mut bare: Map<_, _> = bare.collect();
                bare.sort_keys();
                Value::Object(bare)
            }
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, it)| {
                    self.without_secrets(&nodes.item(index), &child(at, &index.to_string()), it)
                })
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
        if base.as_object().is_none_or(|before| nodes.is_other_variant(before, &changes)) {
            wipe(base);
            *base = Value::Object(Map::new());
        }
        let Value::Object(target) = base else { return };
        for (key, change) in changes {
            if change.is_null() {
                if let Some(mut cleared) = target.shift_remove(&key) {
                    wipe(&mut cleared);
                }
                continue;
            }
            let (nodes, pointer) = (nodes.property(&key).nodes, child(at, &key));
            self.apply(&nodes, &pointer, target.entry(key).or_insert(Value::Null), change);
        }
    }
}
