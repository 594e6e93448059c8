//! Values that are never printed and never serialized.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What a secret looks like wherever it would be shown.
pub const MASK: &str = "••••••••";

/// Whether `text` stands for "the secret that is already stored": a run of four or more bullets.
pub fn is_mask(text: &str) -> bool {
    text.chars().count() >= 4 && text.chars().all(|it| it == '•')
}

/// A value that is never printed and never serialized, and is wiped from memory when dropped.
///
/// It implements neither `Serialize` nor `Display`, so settings that hold one cannot be
/// written out by accident: only a vault may.
///
/// ```
/// let token = linkspan_domain::Secret::new("sk_live".to_owned());
/// assert_eq!(format!("{token:?}"), "Secret(••••••••)");
/// assert_eq!(token.expose(), "sk_live");
/// ```
///
/// ```compile_fail
/// serde_json::to_string(&linkspan_domain::Secret::new("sk_live".to_owned()));
/// ```
#[derive(Clone, Deserialize, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct Secret<T: Zeroize = String>(T);

impl<T: Zeroize> Secret<T> {
    /// Wraps a value that arrived from outside.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Call it where the secret leaves for the system it belongs to, nowhere else.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({MASK})")
    }
}

impl JsonSchema for Secret<String> {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "password", "writeOnly": true, "secret": true })
    }
}

#[cfg(test)]
mod tests {
    use super::is_mask;

    #[test]
    fn four_bullets_or_more_are_a_mask() {
        assert!(is_mask("••••"));
        assert!(is_mask(super::MASK));
        assert!(!is_mask("•••"));
        assert!(!is_mask("••••x"));
        assert!(!is_mask(""));
    }
}
