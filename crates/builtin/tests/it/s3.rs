//! The types that read buckets.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use arrow_array::{
    ArrayRef, Decimal128Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    TimestampMicrosecondArray, types::Int64Type,
};
use async_compression::tokio::write::{GzipEncoder, ZstdEncoder};
use linkspan_domain::{Cursor, CursorType, Direction, FieldKind, Proof};
use linkspan_sdk::{
    BatchLimits, CursorSpec, Environment, Failure, OpenHosts, ReadMode, ReadRequest, conformance,
};
use linkspan_testkit::{Answer, Answers};
use parquet::{arrow::ArrowWriter, file::properties::WriterProperties};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::site::{Bucket, definition, rows};

pub(crate) async fn gzip(plain: &str) -> Vec<u8> {
    let mut encoder = GzipEncoder::new(Vec::new());
    encoder.write_all(plain.as_bytes()).await.unwrap();
    encoder.shutdown().await.unwrap();
    encoder.into_inner()
}

async fn zstd(plain: &str) -> Vec<u8> {
    let mut encoder = ZstdEncoder::new(Vec::new());
    encoder.write_all(plain.as_bytes()).await.unwrap();
    encoder.shutdown().await.unwrap();
    encoder.into_inner()
}

pub(crate) fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(100)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

/// One column of the rows.
fn column<'r>(rows: &'r Value, name: &str) -> Vec<&'r Value> {
    rows.as_array().unwrap().iter().map(|it| it.get(name).unwrap_or(&Value::Null)).collect()
}

fn incremental(stream: &str, after: Option<Cursor>) -> ReadRequest {
    let column = "_object_modified".to_owned();
    let cursor = CursorSpec { column, cursor_type: CursorType::Timestamp };
    ReadRequest::incremental(stream.parse().unwrap(), cursor, after)
}

/// The server keeps times in whole seconds.
async fn next_second() {
    tokio::time::sleep(Duration::from_millis(1100)).await;
}

#[tokio::test]
async fn csv_in_a_bucket_keeps_the_contract() {
    let bucket = Bucket::with(&[
        ("people/1.csv", "id,name\n1,Ann\n2,Bob\n3,Cid\n4,Dee\n"),
        ("people/2.csv", "id,name\n5,Eve\n6,Fay\n"),
    ])
    .await;
    next_second().await;
    bucket.put("people/3.csv", b"id,name\n7,Gus\n8,Hal\n9,Ida\n10,Joe\n").await;
    keeps_the_contract("s3_csv", &bucket, "people/*.csv").await;
}

#[tokio::test]
async fn all_formats_in_a_bucket_keep_the_contract() {
    let bucket = Bucket::with(&[
        ("people/1.csv", "id,name\n1,Ann\n2,Bob\n3,Cid\n4,Dee\n"),
        ("people/2.jsonl", "{\"id\":5,\"name\":\"Eve\"}\n{\"id\":6}\n"),
    ])
    .await;
    next_second().await;
    let ids = Arc::new(Int64Array::from_iter_values(7..17));
    bucket.put("people/3.parquet", &parquet(vec![("id", ids)])).await;
    keeps_the_contract("s3_storage", &bucket, "people/*").await;
}

async fn keeps_the_contract(key: &str, bucket: &Bucket, path: &str) {
    let column = "_object_modified".to_owned();
    let cursor = CursorSpec { column, cursor_type: CursorType::Timestamp };
    let with = |more| bucket.settings(path, more);
    let subject = conformance::Subject {
        definition: definition(key),
        environment: bucket.environment.clone(),
        settings: with(json!({})),
        refused: vec![
            with(json!({ "bucket": "linkspan-no-such-bucket" })),
            with(json!({ "path": "nobody/*" })),
            with(json!({ "path": "people/[" })),
            with(json!({ "prefix": "people/" })),
            with(json!({ "access_key_id": null })),
            with(json!({ "endpoint": "ftp://files.example.com" })),
            with(json!({ "endpoint": "http://127.0.0.1:1" })),
            with(json!({ "endpoint": "http://10.0.0.1" })),
            with(json!({ "delimiter": "ab" })),
        ],
        cursors: vec![("people".parse().unwrap(), cursor)],
    };
    assert_eq!(conformance::of_check(&subject).await, [""; 0]);
    assert_eq!(conformance::of_source(&subject).await, [""; 0]);
}

#[tokio::test]
async fn objects_that_match_are_one_stream() {
    let bucket = Bucket::with(&[
        ("in/a/2026-01.csv", "id\n1\n"),
        ("in/b/2026-02.csv", "id\n2\n"),
        ("in/2026-03.csv", "id\n3\n"),
        ("in/2026-03.txt", "id\n4\n"),
        ("in/_SUCCESS", ""),
        ("index.csv", "id\n5\n"),
    ])
    .await;
    for (path, stream, expect) in [
        ("in/**/*.csv", "in", vec![1, 2, 3]),
        ("in/*/*.csv", "in", vec![1, 2]),
        ("in/[ab]/2026-0?.csv", "in", vec![1, 2]),
        ("in/a/2026-01.csv", "2026-01", vec![1]),
        ("in/**", "in", vec![1, 2, 3]),
    ] {
        let rows = bucket.rows(path, stream).await.unwrap();
        let ids: BTreeSet<i64> =
            column(&rows, "id").into_iter().map(|it| it.as_i64().unwrap()).collect();
        assert_eq!(ids, expect.into_iter().collect(), "{path}");
    }
    let mut settings = bucket.settings("", json!({ "prefix": "in" }));
    settings.as_object_mut().unwrap().remove("path");
    let request = ReadRequest::full("in".parse().unwrap());
    let rows = rows(&bucket.read("s3_csv", settings, request).await.unwrap());
    let ids = column(&rows, "id");
    assert_eq!(ids.len(), 5, "whatever it is called, it is CSV: {rows}");
    assert!(ids.contains(&&json!(4)) && ids.contains(&&json!(5)));
}

#[tokio::test]
async fn columns_are_those_of_all_objects_and_wide_enough_for_each() {
    let bucket = Bucket::with(&[
        ("d/1.csv", "id,price,code,_row\n1,2,7,x\n"),
        ("d/2.csv", "price;id;more\n2.5;2;true\n"),
        ("d/3.jsonl", "{\"id\":3,\"code\":\"n/a\",\"tags\":[1,{\"a\":\"b\"}],\"skip\":null}\n"),
    ])
    .await;
    let settings = bucket.settings("d/*", json!({}));
    let found = definition("s3_storage").discover(settings, bucket.environment.clone()).await;
    let stream = found.unwrap().streams.remove(0);
    let fields: Vec<_> = stream.fields.iter().map(|it| (it.name.as_str(), it.kind)).collect();
    let expect = [
        ("id", FieldKind::Integer),
        ("price", FieldKind::Number),
        ("code", FieldKind::Text),
        ("_row_2", FieldKind::Text),
        ("more", FieldKind::Boolean),
        ("tags", FieldKind::Json),
        ("skip", FieldKind::Text),
        ("_object", FieldKind::Text),
        ("_object_modified", FieldKind::Timestamp),
        ("_row", FieldKind::Integer),
    ];
    assert_eq!(fields, expect);
    assert_eq!(stream.primary_key, ["_object", "_row"]);
    assert_eq!(stream.cursor_candidates, ["_object_modified"]);
    let expect = json!([
        { "id": 1, "price": 2.0, "code": "7", "_row_2": "x", "_object": "d/1.csv", "_row": 1 },
        { "id": 2, "price": 2.5, "more": true, "_object": "d/2.csv", "_row": 1 },
        {
            "id": 3, "code": "n/a", "tags": "[1,{\"a\":\"b\"}]",
            "_object": "d/3.jsonl", "_row": 1,
        },
    ]);
    assert_eq!(bucket.rows("d/*", "d").await.unwrap(), expect);
}

#[tokio::test]
async fn a_field_that_no_column_takes_is_told_and_not_passed_over() {
    let bucket = Bucket::create().await;
    for number in 0..5 {
        bucket.put(&format!("d/0{number}.jsonl"), b"{\"id\":1}\n").await;
    }
    // Neither among the oldest nor among the newest.
    bucket.put("d/5.csv", b"id,vat\n2,DE1\n3,\n").await;
    bucket
        .put("d/6.jsonl", b"{\"id\":4,\"vat\":\"DE2\",\"note\":null}\n{\"id\":5,\"tax\":7}\n")
        .await;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![6, 7]))),
        ("duty", Arc::new(Int64Array::from(vec![1, 2]))),
    ];
    bucket.put("d/7.parquet", &parquet(columns)).await;
    for number in 0..5 {
        bucket.put(&format!("d/9{number}.jsonl"), b"{\"id\":1}\n").await;
    }
    let request = ReadRequest::full("d".parse().unwrap());
    let settings = bucket.settings("d/*", json!({}));
    let batches = bucket.read("s3_storage", settings, request).await.unwrap();
    assert_eq!(column(&rows(&batches), "id").len(), 16);
    let losses: Vec<_> = batches.into_iter().flat_map(|it| it.losses).collect();
    let told = |name: &str| {
        let of = format!("the field `{name}` is in no column");
        losses.iter().find(|it| it.what.starts_with(&of)).map(|it| it.records)
    };
    assert_eq!(["vat", "tax", "duty", "note"].map(told), [Some(2), Some(1), Some(2), None]);
}

#[tokio::test]
async fn compressed_objects_are_read_whatever_they_are_called() {
    let bucket = Bucket::create().await;
    bucket.put("z/1.csv.gz", &gzip("id\n1\n").await).await;
    bucket.put("z/2.csv", &zstd("id\n2\n").await).await;
    bucket.put("z/3.jsonl.zst", &zstd("{\"id\":3}").await).await;
    bucket.put("z/4.ndjson", &gzip("{\"id\":4}\n\n{\"id\":5}\r\n").await).await;
    bucket.put_with("z/6.csv", &[("content-encoding", "gzip")], &gzip("id\n6\n").await).await;
    let rows = bucket.rows("z/*", "z").await.unwrap();
    let pairs: BTreeSet<_> = column(&rows, "id")
        .into_iter()
        .zip(column(&rows, "_row"))
        .map(|(id, row)| (id.as_i64().unwrap(), row.as_i64().unwrap()))
        .collect();
    assert_eq!(pairs, [(1, 1), (2, 1), (3, 1), (4, 1), (5, 2), (6, 1)].into());
}

#[tokio::test]
async fn parquet_is_read_group_by_group() {
    let texts = (0..1000).map(|at| (at % 3 != 0).then(|| format!("n{at}")));
    let lists = (0..1000).map(|at| Some([Some(at), None]));
    let times = TimestampMicrosecondArray::from_iter_values((0..1000).map(|at| at * 1_000_000));
    let decimals = Decimal128Array::from_iter_values((0..1000).map(|at| at * 5));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int32Array::from_iter_values(0..1000))),
        ("name", Arc::new(texts.collect::<StringArray>())),
        ("at", Arc::new(times)),
        ("price", Arc::new(decimals.with_precision_and_scale(10, 2).unwrap())),
        ("tags", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists))),
    ];
    let bucket = Bucket::create().await;
    bucket.put("t.parquet", &parquet(columns)).await;
    let request = ReadRequest {
        batch: BatchLimits { rows: 70, bytes: 1024 * 1024 },
        ..ReadRequest::full("t".parse().unwrap())
    };
    let settings = bucket.settings("t.parquet", json!({}));
    let batches = bucket.read("s3_storage", settings, request).await.unwrap();
    assert!(batches.len() >= 1000 / 70 && batches.iter().all(|it| it.records.num_rows() <= 70));
    let rows = rows(&batches);
    assert_eq!(rows.as_array().unwrap().len(), 1000);
    let expect = json!({
        "id": 998, "name": "n998", "at": "1970-01-01T00:16:38Z", "price": "49.90",
        "tags": "[998,null]", "_object": "t.parquet", "_row": 999,
    });
    assert_eq!(rows[998], expect);
    assert_eq!(rows[999].get("name"), None);
}

#[tokio::test]
async fn what_is_new_or_was_written_again_is_read_again() {
    let bucket = Bucket::with(&[("n/1.csv", "id\n1\n2\n"), ("n/2.csv", "id\n3\n")]).await;
    let read = async |after| {
        let settings = bucket.settings("n/*", json!({}));
        let batches = bucket.read("s3_csv", settings, incremental("n", after)).await.unwrap();
        let cursor = batches.last().and_then(|it| it.cursor.clone());
        (rows(&batches), cursor.unwrap())
    };
    let (first, mark) = read(None).await;
    assert_eq!(column(&first, "id"), [1, 2, 3]);
    next_second().await;
    bucket.put("n/0.csv", b"id\n4\n").await;
    next_second().await;
    let (second, later) = read(Some(mark.clone())).await;
    assert!(later > mark);
    assert_eq!(column(&second, "id").last(), Some(&&json!(4)), "the newest comes last: {second}");
    bucket.put("n/1.csv", b"id\n1\n20\n").await;
    let (third, latest) = read(Some(later.clone())).await;
    assert_eq!(column(&third, "id"), [4, 1, 20], "the boundary is read again: {third}");
    assert_eq!(column(&third, "_row"), [1, 1, 2]);
    assert!(latest > later);
}

#[tokio::test]
async fn where_objects_end_is_told_unless_their_records_have_a_key_of_their_own() {
    let bucket = Bucket::with(&[("n/1.csv", "id\n1\n2\n"), ("n/2.csv", "id\n")]).await;
    for (more, expect) in [
        (json!({}), vec![("n/1.csv".to_owned(), 2), ("n/2.csv".to_owned(), 0)]),
        (json!({ "primary_key": ["id"] }), vec![]),
    ] {
        let settings = bucket.settings("n/*", more);
        let batches = bucket.read("s3_csv", settings, incremental("n", None)).await.unwrap();
        let ends = batches.into_iter().flat_map(|it| it.ends);
        assert_eq!(ends.map(|it| (it.group, it.last)).collect::<Vec<_>>(), expect);
    }
}

#[tokio::test]
async fn only_the_time_of_objects_says_what_is_new() {
    let bucket = Bucket::with(&[("n/1.csv", "id\n1\n")]).await;
    for (column, cursor_type) in [("id", CursorType::Int), ("_object_modified", CursorType::Text)] {
        let cursor = CursorSpec { column: column.to_owned(), cursor_type };
        let request = ReadRequest::incremental("n".parse().unwrap(), cursor, None);
        let failure = bucket.read("s3_csv", bucket.settings("n/*", json!({})), request).await;
        assert!(failure.unwrap_err().to_string().starts_with("request: `cursor_column`"));
    }
}

#[tokio::test]
async fn many_small_objects_make_few_batches_in_the_order_of_their_times() {
    let bucket = Bucket::create().await;
    for at in 0..130 {
        bucket.put(&format!("daily/{at:03}.csv"), format!("id\n{at}\n").as_bytes()).await;
    }
    let settings = bucket.settings("daily/*", json!({}));
    let batches = bucket.read("s3_csv", settings.clone(), incremental("daily", None)).await;
    let batches = batches.unwrap();
    assert_eq!(batches.len(), 1);
    let read = rows(&batches);
    assert_eq!(column(&read, "id"), (0..130).collect::<Vec<_>>());
    let small = ReadRequest {
        batch: BatchLimits { rows: 7, bytes: 1024 * 1024 },
        ..incremental("daily", None)
    };
    let batches = bucket.read("s3_csv", settings, small).await.unwrap();
    assert_eq!(batches.len(), 130_usize.div_ceil(7));
    assert!(batches.is_sorted_by_key(|it| it.cursor.clone()));
}

#[tokio::test]
async fn odd_names_lead_to_their_own_object() {
    let keys = [
        "h/a b.csv",
        "h/%2e%2e%2Fx.csv",
        "h/100%.csv",
        "h/naïve/данные.csv",
        "h/..csv",
        "h/a..b/...csv",
        "h/a+b&c=d?e#f.csv",
        "h/\"q'<>\\.csv",
    ];
    let bucket = Bucket::create().await;
    for key in keys {
        bucket.put(key, format!("id\n{key}\n").replace('"', "'").as_bytes()).await;
    }
    let rows = bucket.rows("h/**", "h").await.unwrap();
    let found = rows.as_array().unwrap().iter();
    let found: BTreeSet<_> = found.map(|it| it["_object"].as_str().unwrap()).collect();
    assert_eq!(found, keys.into());
    for row in rows.as_array().unwrap() {
        assert_eq!(row["_object"].as_str().unwrap().replace('"', "'"), row["id"].as_str().unwrap());
    }
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_is_refused_and_told() {
    let bucket = Bucket::with(&[("secret.csv", "id\n1\n")]).await;
    for key in ["x/../secret.csv", "x/./a.csv", "x//a.csv", "x/a.csv "] {
        bucket.put(key, b"id\n2\n").await;
        let settings = bucket.settings("x/**", json!({}));
        let request = ReadRequest::full("x".parse().unwrap());
        let failure = bucket.read("s3_csv", settings, request).await.unwrap_err();
        assert!(matches!(failure, Failure::Refused(_)), "{key}: {failure:?}");
        let says = format!("the object `{key}` cannot be reached");
        assert!(failure.to_string().starts_with(&says), "{failure}");
        bucket.delete(key).await;
    }
}

#[tokio::test]
async fn requests_are_signed_only_with_a_key() {
    let signed = json!({ "access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalr-s3cr3t" });
    for (key, is_signed) in [(json!({}), false), (signed, true)] {
        let answers = Arc::new(Answers::always(Answer::of(403, "")));
        let environment = Environment::new(answers.clone(), Arc::new(OpenHosts));
        let mut settings = json!({ "bucket": "lake", "region": "eu-central-1" });
        for (name, value) in key.as_object().unwrap() {
            settings[name] = value.clone();
        }
        let failure = definition("s3_csv").check(settings, environment).await.unwrap_err();
        assert!(matches!(failure, Failure::Unauthorized), "{failure:?}");
        let seen = answers.seen();
        assert_eq!(seen.len(), 1, "nothing else is asked for a key");
        assert_eq!(seen[0].url.host_str(), Some("s3.eu-central-1.amazonaws.com"));
        assert_eq!(seen[0].headers.contains_key("authorization"), is_signed);
    }
}

#[tokio::test]
async fn a_bucket_that_anybody_may_list_proves_no_credentials_to_write_with() {
    let listed = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    let signed = json!({ "access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalr-s3cr3t" });
    for (key, proof) in [(json!({}), Proof::Reach), (signed, Proof::Credentials)] {
        let answers = Arc::new(Answers::always(Answer::of(200, listed)));
        let environment = Environment {
            direction: Direction::Output,
            ..Environment::new(answers, Arc::new(OpenHosts))
        };
        let mut settings = json!({ "bucket": "lake", "region": "eu-central-1" });
        settings.as_object_mut().unwrap().extend(key.as_object().unwrap().clone());
        let checked = definition("s3_storage").check(settings, environment).await.unwrap();
        assert_eq!(checked.proof, proof, "{}", checked.message);
    }
}

#[tokio::test]
async fn reading_resumes_within_a_time() {
    let bucket = Bucket::with(&[("r/1.csv", "id\n1\n2\n3\n4\n5\n")]).await;
    let limits = BatchLimits { rows: 2, bytes: 1024 * 1024 };
    let request = ReadRequest { batch: limits, ..incremental("r", None) };
    let settings = bucket.settings("r/*", json!({}));
    let batches = bucket.read("s3_csv", settings.clone(), request).await.unwrap();
    assert_eq!(batches.len(), 3);
    let again = bucket.read("s3_csv", settings, incremental("r", batches[0].cursor.clone())).await;
    assert_eq!(rows(&again.unwrap()).as_array().unwrap().len(), 5);
    let request = ReadRequest { mode: ReadMode::Full, ..incremental("r", None) };
    let full = bucket.read("s3_csv", bucket.settings("r/*", json!({})), request).await.unwrap();
    assert!(full.iter().all(|it| it.cursor.is_none()));
}

#[tokio::test]
async fn the_parts_of_a_bucket_have_each_object_once() {
    let object = |number: usize| {
        let row = format!("{number},{}\n", "x".repeat(999));
        format!("id,text\n{}", row.repeat(9_000))
    };
    let bucket = Bucket::with(&[]).await;
    for number in 0..5 {
        bucket.put(&format!("parts/{number}.csv"), object(number).as_bytes()).await;
    }
    let settings = bucket.settings("parts/*.csv", json!({}));
    let definition = definition("s3_csv");
    let stream: linkspan_domain::StreamName = "parts".parse().unwrap();
    let split =
        |settings: Value| definition.split(settings, stream.clone(), 3, bucket.environment.clone());
    let parts = split(settings.clone()).await.unwrap();
    assert_eq!(parts.len(), 3);
    let mut rows = Vec::new();
    for part in parts {
        let request = ReadRequest { filter: vec![part], ..ReadRequest::full(stream.clone()) };
        let read = definition.read(settings.clone(), request, bucket.environment.clone());
        let batches: Vec<linkspan_sdk::Batch> =
            futures_util::TryStreamExt::try_collect(read).await.unwrap();
        rows.push(batches.iter().map(|it| it.records.num_rows()).sum::<usize>());
    }
    assert_eq!(rows.iter().sum::<usize>(), 45_000);
    assert!(rows.iter().all(|it| *it >= 9_000), "{rows:?}");

    let keyed = bucket.settings("parts/*.csv", json!({ "primary_key": ["id"] }));
    assert_eq!(split(keyed).await.unwrap(), [], "of one key the newest object counts");
    let small = bucket.settings("parts/0.csv", json!({}));
    let stream = "0".parse().unwrap();
    assert_eq!(definition.split(small, stream, 3, bucket.environment.clone()).await.unwrap(), []);
}
