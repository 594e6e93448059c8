//! Text in JSON, and JSON in JSON.

use serde::de::IgnoredAny;
use serde_json::Value;

use super::cell::CellFault;

/// What to write instead of a byte: 0 for the byte itself, `u` for its number, else a letter behind a backslash.
const ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        escapes[control] = b'u';
        control += 1;
    }
    escapes[b'\x08' as usize] = b'b';
    escapes[b'\t' as usize] = b't';
    escapes[b'\n' as usize] = b'n';
    escapes[b'\x0c' as usize] = b'f';
    escapes[b'\r' as usize] = b'r';
    escapes[b'"' as usize] = b'"';
    escapes[b'\\' as usize] = b'\\';
    escapes
};

/// Appends `text` as a JSON string. Answers whether it has a NUL, which no JSON column can keep.
pub(super) fn quote(into: &mut Vec<u8>, text: &str) -> Nul {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    let mut nul = Nul::Absent;
    let mut written = 0;
    into.push(b'"');
    for (index, &byte) in bytes.iter().enumerate() {
        let escape = ESCAPES[usize::from(byte)];
        if escape == 0 {
            continue;
        }
        into.extend_from_slice(&bytes[written..index]);
        written = index + 1;
        into.extend_from_slice(&[b'\\', escape]);
        if escape == b'u' {
            if byte == 0 {
                nul = Nul::Present;
            }
            let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            into.extend_from_slice(&[b'0', b'0', digits[0], digits[1]]);
        }
    }
    into.extend_from_slice(&bytes[written..]);
    into.push(b'"');
    nul
}

/// Whether a text has a NUL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Nul {
    Present,
    Absent,
}

impl Nul {
    pub(super) const fn refuse(self) -> Result<(), CellFault> {
        match self {
            Self::Present => Err(CellFault::Nul),
            Self::Absent => Ok(()),
        }
    }
}

/// Appends a JSON text as it is, but for line breaks. One that is none is appended as a string, and is a fault.
pub(super) fn embed(into: &mut Vec<u8>, json: &str) -> Result<(), CellFault> {
    // Only escapes can hide what a database refuses: half a surrogate pair, or a NUL.
    let checked = if json.contains("\\u") {
        match serde_json::from_str::<Value>(json) {
            Ok(value) if has_nul(&value) => Err(CellFault::Nul),
            Ok(_) => Ok(()),
            Err(_) => Err(CellFault::NotJson),
        }
    } else {
        serde_json::from_str::<IgnoredAny>(json).map(drop).map_err(|_| CellFault::NotJson)
    };
    if checked == Err(CellFault::NotJson) {
        return quote(into, json).refuse().and(checked);
    }
    // Inside of strings they are escaped, outside they mean nothing; without them a record is a line.
    let start = into.len();
    into.extend_from_slice(json.as_bytes());
    if json.contains(['\n', '\r']) {
        for byte in &mut into[start..] {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    }
    checked
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(map) => map.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Nul, embed, quote};
    use crate::encoder::cell::CellFault;

    #[test]
    fn every_character_survives_quoting() {
        let all: String = (1..=0xff_u8).map(char::from).chain("€𝄞\u{7f}\u{2028}".chars()).collect();
        let mut quoted = Vec::new();
        assert_eq!(quote(&mut quoted, &all), Nul::Absent);
        assert_eq!(serde_json::from_slice::<String>(&quoted).unwrap(), all);
        quoted.clear();
        assert_eq!(quote(&mut quoted, "a\0"), Nul::Present);
        assert_eq!(quoted, br#""a\u0000""#);
    }

    #[test]
    fn json_is_embedded_as_it_is_unless_no_column_can_keep_it() {
        let embedded = |json: &str| {
            let mut into = Vec::new();
            let result = embed(&mut into, json);
            (String::from_utf8(into).unwrap(), result)
        };
        assert_eq!(embedded("{\"a\":\n[1.50, \"\\u00e9\"]}").0, "{\"a\": [1.50, \"\\u00e9\"]}");
        assert_eq!(embedded("12345678901234567890.5").1, Ok(()));
        assert_eq!(embedded(r#"{"a":"\\u0000"}"#).1, Ok(()));
        assert_eq!(embedded(r#"{"a":"\u0000"}"#).1, Err(CellFault::Nul));
        assert_eq!(embedded(r#"{"a":"\ud800"}"#).1, Err(CellFault::NotJson));
        assert_eq!(embedded("{a}"), ("\"{a}\"".to_owned(), Err(CellFault::NotJson)));
        assert_eq!(embedded("").1, Err(CellFault::NotJson));
    }
}
