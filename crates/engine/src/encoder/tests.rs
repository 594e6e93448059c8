//! What becomes of records on their way into rows.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array,
    LargeStringArray, RecordBatch, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
    TimestampSecondArray, UInt64Array, types::Int64Type,
};
use arrow_schema::{DataType, Field, Schema};
use linkspan_domain::{FieldKind, StreamField, StreamSpec};
use linkspan_sdk::{ContentHash, Rejected, Rows, arrow_schema};

use super::{MissingColumn, RowEncoder};

fn spec(fields: &[(&str, FieldKind)]) -> StreamSpec {
    StreamSpec {
        name: "s".parse().unwrap(),
        fields: fields
            .iter()
            .map(|(name, kind)| StreamField {
                name: (*name).to_owned(),
                kind: *kind,
                nullable: true,
            })
            .collect(),
        primary_key: Vec::new(),
        cursor_candidates: Vec::new(),
        supports_incremental: false,
    }
}

fn encode(batch: &RecordBatch, key: &[&str]) -> (Vec<(String, String)>, Vec<Rejected>) {
    let key: Vec<String> = key.iter().map(|&it| it.to_owned()).collect();
    let mut encoder = RowEncoder::new(batch.schema(), &key).unwrap();
    let (mut rows, mut rejected) = (Rows::default(), Vec::new());
    encoder.encode(batch, &mut rows, &mut rejected).unwrap();
    assert!(rows.iter().all(|it| it.hash == ContentHash::of(it.payload)));
    let rows = rows.iter().map(|it| (it.key.to_owned(), it.payload.to_owned()));
    (rows.collect(), rejected)
}

fn batch(fields: &[(&str, FieldKind)], columns: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_new(arrow_schema(&spec(fields)), columns).unwrap()
}

#[test]
fn every_kind_has_its_json() {
    let batch = batch(
        &[
            ("b", FieldKind::Boolean),
            ("i", FieldKind::Integer),
            ("n", FieldKind::Number),
            ("d", FieldKind::Decimal),
            ("t", FieldKind::Text),
            ("day", FieldKind::Date),
            ("clock", FieldKind::Time),
            ("at", FieldKind::Timestamp),
            ("u", FieldKind::Uuid),
            ("raw", FieldKind::Binary),
            ("j", FieldKind::Json),
        ],
        vec![
            Arc::new(BooleanArray::from(vec![Some(true), None])),
            Arc::new(Int64Array::from(vec![Some(i64::MIN), None])),
            Arc::new(Float64Array::from(vec![Some(0.1), Some(f64::NEG_INFINITY)])),
            Arc::new(StringArray::from(vec![Some("1.50"), None])),
            Arc::new(StringArray::from(vec![Some("a \"b\"\n"), None])),
            Arc::new(Date32Array::from(vec![Some(-1), None])),
            Arc::new(Time64MicrosecondArray::from(vec![Some(86_399_999_999), None])),
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(1_500_000), Some(0)])
                    .with_timezone("+00:00"),
            ),
            Arc::new(StringArray::from(vec![Some("018f"), None])),
            Arc::new(BinaryArray::from(vec![Some(&b"\x00\xff?"[..]), None])),
            Arc::new(StringArray::from(vec![Some(r#"{"x":[1]}"#), None])),
        ],
    );
    let (rows, rejected) = encode(&batch, &["i"]);
    assert_eq!(
        rows[0],
        (
            "-9223372036854775808".to_owned(),
            r#"{"b":true,"i":-9223372036854775808,"n":0.1,"d":"1.50","t":"a \"b\"\n","day":"1969-12-31","clock":"23:59:59.999999","at":"1970-01-01T00:00:01.500000Z","u":"018f","raw":"AP8/","j":{"x":[1]}}"#.to_owned()
        )
    );
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0].reason, "the key column `i` is null");
    assert_eq!(
        rejected[0].payload,
        r#"{"b":null,"i":null,"n":"-Infinity","d":null,"t":null,"day":null,"clock":null,"at":"1970-01-01T00:00:00Z","u":null,"raw":null,"j":null}"#
    );
}

#[test]
fn other_columns_are_brought_into_form() {
    let schema = Schema::new(vec![
        Field::new("small", DataType::Int32, true),
        Field::new("huge", DataType::UInt64, true),
        Field::new("text", DataType::LargeUtf8, true),
        Field::new("at", DataType::Timestamp(arrow_schema::TimeUnit::Second, None), true),
        Field::new("list", DataType::new_list(DataType::Int64, true), true),
    ]);
    let list =
        arrow_array::ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1), None])]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from(vec![7])),
        Arc::new(UInt64Array::from(vec![u64::MAX])),
        Arc::new(LargeStringArray::from(vec!["x"])),
        Arc::new(TimestampSecondArray::from(vec![1])),
        Arc::new(list),
    ];
    let batch = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
    let (rows, rejected) = encode(&batch, &["huge"]);
    assert_eq!(rejected, []);
    assert_eq!(rows[0].0, "18446744073709551615");
    assert_eq!(
        rows[0].1,
        r#"{"small":7,"huge":18446744073709551615,"text":"x","at":"1970-01-01T00:00:01Z","list":[1,null]}"#
    );
}

fn texts(a: Vec<Option<&str>>, b: Vec<Option<&str>>) -> RecordBatch {
    let columns: Vec<ArrayRef> =
        vec![Arc::new(StringArray::from(a)), Arc::new(StringArray::from(b))];
    batch(&[("a", FieldKind::Text), ("b", FieldKind::Text)], columns)
}

#[test]
fn composite_keys_cannot_be_confused() {
    let batch = texts(
        vec![Some("1"), Some("1\",\"2"), Some("1")],
        vec![Some("2\",\"3"), Some("3"), Some("2")],
    );
    let keys: Vec<_> = encode(&batch, &["a", "b"]).0.into_iter().map(|it| it.0).collect();
    assert_eq!(keys, [r#"["1","2\",\"3"]"#, r#"["1\",\"2","3"]"#, r#"["1","2"]"#]);
}

#[test]
fn without_a_key_the_content_names_a_record() {
    let batch = texts(vec![Some("1"), Some("1"), None], vec![None, None, Some("1")]);
    let rows = encode(&batch, &[]).0;
    assert_eq!(rows[0].0, rows[1].0);
    assert_ne!(rows[0].0, rows[2].0);
    assert_eq!(rows[0].0, ContentHash::of(&rows[0].1).to_string());
}

#[test]
fn long_keys_give_way_to_their_hash() {
    let (long, look_alike) = ("x".repeat(1025), "sha256:00");
    let batch = texts(vec![Some(&long), Some(look_alike)], vec![None, None]);
    let rows = encode(&batch, &["a"]).0;
    assert_eq!(rows[0].0, format!("sha256:{}", ContentHash::of(&long)));
    assert_eq!(rows[1].0, format!("sha256:{}", ContentHash::of(look_alike)));
}

#[test]
fn what_cannot_be_kept_is_rejected_with_its_key() {
    let batch = texts(vec![Some("1"), Some("a\0"), Some("2")], vec![Some("x\0y"), None, None]);
    let (rows, rejected) = encode(&batch, &["a"]);
    assert_eq!(rows.len(), 1);
    assert_eq!(rejected[0].key.as_deref(), Some("1"));
    assert_eq!(rejected[0].reason, "`b` holds the character U+0000");
    assert_eq!(rejected[0].payload, r#"{"a":"1","b":"x\u0000y"}"#);
    assert_eq!(rejected[1].key, None);
}

#[test]
fn a_time_that_has_no_date_is_rejected() {
    let at = TimestampMicrosecondArray::from(vec![i64::MAX, 0]).with_timezone("+00:00");
    let batch = batch(&[("at", FieldKind::Timestamp)], vec![Arc::new(at)]);
    let (rows, rejected) = encode(&batch, &[]);
    assert_eq!((rows.len(), rejected.len()), (1, 1));
    assert!(rejected[0].reason.starts_with("`at` is a time outside"), "{}", rejected[0].reason);
}

#[test]
fn a_key_must_be_among_the_columns() {
    let batch = texts(vec![], vec![]);
    let refused = RowEncoder::new(batch.schema(), &["c".to_owned()]).err();
    assert_eq!(refused, Some(MissingColumn("c".to_owned())));
}
