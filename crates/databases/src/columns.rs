//! Arrow columns while they are filled, and what is read off them: the same for every make of database.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, RecordBatch,
    builder::{
        BinaryBuilder, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, StringBuilder,
        Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
    },
    cast::AsArray,
    types,
};
use arrow_schema::{DataType, Field, SchemaRef};
use linkspan_domain::{Cursor, CursorType};
use linkspan_sdk::{Batch, Failure};
use time::OffsetDateTime;

/// Years 1 to 9999, which RFC 3339 can write. Instants beyond, `infinity` among them, are moved to the nearest of these.
pub(crate) const DAYS: (i32, i32) = (-719_162, 2_932_896);
pub(crate) const MICROS: (i64, i64) = (-62_135_596_800_000_000, 253_402_300_799_999_999);

const MICROS_OF_A_DAY: i64 = 86_400_000_000;

/// One column of a batch that is not complete yet.
pub(crate) enum Builder {
    Boolean(BooleanBuilder),
    Integer(Int64Builder),
    Number(Float64Builder),
    Text(StringBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Binary(BinaryBuilder),
}

impl Builder {
    /// For values of `field`, which is one that the schema of a stream has.
    pub(crate) fn of(field: &Field) -> Self {
        match field.data_type() {
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int64 => Self::Integer(Int64Builder::new()),
            DataType::Float64 => Self::Number(Float64Builder::new()),
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Time64(_) => Self::Time(Time64MicrosecondBuilder::new()),
            DataType::Timestamp(_, zone) => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_timezone_opt(zone.clone()))
            }
            DataType::Binary => Self::Binary(BinaryBuilder::new()),
            _ => Self::Text(StringBuilder::new()),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Boolean(it) => Arc::new(it.finish()),
            Self::Integer(it) => Arc::new(it.finish()),
            Self::Number(it) => Arc::new(it.finish()),
            Self::Text(it) => Arc::new(it.finish()),
            Self::Date(it) => Arc::new(it.finish()),
            Self::Time(it) => Arc::new(it.finish()),
            Self::Timestamp(it) => Arc::new(it.finish()),
            Self::Binary(it) => Arc::new(it.finish()),
        }
    }
}

/// The rows collected so far, as a batch.
pub(crate) fn finish<'a>(
    schema: &SchemaRef,
    builders: impl Iterator<Item = &'a mut Builder>,
) -> Result<RecordBatch, Failure> {
    let columns = builders.map(Builder::finish).collect();
    RecordBatch::try_new(Arc::clone(schema), columns)
        .map_err(|error| Failure::Defect { doing: "decode a table", source: Some(error.into()) })
}

/// Null stays null; anything else must read.
#[expect(
    clippy::option_option,
    reason = "the outer says whether it reads, the inner whether it is null"
)]
pub(crate) fn optional<T>(
    field: Option<&[u8]>,
    read: impl FnOnce(&[u8]) -> Option<T>,
) -> Option<Option<T>> {
    match field {
        None => Some(None),
        Some(field) => read(field).map(Some),
    }
}

/// `records`, which are in the order of the column that `cursor` names, as a batch.
pub(crate) fn batch(
    records: RecordBatch,
    cursor: Option<(usize, CursorType)>,
) -> Result<Batch, Failure> {
    let cursor =
        cursor.map(|(index, cursor_type)| last(&records, index, cursor_type)).transpose()?;
    Ok(Batch::new(records, cursor.flatten()))
}

/// Whether there is an instant or a day that stands for all beyond it.
fn is_out_of_time(column: &ArrayRef, row: usize) -> bool {
    match column.data_type() {
        _ if column.is_null(row) => false,
        DataType::Timestamp(..) => {
            let value = column.as_primitive::<types::TimestampMicrosecondType>().value(row);
            [MICROS.0, MICROS.1].contains(&value)
        }
        DataType::Date32 => {
            let value = column.as_primitive::<types::Date32Type>().value(row);
            [DAYS.0, DAYS.1].contains(&value)
        }
        _ => false,
    }
}

/// The cursor value of the last row, which is the highest. Instants that nobody can write, such as `infinity`, are none: what
/// comes later is below them.
fn last(
    records: &RecordBatch,
    index: usize,
    cursor_type: CursorType,
) -> Result<Option<Cursor>, Failure> {
    let column = records.column(index);
    let row = (0..column.len()).rev().find(|&row| !is_out_of_time(column, row));
    let Some(row) = row.filter(|&row| column.is_valid(row)) else { return Ok(None) };
    let instant = |micros: i64| {
        let instant = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000);
        instant.ok().map(Cursor::Timestamp)
    };
    match (cursor_type, column.data_type()) {
        (CursorType::Int, DataType::Int64) => {
            Ok(Some(Cursor::Int(column.as_primitive::<types::Int64Type>().value(row))))
        }
        // Unsigned numbers travel as text. Those that no cursor can say are above every one that it can.
        (CursorType::Int, DataType::Utf8) => {
            let number = column.as_string::<i32>().value(row).parse();
            Ok(Some(Cursor::Int(number.unwrap_or(i64::MAX))))
        }
        (CursorType::Timestamp, DataType::Timestamp(..)) => {
            Ok(instant(column.as_primitive::<types::TimestampMicrosecondType>().value(row)))
        }
        (CursorType::Timestamp, DataType::Date32) => {
            let days = column.as_primitive::<types::Date32Type>().value(row);
            Ok(instant(i64::from(days) * MICROS_OF_A_DAY))
        }
        (CursorType::Text, DataType::Utf8) => {
            Ok(Some(Cursor::Text(column.as_string::<i32>().value(row).to_owned())))
        }
        _ => Err(Failure::Defect { doing: "keep the place in a table", source: None }),
    }
}
