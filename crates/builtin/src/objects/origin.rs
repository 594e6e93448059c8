//! Where the records of an object come from, and which of them do not fit.

use std::{collections::HashSet, sync::Arc};

use arrow_array::{BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::filter::filter_record_batch;
use indexmap::IndexMap;
use linkspan_sdk::{Failure, Misfit, Unfit, field_kind};
use serde_json::value::{RawValue, to_raw_value};

use super::{
    OBJECT, ROW,
    bucket::{Object, Opened},
};
use crate::format::{Chunk, Columns, Odd, Ranges};

/// Where the records of a chunk come from.
pub(super) struct Origin<'o> {
    pub(super) object: &'o Opened,
    /// The number of the first of them.
    pub(super) row: i64,
}

impl Origin<'_> {
    /// The records of `chunk` under `schema`, which has the columns that say where they come from, and those that do not fit
    /// `columns`.
    pub(super) fn mark(
        &self,
        chunk: Chunk,
        columns: &Columns,
        schema: &SchemaRef,
    ) -> Result<(RecordBatch, Option<Unfit>), Failure> {
        let Chunk { records, odd } = chunk;
        let records = self.with_columns(&records, schema).map_err(defect)?;
        if odd.is_empty() {
            return Ok((records, None));
        }
        let rows: HashSet<_> = odd.iter().map(|it| it.row).collect();
        let mask = |is_odd| -> BooleanArray {
            (0..records.num_rows()).map(|it| Some(rows.contains(&it) == is_odd)).collect()
        };
        let misfits = odd.into_iter().enumerate();
        let misfits = misfits
            .map(|(nth, it)| self.misfit(it, nth, columns, schema))
            .collect::<Result<_, _>>()?;
        let unfit = filter_record_batch(&records, &mask(true)).map_err(defect)?;
        let fitting = filter_record_batch(&records, &mask(false)).map_err(defect)?;
        Ok((fitting, Some(Unfit { records: unfit, misfits })))
    }

    fn with_columns(
        &self,
        records: &RecordBatch,
        schema: &SchemaRef,
    ) -> Result<RecordBatch, ArrowError> {
        let rows = records.num_rows();
        let Object { key, modified, .. } = self.object.object();
        let micros = i64::try_from(modified.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX);
        let times = TimestampMicrosecondArray::from_value(micros, rows).with_timezone("+00:00");
        let end = self.row.saturating_add(i64::try_from(rows).unwrap_or(i64::MAX));
        let mut columns = records.columns().to_vec();
        columns.push(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(key, rows))));
        columns.push(Arc::new(times));
        columns.push(Arc::new(Int64Array::from_iter_values(self.row..end)));
        RecordBatch::try_new(Arc::clone(schema), columns)
    }

    /// What is wrong with a record that does not fit, before which `nth` others are of its kind.
    fn misfit(
        &self,
        odd: Odd,
        nth: usize,
        columns: &Columns,
        schema: &SchemaRef,
    ) -> Result<Misfit, Failure> {
        let Odd { row, line, column, members } = odd;
        let number = self.row.saturating_add(i64::try_from(row).unwrap_or(i64::MAX));
        let place = match line {
            Some(line) => format!("{}, line {line}", self.object.what()),
            None => format!("{}, record {number}", self.object.what()),
        };
        let what = format!(
            "the column `{}` is to hold {}, as in the files that were sampled; set `column_types` to `text` to read \
             all columns as text",
            columns.name(column),
            field_kind(schema.field(column)),
        );
        // First, as records may be cut short: otherwise two that begin alike would be one.
        let mut record: IndexMap<String, Box<RawValue>> =
            [(OBJECT, to_raw_value(&self.object.object().key)), (ROW, to_raw_value(&number))]
                .into_iter()
                .map(|(name, value)| Ok((name.to_owned(), value?)))
                .collect::<Result<_, serde_json::Error>>()
                .map_err(unsayable)?;
        for (mut name, value) in members {
            if [OBJECT, ROW].contains(&name.as_str()) {
                name.push_str("_2");
            }
            record.insert(name, value);
        }
        let payload = serde_json::to_string(&record).map_err(unsayable)?;
        Ok(Misfit { before: row - nth, payload, what, place })
    }
}

fn defect(error: ArrowError) -> Failure {
    Failure::Defect { doing: "add the columns of an object", source: Some(error.into()) }
}

fn unsayable(error: serde_json::Error) -> Failure {
    Failure::Defect { doing: "say a record as JSON", source: Some(error.into()) }
}
