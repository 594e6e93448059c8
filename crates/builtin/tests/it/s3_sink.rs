//! Writing into buckets.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, Int64Array, RecordBatch, StringArray, cast::AsArray, types::Int64Type,
};
use linkspan_domain::{
    Direction, Fence, FieldKind, StreamField, StreamSpec, SyncLogId, WorkspaceConnectorId,
};
use linkspan_sdk::{
    BatchWriter, Change, ChangeKind, Environment, Failure, HeldRun, Push, ReadRequest,
    RecordVersion, WriteMode, WriteRequest, arrow_schema, conformance,
};
use linkspan_testkit::journal;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::site::{Bucket, definition};

fn stream(name: &str) -> StreamSpec {
    let field = |name: &str, kind| StreamField { name: name.to_owned(), kind, nullable: true };
    StreamSpec {
        name: name.parse().unwrap(),
        fields: vec![field("id", FieldKind::Integer), field("note", FieldKind::Text)],
        primary_key: Vec::new(),
        cursor_candidates: Vec::new(),
        supports_incremental: false,
    }
}

fn records(stream: &StreamSpec, from: i64, count: i64) -> Change {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(from..from + count));
    // Texts that no encoding makes small.
    let note = |id: i64| format!("{:x}", id.wrapping_mul(-7_046_029_254_386_353_131)).repeat(20);
    let notes: ArrayRef = Arc::new(StringArray::from_iter_values((from..from + count).map(note)));
    Change::Put(RecordBatch::try_new(arrow_schema(stream), vec![ids, notes]).unwrap())
}

fn open(bucket: &Bucket, settings: Value, stream: StreamSpec) -> BatchWriter {
    let request = WriteRequest { stream, mode: WriteMode::Replace, push: None };
    definition("s3_storage").write(settings, request, bucket.environment.clone())
}

/// Settings that write below a prefix.
fn below(bucket: &Bucket, prefix: &str) -> Value {
    let mut settings = bucket.settings("", json!({ "prefix": prefix }));
    settings.as_object_mut().unwrap().remove("path");
    settings
}

#[tokio::test]
async fn a_bucket_keeps_the_contract_of_sinks() {
    let bucket = Bucket::with(&[]).await;
    let subject = conformance::Subject {
        definition: definition("s3_storage"),
        environment: bucket.environment.clone(),
        settings: below(&bucket, "out/"),
        refused: Vec::new(),
        cursors: Vec::new(),
    };
    let read = async |path| {
        let request = ReadRequest::full("crm.people".parse().unwrap());
        match bucket.read("s3_storage", bucket.settings(path, json!({})), request).await {
            Ok(batches) => batches.into_iter().map(|it| it.records).collect(),
            Err(Failure::NotFound(_)) => Vec::new(),
            Err(failure) => panic!("{failure:?}"),
        }
    };
    let held = async || {
        let journal = read("out/crm.people/*.parquet").await;
        let batches = if journal.is_empty() {
            read("out/crm.people.parquet").await
        } else {
            journal::last_of_each(&journal)
        };
        let mut held = Vec::new();
        for batch in batches {
            let ids = batch.column(0).as_primitive::<Int64Type>().values().to_vec();
            let names = batch.column(1).as_string::<i32>();
            held.extend(ids.into_iter().zip(names.iter().map(|it| it.map(str::to_owned))));
        }
        held
    };
    let target = "crm.people".parse().unwrap();
    assert_eq!(conformance::of_sink(&subject, &target, held).await, [""; 0]);
}

#[tokio::test]
async fn a_large_stream_is_sent_in_parts_and_read_back_whole() {
    let bucket = Bucket::with(&[]).await;
    let stream = stream("big");
    let mut writer = open(&bucket, below(&bucket, "deep/er/"), stream.clone());
    for batch in 0..20 {
        writer.send(records(&stream, batch * 10_000, 10_000)).await.unwrap();
    }
    writer.finish().await.unwrap();
    let settings = bucket.settings("deep/er/*.parquet", json!({}));
    let request = ReadRequest::full("er".parse().unwrap());
    let batches = bucket.read("s3_storage", settings, request).await.unwrap();
    let ids = batches.iter().flat_map(|it| {
        assert_eq!(it.records.column(1).null_count(), 0);
        it.records.column(0).as_primitive::<Int64Type>().values().to_vec()
    });
    assert!(ids.eq(0..200_000));
}

#[tokio::test]
async fn to_write_nothing_needs_to_be_there_but_the_bucket() {
    let bucket = Bucket::with(&[("in/people.txt", "Ann")]).await;
    let check = async |direction, settings| {
        let environment = Environment { direction, ..bucket.environment.clone() };
        let checked = definition("s3_storage").check(settings, environment).await;
        checked.map_or_else(|it| it.to_string(), |it| it.message)
    };
    let prefixed = || below(&bucket, "out/");
    let listed = format!("the bucket `{}` can be listed", bucket.name);
    assert_eq!(check(Direction::Output, prefixed()).await, listed);
    let mut gone = prefixed();
    gone["bucket"] = json!("linkspan-no-such-bucket");
    assert!(check(Direction::Output, gone).await.contains("was not found"));

    let mut all = prefixed();
    all.as_object_mut().unwrap().remove("prefix");
    for (settings, words) in [
        (prefixed(), "that begins with `out/` and whose name ends as"),
        (
            bucket.settings("in/*.csv", json!({ "format": "csv" })),
            "that matches `in/*.csv` was not",
        ),
        (all, "that has something in it and whose name ends as"),
    ] {
        let refused = check(Direction::Input, settings).await;
        assert!(refused.contains(words), "{refused}");
    }
}

#[tokio::test]
async fn what_cannot_be_written_is_told() {
    let bucket = Bucket::with(&[]).await;
    for (settings, words) in [
        (bucket.settings("out/*.parquet", json!({})), "is a pattern"),
        (bucket.settings("out/a.csv", json!({ "format": "csv" })), "must be parquet"),
        (bucket.settings("a//b", json!({})), "empty parts"),
        (bucket.settings("a.parquet", json!({ "bucket": "linkspan-no-such-bucket" })), "not found"),
    ] {
        let stream = stream("people");
        let mut writer = open(&bucket, settings, stream.clone());
        let failed = match writer.send(records(&stream, 0, 1)).await {
            Err(failed) => failed,
            Ok(()) => writer.finish().await.unwrap_err(),
        };
        assert!(failed.to_string().contains(words), "{words}: {failed}");
    }
}

#[tokio::test]
async fn what_cannot_be_journaled_is_told() {
    let bucket = Bucket::with(&[]).await;
    for (settings, words) in [
        (bucket.settings("out/people.parquet", json!({})), "so give `prefix`"),
        (below(&bucket, "out//"), "empty parts"),
    ] {
        let run = HeldRun { id: SyncLogId::from_uuid(Uuid::nil()), fence: Fence(1) };
        let push = Push { activation: WorkspaceConnectorId::from_uuid(Uuid::nil()), run };
        let mut stream = stream("people");
        stream.primary_key.push("id".to_owned());
        let request = WriteRequest { stream, mode: WriteMode::Journal, push: Some(push) };
        let stream = request.stream.clone();
        let sink = definition("s3_storage");
        let mut writer = sink.write(settings, request, bucket.environment.clone());
        let (key, kind) = ("0".to_owned(), ChangeKind::Added);
        let versions = vec![RecordVersion { key, kind, begun: 1, generation: 1 }];
        let failed = match writer.push(records(&stream, 0, 1), versions).await {
            Err(failed) => failed,
            Ok(()) => writer.finish().await.unwrap_err(),
        };
        assert!(failed.to_string().contains(words), "{words}: {failed}");
    }
}
