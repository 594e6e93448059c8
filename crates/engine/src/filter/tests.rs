//! Columns are judged as the reference evaluator judges what is stored of them.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch,
    StringArray, Time64MicrosecondArray, TimestampMicrosecondArray, UInt64Array,
};
use linkspan_domain::{Condition, FieldKind, StreamField, StreamSpec};
use linkspan_sdk::{Rows, arrow_schema};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use super::RowFilter;
use crate::RowEncoder;

const KINDS: [(&str, FieldKind); 11] = [
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
];

fn spec() -> StreamSpec {
    let field =
        |&(name, kind): &(&str, _)| StreamField { name: name.to_owned(), kind, nullable: true };
    StreamSpec {
        name: "s".parse().unwrap(),
        fields: KINDS.iter().map(field).collect(),
        primary_key: Vec::new(),
        cursor_candidates: Vec::new(),
        supports_incremental: false,
    }
}

/// What is likely to trip someone, over and over in other combinations.
const TEXTS: [&str; 14] = [
    "",
    "a",
    "A",
    "é",
    "a%b",
    "12",
    "2026-05-01T12:00:00Z",
    "2026-05-01T14:00:00+02:00",
    "2026-05-01",
    "12:00:00",
    "NaN",
    "\u{1f980}",
    "AQID",
    "67e55044-10b1-426f-9247-bb680e5fe0c8",
];
const DECIMALS: [&str; 7] = ["0", "-0.00", "1.5", "1.50", "9007199254740993", "NaN", "-1e-7"];
const DOCUMENTS: [&str; 8] = [
    "null",
    "1",
    "1.0",
    "\"a\"",
    "[1,\"a\"]",
    "{\"k\":null}",
    "{\"k\":{\"x\":5}}",
    "{\"k\":\"a\"}",
];
const NUMBERS: [f64; 8] =
    [0.0, -0.0, 1.5, 9_007_199_254_740_992.0, f64::NAN, f64::INFINITY, f64::MIN, 1e-300];
const INTEGERS: [i64; 6] = [0, 1, -1, 9_007_199_254_740_993, i64::MAX, i64::MIN];
/// 2026-05-01T12:00:00Z, a microsecond later, far in the past and in the future, and in the year -1.
const MICROS: [i64; 6] = [
    1_777_636_800_000_000,
    1_777_636_800_000_001,
    -62_135_596_800_000_000,
    253_402_300_799_999_999,
    -62_200_000_000_000_000,
    0,
];
const DAYS: [i32; 5] = [20_574, 0, -719_162, 2_932_896, -720_000];

fn maybe<T: Clone + std::fmt::Debug + 'static>(
    of: &'static [T],
) -> impl Strategy<Value = Vec<Option<T>>> {
    prop::collection::vec(prop::option::weighted(0.8, select(of)), ROWS)
}

const ROWS: usize = 12;

fn batch() -> impl Strategy<Value = RecordBatch> {
    let first = (
        maybe(&[true, false]),
        maybe(&INTEGERS),
        maybe(&NUMBERS),
        maybe(&DECIMALS),
        maybe(&TEXTS),
        maybe(&DAYS),
    );
    let second = (
        maybe(&[0_i64, 43_200_000_000, 43_200_000_001]),
        maybe(&MICROS),
        maybe(&["67e55044-10b1-426f-9247-bb680e5fe0c8", "00000000-0000-0000-0000-000000000000"]),
        maybe(&[b"\x01\x02\x03" as &[u8], b""]),
        maybe(&DOCUMENTS),
    );
    (first, second).prop_map(|((b, i, n, d, t, day), (clock, at, u, raw, j))| {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(BooleanArray::from(b)),
            Arc::new(Int64Array::from(i)),
            Arc::new(Float64Array::from(n)),
            Arc::new(StringArray::from(d)),
            Arc::new(StringArray::from(t)),
            Arc::new(Date32Array::from(day)),
            Arc::new(Time64MicrosecondArray::from(clock)),
            Arc::new(TimestampMicrosecondArray::from(at).with_timezone("+00:00")),
            Arc::new(StringArray::from(u)),
            Arc::new(BinaryArray::from(raw)),
            Arc::new(StringArray::from(j)),
        ];
        RecordBatch::try_new(arrow_schema(&spec()), columns).unwrap()
    })
}

fn operand() -> impl Strategy<Value = Value> {
    prop_oneof![
        select(&TEXTS[..]).prop_map(Value::from),
        select(&DECIMALS[..]).prop_map(Value::from),
        select(&INTEGERS[..]).prop_map(Value::from),
        select(&NUMBERS[..]).prop_filter_map("no JSON", |it| it.is_finite().then(|| it.into())),
        any::<bool>().prop_map(Value::from),
        Just(json!(u64::MAX)),
    ]
}

fn leaf() -> impl Strategy<Value = Value> {
    let compare = (select(vec!["_eq", "_neq", "_gt", "_gte", "_lt", "_lte"]), operand())
        .prop_map(|(operator, operand)| json!({ operator: operand }));
    let list = (select(vec!["_in", "_nin"]), prop::collection::vec(operand(), 0..4))
        .prop_map(|(operator, operands)| json!({ operator: operands }));
    let pattern = (
        select(vec!["_like", "_nlike", "_ilike", "_nilike", "_regex", "_similar"]),
        select(vec!["a%", "%", "_", "2026%", "A"]),
    )
        .prop_map(|(operator, pattern)| json!({ operator: pattern }));
    let null = any::<bool>().prop_map(|it| json!({ "_is_null": it }));
    let inside = select(&DOCUMENTS[..]).prop_map(|it| {
        let document: Value = serde_json::from_str(it).unwrap();
        json!({ "_contains": document })
    });
    let has = select(vec!["a", "k"]).prop_map(|it| json!({ "_has_key": it }));
    let fields = KINDS.map(|it| it.0).into_iter().chain(["gone"]).collect::<Vec<_>>();
    let test = prop_oneof![4 => compare, 2 => list, 2 => pattern, 1 => null, 1 => inside, 1 => has];
    (select(fields), any::<bool>(), test).prop_map(|(field, is_below, test)| {
        if is_below && field == "j" {
            json!({ "j": { "k": test } })
        } else {
            json!({ field: test })
        }
    })
}

fn condition() -> impl Strategy<Value = Condition> {
    let tree = leaf().prop_recursive(3, 12, 3, |inner| {
        let several = prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            (select(vec!["_and", "_or"]), several).prop_map(|(of, parts)| json!({ of: parts })),
            inner.prop_map(|it| json!({ "_not": it })),
        ]
    });
    tree.prop_filter_map("no condition", |it| Condition::parse(&it).ok())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn columns_are_judged_as_records_are(batch in batch(), condition in condition()) {
        // Where its values are of the right kind it is bound; where they are not, it still means something.
        let condition = condition.bind(&spec().fields).unwrap_or(condition);
        let filter = RowFilter::new(condition.clone().conjuncts());
        let mut encoder = RowEncoder::new(batch.schema(), &[]).unwrap();
        let (mut rows, mut rejected) = (Rows::default(), Vec::new());
        encoder.encode(&batch, &mut rows, &mut rejected).unwrap();
        prop_assert!(rejected.is_empty());
        let holds = rows.iter().map(|row| condition.holds(&serde_json::from_str(row.payload).unwrap()));
        let holds: Vec<_> = holds.collect();
        let sifted = filter.sift(batch.clone(), &vec![false; batch.num_rows()]).unwrap();
        prop_assert_eq!(sifted.kept.num_rows(), holds.iter().filter(|it| **it).count());
        match sifted.dropped {
            None => prop_assert!(holds.iter().all(|it| *it)),
            Some(dropped) => {
                prop_assert_eq!(dropped.records.num_rows(), ROWS - sifted.kept.num_rows());
                prop_assert_eq!(dropped.is_kept, holds);
            }
        }
    }
}

#[test]
fn what_no_json_can_say_is_let_through_to_be_kept_aside() {
    let mut fields = spec();
    fields.fields.retain(|it| it.name == "j");
    let documents: ArrayRef = Arc::new(StringArray::from(vec!["{", "{\"k\":1}", "{\"k\":2}"]));
    let batch = RecordBatch::try_new(arrow_schema(&fields), vec![documents]).unwrap();
    let part = Condition::parse(&json!({ "j": { "k": { "_eq": 1 } } })).unwrap();
    let dropped = RowFilter::new(vec![part]).sift(batch, &[false; 3]).unwrap().dropped.unwrap();
    assert_eq!(dropped.is_kept, [true, true, false]);
}

#[test]
fn columns_of_other_formats_are_judged_too() {
    let large: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX, 5]));
    let batch = RecordBatch::try_from_iter([("large", large)]).unwrap();
    let part = Condition::parse(&json!({ "large": { "_gt": i64::MAX } })).unwrap();
    let sifted = RowFilter::new(vec![part]).sift(batch, &[false; 2]).unwrap();
    assert_eq!(sifted.kept.num_rows(), 1);
}
