//! Records from JSON text to the values that JSONata works with.

use std::fmt;

use indexmap::IndexMap;
use jsonata_core::value::{JArray, JValue};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

/// The largest whole number up to which a floating-point number holds each one.
const EXACT: u64 = 1 << 53;

/// Room for so many fields is made at once, as an object that grows moves all that it has.
const FIELDS: usize = 16;

/// Reads one record.
pub(super) fn read(text: &str) -> Result<JValue, serde_json::Error> {
    serde_json::from_str(text).map(|Payload(value)| value)
}

/// A value whose whole numbers are exact.
struct Payload(JValue);

struct Reader;

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = JValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<JValue, E> {
        Ok(JValue::Bool(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "what it would lose goes the other way")]
    fn visit_i64<E>(self, value: i64) -> Result<JValue, E> {
        Ok(if value.unsigned_abs() <= EXACT {
            JValue::Number(value as f64)
        } else {
            JValue::string(value.to_string())
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "what it would lose goes the other way")]
    fn visit_u64<E>(self, value: u64) -> Result<JValue, E> {
        Ok(if value <= EXACT {
            JValue::Number(value as f64)
        } else {
            JValue::string(value.to_string())
        })
    }

    fn visit_f64<E>(self, value: f64) -> Result<JValue, E> {
        Ok(JValue::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<JValue, E> {
        Ok(JValue::string(value))
    }

    fn visit_unit<E>(self) -> Result<JValue, E> {
        Ok(JValue::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<JValue, A::Error> {
        let mut values = Vec::new();
        let mut is_flat = true;
        while let Some(Payload(value)) = items.next_element()? {
            is_flat &= !value.is_array();
            values.push(value);
        }
        Ok(JValue::Array(JArray::new_flat(values, is_flat)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<JValue, A::Error> {
        let mut fields = IndexMap::with_capacity(FIELDS);
        while let Some((name, Payload(value))) = entries.next_entry()? {
            fields.insert(name, value);
        }
        Ok(JValue::object(fields))
    }
}
