//! Secrets by where they belong, and their form for sealing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::Value;

use super::{ConfigError, MASK, plain::wipe};
use crate::{Secret, is_mask};

/// The secret settings of an activation: JSON pointer to [`Secret`].
///
/// Texts are held as they are, everything else (a service account, say) as its JSON text.
/// `Debug` shows where the secrets belong, never what they are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(BTreeMap<String, Held>);

#[derive(Clone, PartialEq, Eq)]
struct Held {
    kind: Kind,
    text: Secret<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Json,
}

impl Secrets {
    /// The secret that belongs at `pointer`: the text itself, or the JSON text of anything else.
    pub fn get(&self, pointer: &str) -> Option<&Secret<String>> {
        self.0.get(pointer).map(|it| &it.text)
    }

    /// Where secrets are set.
    pub fn pointers(&self) -> BTreeSet<String> {
        self.0.keys().cloned().collect()
    }

    /// Secrets that are set at `pointers`, but that nobody can open: masks stand for them, which no secret may be.
    pub fn unopened(pointers: &BTreeSet<String>) -> Self {
        let mut it = Self::default();
        for pointer in pointers {
            it.put(pointer.clone(), MASK.into());
        }
        it
    }

    /// Where only a mask stands for a secret.
    pub fn masks(&self) -> Vec<String> {
        let is_mask = |held: &Held| held.kind == Kind::Text && is_mask(held.text.expose());
        self.0
            .iter()
            .filter(|(_, held)| is_mask(held))
            .map(|(pointer, _)| pointer.clone())
            .collect()
    }

    /// `text` without the secrets that somebody may have put into it. Those of less than six characters stay: they would be
    /// found in ordinary words.
    pub fn mask_in(&self, mut text: String) -> String {
        for held in self.0.values() {
            let secret = held.text.expose().as_str();
            if secret.len() >= 6 && text.contains(secret) {
                text = text.replace(secret, MASK);
            }
        }
        text
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The form to seal: one JSON object, pointers in order, each secret as the JSON value it was.
    ///
    /// Equal secrets have equal bytes.
    pub fn to_bytes(&self) -> Secret<Vec<u8>> {
        // Room for the worst case of escaping, so that growing leaves no copies behind.
        let room =
            self.0.iter().map(|(pointer, held)| 6 * (pointer.len() + held.text.expose().len()) + 8);
        let mut bytes = Vec::with_capacity(2 + room.sum::<usize>());
        for (pointer, held) in &self.0 {
            bytes.push(if bytes.is_empty() { b'{' } else { b',' });
            push_json(&mut bytes, pointer);
            bytes.push(b':');
            match held.kind {
                Kind::Text => push_json(&mut bytes, held.text.expose()),
                Kind::Json => bytes.extend_from_slice(held.text.expose().as_bytes()),
            }
        }
        if bytes.is_empty() {
            bytes.push(b'{');
        }
        bytes.push(b'}');
        Secret::new(bytes)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(bytes: &Secret<Vec<u8>>) -> Result<Self, ConfigError> {
        // The parser's own error quotes what it read.
        let held: BTreeMap<String, Value> =
            serde_json::from_slice(bytes.expose()).map_err(|_| ConfigError::UnreadableSecrets)?;
        let mut secrets = Self::default();
        let mut is_sound = true;
        for (pointer, value) in held {
            is_sound &= pointer.starts_with('/') && !value.is_null();
            secrets.put(pointer, value);
        }
        if is_sound { Ok(secrets) } else { Err(ConfigError::UnreadableSecrets) }
    }

    pub(super) fn put(&mut self, pointer: String, value: Value) {
        let held = match value {
            Value::String(text) => Held { kind: Kind::Text, text: Secret::new(text) },
            mut other => {
                let text = Secret::new(other.to_string());
                wipe(&mut other);
                Held { kind: Kind::Json, text }
            }
        };
        self.0.insert(pointer, held);
    }

    /// Every secret as the JSON value it was.
    pub(super) fn values(&self) -> impl Iterator<Item = (&str, Value)> {
        self.0.iter().map(|(pointer, held)| {
            let text = held.text.expose();
            let value = match held.kind {
                Kind::Text => Value::from(text.as_str()),
                // It was written from a JSON value, so it reads as one.
                Kind::Json => serde_json::from_str(text).unwrap_or_default(),
            };
            (pointer.as_str(), value)
        })
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")?;
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Appends `text` as a JSON string, without a copy of it on the way.
fn push_json(bytes: &mut Vec<u8>, text: &str) {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    bytes.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => bytes.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                bytes.extend_from_slice(b"\\u00");
                bytes.extend([byte >> 4, byte & 15].map(|it| HEX[usize::from(it)]));
            }
            _ => bytes.push(byte),
        }
    }
    bytes.push(b'"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Secrets;
    use crate::{ConfigError, Secret};

    fn secrets() -> Secrets {
        let mut it = Secrets::default();
        it.put("/password".to_owned(), json!("a\"b\\c\n\u{1}é"));
        it.put("/account".to_owned(), json!({ "id": 7, "keys": ["x", null, true] }));
        it.put("/pin".to_owned(), json!(1234));
        it
    }

    #[test]
    fn the_form_for_sealing_is_ordered_json() {
        let bytes = secrets().to_bytes();
        assert_eq!(
            String::from_utf8(bytes.expose().clone()).unwrap(),
            r#"{"/account":{"id":7,"keys":["x",null,true]},"/password":"a\"b\\c\u000a\u0001é","/pin":1234}"#
        );
        assert_eq!(Secrets::default().to_bytes().expose(), b"{}");
    }

    #[test]
    fn what_was_written_reads_back() {
        for it in [secrets(), Secrets::default()] {
            assert_eq!(Secrets::from_bytes(&it.to_bytes()), Ok(it));
        }
    }

    #[test]
    fn what_is_no_such_form_is_refused_without_quoting_it() {
        for text in
            ["", "[]", "{", "sk_live", r#"{"password":"x"}"#, r#"{"":"x"}"#, r#"{"/a":null}"#]
        {
            let bytes = Secret::new(text.as_bytes().to_vec());
            assert_eq!(Secrets::from_bytes(&bytes), Err(ConfigError::UnreadableSecrets), "{text}");
        }
        assert!(!ConfigError::UnreadableSecrets.to_string().contains("sk_live"));
    }

    #[test]
    fn debug_shows_places_only() {
        assert_eq!(format!("{:?}", secrets()), r#"Secrets{"/account", "/password", "/pin"}"#);
    }

    #[test]
    fn masks_stand_for_secrets_that_nobody_can_open() {
        let mut it = Secrets::unopened(&secrets().pointers());
        assert_eq!(it.masks(), ["/account", "/password", "/pin"]);
        it.put("/pin".to_owned(), json!(1234));
        assert_eq!(it.masks(), ["/account", "/password"]);
        assert!(secrets().masks().is_empty());
    }

    #[test]
    fn a_secret_is_found_by_its_place() {
        let it = secrets();
        assert_eq!(it.get("/pin").unwrap().expose(), "1234");
        assert_eq!(it.get("/pan"), None);
        assert_eq!((it.len(), it.is_empty()), (3, false));
    }
}
