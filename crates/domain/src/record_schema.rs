//! What the fields of records hold.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a field of a record holds.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum FieldKind {
    /// True or false.
    Boolean,
    /// A whole number of 64 bits.
    Integer,
    /// A floating-point number.
    Number,
    /// An exact decimal number of any precision; a string in JSON.
    Decimal,
    /// Text.
    Text,
    /// A day of the calendar.
    Date,
    /// A time of day.
    Time,
    /// A point in time.
    Timestamp,
    /// A UUID.
    Uuid,
    /// Bytes; Base64 in JSON.
    Binary,
    /// An object, an array, or whatever else JSON can say.
    Json,
}
