//! How far an incremental read has come.

use std::{cmp::Ordering, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use time::{
    Date, Duration, OffsetDateTime, PrimitiveDateTime, UtcOffset,
    format_description::{BorrowedFormatItem, well_known::Rfc3339},
    macros::{datetime, format_description},
};

use crate::FieldKind;

/// What a cursor column holds, and so how its values compare.
#[derive(
    Clone,
    Copy,
    Debug,
    strum::Display,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CursorType {
    /// Whole numbers, such as a growing key.
    Int,
    /// Points in time.
    Timestamp,
    /// Text, compared byte by byte.
    Text,
}

/// The value of the cursor column up to which everything has been read.
///
/// Values of different types do not compare. The text form ([`fmt::Display`], `Serialize`) is what
/// is stored and shown; it says nothing about the type, so [`Cursor::parse`] is told.
///
/// ```
/// use linkspan_domain::{Cursor, CursorType};
///
/// let nine = Cursor::parse(CursorType::Int, "9").unwrap();
/// let ten = Cursor::parse(CursorType::Int, "10").unwrap();
/// assert!(nine < ten);
/// assert_eq!(ten.to_string(), "10");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Cursor {
    /// A whole number.
    Int(i64),
    /// A point in time, in UTC.
    Timestamp(OffsetDateTime),
    /// A text.
    Text(String),
}

/// A text that is not a cursor of the type it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCursor {
    /// Not a whole number of 64 bits.
    #[error(
        "the cursor is not a whole number; give one such as 1200, or choose another cursor type"
    )]
    NotInt,
    /// Not a point in time.
    #[error(
        "the cursor is not a point in time; give one such as 2026-01-31T12:00:00Z, or choose another cursor type"
    )]
    NotTimestamp,
}

impl CursorType {
    /// How the values of a column of that kind compare where nobody says. A column of a kind that no cursor is of gets a type
    /// that it [may not be](Self::may_be) of.
    pub const fn likely(kind: FieldKind) -> Self {
        match kind {
            FieldKind::Integer => Self::Int,
            FieldKind::Timestamp | FieldKind::Date => Self::Timestamp,
            FieldKind::Boolean
            | FieldKind::Number
            | FieldKind::Decimal
            | FieldKind::Text
            | FieldKind::Time
            | FieldKind::Uuid
            | FieldKind::Binary
            | FieldKind::Json => Self::Text,
        }
    }

    /// Whether a column of that kind may hold such values. A decimal may be a whole number that no 64 bits hold: some sources
    /// compare it as one, others do not.
    pub const fn may_be(self, kind: FieldKind) -> bool {
        match self {
            Self::Int => matches!(kind, FieldKind::Integer | FieldKind::Decimal),
            Self::Timestamp => matches!(kind, FieldKind::Timestamp | FieldKind::Date),
            Self::Text => matches!(kind, FieldKind::Text | FieldKind::Uuid),
        }
    }
}

impl Cursor {
    /// Reads the text form of a cursor of type `cursor_type`.
    ///
    /// Timestamps are RFC 3339, or a date and time with a blank instead of the `T`, or a date alone;
    /// without an offset they are in UTC.
    pub fn parse(cursor_type: CursorType, text: &str) -> Result<Self, InvalidCursor> {
        match cursor_type {
            CursorType::Int => {
                text.trim().parse().map(Self::Int).map_err(|_| InvalidCursor::NotInt)
            }
            CursorType::Timestamp => timestamp(text.trim())
                .map(|at| Self::Timestamp(at.to_offset(UtcOffset::UTC)))
                .ok_or(InvalidCursor::NotTimestamp),
            CursorType::Text => Ok(Self::Text(text.to_owned())),
        }
    }

    /// The type of this value.
    pub const fn cursor_type(&self) -> CursorType {
        match self {
            Self::Int(_) => CursorType::Int,
            Self::Timestamp(_) => CursorType::Timestamp,
            Self::Text(_) => CursorType::Text,
        }
    }

    /// The cursor `lag` before this one: whole numbers, or seconds. Texts have none before them.
    #[must_use]
    pub fn back(self, lag: u64) -> Self {
        let lag = i64::try_from(lag).unwrap_or(i64::MAX);
        match self {
            Self::Int(it) => Self::Int(it.saturating_sub(lag)),
            Self::Timestamp(it) => {
                Self::Timestamp(it.saturating_sub(Duration::seconds(lag)).max(YEAR_ONE))
            }
            text @ Self::Text(_) => text,
        }
    }

    /// The later of two cursors; `self` where they do not compare.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        if other > self { other } else { self }
    }
}

/// What no source goes behind.
const YEAR_ONE: OffsetDateTime = datetime!(0001-01-01 00:00 UTC);

const ZONED: &[BorrowedFormatItem<'_>] = format_description!(
    version = 2,
    "[year]-[month]-[day] [hour]:[minute]:[second][optional [.[subsecond]]][offset_hour sign:mandatory][optional [:[offset_minute]]]"
);
const NAIVE: &[BorrowedFormatItem<'_>] = format_description!(
    version = 2,
    "[year]-[month]-[day][first [ ][T]][hour]:[minute][optional [:[second][optional [.[subsecond]]]]]"
);
const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

fn timestamp(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| OffsetDateTime::parse(text, ZONED))
        .or_else(|_| PrimitiveDateTime::parse(text, NAIVE).map(PrimitiveDateTime::assume_utc))
        .or_else(|_| Date::parse(text, DAY).map(|day| day.midnight().assume_utc()))
        .ok()
}

impl PartialOrd for Cursor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(one), Self::Int(other)) => Some(one.cmp(other)),
            (Self::Timestamp(one), Self::Timestamp(other)) => Some(one.cmp(other)),
            (Self::Text(one), Self::Text(other)) => Some(one.cmp(other)),
            (Self::Int(_) | Self::Timestamp(_) | Self::Text(_), _) => None,
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => write!(f, "{value}"),
            Self::Text(value) => f.write_str(value),
            Self::Timestamp(value) => {
                let at = value.to_offset(UtcOffset::UTC);
                let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
                let (hour, minute, second) = (at.hour(), at.minute(), at.second());
                write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
                match at.nanosecond() {
                    0 => {}
                    nanos if nanos % 1_000 == 0 => write!(f, ".{:06}", nanos / 1_000)?,
                    nanos => write!(f, ".{nanos:09}")?,
                }
                f.write_str("Z")
            }
        }
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use time::macros::datetime;

    use super::{Cursor, CursorType, FieldKind, InvalidCursor};

    fn at(text: &str) -> Result<Cursor, InvalidCursor> {
        Cursor::parse(CursorType::Timestamp, text)
    }

    #[test]
    fn timestamps_come_in_the_spellings_that_databases_print() {
        let noon = Cursor::Timestamp(datetime!(2026-01-31 12:00 UTC));
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31T13:00:00+01:00",
            "2026-01-31 12:00:00+00",
            "2026-01-31 13:00:00+01:00",
            "2026-01-31 12:00:00.000000",
            "2026-01-31T12:00:00",
            "2026-01-31 12:00",
        ] {
            assert_eq!(at(text), Ok(noon.clone()), "{text}");
        }
        assert_eq!(at("2026-01-31"), Ok(Cursor::Timestamp(datetime!(2026-01-31 00:00 UTC))));
    }

    #[test]
    fn what_is_no_cursor_of_its_type_is_refused() {
        assert_eq!(at("yesterday"), Err(InvalidCursor::NotTimestamp));
        assert_eq!(at("2026-13-01"), Err(InvalidCursor::NotTimestamp));
        assert_eq!(Cursor::parse(CursorType::Int, "1.5"), Err(InvalidCursor::NotInt));
    }

    #[test]
    fn a_column_holds_cursors_of_one_type_at_most() {
        use strum::IntoEnumIterator;
        let fitting = |kind| CursorType::iter().find(|it| it.may_be(kind));
        assert_eq!(fitting(FieldKind::Date), Some(CursorType::Timestamp));
        assert_eq!(fitting(FieldKind::Uuid), Some(CursorType::Text));
        assert_eq!(fitting(FieldKind::Boolean), None);
        for kind in FieldKind::iter() {
            assert!(CursorType::iter().filter(|it| it.may_be(kind)).count() <= 1, "{kind}");
            // Whether a decimal compares as a whole number, somebody has to say.
            let is_likely = fitting(kind).is_some() && kind != FieldKind::Decimal;
            assert_eq!(CursorType::likely(kind).may_be(kind), is_likely, "{kind}");
        }
    }

    #[test]
    fn cursors_of_different_types_do_not_compare() {
        assert_eq!(Cursor::Int(1).partial_cmp(&Cursor::Text("1".to_owned())), None);
        assert_eq!(Cursor::Int(1).max(Cursor::Text("2".to_owned())), Cursor::Int(1));
        assert_eq!(Cursor::Int(1).max(Cursor::Int(2)), Cursor::Int(2));
    }

    proptest! {
        #[test]
        fn the_text_form_reads_back(seconds in -62_135_596_800_i64..253_402_300_799, nanos in 0_i64..1_000_000_000) {
            let value = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap() + time::Duration::nanoseconds(nanos);
            let cursor = Cursor::Timestamp(value);
            prop_assert_eq!(at(&cursor.to_string()), Ok(cursor));
        }

        #[test]
        fn numbers_and_texts_read_back(number in any::<i64>(), text in any::<String>()) {
            prop_assert_eq!(Cursor::parse(CursorType::Int, &number.to_string()), Ok(Cursor::Int(number)));
            prop_assert_eq!(Cursor::parse(CursorType::Text, &text), Ok(Cursor::Text(text)));
        }
    }
}
