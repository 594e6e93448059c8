//! Holding the records of a stream to the fields that are remembered of it.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, StringArray, cast::AsArray};
use arrow_cast::{CastOptions, can_cast_types, cast_with_options};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema};
use arrow_select::filter::filter_record_batch;
use linkspan_domain::{
    Decimal, DiagnosticReason, FieldKind, SchemaPolicy, StreamField, StreamSpec,
};
use linkspan_sdk::{arrow_schema, field_kind};

use crate::notes::Notes;

/// The fields that records may have, and what becomes of what does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) fields: Vec<StreamField>,
    pub(crate) discard: Discard,
}

/// What is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Discard {
    /// The whole record.
    Row,
    /// The value alone.
    Value,
}

impl Discard {
    /// What `policy` leaves out. None: nothing.
    pub(crate) const fn of(policy: SchemaPolicy) -> Option<Self> {
        match policy {
            SchemaPolicy::Evolve | SchemaPolicy::Freeze => None,
            SchemaPolicy::DiscardRow => Some(Self::Row),
            SchemaPolicy::DiscardValue => Some(Self::Value),
        }
    }
}

/// A column that does not fit, or does not fit everywhere.
struct Unfit {
    /// What is wrong with it.
    what: String,
    /// By record, whether its value does not fit.
    rows: Vec<bool>,
}

/// Records with the remembered fields alone.
pub(crate) struct Shaped {
    /// Those that are stored.
    pub(crate) kept: RecordBatch,
    /// Those that are left out: at the source they are still there.
    pub(crate) left_out: Option<RecordBatch>,
}

impl Shape {
    /// The records of `batch` with the remembered fields alone. What is left out is noted.
    pub(crate) fn apply(
        &self,
        batch: &RecordBatch,
        notes: &mut Notes,
    ) -> Result<Shaped, ArrowError> {
        let mut fields: Vec<FieldRef> = Vec::new();
        let mut columns: Vec<ArrayRef> = Vec::new();
        let mut unfit = Vec::new();
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            match self.fields.iter().find(|it| it.name == *field.name()) {
                None => {
                    let what = format!("the field `{}` is not known", field.name());
                    unfit.push(Unfit { what, rows: valid(column).collect() });
                }
                Some(known) if known.kind == field_kind(field) => {
                    fields.push(Arc::clone(field));
                    columns.push(Arc::clone(column));
                }
                Some(known) => {
                    let converted = converted(known, field, column)?;
                    let lost = valid(column).zip(valid(&converted));
                    let rows = lost.map(|(before, after)| before && !after).collect();
                    let what = format!("the field `{}` is to hold {}", known.name, known.kind);
                    unfit.push(Unfit { what, rows });
                    fields.push(arrow_field(known));
                    columns.push(converted);
                }
            }
        }
        let schema = Arc::new(Schema::new(fields));
        let shaped = RecordBatch::try_new_with_options(
            schema,
            columns,
            &arrow_array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows())),
        )?;
        match self.discard {
            Discard::Value => {
                for Unfit { what, rows } in &unfit {
                    note(notes, DiagnosticReason::ValuesDiscarded, what, rows);
                }
                Ok(Shaped { kept: shaped, left_out: None })
            }
            Discard::Row => {
                for Unfit { what, rows } in &unfit {
                    note(notes, DiagnosticReason::RowsDiscarded, what, rows);
                }
                let fits = |row: usize| !unfit.iter().any(|it| it.rows[row]);
                let fits: BooleanArray = (0..batch.num_rows()).map(|row| Some(fits(row))).collect();
                if fits.true_count() == fits.len() {
                    return Ok(Shaped { kept: shaped, left_out: None });
                }
                let misfits: BooleanArray = fits.iter().map(|it| it.map(|fits| !fits)).collect();
                let left_out = filter_record_batch(&shaped, &misfits)?;
                Ok(Shaped { kept: filter_record_batch(&shaped, &fits)?, left_out: Some(left_out) })
            }
        }
    }
}

fn note(notes: &mut Notes, reason: DiagnosticReason, what: &str, rows: &[bool]) {
    let count = rows.iter().filter(|it| **it).count();
    if count > 0 {
        notes.add(reason, what, count as u64);
    }
}

fn valid(array: &ArrayRef) -> impl Iterator<Item = bool> {
    (0..array.len()).map(|row| array.is_valid(row))
}

/// The field as batches have it. Values that do not fit become null, so it may be.
fn arrow_field(field: &StreamField) -> FieldRef {
    let spec = |name| StreamSpec {
        name,
        fields: vec![StreamField { nullable: true, ..field.clone() }],
        primary_key: Vec::new(),
        cursor_candidates: Vec::new(),
        supports_incremental: false,
    };
    let named = "shape".parse().map(|name| arrow_schema(&spec(name)));
    let field_of = |it: Arc<Schema>| it.fields().first().cloned();
    let text = || Arc::new(Field::new(&field.name, DataType::Utf8, true));
    named.ok().and_then(field_of).unwrap_or_else(text)
}

/// The values as `known` has them, by way of their text: what does not read as such is null.
fn converted(
    known: &StreamField,
    field: &Field,
    column: &ArrayRef,
) -> Result<ArrayRef, ArrowError> {
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let nothing = |like: &DataType| arrow_array::new_null_array(like, column.len());
    let target = arrow_field(known);
    let is_text = field_kind(field) != FieldKind::Binary
        && known.kind != FieldKind::Binary
        && can_cast_types(column.data_type(), &DataType::Utf8);
    if !is_text {
        return Ok(nothing(target.data_type()));
    }
    let texts = cast_with_options(column, &DataType::Utf8, &options)?;
    if *target.data_type() != DataType::Utf8 {
        return cast_with_options(&texts, target.data_type(), &options);
    }
    let texts: &StringArray = texts.as_string();
    let fitting = texts.iter().map(|it| it.filter(|it| reads_as(known.kind, it)));
    Ok(Arc::new(fitting.collect::<StringArray>()))
}

/// Whether a text says a value of `kind`, among the kinds that are texts.
fn reads_as(kind: FieldKind, text: &str) -> bool {
    match kind {
        FieldKind::Decimal => Decimal::parse(text).is_some(),
        FieldKind::Json => serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(),
        FieldKind::Uuid => {
            let is_dash = |place| matches!(place, 8 | 13 | 18 | 23);
            let fits = |(place, byte): (usize, u8)| {
                if is_dash(place) { byte == b'-' } else { byte.is_ascii_hexdigit() }
            };
            text.len() == 36 && text.bytes().enumerate().all(fits)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{BooleanArray, Int64Array};
    use linkspan_domain::DiagnosticReason::{RowsDiscarded, ValuesDiscarded};

    use super::*;

    fn field(name: &str, kind: FieldKind) -> StreamField {
        StreamField { name: name.to_owned(), kind, nullable: true }
    }

    /// `a` was a number and is text now, `new` was not there.
    fn shaped(discard: Discard) -> (RecordBatch, Notes) {
        let columns: [(&str, ArrayRef); 3] = [
            ("id", Arc::new(Int64Array::from(vec![1, 2, 3]))),
            ("a", Arc::new(StringArray::from(vec![Some("5"), Some("five"), None]))),
            ("new", Arc::new(BooleanArray::from(vec![None, None, Some(true)]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let fields = vec![field("id", FieldKind::Integer), field("a", FieldKind::Integer)];
        let mut notes = Notes::default();
        (Shape { fields, discard }.apply(&batch, &mut notes).unwrap().kept, notes)
    }

    #[test]
    fn values_that_do_not_fit_are_left_out_and_counted() {
        let (batch, notes) = shaped(Discard::Value);
        assert_eq!(batch.num_rows(), 3);
        assert_eq!(batch.num_columns(), 2);
        let a: &Int64Array = batch.column(1).as_primitive();
        assert_eq!(a.iter().collect::<Vec<_>>(), [Some(5), None, None]);
        let mut expect = Notes::default();
        expect.add(ValuesDiscarded, "the field `a` is to hold integer", 1);
        expect.add(ValuesDiscarded, "the field `new` is not known", 1);
        assert_eq!(notes, expect);
    }

    #[test]
    fn records_that_do_not_fit_are_left_out_and_counted() {
        let (batch, notes) = shaped(Discard::Row);
        let id: &Int64Array = batch.column(0).as_primitive();
        assert_eq!(id.values(), &[1]);
        let mut expect = Notes::default();
        expect.add(RowsDiscarded, "the field `a` is to hold integer", 1);
        expect.add(RowsDiscarded, "the field `new` is not known", 1);
        assert_eq!(notes, expect);
    }

    #[test]
    fn texts_are_what_their_kind_says() {
        assert!(reads_as(FieldKind::Decimal, "1.50") && !reads_as(FieldKind::Decimal, "x"));
        assert!(reads_as(FieldKind::Json, "[1]") && !reads_as(FieldKind::Json, "["));
        assert!(reads_as(FieldKind::Uuid, "67e55044-10b1-426f-9247-bb680e5fe0c8"));
        assert!(!reads_as(FieldKind::Uuid, "67e55044-10b1-426f-9247+bb680e5fe0c8"));
    }
}
