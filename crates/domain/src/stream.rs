//! The collections of records that an activation exposes.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::FieldKind;

/// Names a stream within an activation: 1 to 512 characters, none of them a control character.
///
/// ```
/// use linkspan_domain::StreamName;
///
/// let orders: StreamName = "public.orders".parse().unwrap();
/// assert_eq!(orders.as_str(), "public.orders");
/// assert!("".parse::<StreamName>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct StreamName(String);

/// A text that cannot name a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a stream has 1 to 512 characters, none of them a control character")]
pub struct InvalidStreamName;

/// What one stream offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamSpec {
    /// Names it.
    pub name: StreamName,
    /// Its fields, in the source's order.
    pub fields: Vec<StreamField>,
    /// The fields that together tell one record from another; empty when the source knows none.
    pub primary_key: Vec<String>,
    /// The fields that can serve as a cursor, the likeliest first.
    pub cursor_candidates: Vec<String>,
    /// Whether it can be read from a cursor on.
    pub supports_incremental: bool,
}

/// One field of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamField {
    /// Its name, as the source spells it.
    pub name: String,
    /// What it holds.
    pub kind: FieldKind,
    /// Whether it may be absent or null.
    pub nullable: bool,
}

impl StreamName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl StreamSpec {
    /// The field called `name`.
    pub fn field(&self, name: &str) -> Option<&StreamField> {
        self.fields.iter().find(|it| it.name == name)
    }
}

impl FromStr for StreamName {
    type Err = InvalidStreamName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for StreamName {
    type Error = InvalidStreamName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let length = text.chars().count();
        if (1..=512).contains(&length) && !text.chars().any(char::is_control) {
            Ok(Self(text))
        } else {
            Err(InvalidStreamName)
        }
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::StreamName;

    #[test]
    fn names_are_what_a_source_may_call_a_table() {
        for good in ["orders", "public.Order Lines", "naïve", &"x".repeat(512)] {
            assert!(good.parse::<StreamName>().is_ok(), "{good}");
        }
        for bad in ["", "a\nb", "a\0", &"x".repeat(513)] {
            assert!(bad.parse::<StreamName>().is_err(), "{bad}");
        }
    }
}
