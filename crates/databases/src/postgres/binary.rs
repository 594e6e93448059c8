//! The binary format of `COPY` (PostgreSQL documentation, `COPY`, "Binary Format"), straight into Arrow columns.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::{Buf, BytesMut};
use linkspan_sdk::Failure;

use super::{column::Wire, numeric::decimal};
use crate::columns::{self, Builder, DAYS, MICROS, optional};

pub(super) const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Between 1970-01-01, where Arrow counts from, and 2000-01-01, where PostgreSQL does.
pub(super) const EPOCH_DAYS: i32 = 10_957;
pub(super) const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Collects rows into record batches.
pub(super) struct Decoder {
    schema: SchemaRef,
    columns: Vec<(Wire, Builder)>,
    /// What arrived of a row that is not complete yet.
    pending: BytesMut,
    begun: bool,
    ended: bool,
    rows: usize,
    bytes: usize,
    scratch: String,
}

impl Decoder {
    /// For rows of columns that arrive as `wires` and become `schema`.
    pub(super) fn new(schema: SchemaRef, wires: impl Iterator<Item = Wire>) -> Self {
        Self {
            columns: wires
                .zip(schema.fields())
                .map(|(it, field)| (it, Builder::of(field)))
                .collect(),
            schema,
            pending: BytesMut::new(),
            begun: false,
            ended: false,
            rows: 0,
            bytes: 0,
            scratch: String::new(),
        }
    }

    /// Takes what arrived. A server sends row by row, but nothing here relies on it.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        if self.pending.is_empty() {
            let mut rest = chunk;
            self.consume(&mut rest)?;
            self.pending.extend_from_slice(rest);
        } else {
            self.pending.extend_from_slice(chunk);
            let pending = self.pending.split();
            let mut rest = &pending[..];
            self.consume(&mut rest)?;
            self.pending.extend_from_slice(rest);
        }
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

    /// Passes if everything that was announced arrived.
    pub(super) fn end(&self) -> Result<(), Failure> {
        if self.ended { Ok(()) } else { Err(malformed("it ends in the middle of a row")) }
    }

    /// Decodes all complete rows of `rest`, and leaves what follows them.
    fn consume(&mut self, rest: &mut &[u8]) -> Result<(), Failure> {
        if !self.begun {
            let Some(length) = header(rest)? else { return Ok(()) };
            rest.advance(length);
            self.begun = true;
        }
        while !self.ended {
            let Some(row) = row_length(rest)? else { return Ok(()) };
            if row == 0 {
                self.ended = true;
                rest.advance(2);
            } else {
                self.row(&rest[..row])?;
                rest.advance(row);
                self.rows += 1;
                self.bytes += row;
            }
        }
        Ok(())
    }

    /// One complete row: a count, then length and bytes of each field.
    fn row(&mut self, mut row: &[u8]) -> Result<(), Failure> {
        if usize::from(row.get_u16()) != self.columns.len() {
            return Err(malformed("a row has another number of columns than the table"));
        }
        for (wire, builder) in &mut self.columns {
            let length = row.get_i32();
            let field = usize::try_from(length).ok().map(|length| {
                let (field, rest) = row.split_at(length);
                row = rest;
                field
            });
            builder
                .append(*wire, field, &mut self.scratch)
                .ok_or_else(|| malformed("a value is not in the form its type has"))?;
        }
        Ok(())
    }
}

fn malformed(reason: &str) -> Failure {
    Failure::Malformed { what: "the table".to_owned(), line: None, reason: reason.to_owned() }
}

/// The length of the header, once it is all there.
fn header(bytes: &[u8]) -> Result<Option<usize>, Failure> {
    let Some((fixed, _)) = bytes.split_first_chunk::<19>() else { return Ok(None) };
    if !fixed.starts_with(SIGNATURE) {
        return Err(malformed("it does not begin as a binary copy does"));
    }
    let extension = u32::from_be_bytes([fixed[15], fixed[16], fixed[17], fixed[18]]);
    let length = usize::try_from(extension).ok().and_then(|it| it.checked_add(19));
    let length = length.ok_or_else(|| malformed("its header is too long"))?;
    Ok((bytes.len() >= length).then_some(length))
}

/// The length of the next row, once it is all there; 0 for the mark at the end.
fn row_length(bytes: &[u8]) -> Result<Option<usize>, Failure> {
    let Some((count, _)) = bytes.split_first_chunk::<2>() else { return Ok(None) };
    let count = i16::from_be_bytes(*count);
    if count == -1 {
        return Ok(Some(0));
    }
    let mut length = 2;
    for _ in 0..count {
        let Some(field) = bytes.get(length..length + 4) else { return Ok(None) };
        let field = i32::from_be_bytes([field[0], field[1], field[2], field[3]]);
        length += 4;
        match usize::try_from(field) {
            Ok(field) => length += field,
            Err(_) if field == -1 => {}
            Err(_) => return Err(malformed("a value has a negative length")),
        }
    }
    Ok((bytes.len() >= length).then_some(length))
}

impl Builder {
    /// Adds a value, or null. Nothing if the bytes are not of the type.
    fn append(&mut self, wire: Wire, field: Option<&[u8]>, scratch: &mut String) -> Option<()> {
        match self {
            Self::Boolean(it) => it.append_option(optional(field, |it| Some(*it.first()? != 0))?),
            Self::Integer(it) => it.append_option(optional(field, |it| integer(wire, it))?),
            Self::Number(it) => it.append_option(optional(field, |it| number(wire, it))?),
            Self::Date(it) => it.append_option(optional(field, |it| {
                let days = i32::from_be_bytes(it.try_into().ok()?);
                Some(days.saturating_add(EPOCH_DAYS).clamp(DAYS.0, DAYS.1))
            })?),
            Self::Time(it) => it.append_option(optional(field, long)?),
            Self::Timestamp(it) => it.append_option(optional(field, |it| {
                Some(long(it)?.saturating_add(EPOCH_MICROS).clamp(MICROS.0, MICROS.1))
            })?),
            Self::Binary(it) => it.append_option(field),
            Self::Text(it) => match field {
                None => it.append_null(),
                Some(field) => it.append_value(text(wire, field, scratch)?),
            },
        }
        Some(())
    }
}

fn long(field: &[u8]) -> Option<i64> {
    field.try_into().ok().map(i64::from_be_bytes)
}

fn integer(wire: Wire, field: &[u8]) -> Option<i64> {
    match wire {
        Wire::Int2 => field.try_into().ok().map(|it| i16::from_be_bytes(it).into()),
        Wire::Int4 => field.try_into().ok().map(|it| i32::from_be_bytes(it).into()),
        Wire::Oid => field.try_into().ok().map(|it| u32::from_be_bytes(it).into()),
        _ => long(field),
    }
}

fn number(wire: Wire, field: &[u8]) -> Option<f64> {
    match wire {
        Wire::Float4 => field.try_into().ok().map(|it| f32::from_be_bytes(it).into()),
        _ => field.try_into().ok().map(f64::from_be_bytes),
    }
}

fn text<'a>(wire: Wire, field: &'a [u8], scratch: &'a mut String) -> Option<&'a str> {
    match wire {
        Wire::Numeric => {
            scratch.clear();
            decimal(field, scratch)?;
            Some(scratch)
        }
        Wire::Uuid => {
            let uuid = uuid::Uuid::from_slice(field).ok()?;
            scratch.clear();
            scratch.push_str(uuid.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()));
            Some(scratch)
        }
        Wire::Jsonb => std::str::from_utf8(field.strip_prefix(&[1])?).ok(),
        _ => std::str::from_utf8(field).ok(),
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use linkspan_domain::{FieldKind, StreamField, StreamSpec};
    use linkspan_sdk::arrow_schema;

    use super::*;

    fn decoder() -> Decoder {
        let field = |name: &str, kind| StreamField { name: name.to_owned(), kind, nullable: true };
        let schema = arrow_schema(&StreamSpec {
            name: "s".parse().unwrap(),
            fields: vec![field("id", FieldKind::Integer), field("name", FieldKind::Text)],
            primary_key: Vec::new(),
            cursor_candidates: Vec::new(),
            supports_incremental: false,
        });
        Decoder::new(schema, [Wire::Int4, Wire::Text].into_iter())
    }

    fn copied() -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0; 8]);
        for (id, name) in [(1_i32, Some("Ada")), (2, None)] {
            bytes.extend(2_i16.to_be_bytes());
            bytes.extend(4_i32.to_be_bytes());
            bytes.extend(id.to_be_bytes());
            match name {
                Some(name) => {
                    bytes.extend(i32::try_from(name.len()).unwrap().to_be_bytes());
                    bytes.extend(name.as_bytes());
                }
                None => bytes.extend((-1_i32).to_be_bytes()),
            }
        }
        bytes.extend((-1_i16).to_be_bytes());
        bytes
    }

    #[test]
    fn rows_are_the_same_however_they_are_cut() {
        for size in [1, 2, 3, 7, 20, 1_000] {
            let mut decoder = decoder();
            for chunk in copied().chunks(size) {
                decoder.push(chunk).unwrap();
            }
            decoder.end().unwrap();
            assert_eq!(decoder.rows(), 2);
            let batch = decoder.take().unwrap();
            assert_eq!(
                batch.column(0).as_primitive::<arrow_array::types::Int64Type>().values(),
                &[1, 2]
            );
            let names: Vec<_> = batch.column(1).as_string::<i32>().iter().collect();
            assert_eq!(names, [Some("Ada"), None]);
        }
    }

    #[test]
    fn a_copy_that_breaks_off_is_an_error() {
        let copied = copied();
        let mut decoder = decoder();
        decoder.push(&copied[..copied.len() - 2]).unwrap();
        assert!(matches!(decoder.end(), Err(Failure::Malformed { .. })));
    }

    #[test]
    fn garbage_is_an_error_and_no_panic() {
        assert!(decoder().push(&[7; 40]).is_err());
        let mut negative = SIGNATURE.to_vec();
        negative.extend([0; 8]);
        negative.extend(2_i16.to_be_bytes());
        negative.extend((-9_i32).to_be_bytes());
        assert!(decoder().push(&negative).is_err());
    }
}
