//! Records from columns to rows: key, JSON and hash.

pub(crate) mod cell;
mod text;

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, SchemaRef};
use linkspan_domain::ports::Cause;
use linkspan_sdk::{ContentHash, Rejected, Rows};

use self::cell::{CellFault, Cells, canonical};

/// Turns the batches of one read into rows.
///
/// - The payload is an object with all fields, in the order of the columns, nulls among them. Decimals, UUIDs,
///   dates (`2026-01-31`), times (`12:00:00.000001`) and instants (`2026-01-31T12:00:00.000001Z`) are texts, bytes are
///   Base64, numbers that JSON does not know are the texts `NaN`, `Infinity` and `-Infinity`.
/// - The key is the text of the key column; of several, a JSON array of their texts; without any, the content hash in
///   hexadecimal, so that identical records are one. A key longer than 1,024 bytes gives way to its hash.
/// - Records without a key and those that no JSON column can keep are rejected, one by one.
pub struct RowEncoder {
    schema: SchemaRef,
    /// What comes before each value: `{"name":` or `,"name":`.
    labels: Vec<Vec<u8>>,
    key: Vec<usize>,
    payload: Vec<u8>,
    key_text: Vec<u8>,
}

/// A key column that the records do not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the records have no column `{0}` to name them by")]
pub struct MissingColumn(pub String);

/// A batch whose columns are not those that were promised, or hold values that their kind cannot have.
#[derive(Debug, thiserror::Error)]
#[error("a batch of records has columns of another kind than the stream")]
pub struct Unencodable(#[source] Cause);

/// A longer key is hashed: databases limit the size of what they index.
const LONGEST_KEY: usize = 1024;

/// What takes the place of a key that is too long; keys that look like it are hashed too, so that none is like another.
const HASHED_KEY: &str = "sha256:";

/// A larger record is rejected: databases limit the size of a value.
const LARGEST_RECORD: usize = 64 * 1024 * 1024;

/// So much of a rejected record is kept.
const LARGEST_REJECTED: usize = 64 * 1024;

impl RowEncoder {
    /// An encoder for records of `schema` that `primary_key` names.
    pub fn new(schema: SchemaRef, primary_key: &[String]) -> Result<Self, MissingColumn> {
        let key = primary_key
            .iter()
            .map(|name| schema.index_of(name).map_err(|_| MissingColumn(name.clone())))
            .collect::<Result<_, _>>()?;
        let labels = schema.fields().iter().enumerate().map(|(index, field)| {
            let mut label = vec![if index == 0 { b'{' } else { b',' }];
            let _ = text::quote(&mut label, field.name());
            label.push(b':');
            label
        });
        let labels = labels.collect();
        Ok(Self { schema, labels, key, payload: Vec::new(), key_text: Vec::new() })
    }

    /// Adds the records of `batch` to `rows`, or to `rejected`.
    pub fn encode(
        &mut self,
        batch: &RecordBatch,
        rows: &mut Rows,
        rejected: &mut Vec<Rejected>,
    ) -> Result<(), Unencodable> {
        if batch.schema_ref().fields() != self.schema.fields() {
            return Err(Unencodable("the batches of a read differ".into()));
        }
        let schema = Arc::clone(&self.schema);
        let arrays = canonical_columns(&schema, batch)?;
        let mut columns = cells(&schema, &arrays)?;
        for row in 0..batch.num_rows() {
            match Self::payload(&mut self.payload, &self.labels, &mut columns, row) {
                None => self.keep(&mut columns, row, rows, rejected),
                Some((column, fault)) => {
                    let reason = format!("`{}` {fault}", self.schema.field(column).name());
                    self.reject(&mut columns, row, reason, rejected);
                }
            }
        }
        Ok(())
    }

    /// The keys of the records of `batch`, in their order. None where there is no primary key, or a record has none.
    pub(crate) fn keys(&mut self, batch: &RecordBatch) -> Result<Vec<Option<String>>, Unencodable> {
        if self.key.is_empty() {
            return Ok(vec![None; batch.num_rows()]);
        }
        let schema = Arc::clone(&self.schema);
        let arrays = canonical_columns(&schema, batch)?;
        let mut columns = cells(&schema, &arrays)?;
        let rows = 0..batch.num_rows();
        Ok(rows.map(|row| self.key_of(&mut columns, row)).collect())
    }

    fn key_of(&mut self, columns: &mut [Cells<'_>], row: usize) -> Option<String> {
        write_key(&mut self.key_text, &self.key, columns, row).ok()?;
        let key = String::from_utf8_lossy(&self.key_text);
        let is_long = key.len() > LONGEST_KEY || key.starts_with(HASHED_KEY);
        Some(if is_long { hashed(&key) } else { key.into_owned() })
    }

    /// Writes the payload. Answers the first column that has a fault; something stands in for its value.
    fn payload(
        payload: &mut Vec<u8>,
        labels: &[Vec<u8>],
        columns: &mut [Cells<'_>],
        row: usize,
    ) -> Option<(usize, CellFault)> {
        payload.clear();
        let mut first = None;
        for (index, (label, cells)) in labels.iter().zip(columns).enumerate() {
            payload.extend_from_slice(label);
            if let Err(fault) = cells.write_json(row, payload) {
                first.get_or_insert((index, fault));
            }
        }
        payload.extend_from_slice(if labels.is_empty() { b"{}" } else { b"}" });
        first
    }

    fn keep(
        &mut self,
        columns: &mut [Cells<'_>],
        row: usize,
        rows: &mut Rows,
        rejected: &mut Vec<Rejected>,
    ) {
        if self.payload.len() > LARGEST_RECORD {
            let reason = format!("the record is larger than {LARGEST_RECORD} bytes");
            return self.reject(columns, row, reason, rejected);
        }
        // Every value was text before it was written.
        let Ok(payload) = str::from_utf8(&self.payload) else {
            return self.reject(columns, row, "the record is not text".to_owned(), rejected);
        };
        let hash = ContentHash::of(payload);
        if self.key.is_empty() {
            return rows.push(&hash.to_string(), payload, hash);
        }
        match write_key(&mut self.key_text, &self.key, columns, row) {
            Ok(()) => {}
            Err((column, fault)) => {
                let name = self.schema.field(column).name();
                let reason = format!("the key column `{name}` {fault}");
                return rejected.push(Rejected { key: None, payload: excerpt(payload), reason });
            }
        }
        let key = String::from_utf8_lossy(&self.key_text);
        if key.len() > LONGEST_KEY || key.starts_with(HASHED_KEY) {
            rows.push(&hashed(&key), payload, hash);
        } else {
            rows.push(&key, payload, hash);
        }
    }

    fn reject(
        &mut self,
        columns: &mut [Cells<'_>],
        row: usize,
        reason: String,
        rejected: &mut Vec<Rejected>,
    ) {
        let key = if self.key.is_empty() { None } else { self.key_of(columns, row) };
        let payload = excerpt(&String::from_utf8_lossy(&self.payload));
        rejected.push(Rejected { key, payload, reason });
    }
}

fn canonical_columns(
    schema: &SchemaRef,
    batch: &RecordBatch,
) -> Result<Vec<ArrayRef>, Unencodable> {
    let columns = schema.fields().iter().zip(batch.columns());
    let columns = columns.map(|(field, array)| canonical(field, array));
    columns.collect::<Result<_, _>>().map_err(unencodable)
}

fn cells<'a>(schema: &'a SchemaRef, arrays: &'a [ArrayRef]) -> Result<Vec<Cells<'a>>, Unencodable> {
    let fields = schema.fields().iter().zip(arrays);
    let cells = fields.map(|(field, array)| Cells::of(field, array));
    cells.collect::<Result<_, _>>().map_err(unencodable)
}

fn write_key(
    key: &mut Vec<u8>,
    columns: &[usize],
    cells: &mut [Cells<'_>],
    row: usize,
) -> Result<(), (usize, CellFault)> {
    key.clear();
    if let [column] = *columns {
        return cells[column].write_text(row, key).map_err(|fault| (column, fault));
    }
    let mut part = Vec::new();
    for (index, &column) in columns.iter().enumerate() {
        part.clear();
        cells[column].write_text(row, &mut part).map_err(|fault| (column, fault))?;
        key.push(if index == 0 { b'[' } else { b',' });
        let _ = text::quote(key, &String::from_utf8_lossy(&part));
    }
    key.push(b']');
    Ok(())
}

/// The key that names the record with a `number` in a `group`, and what the keys of all of the group begin with. None where they are
/// hashed.
pub(crate) fn key_in_group(group: &str, number: i64) -> Option<(String, String)> {
    let mut prefix = vec![b'['];
    let _ = text::quote(&mut prefix, group);
    prefix.extend_from_slice(b",\"");
    let prefix = String::from_utf8(prefix).ok()?;
    let key = format!("{prefix}{number}\"]");
    (key.len() <= LONGEST_KEY).then_some((prefix, key))
}

fn unencodable(error: ArrowError) -> Unencodable {
    Unencodable(error.into())
}

fn hashed(key: &str) -> String {
    format!("{HASHED_KEY}{}", ContentHash::of(key))
}

/// What is kept of a record that is kept aside.
pub(crate) fn excerpt(payload: &str) -> String {
    payload[..payload.floor_char_boundary(LARGEST_REJECTED)].to_owned()
}

#[cfg(test)]
mod tests;
