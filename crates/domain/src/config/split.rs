//! Taking secrets out of settings.

use serde_json::Value;

use super::{ConfigError, Secrets, looks_secret, nodes::Nodes, pointer::child};

/// What makes a place secret: the schema, or a secret that is already stored there.
pub(super) struct Rules<'a> {
    pub(super) sealed: &'a Secrets,
}

impl Rules<'_> {
    pub(super) fn is_secret(&self, nodes: &Nodes, at: &str) -> bool {
        nodes.is_secret() || self.sealed.get(at).is_some()
    }

    /// Moves every secret below `at` from `value` to `secrets`.
    pub(super) fn extract(
        &self,
        nodes: &Nodes,
        at: &str,
        value: &mut Value,
        secrets: &mut Secrets,
    ) -> Result<(), ConfigError> {
        match value {
            Value::Object(map) => {
                for key in map.keys().cloned().collect::<Vec<_>>() {
                    let Some(held) = map.get_mut(&key).filter(|it| !it.is_null()) else { continue };
                    let pointer = child(at, &key);
                    let property = nodes.property(&key);
                    if self.is_secret(&property.nodes, &pointer) {
                        secrets.put(pointer, held.take());
                        map.shift_remove(&key);
                    } else if !property.is_named && looks_secret(&key) {
                        return Err(ConfigError::UnknownSecret { pointer });
                    } else {
                        self.extract(&property.nodes, &pointer, held, secrets)?;
                    }
                }
            }
            Value::Array(items) => {
                for (index, held) in items.iter_mut().enumerate().filter(|(_, it)| !it.is_null()) {
                    let pointer = child(at, &index.to_string());
                    let nodes = nodes.item(index);
                    if self.is_secret(&nodes, &pointer) {
                        // The place stays, so that the others keep theirs.
                        secrets.put(pointer, held.take());
                    } else {
                        self.extract(&nodes, &pointer, held, secrets)?;
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        Ok(())
    }
}
