//! Which system, and which part of it, the settings of an activation point at.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{ConnectorTypeKey, ContentHash};

/// Names a place that records are read from or written to: settings of one type that point at the same place have equal ones.
///
/// It is a hash, so that it can be kept with what was taken of the place; no secret goes into it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Place(String);

impl Place {
    /// The place that `parts` tell apart from others of `kind`; the order of the members of objects says nothing.
    pub fn of(kind: &ConnectorTypeKey, mut parts: Value) -> Self {
        parts.sort_all_objects();
        let digest = Sha256::digest(json!([kind, parts]).to_string());
        Self(ContentHash::of_digest(digest.into()).to_string())
    }

    /// The place as text: 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Place;
    use crate::ConnectorTypeKey;

    #[test]
    fn equal_parts_of_one_type_are_one_place_in_whatever_order() {
        const CRM: ConnectorTypeKey = ConnectorTypeKey::of("crm");
        let one = Place::of(&CRM, json!({ "host": "h", "at": { "a": 1, "b": 2 } }));
        assert_eq!(one, Place::of(&CRM, json!({ "at": { "b": 2, "a": 1 }, "host": "h" })));
        assert_ne!(one, Place::of(&CRM, json!({ "host": "i", "at": { "a": 1, "b": 2 } })));
        let other = ConnectorTypeKey::of("erp");
        assert_ne!(one, Place::of(&other, json!({ "host": "h", "at": { "a": 1, "b": 2 } })));
    }
}
