//! Columns that several files share, and the filling of them row by row.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, RecordBatch,
    builder::{
        ArrayBuilder, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, StringBuilder,
        TimestampMicrosecondBuilder,
    },
    new_null_array,
    timezone::Tz,
    types::{Date32Type, Float64Type, Int64Type},
};
use arrow_cast::parse::{Parser, string_to_datetime};
use arrow_schema::{DataType, SchemaRef};
use indexmap::IndexMap;
use linkspan_domain::{FieldKind, StreamField, StreamSpec};
use linkspan_sdk::{BatchLimits, Failure, Loss, arrow_schema};

use super::{Chunk, Members, Odd};
use crate::delimited::Seen;

/// Columns by name, each with what its values have been so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Columns(IndexMap<String, Seen>);

impl Columns {
    /// Takes note of a value of column `name`.
    pub(super) fn see(&mut self, name: &str, seen: Seen) {
        match self.0.get_mut(name) {
            Some(before) => *before = before.join(seen),
            None => drop(self.0.insert(name.to_owned(), seen)),
        }
    }

    /// The columns of both, each as wide as either needs it.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (name, seen) in &other.0 {
            self.see(name, *seen);
        }
    }

    /// The same columns, to hold whatever comes as text.
    pub(crate) fn as_text(&self) -> Self {
        Self(self.0.keys().map(|name| (name.clone(), Seen::Text)).collect())
    }

    pub(crate) fn fields(&self) -> Vec<StreamField> {
        let field = |(name, seen): (&String, &Seen)| StreamField {
            name: name.clone(),
            kind: seen.kind(),
            nullable: true,
        };
        self.0.iter().map(field).collect()
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.0.get_index_of(name)
    }

    pub(crate) fn name(&self, position: usize) -> &str {
        self.0.get_index(position).map_or("", |(name, _)| name)
    }

    /// The columns as Arrow has them.
    pub(super) fn schema(&self) -> Result<SchemaRef, Failure> {
        let name = "columns".parse();
        let name = name.map_err(|_| Failure::Defect { doing: "name columns", source: None })?;
        Ok(arrow_schema(&StreamSpec {
            name,
            fields: self.fields(),
            primary_key: Vec::new(),
            cursor_candidates: Vec::new(),
            supports_incremental: false,
        }))
    }
}

/// Fields that are in no column, and how many records have them.
#[derive(Debug, Default)]
pub(crate) struct Strays(IndexMap<String, u64>);

impl Strays {
    /// So many of them are told apart.
    const MOST: usize = 20;

    /// Notes that `records` more have the field `name`.
    pub(super) fn add(&mut self, name: &str, records: u64) {
        let is_told = self.0.len() < Self::MOST || self.0.contains_key(name);
        let name = if is_told { name } else { "" };
        *self.0.entry(name.to_owned()).or_default() += records;
    }

    /// What is lost with them.
    pub(crate) fn losses(&self) -> impl Iterator<Item = Loss> {
        let what = |name: &str| match name {
            "" => "other fields are in no column, as the sample has them not".to_owned(),
            name => format!("the field `{name}` is in no column, as the sample has it not"),
        };
        self.0.iter().map(move |(name, records)| Loss { what: what(name), records: *records })
    }
}

/// The time zone of points in time.
pub(super) fn utc() -> Result<Tz, Failure> {
    "+00:00".parse().map_err(|_| Failure::Defect { doing: "know UTC", source: None })
}

/// A value on its way into a column.
#[derive(Clone, Copy)]
pub(super) enum Value<'v> {
    /// A text, or a scalar as text.
    Text(&'v str),
    /// A text that is also the JSON in the second place.
    JsonText(&'v str, &'v str),
    /// JSON other than a text.
    Json(&'v str),
}

/// Rows that become a batch.
pub(super) struct BatchBuilder {
    schema: SchemaRef,
    columns: Vec<(Seen, Cells)>,
    odd: Vec<Odd>,
    rows: usize,
    bytes: usize,
    limits: BatchLimits,
    utc: Tz,
}

impl BatchBuilder {
    pub(super) fn new(columns: &Columns, limits: BatchLimits) -> Result<Self, Failure> {
        let schema = columns.schema()?;
        let cells = columns.0.values().zip(schema.fields());
        let cells = cells.map(|(seen, field)| (*seen, Cells::new(*seen, field.data_type())));
        let (columns, utc) = (cells.collect(), utc()?);
        Ok(Self { schema, columns, odd: Vec::new(), rows: 0, bytes: 0, limits, utc })
    }

    /// Puts `value` into a column of the row at hand, and says whether it fits. Of two values, the first stays; of one that does
    /// not fit, nothing does.
    pub(super) fn put(&mut self, position: usize, value: Value<'_>) -> bool {
        let Some((seen, cells)) = self.columns.get_mut(position) else { return true };
        if cells.len() > self.rows {
            return true;
        }
        let (Value::Text(text) | Value::JsonText(_, text) | Value::Json(text)) = value;
        self.bytes += text.len();
        cells.put(*seen, value, self.utc)
    }

    /// Remembers the row at hand, which is at `line`, with all its `members`: its value of a column does not fit.
    pub(super) fn set_aside(&mut self, line: u64, column: usize, members: Members) {
        self.bytes +=
            members.iter().map(|(name, json)| name.len() + json.get().len()).sum::<usize>();
        self.odd.push(Odd { row: self.rows, line: Some(line), column, members });
    }

    /// Ends the row at hand; what was not put is null.
    pub(super) fn end_row(&mut self) {
        self.rows += 1;
        for (_, cells) in &mut self.columns {
            if cells.len() < self.rows {
                cells.put_null();
            }
        }
    }

    /// Whether the rows make a batch.
    pub(super) const fn is_full(&self) -> bool {
        self.rows >= self.limits.rows || (self.rows > 0 && self.bytes >= self.limits.bytes)
    }

    /// The rows so far, if any.
    pub(super) fn take(&mut self) -> Result<Option<Chunk>, Failure> {
        if self.rows == 0 {
            return Ok(None);
        }
        (self.rows, self.bytes) = (0, 0);
        let columns = self.columns.iter_mut().map(|(_, cells)| cells.finish()).collect();
        let records = RecordBatch::try_new(Arc::clone(&self.schema), columns);
        let records = records.map_err(|error| Failure::Defect {
            doing: "put rows together",
            source: Some(error.into()),
        })?;
        Ok(Some(Chunk { records, odd: std::mem::take(&mut self.odd) }))
    }
}

/// The values of one column.
enum Cells {
    Boolean(BooleanBuilder),
    Integer(Int64Builder),
    Number(Float64Builder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Text(StringBuilder),
    /// Of a kind that no text makes: so many nulls.
    Foreign(DataType, usize),
}

impl Cells {
    fn new(seen: Seen, data_type: &DataType) -> Self {
        match seen.kind() {
            FieldKind::Boolean => Self::Boolean(BooleanBuilder::new()),
            FieldKind::Integer => Self::Integer(Int64Builder::new()),
            FieldKind::Number => Self::Number(Float64Builder::new()),
            FieldKind::Date => Self::Date(Date32Builder::new()),
            FieldKind::Timestamp => {
                let builder = TimestampMicrosecondBuilder::new();
                Self::Timestamp(builder.with_data_type(data_type.clone()))
            }
            FieldKind::Text | FieldKind::Decimal | FieldKind::Json => {
                Self::Text(StringBuilder::new())
            }
            FieldKind::Time | FieldKind::Uuid | FieldKind::Binary => {
                Self::Foreign(data_type.clone(), 0)
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Boolean(it) => it.len(),
            Self::Integer(it) => it.len(),
            Self::Number(it) => it.len(),
            Self::Date(it) => it.len(),
            Self::Timestamp(it) => it.len(),
            Self::Text(it) => it.len(),
            Self::Foreign(_, rows) => *rows,
        }
    }

    /// Appends `value` if a column that is `seen` can give it back, and says whether it did.
    fn put(&mut self, seen: Seen, value: Value<'_>, utc: Tz) -> bool {
        let text = match (seen, value) {
            (Seen::Json, Value::JsonText(_, json) | Value::Json(json)) => json,
            (Seen::Json, Value::Text(text)) => &serde_json::Value::from(text).to_string(),
            (_, Value::Text(text) | Value::JsonText(text, _) | Value::Json(text)) => text,
        };
        let is_any = matches!(seen, Seen::Text | Seen::Nothing | Seen::Json);
        if !is_any && seen.join(Seen::of(text, utc)).kind() != seen.kind() {
            return false;
        }
        match self {
            Self::Boolean(it) => {
                put(text.to_ascii_lowercase().parse().ok(), |value| it.append_value(value))
            }
            Self::Integer(it) => put(Int64Type::parse(text), |value| it.append_value(value)),
            Self::Number(it) => put(Float64Type::parse(text), |value| it.append_value(value)),
            Self::Date(it) => put(Date32Type::parse(text), |value| it.append_value(value)),
            Self::Timestamp(it) => {
                let at = string_to_datetime(&utc, text).ok();
                put(at.map(|it| it.timestamp_micros()), |value| it.append_value(value))
            }
            Self::Text(it) => put(Some(text), |value| it.append_value(value)),
            Self::Foreign(..) => false,
        }
    }

    fn put_null(&mut self) {
        match self {
            Self::Boolean(it) => it.append_null(),
            Self::Integer(it) => it.append_null(),
            Self::Number(it) => it.append_null(),
            Self::Date(it) => it.append_null(),
            Self::Timestamp(it) => it.append_null(),
            Self::Text(it) => it.append_null(),
            Self::Foreign(_, rows) => *rows += 1,
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Boolean(it) => Arc::new(it.finish()),
            Self::Integer(it) => Arc::new(it.finish()),
            Self::Number(it) => Arc::new(it.finish()),
            Self::Date(it) => Arc::new(it.finish()),
            Self::Timestamp(it) => Arc::new(it.finish()),
            Self::Text(it) => Arc::new(it.finish()),
            Self::Foreign(data_type, rows) => new_null_array(data_type, std::mem::take(rows)),
        }
    }
}

/// Whether there was something to append.
fn put<T>(value: Option<T>, append: impl FnOnce(T)) -> bool {
    value.map(append).is_some()
}
