//! The binary protocol's values, straight into Arrow columns.

use std::fmt::Write;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use linkspan_sdk::Failure;
use sqlx::{Decode, MySql, Row, ValueRef, mysql::MySqlRow};

use super::{
    column::Wire,
    error::failure,
    moment::{self, Moment},
};
use crate::columns::{self, Builder, optional};

/// Collects rows into record batches.
pub(super) struct Decoder {
    schema: SchemaRef,
    columns: Vec<(Wire, Builder)>,
    rows: usize,
    bytes: usize,
    scratch: String,
}

impl Decoder {
    /// For rows of columns that arrive as `wires` and become `schema`.
    pub(super) fn new(schema: SchemaRef, wires: impl Iterator<Item = Wire>) -> Self {
        let columns = wires.zip(schema.fields()).map(|(it, field)| (it, Builder::of(field)));
        Self { columns: columns.collect(), schema, rows: 0, bytes: 0, scratch: String::new() }
    }

    /// Adds a row.
    pub(super) fn push(&mut self, row: &MySqlRow) -> Result<(), Failure> {
        for (index, (wire, builder)) in self.columns.iter_mut().enumerate() {
            let value = row.try_get_raw(index).map_err(|error| failure("the database", error))?;
            let field = if value.is_null() {
                None
            } else {
                Some(<&[u8] as Decode<MySql>>::decode(value).map_err(|_| malformed())?)
            };
            self.bytes += field.map_or(1, |it| it.len() + 1);
            append(builder, *wire, field, &mut self.scratch).ok_or_else(malformed)?;
        }
        self.rows += 1;
        Ok(())
    }

    /// How many rows are collected.
    pub(super) const fn rows(&self) -> usize {
        self.rows
    }

    /// About how many bytes they have.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The rows collected so far, as a batch.
    pub(super) fn take(&mut self) -> Result<RecordBatch, Failure> {
        self.rows = 0;
        self.bytes = 0;
        columns::finish(&self.schema, self.columns.iter_mut().map(|(_, it)| it))
    }
}

fn malformed() -> Failure {
    Failure::Malformed {
        what: "the table".to_owned(),
        line: None,
        reason: "a value is not in the form its type has".to_owned(),
    }
}

/// Adds a value, or null. Nothing if the bytes are not of the type.
fn append(
    builder: &mut Builder,
    wire: Wire,
    field: Option<&[u8]>,
    scratch: &mut String,
) -> Option<()> {
    match builder {
        Builder::Boolean(it) => {
            it.append_option(optional(field, |it| it.last().map(|it| *it != 0))?);
        }
        Builder::Integer(it) => it.append_option(optional(field, |it| integer(wire, it))?),
        Builder::Number(it) => it.append_option(optional(field, number)?),
        Builder::Date(it) => it.append_option(optional(field, moment::date)?.and_then(Moment::at)),
        Builder::Timestamp(it) => {
            it.append_option(optional(field, moment::instant)?.and_then(Moment::at));
        }
        Builder::Binary(it) => it.append_option(field),
        Builder::Text(it) => match field {
            None => it.append_null(),
            Some(field) => it.append_value(text(wire, field, scratch)?),
        },
        // No column becomes one: a `time` is a span.
        Builder::Time(_) => return None,
    }
    Some(())
}

/// Whole numbers come with their lowest byte first, bits with their highest.
fn integer(wire: Wire, field: &[u8]) -> Option<i64> {
    match (wire, field) {
        (Wire::Bits, _) => i64::try_from(bits(field)?).ok(),
        (Wire::Unsigned, [a]) => Some((*a).into()),
        (Wire::Unsigned, [a, b]) => Some(u16::from_le_bytes([*a, *b]).into()),
        (Wire::Unsigned, [a, b, c, d]) => Some(u32::from_le_bytes([*a, *b, *c, *d]).into()),
        (_, [a]) => Some(a.cast_signed().into()),
        (_, [a, b]) => Some(i16::from_le_bytes([*a, *b]).into()),
        (_, [a, b, c, d]) => Some(i32::from_le_bytes([*a, *b, *c, *d]).into()),
        _ => field.try_into().ok().map(i64::from_le_bytes),
    }
}

fn bits(field: &[u8]) -> Option<u64> {
    (field.len() <= 8).then(|| field.iter().fold(0, |all, it| all << 8 | u64::from(*it)))
}

fn number(field: &[u8]) -> Option<f64> {
    match *field {
        [a, b, c, d] => Some(f32::from_le_bytes([a, b, c, d]).into()),
        _ => field.try_into().ok().map(f64::from_le_bytes),
    }
}

fn text<'a>(wire: Wire, field: &'a [u8], scratch: &'a mut String) -> Option<&'a str> {
    let number = match wire {
        Wire::Unsigned8 => u64::from_le_bytes(field.try_into().ok()?),
        Wire::Bits64 => bits(field)?,
        _ => return std::str::from_utf8(field).ok(),
    };
    scratch.clear();
    // Writing to a string cannot fail.
    let _ = write!(scratch, "{number}");
    Some(scratch)
}

impl<T> Moment<T> {
    fn at(self) -> Option<T> {
        match self {
            Self::At(it) => Some(it),
            Self::Zero => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Wire, integer, number, text};

    #[test]
    fn numbers_keep_their_sign_and_their_size() {
        for (wire, field, expected) in [
            (Wire::Signed, &[0xFF][..], -1),
            (Wire::Unsigned, &[0xFF], 255),
            (Wire::Signed, &[0, 0x80], -32_768),
            (Wire::Unsigned, &[0xFF, 0xFF, 0xFF, 0xFF], 4_294_967_295),
            (Wire::Signed, &[0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], -2),
            (Wire::Bits, &[1, 2], 258),
        ] {
            assert_eq!(integer(wire, field), Some(expected), "{field:?}");
        }
        assert_eq!(integer(Wire::Signed, &[1, 2, 3]), None);
        assert_eq!(number(&1.5_f32.to_le_bytes()), Some(1.5));
        assert_eq!(number(&[1]), None);
        let mut scratch = String::new();
        assert_eq!(text(Wire::Unsigned8, &[0xFF; 8], &mut scratch), Some("18446744073709551615"));
        assert_eq!(text(Wire::Text, &[0xFF], &mut scratch), None);
    }
}
