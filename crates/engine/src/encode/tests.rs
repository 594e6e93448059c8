//! What records look like, kind by kind.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int16Array, Int64Array, ListArray, RecordBatch, StringArray, Time32SecondArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, TimestampNanosecondArray, UInt64Array,
    types::Int32Type,
};
use arrow_schema::{Field, Schema};
use linkspan_domain::{FieldKind, StreamField, StreamSpec};
use linkspan_sdk::{ContentHash, Failure, Rejected, Rows, arrow_schema};
use proptest::prelude::{Just, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};
use serde_json::{Value, json};

use super::Encoder;

fn spec(fields: &[(&str, FieldKind)]) -> StreamSpec {
    let field =
        |&(name, kind): &(&str, _)| StreamField { name: name.to_owned(), kind, nullable: true };
    StreamSpec {
        name: "s".parse().unwrap(),
        fields: fields.iter().map(field).collect(),
        primary_key: Vec::new(),
        cursor_candidates: Vec::new(),
        supports_incremental: false,
    }
}

fn batch(fields: &[(&str, FieldKind)], columns: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_new(arrow_schema(&spec(fields)), columns).unwrap()
}

fn encoded(key: &[&str], records: &RecordBatch) -> Result<(Rows, Vec<Rejected>), Failure> {
    let (mut rows, mut rejected) = (Rows::default(), Vec::new());
    let mut encoder = Encoder::new(key.iter().map(|&it| it.to_owned()).collect());
    encoder.encode(records, &mut rows, &mut rejected)?;
    Ok((rows, rejected))
}

/// Two rows of one column, the second of them null, as JSON; and the key of the first.
fn one(kind: FieldKind, column: ArrayRef) -> (String, String) {
    let (rows, rejected) = encoded(&[], &batch(&[("v", kind)], vec![column.clone()])).unwrap();
    assert!(rejected.is_empty(), "{rejected:?}");
    assert_eq!(rows.row(1).payload, r#"{"v":null}"#);
    let (keyed, rejected) = encoded(&["v"], &batch(&[("v", kind)], vec![column])).unwrap();
    assert_eq!(rejected[0].reason, "the primary key column v is null");
    (rows.row(0).payload.to_owned(), keyed.row(0).key.to_owned())
}

#[test]
fn each_kind_has_one_spelling() {
    let text = |it: &str| -> ArrayRef { Arc::new(StringArray::from(vec![Some(it), None])) };
    let noon = Some(1_767_225_600_000_000);
    let instants = TimestampMicrosecondArray::from(vec![noon, None]).with_timezone("+00:00");
    let times = Time64MicrosecondArray::from(vec![Some(45_000_000_000), None]);
    let bytes = BinaryArray::from_opt_vec(vec![Some(&[0, 255, 16]), None]);
    let cases: Vec<(FieldKind, ArrayRef, &str, &str)> = vec![
        (FieldKind::Boolean, Arc::new(BooleanArray::from(vec![Some(true), None])), "true", "true"),
        (FieldKind::Integer, Arc::new(Int64Array::from(vec![Some(i64::MIN), None])), "-9223372036854775808", "-9223372036854775808"),
        (FieldKind::Number, Arc::new(Float64Array::from(vec![Some(0.1), None])), "0.1", "0.1"),
        (FieldKind::Number, Arc::new(Float64Array::from(vec![Some(f64::NAN), None])), r#""NaN""#, "NaN"),
        (FieldKind::Number, Arc::new(Float64Array::from(vec![Some(f64::NEG_INFINITY), None])), r#""-Infinity""#, "-Infinity"),
        (FieldKind::Decimal, text("123456789012345678901234567890.10"), r#""123456789012345678901234567890.10""#, "123456789012345678901234567890.10"),
        (FieldKind::Text, text("a \"ß\"\n"), r#""a \"ß\"\n""#, "a \"ß\"\n"),
        (FieldKind::Date, Arc::new(Date32Array::from(vec![Some(20_484), None])), r#""2026-01-31""#, "2026-01-31"),
        (FieldKind::Time, Arc::new(times), r#""12:30:00""#, "12:30:00"),
        (FieldKind::Timestamp, Arc::new(instants), r#""2026-01-01T00:00:00Z""#, "2026-01-01T00:00:00Z"),
        (FieldKind::Uuid, text("0198c5a0-0000-7000-8000-000000000000"), r#""0198c5a0-0000-7000-8000-000000000000""#, "0198c5a0-0000-7000-8000-000000000000"),
        (FieldKind::Binary, Arc::new(bytes), r#""AP8Q""#, "AP8Q"),
        (FieldKind::Json, text(r#"{"a": [1, null]}"#), r#"{"a": [1, null]}"#, r#"{"a": [1, null]}"#),
    ];
    for (kind, column, value, key) in cases {
        let (payload, plain) = one(kind, column);
        assert_eq!(payload, format!(r#"{{"v":{value}}}"#), "{kind}");
        assert_eq!(plain, key, "{kind}");
    }
}

#[test]
fn other_arrow_types_are_written_alike() {
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None])]);
    let decimals = Decimal128Array::from(vec![12_345]).with_precision_and_scale(10, 2).unwrap();
    let columns: Vec<(ArrayRef, &str)> = vec![
        (Arc::new(Int16Array::from(vec![-7])), "-7"),
        (Arc::new(UInt64Array::from(vec![u64::MAX])), "18446744073709551615"),
        (Arc::new(Float32Array::from(vec![0.1])), "0.1"),
        (Arc::new(decimals), r#""123.45""#),
        (Arc::new(Time32SecondArray::from(vec![61])), r#""00:01:01""#),
        (Arc::new(TimestampNanosecondArray::from(vec![1])), r#""1970-01-01T00:00:00.000000001""#),
        (Arc::new(lists), "[1,null]"),
    ];
    for (column, value) in columns {
        let field = Field::new("v", column.data_type().clone(), true);
        let records =
            RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column]).unwrap();
        let (rows, _) = encoded(&[], &records).unwrap();
        assert_eq!(rows.row(0).payload, format!(r#"{{"v":{value}}}"#));
    }
}

#[test]
fn several_key_columns_make_an_array_of_texts() {
    let numbers = Arc::new(Int64Array::from(vec![1]));
    let texts = Arc::new(StringArray::from(vec!["a\"b"]));
    let fields = [("n", FieldKind::Integer), ("t", FieldKind::Text)];
    let (rows, _) = encoded(&["t", "n"], &batch(&fields, vec![numbers, texts])).unwrap();
    assert_eq!(rows.row(0).key, r#"["a\"b","1"]"#);
}

#[test]
fn without_a_primary_key_the_content_is_the_name() {
    let numbers = Arc::new(Int64Array::from(vec![1, 1]));
    let (rows, _) = encoded(&[], &batch(&[("n", FieldKind::Integer)], vec![numbers])).unwrap();
    assert_eq!(rows.row(0).key, ContentHash::of(r#"{"n":1}"#).to_string());
    assert_eq!(rows.row(0), rows.row(1));
}

#[test]
fn what_cannot_be_kept_is_rejected_with_the_reason() {
    let long = "x".repeat(2_001);
    let keys = [Some("a"), None, Some("b\0"), Some(&long), Some("c")];
    let json = [Some("{"), Some("1"), Some("1"), Some("1"), Some("1")];
    let fields = [("k", FieldKind::Text), ("j", FieldKind::Json)];
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(keys.to_vec())),
        Arc::new(StringArray::from(json.to_vec())),
    ];
    let (rows, rejected) = encoded(&["k"], &batch(&fields, columns)).unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows.row(0).key, "c");
    let reasons: Vec<_> = rejected.iter().map(|it| (it.key.as_deref(), &*it.reason)).collect();
    assert_eq!(
        reasons,
        [
            (Some("a"), "column j holds no valid JSON"),
            (None, "the primary key column k is null"),
            (None, "the primary key holds the character U+0000"),
            (None, "the primary key is longer than 2000 bytes"),
        ]
    );
    assert_eq!(rejected[0].payload, r#"{"k":"a","j":"{"}"#);
}

#[test]
fn columns_that_make_no_record_fail_before_any_record() {
    let numbers = || -> ArrayRef { Arc::new(Int64Array::from(vec![1])) };
    let records = batch(&[("n", FieldKind::Integer)], vec![numbers()]);
    let absent = encoded(&["id"], &records).unwrap_err();
    assert!(absent.to_string().contains("names id, which is no column"), "{absent}");
    let twice = [("n", FieldKind::Integer), ("n", FieldKind::Integer)];
    assert!(encoded(&[], &batch(&twice, vec![numbers(), numbers()])).is_err());
}

/// A row: a value for each of the kinds that JSON tells apart.
type Sample = (Option<bool>, Option<i64>, Option<f64>, Option<String>, Option<Value>);

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|it| Value::Object(it.into_iter().collect())),
        ]
    })
}

fn sample() -> impl Strategy<Value = Sample> {
    let number = prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL;
    let optional = prop::option::of;
    (
        any::<Option<bool>>(),
        any::<Option<i64>>(),
        optional(number),
        any::<Option<String>>(),
        optional(json_value()),
    )
}

proptest! {
    #[test]
    fn what_is_written_reads_back(samples in prop::collection::vec(sample(), 0..20)) {
        let fields = [
            ("b", FieldKind::Boolean),
            ("i", FieldKind::Integer),
            ("n\"", FieldKind::Number),
            ("t", FieldKind::Text),
            ("j", FieldKind::Json),
        ];
        let documents: Vec<_> = samples.iter().map(|it| it.4.as_ref().map(Value::to_string)).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(samples.iter().map(|it| it.0).collect::<BooleanArray>()),
            Arc::new(samples.iter().map(|it| it.1).collect::<Int64Array>()),
            Arc::new(samples.iter().map(|it| it.2).collect::<Float64Array>()),
            Arc::new(samples.iter().map(|it| it.3.clone()).collect::<StringArray>()),
            Arc::new(documents.into_iter().collect::<StringArray>()),
        ];
        let (rows, rejected) = encoded(&[], &batch(&fields, columns)).unwrap();
        prop_assert_eq!(rejected.len(), 0);
        prop_assert_eq!(rows.len(), samples.len());
        for (row, (b, i, n, t, j)) in rows.iter().zip(samples) {
            let back: Value = serde_json::from_str(row.payload).unwrap();
            prop_assert_eq!(back, json!({"b": b, "i": i, "n\"": n, "t": t, "j": j}));
            prop_assert_eq!(row.hash, ContentHash::of(row.payload));
        }
    }
}
