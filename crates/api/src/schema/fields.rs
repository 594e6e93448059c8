//! The names of the fields that a structure reads.

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, Visitor},
    forward_to_deserialize_any,
};

/// The fields that `T` reads, in their order. Empty if it is not a plain structure.
pub(crate) fn field_names<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // It always fails: all it is asked for is what it would read.
    let _ = T::deserialize(Names(&mut names));
    names
}

struct Names<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        Err(Self::Error::custom("only the names were wanted"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(Self::Error::custom("not a structure"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_that_are_read() {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Two {
            #[expect(dead_code, reason = "only its name matters")]
            first: String,
            #[expect(dead_code, reason = "only its name matters")]
            #[serde(default, rename = "2nd")]
            second: Option<u8>,
        }
        assert_eq!(field_names::<Two>(), ["first", "2nd"]);
        assert!(field_names::<String>().is_empty());
    }
}
