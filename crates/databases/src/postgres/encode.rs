//! Arrow columns as the binary format of `COPY` (PostgreSQL documentation, `COPY`, "Binary Format").

use std::{fmt::Write as _, ops::Range};

use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch,
    StringArray, Time64MicrosecondArray, TimestampMicrosecondArray, cast::AsArray, types,
};
use arrow_cast::cast;
use arrow_schema::DataType;
use linkspan_domain::FieldKind;
use linkspan_sdk::Failure;

use super::{
    binary::{EPOCH_DAYS, EPOCH_MICROS, SIGNATURE},
    column::Wire,
    error::RECORDS,
    numeric,
};

const MICROS_OF_A_DAY: i64 = 86_400_000_000;

/// How one column of a stream is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// Its name in the stream and in the table.
    pub(super) name: String,
    /// What the stream has.
    pub(super) kind: FieldKind,
    /// What the table takes.
    pub(super) wire: Wire,
}

/// Whether a column that takes `wire` can hold whatever is of `kind`, if need be after a look at each value.
pub(super) const fn accepts(kind: FieldKind, wire: Wire, held: FieldKind) -> bool {
    // Everything but bytes has a text.
    if matches!((wire, held), (Wire::Text, FieldKind::Text)) {
        return !matches!(kind, FieldKind::Binary);
    }
    match kind {
        FieldKind::Boolean => matches!(wire, Wire::Bool),
        FieldKind::Integer => {
            matches!(wire, Wire::Int2 | Wire::Int4 | Wire::Int8 | Wire::Float8 | Wire::Numeric)
        }
        FieldKind::Number => matches!(wire, Wire::Float4 | Wire::Float8 | Wire::Numeric),
        FieldKind::Decimal => matches!(wire, Wire::Numeric),
        FieldKind::Text => false,
        FieldKind::Date => matches!(wire, Wire::Date | Wire::Timestamp | Wire::Timestamptz),
        FieldKind::Time => matches!(wire, Wire::Time),
        FieldKind::Timestamp => matches!(wire, Wire::Timestamp | Wire::Timestamptz),
        FieldKind::Uuid => matches!(wire, Wire::Uuid),
        FieldKind::Binary => matches!(wire, Wire::Bytes),
        FieldKind::Json => matches!((wire, held), (Wire::Jsonb, _) | (Wire::Text, FieldKind::Json)),
    }
}

/// What a copy begins with.
pub(super) fn begin(out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&[0; 8]);
}

/// What a copy ends with.
pub(super) fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1_i16).to_be_bytes());
}

/// A batch on its way into a table.
pub(super) struct Rows<'b> {
    cells: Vec<(&'b Slot, Cells<'b>)>,
    width: i16,
    height: usize,
    scratch: String,
}

impl<'b> Rows<'b> {
    /// The rows of `records`, whose columns go into `slots`, in this order.
    pub(super) fn of(records: &'b RecordBatch, slots: &'b [Slot]) -> Result<Self, Failure> {
        let mismatch = || Failure::Defect { doing: "write a column of another type", source: None };
        if records.num_columns() != slots.len() {
            return Err(mismatch());
        }
        let cells = slots.iter().zip(records.columns()).map(|(slot, column)| {
            let cells = Cells::of(slot, column)?.ok_or_else(mismatch)?;
            Ok((slot, cells))
        });
        let cells = cells.collect::<Result<Vec<_>, Failure>>()?;
        let width = i16::try_from(cells.len());
        let width = width.map_err(|_| unfit("columns", "are more than a table can have"))?;
        Ok(Self { cells, width, height: records.num_rows(), scratch: String::new() })
    }

    /// Appends the rows from `from` on, until there are `bytes` or no more, and says where it stopped.
    pub(super) fn append(
        &mut self,
        from: usize,
        bytes: usize,
        out: &mut Vec<u8>,
    ) -> Result<Option<usize>, Failure> {
        for row in from..self.height {
            if out.len() >= bytes {
                return Ok(Some(row));
            }
            out.extend_from_slice(&self.width.to_be_bytes());
            for (slot, cells) in &self.cells {
                cells
                    .append(row, out, &mut self.scratch)
                    .ok_or_else(|| unfit(&slot.name, cells.complaint()))?;
            }
        }
        Ok(None)
    }
}

/// The values of one column, and the form they take.
enum Cells<'a> {
    Bool(&'a BooleanArray),
    Int2(&'a Int64Array),
    Int4(&'a Int64Array),
    Int8(&'a Int64Array),
    WholeFloat8(&'a Int64Array),
    WholeNumeric(&'a Int64Array),
    Float4(&'a Float64Array),
    Float8(&'a Float64Array),
    FloatNumeric(&'a Float64Array),
    Numeric(&'a StringArray),
    Text(&'a StringArray),
    Jsonb(&'a StringArray),
    Uuid(&'a StringArray),
    Date(&'a Date32Array),
    Midnight(&'a Date32Array),
    Time(&'a Time64MicrosecondArray),
    Timestamp(&'a TimestampMicrosecondArray),
    Bytes(&'a BinaryArray),
    /// Of another kind, as text.
    Printed(StringArray),
}

impl<'a> Cells<'a> {
    /// Nothing if the array is not what columns of that kind are made of.
    fn of(slot: &Slot, array: &'a ArrayRef) -> Result<Option<Self>, Failure> {
        Ok(match (array.data_type(), slot.wire) {
            (DataType::Utf8, wire) => {
                let texts = array.as_string::<i32>();
                has_no_nul(slot, texts)?;
                match wire {
                    Wire::Numeric => Some(Self::Numeric(texts)),
                    Wire::Text => Some(Self::Text(texts)),
                    Wire::Jsonb => Some(Self::Jsonb(texts)),
                    Wire::Uuid => Some(Self::Uuid(texts)),
                    _ => None,
                }
            }
            (DataType::Boolean, Wire::Bool) => Some(Self::Bool(array.as_boolean())),
            (DataType::Int64, wire) if wire != Wire::Text => {
                let numbers = array.as_primitive::<types::Int64Type>();
                match wire {
                    Wire::Int2 => Some(Self::Int2(numbers)),
                    Wire::Int4 => Some(Self::Int4(numbers)),
                    Wire::Int8 => Some(Self::Int8(numbers)),
                    Wire::Float8 => Some(Self::WholeFloat8(numbers)),
                    Wire::Numeric => Some(Self::WholeNumeric(numbers)),
                    _ => None,
                }
            }
            (DataType::Float64, wire) if wire != Wire::Text => {
                let numbers = array.as_primitive::<types::Float64Type>();
                match wire {
                    Wire::Float4 => Some(Self::Float4(numbers)),
                    Wire::Float8 => Some(Self::Float8(numbers)),
                    Wire::Numeric => Some(Self::FloatNumeric(numbers)),
                    _ => None,
                }
            }
            (DataType::Date32, Wire::Date) => Some(Self::Date(array.as_primitive())),
            (DataType::Date32, Wire::Timestamp | Wire::Timestamptz) => {
                Some(Self::Midnight(array.as_primitive()))
            }
            (DataType::Time64(_), Wire::Time) => {
                array.as_primitive_opt::<types::Time64MicrosecondType>().map(Self::Time)
            }
            (DataType::Timestamp(..), Wire::Timestamp | Wire::Timestamptz) => {
                array.as_primitive_opt::<types::TimestampMicrosecondType>().map(Self::Timestamp)
            }
            (DataType::Binary, Wire::Bytes) => Some(Self::Bytes(array.as_binary())),
            (_, Wire::Text) => {
                let printed = cast(array, &DataType::Utf8).map_err(|error| Failure::Defect {
                    doing: "write a column as text",
                    source: Some(error.into()),
                })?;
                Some(Self::Printed(printed.as_string().clone()))
            }
            _ => None,
        })
    }

    fn array(&self) -> &dyn Array {
        match self {
            Self::Bool(it) => *it,
            Self::Int2(it)
            | Self::Int4(it)
            | Self::Int8(it)
            | Self::WholeFloat8(it)
            | Self::WholeNumeric(it) => *it,
            Self::Float4(it) | Self::Float8(it) | Self::FloatNumeric(it) => *it,
            Self::Numeric(it) | Self::Text(it) | Self::Jsonb(it) | Self::Uuid(it) => *it,
            Self::Date(it) | Self::Midnight(it) => *it,
            Self::Time(it) => *it,
            Self::Timestamp(it) => *it,
            Self::Bytes(it) => *it,
            Self::Printed(it) => it,
        }
    }

    /// Appends the value of `row`, with its length before it. Nothing if the column cannot hold it.
    fn append(&self, row: usize, out: &mut Vec<u8>, scratch: &mut String) -> Option<()> {
        if self.array().is_null(row) {
            out.extend_from_slice(&(-1_i32).to_be_bytes());
            return Some(());
        }
        match self {
            Self::Bool(it) => fixed(out, [u8::from(it.value(row))]),
            Self::Int2(it) => fixed(out, i16::try_from(it.value(row)).ok()?.to_be_bytes()),
            Self::Int4(it) => fixed(out, i32::try_from(it.value(row)).ok()?.to_be_bytes()),
            Self::Int8(it) => fixed(out, it.value(row).to_be_bytes()),
            Self::WholeFloat8(it) => fixed(out, exact(it.value(row))?.to_be_bytes()),
            Self::WholeNumeric(it) => decimal(out, scratch, it.value(row))?,
            Self::Float4(it) => fixed(out, narrow(it.value(row))?.to_be_bytes()),
            Self::Float8(it) => fixed(out, it.value(row).to_be_bytes()),
            Self::FloatNumeric(it) => decimal(out, scratch, it.value(row))?,
            Self::Numeric(it) => sized(out, |out| numeric::encode(it.value(row), out))?,
            Self::Text(it) => text(out, it.value(row))?,
            Self::Printed(it) => text(out, it.value(row))?,
            Self::Jsonb(it) => sized(out, |out| {
                out.push(1);
                out.extend_from_slice(it.value(row).as_bytes());
                Some(())
            })?,
            Self::Uuid(it) => fixed(out, *uuid::Uuid::try_parse(it.value(row)).ok()?.as_bytes()),
            Self::Date(it) => fixed(out, it.value(row).checked_sub(EPOCH_DAYS)?.to_be_bytes()),
            Self::Midnight(it) => {
                let micros = i64::from(it.value(row)) * MICROS_OF_A_DAY;
                fixed(out, micros.checked_sub(EPOCH_MICROS)?.to_be_bytes());
            }
            Self::Time(it) => fixed(out, it.value(row).to_be_bytes()),
            Self::Timestamp(it) => {
                fixed(out, it.value(row).checked_sub(EPOCH_MICROS)?.to_be_bytes());
            }
            Self::Bytes(it) => sized(out, |out| {
                out.extend_from_slice(it.value(row));
                Some(())
            })?,
        }
        Some(())
    }

    /// Why a value does not fit.
    const fn complaint(&self) -> &'static str {
        match self {
            Self::Int2(_) | Self::Int4(_) => {
                "has a number that is too large for the column; alter the column to bigint"
            }
            Self::WholeFloat8(_) | Self::Float4(_) => {
                "has a number that the column cannot hold exactly; alter the column to numeric or double precision"
            }
            Self::Numeric(_) => "has a text that is no decimal number",
            Self::Uuid(_) => "has a text that is no UUID",
            _ => "has a value that the column cannot hold",
        }
    }
}

fn fixed<const N: usize>(out: &mut Vec<u8>, value: [u8; N]) {
    // As one piece: a value is a handful of bytes, and there are many.
    let length = i32::try_from(N).unwrap_or_default();
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&value);
}

fn text(out: &mut Vec<u8>, text: &str) -> Option<()> {
    sized(out, |out| {
        out.extend_from_slice(text.as_bytes());
        Some(())
    })
}

/// Puts the length before whatever `write` appends.
fn sized(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> Option<()> {
    let begins = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out)?;
    let length = i32::try_from(out.len() - begins - 4).ok()?;
    out[begins..begins + 4].copy_from_slice(&length.to_be_bytes());
    Some(())
}

fn decimal(out: &mut Vec<u8>, scratch: &mut String, number: impl std::fmt::Display) -> Option<()> {
    scratch.clear();
    write!(scratch, "{number}").ok()?;
    sized(out, |out| numeric::encode(scratch, out))
}

/// The same number, unless it has more digits than a float keeps.
#[expect(clippy::cast_precision_loss, reason = "numbers that would lose any are refused")]
const fn exact(number: i64) -> Option<f64> {
    if number.unsigned_abs() <= 1 << 53 { Some(number as f64) } else { None }
}

/// The same number, unless it does not come back as it went.
#[expect(clippy::cast_possible_truncation, reason = "numbers that would change are refused")]
fn narrow(number: f64) -> Option<f32> {
    let narrow = number as f32;
    (f64::from(narrow).to_bits() == number.to_bits() || number.is_nan()).then_some(narrow)
}

/// PostgreSQL keeps no text with a NUL character in it.
fn has_no_nul(slot: &Slot, texts: &StringArray) -> Result<(), Failure> {
    let offsets = texts.value_offsets();
    let used: Range<usize> = match (offsets.first(), offsets.last()) {
        (Some(&first), Some(&last)) => {
            usize::try_from(first).unwrap_or(0)..usize::try_from(last).unwrap_or(0)
        }
        _ => 0..0,
    };
    if texts.value_data()[used].contains(&0) {
        let reason = "has a text with a NUL character, which PostgreSQL cannot keep; remove it at the source";
        return Err(unfit(&slot.name, reason));
    }
    Ok(())
}

/// That the records do not go into the table, because of one column.
pub(super) fn unfit(column: &str, reason: &str) -> Failure {
    Failure::Invalid { what: RECORDS.into(), field: column.to_owned(), reason: reason.to_owned() }
}
