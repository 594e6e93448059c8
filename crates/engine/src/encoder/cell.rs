//! One value of a column, as JSON and as the text of a key.

use std::{fmt, sync::Arc};

use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Float64Array, Int64Array, StringArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, cast::AsArray,
};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_json::writer::{EncoderOptions, NullableEncoder, make_encoder};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, TimeUnit};
use base64::{Engine, engine::general_purpose::STANDARD};
use linkspan_domain::FieldKind;
use linkspan_sdk::field_kind;
use time::{Date, OffsetDateTime, Time};

use super::text::{embed, quote};

/// Why a value cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CellFault {
    /// There is none, where a key needs one.
    Null,
    /// The text has a character that JSON columns refuse.
    Nul,
    /// It should be JSON.
    NotJson,
    /// Dates have four digits for the year.
    NoSuchTime,
}

impl fmt::Display for CellFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "is null",
            Self::Nul => "holds the character U+0000",
            Self::NotJson => "is not JSON, or nested too deeply",
            Self::NoSuchTime => "is a time outside the years -9999 to 9999",
        })
    }
}

/// The values of a column.
pub(crate) enum Cells<'a> {
    Boolean(&'a BooleanArray),
    Integer(&'a Int64Array),
    Number(&'a Float64Array),
    Text(&'a StringArray),
    Json(&'a StringArray),
    Date(&'a Date32Array),
    Time(&'a Time64MicrosecondArray),
    Instant(&'a TimestampMicrosecondArray),
    Binary(&'a BinaryArray),
    /// What sources need not yield, but readers of other formats may: lists, structs, numbers beyond 63 bits.
    Other(NullableEncoder<'a>),
}

/// The column in one of the types that [`Cells`] knows by name, or as it is.
pub(crate) fn canonical(field: &Field, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let target = match (field_kind(field), array.data_type()) {
        (_, it) if it.is_nested() => return Ok(Arc::clone(array)),
        (FieldKind::Integer, DataType::UInt64) => return Ok(Arc::clone(array)),
        (FieldKind::Boolean, _) => DataType::Boolean,
        (FieldKind::Integer, _) => DataType::Int64,
        (FieldKind::Number, _) => DataType::Float64,
        (FieldKind::Date, _) => DataType::Date32,
        (FieldKind::Time, _) => DataType::Time64(TimeUnit::Microsecond),
        // Instants are in UTC whatever zone they are shown in; those without a zone are taken to be.
        (FieldKind::Timestamp, DataType::Timestamp(_, zone)) => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
        }
        (FieldKind::Timestamp, _) => DataType::Timestamp(TimeUnit::Microsecond, None),
        (FieldKind::Binary, _) => DataType::Binary,
        (FieldKind::Decimal | FieldKind::Text | FieldKind::Uuid | FieldKind::Json, _) => {
            DataType::Utf8
        }
    };
    if *array.data_type() == target {
        return Ok(Arc::clone(array));
    }
    // Not `safe`: that turns what does not fit into null.
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, &target, &options)
}

impl<'a> Cells<'a> {
    /// The values of a canonical `array`.
    pub(crate) fn of(field: &'a FieldRef, array: &'a ArrayRef) -> Result<Self, ArrowError> {
        static OPTIONS: std::sync::LazyLock<EncoderOptions> =
            std::sync::LazyLock::new(|| EncoderOptions::default().with_explicit_nulls(true));
        Ok(match (field_kind(field), array.data_type()) {
            (_, DataType::Boolean) => Self::Boolean(array.as_boolean()),
            (_, DataType::Int64) => Self::Integer(array.as_primitive()),
            (_, DataType::Float64) => Self::Number(array.as_primitive()),
            (FieldKind::Json, DataType::Utf8) => Self::Json(array.as_string()),
            (_, DataType::Utf8) => Self::Text(array.as_string()),
            (_, DataType::Date32) => Self::Date(array.as_primitive()),
            (_, DataType::Time64(TimeUnit::Microsecond)) => Self::Time(array.as_primitive()),
            (_, DataType::Timestamp(TimeUnit::Microsecond, _)) => {
                Self::Instant(array.as_primitive())
            }
            (_, DataType::Binary) => Self::Binary(array.as_binary()),
            _ => Self::Other(make_encoder(field, array, &OPTIONS)?),
        })
    }

    pub(crate) fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Boolean(it) => it.is_null(row),
            Self::Integer(it) => it.is_null(row),
            Self::Number(it) => it.is_null(row),
            Self::Text(it) | Self::Json(it) => it.is_null(row),
            Self::Date(it) => it.is_null(row),
            Self::Time(it) => it.is_null(row),
            Self::Instant(it) => it.is_null(row),
            Self::Binary(it) => it.is_null(row),
            Self::Other(it) => it.is_null(row),
        }
    }

    /// Appends the value as JSON. Should it have a fault, something that stands in for it is appended.
    pub(crate) fn write_json(&mut self, row: usize, into: &mut Vec<u8>) -> Result<(), CellFault> {
        if self.is_null(row) {
            into.extend_from_slice(b"null");
            return Ok(());
        }
        match self {
            Self::Text(texts) => return quote(into, texts.value(row)).refuse(),
            Self::Json(texts) => return embed(into, texts.value(row)),
            Self::Other(encoder) => encoder.encode(row, into),
            Self::Boolean(_) | Self::Integer(_) => return self.write_plain(row, into),
            Self::Number(numbers) if numbers.value(row).is_finite() => {
                return self.write_plain(row, into);
            }
            Self::Number(_)
            | Self::Date(_)
            | Self::Time(_)
            | Self::Instant(_)
            | Self::Binary(_) => {
                into.push(b'"');
                let written = self.write_plain(row, into);
                into.push(b'"');
                return written;
            }
        }
        Ok(())
    }

    /// Appends the value as the text of a key.
    pub(super) fn write_text(&mut self, row: usize, into: &mut Vec<u8>) -> Result<(), CellFault> {
        if self.is_null(row) {
            return Err(CellFault::Null);
        }
        match self {
            Self::Text(texts) | Self::Json(texts) => {
                let text = texts.value(row);
                if text.contains('\0') {
                    return Err(CellFault::Nul);
                }
                into.extend_from_slice(text.as_bytes());
                Ok(())
            }
            Self::Other(encoder) => {
                encoder.encode(row, into);
                Ok(())
            }
            _ => self.write_plain(row, into),
        }
    }

    /// Appends a value whose text needs no escapes.
    pub(crate) fn write_plain(&self, row: usize, into: &mut Vec<u8>) -> Result<(), CellFault> {
        match self {
            Self::Boolean(values) => {
                let value: &[u8] = if values.value(row) { b"true" } else { b"false" };
                into.extend_from_slice(value);
            }
            Self::Integer(values) => push_number(into, &values.value(row)),
            Self::Number(values) => match values.value(row) {
                value if value.is_finite() => push_number(into, &value),
                value if value.is_nan() => into.extend_from_slice(b"NaN"),
                value if value > 0.0 => into.extend_from_slice(b"Infinity"),
                _ => into.extend_from_slice(b"-Infinity"),
            },
            Self::Date(values) => {
                let day = values.value(row).checked_add(EPOCH_JULIAN_DAY);
                let day = day.and_then(|it| Date::from_julian_day(it).ok());
                push_date(into, day.ok_or(CellFault::NoSuchTime)?);
            }
            Self::Time(values) => {
                let time = time_of_day(values.value(row)).ok_or(CellFault::NoSuchTime)?;
                push_time(into, time);
            }
            Self::Instant(values) => {
                let nanos = i128::from(values.value(row)) * 1_000;
                let at = OffsetDateTime::from_unix_timestamp_nanos(nanos)
                    .map_err(|_| CellFault::NoSuchTime)?;
                push_date(into, at.date());
                into.push(b'T');
                push_time(into, at.time());
                into.push(b'Z');
            }
            Self::Binary(values) => {
                let bytes = values.value(row);
                let start = into.len();
                into.resize(start + bytes.len().div_ceil(3) * 4, 0);
                // There is room for all of it.
                let written = STANDARD.encode_slice(bytes, &mut into[start..]).unwrap_or(0);
                into.truncate(start + written);
            }
            Self::Text(_) | Self::Json(_) | Self::Other(_) => {}
        }
        Ok(())
    }
}

/// 1970-01-01.
const EPOCH_JULIAN_DAY: i32 = 2_440_588;

fn push_number(into: &mut Vec<u8>, number: &impl serde::Serialize) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(into, number);
}

fn push_date(into: &mut Vec<u8>, date: Date) {
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    if year < 0 {
        into.push(b'-');
    }
    // Years have at most four digits.
    let year = u16::try_from(year.unsigned_abs()).unwrap_or(9999);
    push_two(into, u8::try_from(year / 100).unwrap_or(99));
    push_two(into, u8::try_from(year % 100).unwrap_or(99));
    into.push(b'-');
    push_two(into, month);
    into.push(b'-');
    push_two(into, day);
}

/// Hours, minutes and seconds; microseconds only if there are any.
fn push_time(into: &mut Vec<u8>, time: Time) {
    push_two(into, time.hour());
    into.push(b':');
    push_two(into, time.minute());
    into.push(b':');
    push_two(into, time.second());
    let micros = time.microsecond();
    if micros > 0 {
        into.push(b'.');
        for divisor in [10_000, 100, 1] {
            push_two(into, u8::try_from(micros / divisor % 100).unwrap_or(99));
        }
    }
}

fn push_two(into: &mut Vec<u8>, number: u8) {
    into.extend_from_slice(&[b'0' + number / 10 % 10, b'0' + number % 10]);
}

fn time_of_day(micros: i64) -> Option<Time> {
    let micros = u64::try_from(micros).ok()?;
    let seconds = micros / 1_000_000;
    let part = |number: u64| u8::try_from(number).ok();
    let micros = u32::try_from(micros % 1_000_000).ok()?;
    Time::from_hms_micro(
        part(seconds / 3600)?,
        part(seconds / 60 % 60)?,
        part(seconds % 60)?,
        micros,
    )
    .ok()
}
