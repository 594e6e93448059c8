//! Columns into records: key, JSON and hash of each row.
//!
//! The JSON is canonical: one value has one spelling, so equal contents have equal hashes. Fields come in the order of the
//! columns; a null is written as `null`. What JSON has no type for is a string: points in time as RFC 3339 in UTC, days and
//! times of day likewise, exact decimals and UUIDs as they are, bytes in Base64, and the numbers that JSON cannot say as
//! `"NaN"`, `"Infinity"` and `"-Infinity"`. JSON columns are embedded as they arrive.

mod column;
mod text;
mod when;

use std::collections::HashSet;

use arrow_array::RecordBatch;
use linkspan_sdk::{ContentHash, Failure, Rejected, Rows};

use self::column::Column;

/// Turns batches of one stream into records. Keeps its memory from one batch to the next.
#[derive(Debug)]
pub(crate) struct Encoder {
    primary_key: Vec<String>,
    payload: String,
    key: String,
}

/// The longest key that every store can index, in bytes: a PostgreSQL index entry fits into a third of a page of 8 kB.
const LONGEST_KEY: usize = 2_000;

impl Encoder {
    /// An encoder of records that are named by the columns `primary_key`; by their content if there are none.
    pub(crate) const fn new(primary_key: Vec<String>) -> Self {
        Self { primary_key, payload: String::new(), key: String::new() }
    }

    /// Adds the records of a batch to `rows`, those that cannot be kept to `rejected`. An error is about columns, before
    /// any record.
    pub(crate) fn encode(
        &mut self,
        records: &RecordBatch,
        rows: &mut Rows,
        rejected: &mut Vec<Rejected>,
    ) -> Result<(), Failure> {
        let columns = columns(records)?;
        let key = self.key_columns(&columns)?;
        for row in 0..records.num_rows() {
            let unreadable = self.write_payload(&columns, row);
            let hash = ContentHash::of(&self.payload);
            let named = self.write_key(&key, row, hash);
            match (named, unreadable) {
                (Ok(()), None) => rows.push(&self.key, &self.payload, hash),
                (Ok(()), Some(column)) => {
                    let key = (!key.is_empty()).then(|| self.key.clone());
                    rejected.push(self.rejected(key, format!("column {column} holds no valid JSON")));
                }
                (Err(reason), _) => rejected.push(self.rejected(None, reason)),
            }
        }
        Ok(())
    }

    fn key_columns<'a>(&self, columns: &'a [Column]) -> Result<Vec<&'a Column>, Failure> {
        let find = |name: &String| {
            columns.iter().find(|it| it.name() == name).ok_or_else(|| Failure::Invalid {
                what: "the stream",
                field: "primary_key".to_owned(),
                reason: format!("names {name}, which is no column of it"),
            })
        };
        self.primary_key.iter().map(find).collect()
    }

    /// Writes a row as JSON. Answers the name of a column that cannot be read.
    fn write_payload<'a>(&mut self, columns: &'a [Column], row: usize) -> Option<&'a str> {
        let mut unreadable = None;
        self.payload.clear();
        self.payload.push('{');
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                self.payload.push(',');
            }
            if column.write_field(row, &mut self.payload).is_err() {
                unreadable = Some(column.name());
            }
        }
        self.payload.push('}');
        unreadable
    }

    /// Writes the key of a row, or says why it has none.
    fn write_key(&mut self, key: &[&Column], row: usize, hash: ContentHash) -> Result<(), String> {
        self.key.clear();
        if let Some(absent) = key.iter().find(|it| it.is_null(row)) {
            return Err(format!("the primary key column {} is null", absent.name()));
        }
        match key {
            [] => self.key.push_str(&hash.to_string()),
            [column] => column.write_plain(row, &mut self.key),
            columns => write_texts(columns, row, &mut self.key),
        }
        if self.key.len() > LONGEST_KEY {
            return Err(format!("the primary key is longer than {LONGEST_KEY} bytes"));
        }
        if self.key.contains('\0') {
            return Err("the primary key holds the character U+0000".to_owned());
        }
        Ok(())
    }

    fn rejected(&self, key: Option<String>, reason: String) -> Rejected {
        Rejected { key, payload: self.payload.clone(), reason }
    }
}

fn columns(records: &RecordBatch) -> Result<Vec<Column>, Failure> {
    let schema = records.schema_ref();
    let mut names = HashSet::new();
    if let Some(twice) = schema.fields().iter().find(|it| !names.insert(it.name())) {
        return Err(Failure::Invalid {
            what: "the stream",
            field: twice.name().clone(),
            reason: "is the name of two columns; rename one of them".to_owned(),
        });
    }
    let columns = schema.fields().iter().zip(records.columns());
    columns.map(|(field, values)| Column::new(field, values)).collect()
}

/// Several values as a JSON array of texts.
fn write_texts(columns: &[&Column], row: usize, out: &mut String) {
    let mut plain = String::new();
    for (index, column) in columns.iter().enumerate() {
        out.push(if index == 0 { '[' } else { ',' });
        plain.clear();
        column.write_plain(row, &mut plain);
        text::push_string(out, &plain);
    }
    out.push(']');
}

#[cfg(test)]
mod tests;
