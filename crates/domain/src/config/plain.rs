//! JSON with secrets in it, wiped from memory when dropped.

use serde_json::{Map, Value};
use zeroize::Zeroize;

/// Settings with secrets in their places.
pub(super) struct Plain(Value);

impl Plain {
    pub(super) const fn new(config: Map<String, Value>) -> Self {
        Self(Value::Object(config))
    }

    pub(super) const fn value(&mut self) -> &mut Value {
        &mut self.0
    }

    /// The settings, for whoever takes the secrets out or hands them on.
    pub(super) fn take(mut self) -> Value {
        self.0.take()
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Overwrites every text in `value`, and leaves `null`.
pub(super) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(map) => map.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    *value = Value::Null;
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::wipe;

    #[test]
    fn nothing_is_left_of_a_wiped_value() {
        let mut value = json!({ "a": ["secret", { "b": "secret" }] });
        wipe(&mut value);
        assert_eq!(value, Value::Null);
    }
}
