//! Records from rows back to columns: what [`RowEncoder`](crate::RowEncoder) made of them, undone.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch,
    StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow_cast::parse::Parser;
use arrow_schema::{ArrowError, SchemaRef};
use base64::{Engine, engine::general_purpose::STANDARD};
use linkspan_domain::{FieldKind, StreamField, StreamSpec};
use linkspan_sdk::arrow_schema;
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Turns payloads into columns.
pub(crate) struct Decoder {
    schema: SchemaRef,
    fields: Vec<StreamField>,
}

/// The values of one record, in the order of the columns.
pub(crate) type Values = Vec<Option<Cell>>;

/// One value that fits its column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Boolean(bool),
    /// A whole number, a day, or a number of microseconds.
    Integer(i64),
    Number(f64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Decoder {
    /// For all columns of `stream`.
    pub(crate) fn new(stream: &StreamSpec) -> Self {
        Self { schema: arrow_schema(stream), fields: stream.fields.clone() }
    }

    /// For the primary key of `stream` alone, in the key's order.
    pub(crate) fn of_key(stream: &StreamSpec) -> Self {
        let find = |name: &String| stream.field(name).cloned();
        let fields = stream.primary_key.iter().filter_map(find).collect();
        Self::new(&StreamSpec { fields, ..stream.clone() })
    }

    /// The values of a record that says `payload`. Names the first that does not fit its column.
    pub(crate) fn values(&self, payload: &Value) -> Result<Values, String> {
        let one = |field: &StreamField| match payload.get(&field.name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => cell(field.kind, value).map(Some).ok_or_else(|| {
                format!(
                    "`{}` does not hold {} any more; sync its source again",
                    field.name, field.kind
                )
            }),
        };
        self.fields.iter().map(one).collect()
    }

    /// Records as a batch.
    pub(crate) fn batch(&self, records: &[Values]) -> Result<RecordBatch, ArrowError> {
        let columns = self.fields.iter().enumerate().map(|(at, field)| {
            column(field.kind, || records.iter().map(move |it| it.get(at).and_then(Option::as_ref)))
        });
        RecordBatch::try_new(Arc::clone(&self.schema), columns.collect())
    }
}

/// A value as its column has it. One that was kept when the field was of another kind is converted, if nothing of it is
/// lost by that.
fn cell(kind: FieldKind, value: &Value) -> Option<Cell> {
    let text = || value.as_str();
    Some(match kind {
        FieldKind::Boolean => Cell::Boolean(match text() {
            Some(text) => text.parse().ok()?,
            None => value.as_bool()?,
        }),
        FieldKind::Integer => Cell::Integer(whole(value)?),
        FieldKind::Number => Cell::Number(number(value)?),
        FieldKind::Text => Cell::Text(text().map_or_else(|| value.to_string(), str::to_owned)),
        FieldKind::Decimal => Cell::Text(match value {
            Value::Number(number) => Some(number.to_string()).filter(|it| !it.contains('e'))?,
            _ => text()?.to_owned(),
        }),
        FieldKind::Uuid => Cell::Text(text()?.to_owned()),
        FieldKind::Json => Cell::Text(value.to_string()),
        FieldKind::Date => Cell::Integer(arrow_array::types::Date32Type::parse(text()?)?.into()),
        FieldKind::Time => {
            Cell::Integer(arrow_array::types::Time64MicrosecondType::parse(text()?)?)
        }
        FieldKind::Timestamp => {
            let nanos = OffsetDateTime::parse(text()?, &Rfc3339).ok()?.unix_timestamp_nanos();
            Cell::Integer(i64::try_from(nanos.div_euclid(1_000)).ok()?)
        }
        FieldKind::Binary => Cell::Bytes(STANDARD.decode(text()?).ok()?),
    })
}

fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.parse().ok(),
        // Whole numbers as floating point has them: `2.0`.
        Value::Number(number) if number.is_f64() => {
            number.to_string().strip_suffix(".0")?.parse().ok()
        }
        _ => value.as_i64(),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            text => text.parse().ok().filter(|it: &f64| it.to_string() == text),
        },
        // Beyond 2^53 not every whole number is one of floating point.
        Value::Number(number) if !number.is_f64() => {
            value.as_f64().filter(|it| it.to_string() == number.to_string())
        }
        _ => value.as_f64(),
    }
}

fn column<'v, I>(kind: FieldKind, values: impl Fn() -> I) -> ArrayRef
where
    I: Iterator<Item = Option<&'v Cell>>,
{
    let integers = || {
        values().map(|it| match it {
            Some(Cell::Integer(number)) => Some(*number),
            _ => None,
        })
    };
    match kind {
        FieldKind::Boolean => Arc::new(
            values()
                .map(|it| match it {
                    Some(Cell::Boolean(value)) => Some(*value),
                    _ => None,
                })
                .collect::<BooleanArray>(),
        ),
        FieldKind::Integer => Arc::new(integers().collect::<Int64Array>()),
        FieldKind::Number => Arc::new(
            values()
                .map(|it| match it {
                    Some(Cell::Number(number)) => Some(*number),
                    _ => None,
                })
                .collect::<Float64Array>(),
        ),
        FieldKind::Date => {
            let days = integers().map(|it| i32::try_from(it?).ok());
            Arc::new(days.collect::<Date32Array>())
        }
        FieldKind::Time => Arc::new(integers().collect::<Time64MicrosecondArray>()),
        FieldKind::Timestamp => {
            let instants = integers().collect::<TimestampMicrosecondArray>();
            Arc::new(instants.with_timezone("+00:00"))
        }
        FieldKind::Binary => Arc::new(
            values()
                .map(|it| match it {
                    Some(Cell::Bytes(bytes)) => Some(bytes.as_slice()),
                    _ => None,
                })
                .collect::<BinaryArray>(),
        ),
        FieldKind::Text | FieldKind::Decimal | FieldKind::Uuid | FieldKind::Json => Arc::new(
            values()
                .map(|it| match it {
                    Some(Cell::Text(text)) => Some(text.as_str()),
                    _ => None,
                })
                .collect::<StringArray>(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use linkspan_sdk::Rows;

    use super::*;
    use crate::RowEncoder;

    fn stream() -> StreamSpec {
        let kinds = [
            FieldKind::Boolean,
            FieldKind::Integer,
            FieldKind::Number,
            FieldKind::Decimal,
            FieldKind::Text,
            FieldKind::Date,
            FieldKind::Time,
            FieldKind::Timestamp,
            FieldKind::Uuid,
            FieldKind::Binary,
            FieldKind::Json,
        ];
        let field = |kind: FieldKind| StreamField { name: kind.to_string(), kind, nullable: true };
        StreamSpec {
            name: "s".parse().unwrap(),
            fields: kinds.map(field).into(),
            primary_key: vec!["text".to_owned(), "integer".to_owned()],
            cursor_candidates: Vec::new(),
            supports_incremental: false,
        }
    }

    fn records() -> RecordBatch {
        let texts =
            |it: [Option<&str>; 3]| -> ArrayRef { Arc::new(StringArray::from(it.to_vec())) };
        let micros = vec![Some(-1), None, Some(253_402_300_799_999_999)];
        let columns: Vec<ArrayRef> = vec![
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
            Arc::new(Int64Array::from(vec![i64::MIN, 0, i64::MAX])),
            Arc::new(Float64Array::from(vec![Some(0.1), None, Some(f64::NEG_INFINITY)])),
            texts([Some("123.4500"), None, Some("NaN")]),
            texts([Some("a\"\\\n"), Some(""), Some("ü")]),
            Arc::new(Date32Array::from(vec![Some(-1), None, Some(2_932_896)])),
            Arc::new(Time64MicrosecondArray::from(vec![Some(0), None, Some(86_399_999_999)])),
            Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("+00:00")),
            texts([Some("00000000-0000-0000-0000-00000000000a"), None, None]),
            Arc::new(BinaryArray::from(vec![Some(&b"\0\xff"[..]), None, Some(b"")])),
            texts([Some("{\"a\":[1,2]}"), None, Some("\"t\"")]),
        ];
        RecordBatch::try_new(arrow_schema(&stream()), columns).unwrap()
    }

    fn payloads() -> Vec<Value> {
        let mut encoder = RowEncoder::new(arrow_schema(&stream()), &[]).unwrap();
        let (mut rows, mut rejected) = (Rows::default(), Vec::new());
        encoder.encode(&records(), &mut rows, &mut rejected).unwrap();
        assert!(rejected.is_empty());
        rows.iter().map(|it| serde_json::from_str(it.payload).unwrap()).collect()
    }

    #[test]
    fn records_come_back_as_they_were_kept() {
        let decoder = Decoder::new(&stream());
        let values: Vec<_> = payloads().iter().map(|it| decoder.values(it).unwrap()).collect();
        assert_eq!(decoder.batch(&values).unwrap(), records());
    }

    #[test]
    fn a_key_is_in_its_own_order() {
        let decoder = Decoder::of_key(&stream());
        let values: Vec<_> = payloads().iter().map(|it| decoder.values(it).unwrap()).collect();
        let keys = decoder.batch(&values).unwrap();
        assert_eq!(keys.schema().fields().len(), 2);
        assert_eq!(keys.column(0), records().column(4));
        assert_eq!(keys.column(1), records().column(1));
    }

    #[test]
    fn values_of_a_kind_that_changed_are_converted_if_nothing_is_lost() {
        use serde_json::json;

        let text = |it: &str| Some(Cell::Text(it.to_owned()));
        for (kind, value, expected) in [
            (FieldKind::Text, json!(1.5), text("1.5")),
            (FieldKind::Text, json!(true), text("true")),
            (FieldKind::Text, json!({ "a": 1 }), text("{\"a\":1}")),
            (FieldKind::Decimal, json!(12), text("12")),
            (FieldKind::Decimal, json!(1e300), None),
            (FieldKind::Integer, json!("12"), Some(Cell::Integer(12))),
            (FieldKind::Integer, json!(2.0), Some(Cell::Integer(2))),
            (FieldKind::Integer, json!(2.5), None),
            (FieldKind::Integer, json!("1.0e1"), None),
            (FieldKind::Number, json!(7), Some(Cell::Number(7.0))),
            (FieldKind::Number, json!("1.25"), Some(Cell::Number(1.25))),
            (FieldKind::Number, json!(9_007_199_254_740_993_i64), None),
            (FieldKind::Boolean, json!("false"), Some(Cell::Boolean(false))),
            (FieldKind::Boolean, json!(1), None),
        ] {
            assert_eq!(cell(kind, &value), expected, "{value} as {kind}");
        }
    }

    #[test]
    fn what_does_not_fit_any_more_is_named() {
        let decoder = Decoder::new(&stream());
        let wrong = serde_json::json!({ "integer": "many" });
        assert!(decoder.values(&wrong).unwrap_err().starts_with("`integer` does not hold integer"));
    }
}
