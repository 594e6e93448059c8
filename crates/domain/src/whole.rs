//! Whole numbers from outside, which have to be within a range.

use std::{fmt, ops::RangeInclusive};

use serde::{
    Deserializer,
    de::{Error, Unexpected, Visitor},
};

/// Reads a number of `range`. Whatever else is there, the refusal names the range.
pub(crate) fn whole<'de, D: Deserializer<'de>>(
    deserializer: D,
    range: RangeInclusive<u32>,
) -> Result<u32, D::Error> {
    deserializer.deserialize_u32(Whole(range))
}

struct Whole(RangeInclusive<u32>);

impl Visitor<'_> for Whole {
    type Value = u32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {} to {}", self.0.start(), self.0.end())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u32, E> {
        let within = u32::try_from(number).ok().filter(|it| self.0.contains(it));
        within.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<u32, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
        }
    }
}
