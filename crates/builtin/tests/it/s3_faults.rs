//! What cannot be read of buckets, and how that is told.

use std::sync::Arc;

use arrow_array::Int64Array;
use futures_util::StreamExt;
use linkspan_sdk::{BatchLimits, Environment, Failure, OpenHosts, ReadRequest};
use linkspan_testkit::{Answer, Answers};
use serde_json::json;

use crate::{
    s3::{gzip, parquet},
    site::{Bucket, definition},
};

#[tokio::test]
async fn a_damaged_object_is_named() {
    let ids = Arc::new(Int64Array::from_iter_values(0..1000));
    let whole = parquet(vec![("id", ids)]);
    let mut spoilt = whole.clone();
    spoilt[4..400].fill(0xff);
    let packed = gzip(&format!("id\n{}", "1\n".repeat(100_000))).await;
    for (key, body, line) in [
        ("b/1.csv", b"id,name\n1,x\n2\n".to_vec(), " at line 3"),
        ("b/1.csv", b"id\n\xff\xfe\n".to_vec(), " at line 2"),
        ("b/1.csv.gz", packed[..packed.len() - 20].to_vec(), ""),
        ("b/1.jsonl", b"{\"id\":1}\n\n[1]\n".to_vec(), " at line 3"),
        ("b/1.jsonl", b"{\"id\":1}\n{\"id\":".to_vec(), " at line 2"),
        ("b/1.parquet", whole[..whole.len() - 9].to_vec(), ""),
        ("b/1.parquet", spoilt, ""),
        ("b/1.parquet", b"PAR1".to_vec(), ""),
    ] {
        let bucket = Bucket::create().await;
        bucket.put(key, &body).await;
        let failure = bucket.rows("b/*", "b").await.unwrap_err();
        assert_eq!(failure.code(), "source.malformed", "{key}: {failure:?}");
        let says = format!("the object `{key}` cannot be read{line}: ");
        assert!(failure.to_string().starts_with(&says), "{failure}");
    }
}

#[tokio::test]
async fn an_object_that_changes_while_the_stream_is_read_is_told() {
    let bucket = Bucket::with(&[("c/1.csv", &format!("id\n{}", "1\n".repeat(100)))]).await;
    bucket.put("c/2.csv", b"id\n2\n").await;
    let limits = BatchLimits { rows: 2, bytes: 1024 * 1024 };
    let request = ReadRequest { batch: limits, ..ReadRequest::full("c".parse().unwrap()) };
    let settings = bucket.settings("c/*", json!({}));
    let mut read = definition("s3_csv").read(settings, request, bucket.environment.clone());
    read.next().await.unwrap().unwrap();
    bucket.put("c/2.csv", b"id\n3\n").await;
    let mut last = None;
    while let Some(batch) = read.next().await {
        last = Some(batch);
    }
    let failure = last.unwrap().unwrap_err().to_string();
    let says = "the object `c/2.csv` cannot be read: it changed while it was read; read it again";
    assert_eq!(failure, says);
}

#[tokio::test]
async fn an_object_beyond_the_limit_is_refused_as_it_lies_there_and_uncompressed() {
    let bucket = Bucket::create().await;
    bucket.put("l/1.csv.gz", &gzip(&format!("id\n{}", "1\n".repeat(100_000))).await).await;
    for (limit, fits) in [(200_003, true), (200_002, false), (100, false)] {
        let settings = bucket.settings("l/*", json!({ "max_object_bytes": limit }));
        let request = ReadRequest::full("l".parse().unwrap());
        match bucket.read("s3_csv", settings, request).await {
            Ok(_) => assert!(fits),
            Err(Failure::TooLarge { limit: said, .. }) => assert!(!fits && said == limit),
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_the_system_refuses_has_its_own_failure() {
    let error = |status, code: &str| {
        let body = format!("<Error><Code>{code}</Code><Message>AKIDEXAMPLE</Message></Error>");
        Answer::of(status, body)
    };
    for (answer, code) in [
        (error(403, "InvalidAccessKeyId"), "source.unauthorized"),
        (error(403, "SignatureDoesNotMatch"), "source.unauthorized"),
        (error(400, "ExpiredToken"), "source.unauthorized"),
        (error(404, "NoSuchBucket"), "source.not_found"),
        (error(400, "AuthorizationHeaderMalformed"), "source.invalid"),
        (error(301, "PermanentRedirect"), "source.invalid"),
        (error(503, "SlowDown"), "source.rate_limited"),
        (error(500, "InternalError"), "source.unavailable"),
        (error(400, "InvalidArgument"), "source.refused"),
        (Answer::of(200, "<ListBucketResult"), "source.unavailable"),
        (Answer::Refused, "source.refused"),
        (Answer::Unreachable, "source.unavailable"),
    ] {
        let answers = Arc::new(Answers::always(answer.clone()));
        let environment = Environment::new(answers, Arc::new(OpenHosts));
        let settings = json!({
            "bucket": "lake", "access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalr-s3cr3t",
            "session_token": "t0k3n-s3cr3t",
        });
        let failure = definition("s3_csv").check(settings, environment).await.unwrap_err();
        assert_eq!(failure.code(), code, "{answer:?}");
        let said = format!("{failure} {failure:?}");
        for secret in ["s3cr3t", "AKID", "X-Amz", "Signature="] {
            assert!(!said.contains(secret), "{said}");
        }
    }
}
