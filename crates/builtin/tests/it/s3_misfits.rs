//! Records of objects that do not fit the columns that a sample of them told.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, StringArray};
use linkspan_domain::{Cursor, CursorType};
use linkspan_sdk::{Batch, BatchLimits, CursorSpec, Misfit, ReadRequest};
use serde_json::{Value, json};

use crate::{
    s3::{gzip, parquet},
    site::{Bucket, rows},
};

/// A bucket of which five old and five new objects tell that `id` and `price` are numbers, and these between them.
async fn with(objects: &[(&str, &[u8])]) -> Bucket {
    let bucket = Bucket::create().await;
    for number in 0..5 {
        bucket.put(&format!("o/0{number}.csv"), b"id,price,note\n1,2.5,x\n").await;
    }
    for (key, body) in objects {
        bucket.put(key, body).await;
    }
    for number in 0..5 {
        bucket.put(&format!("o/9{number}.csv"), b"id,price,note\n1,2.5,x\n").await;
    }
    bucket
}

fn misfits(batches: &[Batch]) -> Vec<Misfit> {
    batches.iter().filter_map(|it| it.unfit.clone()).flat_map(|it| it.misfits).collect()
}

fn payload(misfit: &Misfit) -> Value {
    serde_json::from_str(&misfit.payload).unwrap()
}

/// The numbers and values of the rows of one object.
fn of(batches: &[Batch], object: &str) -> Vec<(i64, Value)> {
    let all = rows(batches);
    let all = all.as_array().unwrap().iter().filter(|it| it["_object"] == object);
    all.map(|it| (it["_row"].as_i64().unwrap(), it["id"].clone())).collect()
}

#[tokio::test]
async fn a_row_with_one_value_unlike_the_sample_is_set_aside_and_the_others_keep_their_numbers() {
    let text = "id,price,note,vat\n1,2,a,\n\n2,free,\"b\nb\",DE1\n3,4,c,\nn/a,5,,\n5,6,e,\n";
    let bucket = with(&[("o/1.csv.gz", &gzip(text).await)]).await;
    let request = ReadRequest::full("o".parse().unwrap());
    let settings = bucket.settings("o/*", json!({}));
    let batches = bucket.read("s3_csv", settings, request).await.unwrap();
    assert_eq!(
        of(&batches, "o/1.csv.gz"),
        [(1, json!(1)), (3, json!(3)), (5, json!(5))],
        "those between have numbers, too"
    );
    let misfits = misfits(&batches);
    let reasons: Vec<_> = misfits.iter().map(Misfit::reason).collect();
    for (reason, says) in reasons.iter().zip([
        "the object `o/1.csv.gz`, line 4: the column `price` is to hold number, as in the files",
        "the object `o/1.csv.gz`, line 7: the column `id` is to hold integer, as in the files",
    ]) {
        assert!(reason.starts_with(says), "{reason}");
    }
    assert_eq!(reasons.len(), 2);
    let expect = json!({
        "_object": "o/1.csv.gz", "_row": 2, "id": "2", "price": "free", "note": "b\nb", "vat": "DE1",
    });
    assert_eq!(payload(&misfits[0]), expect, "all of it, as it stands there");
    assert_eq!(payload(&misfits[1])["note"], "");
}

#[tokio::test]
async fn a_line_of_json_with_one_value_unlike_the_sample_is_set_aside_as_it_stands() {
    let text =
        "{\"id\":1}\n\n{\"id\":2,\"price\":{\"eur\":1.50},\"_row\":9}\n{\"id\":3,\"price\":4}\n";
    let bucket = with(&[("o/1.jsonl", text.as_bytes())]).await;
    let request = ReadRequest::full("o".parse().unwrap());
    let settings = bucket.settings("o/*", json!({}));
    let batches = bucket.read("s3_storage", settings, request).await.unwrap();
    assert_eq!(of(&batches, "o/1.jsonl"), [(1, json!(1)), (3, json!(3))]);
    let misfits = misfits(&batches);
    assert_eq!(misfits.len(), 1);
    let says = "the object `o/1.jsonl`, line 3: the column `price` is to hold number";
    assert!(misfits[0].reason().starts_with(says), "{}", misfits[0].reason());
    let expect = r#"{"_object":"o/1.jsonl","_row":2,"id":2,"price":{"eur":1.50},"_row_2":9}"#;
    assert_eq!(misfits[0].payload, expect);
}

#[tokio::test]
async fn a_row_of_parquet_with_one_value_unlike_the_sample_is_set_aside() {
    let prices = (0..9).map(|it| if it == 4 { "free".to_owned() } else { it.to_string() });
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..9))),
        ("price", Arc::new(StringArray::from_iter_values(prices))),
    ];
    let bucket = with(&[("o/1.parquet", &parquet(columns))]).await;
    let request = ReadRequest {
        batch: BatchLimits { rows: 2, bytes: 1024 * 1024 },
        ..ReadRequest::full("o".parse().unwrap())
    };
    let settings = bucket.settings("o/*", json!({}));
    let batches = bucket.read("s3_storage", settings, request).await.unwrap();
    let read = of(&batches, "o/1.parquet");
    assert_eq!(read.iter().map(|it| it.0).collect::<Vec<_>>(), [1, 2, 3, 4, 6, 7, 8, 9]);
    let misfits = misfits(&batches);
    assert_eq!(misfits.len(), 1);
    let says = "the object `o/1.parquet`, record 5: the column `price` is to hold number";
    assert!(misfits[0].reason().starts_with(says), "{}", misfits[0].reason());
    let expect = json!({ "_object": "o/1.parquet", "_row": 5, "id": 4, "price": "free" });
    assert_eq!(payload(&misfits[0]), expect);
}

#[tokio::test]
async fn what_does_not_fit_keeps_its_key_and_its_place_among_the_others() {
    let bucket = with(&[
        ("o/1.csv", b"id,price\n11,x\n12,2\n13,3\n14,y\n"),
        ("o/2.csv", b"id,price\n21,1\n22,z\n"),
    ])
    .await;
    let column = "_object_modified".to_owned();
    let cursor = CursorSpec { column, cursor_type: CursorType::Timestamp };
    let request = ReadRequest::incremental("o".parse().unwrap(), cursor, None);
    let settings = bucket.settings("o/*", json!({ "primary_key": ["id"] }));
    let batches = bucket.read("s3_csv", settings, request).await.unwrap();
    assert_eq!(batches.len(), 1, "small objects come together");
    assert!(matches!(batches[0].cursor, Some(Cursor::Timestamp(_))));
    let unfit = batches[0].unfit.as_ref().unwrap();
    let aside = Batch::new(unfit.records.clone(), None);
    let aside = rows(&[aside]);
    let aside: Vec<_> = aside.as_array().unwrap().iter().map(|it| it["id"].clone()).collect();
    assert_eq!(aside, [11, 14, 22]);
    let places: Vec<_> = unfit.misfits.iter().map(|it| it.before).collect();
    assert_eq!(places, [5, 7, 8]);
}

#[tokio::test]
async fn nothing_is_unlike_the_sample_where_all_columns_are_text() {
    let bucket = with(&[("o/1.csv", b"id,price\nn/a,free\n")]).await;
    let request = ReadRequest::full("o".parse().unwrap());
    let settings = bucket.settings("o/*", json!({ "column_types": "text" }));
    let batches = bucket.read("s3_csv", settings, request).await.unwrap();
    assert_eq!(misfits(&batches), []);
    assert_eq!(of(&batches, "o/1.csv"), [(1, json!("n/a"))]);
}

#[tokio::test]
async fn many_records_that_do_not_fit_come_a_batch_at_a_time() {
    let text = format!("id,price\n{}", "1,free\n".repeat(100));
    let bucket = with(&[("o/1.csv", text.as_bytes())]).await;
    let limits = BatchLimits { rows: 7, bytes: 1024 * 1024 };
    let request = ReadRequest { batch: limits, ..ReadRequest::full("o".parse().unwrap()) };
    let settings = bucket.settings("o/*", json!({}));
    let batches = bucket.read("s3_csv", settings, request).await.unwrap();
    let sizes = batches
        .iter()
        .map(|it| it.records.num_rows() + it.unfit.as_ref().map_or(0, |unfit| unfit.misfits.len()));
    assert!(sizes.max().unwrap() <= 7);
    assert_eq!(misfits(&batches).len(), 100);
}
