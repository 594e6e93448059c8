//! Records that do not fit the columns of their stream.

use std::sync::Arc;

use futures_util::FutureExt;
use linkspan_domain::{Cursor, Deleted, DiagnosticReason, RunEnd, SchemaPolicy, SyncMode};
use linkspan_sdk::{
    Batch, BatchSink, Definition, Failure, Misfit, QuarantineQuery, Quarantined, ReadMode,
    ReadRequest, Unfit,
};
use serde_json::json;

use crate::{
    bench::{Bench, for_both, on_sqlite},
    made_up::{Item, batch, definition, numbered, spec},
};

/// A row of a source in which `at` is a number, most of the time.
#[derive(Clone)]
enum Row {
    Fits(Item),
    /// Its `at` is this text.
    Odd(Item, &'static str),
}

use Row::{Fits, Odd};

const WHAT: &str = "the column `at` is to hold integer";

/// Rows with the numbers from 0 to `count`, all of which fit but those called `odd`.
fn rows(count: i64, odd: &[i64]) -> Vec<Row> {
    let row = |it: Item| if odd.contains(&it.id) { Odd(it, "soon") } else { Fits(it) };
    numbered(0..count).into_iter().map(row).collect()
}

/// A source of these rows, which reads odd ones each time.
fn source(rows: Vec<Row>) -> Definition {
    let read = move |request: ReadRequest, mut out: BatchSink| {
        let rows = rows.clone();
        async move { send(&rows, &request, &mut out).await }.boxed()
    };
    definition(Arc::new(|| Ok(vec![spec("items")])), Arc::new(read))
}

async fn send(rows: &[Row], request: &ReadRequest, out: &mut BatchSink) -> Result<(), Failure> {
    let after = match &request.mode {
        ReadMode::Full => None,
        ReadMode::Incremental { after, .. } => after.as_ref().map(ToString::to_string),
    };
    let after = after.map(|it| it.parse::<i64>().unwrap());
    for (nth, rows) in rows.chunks(4).enumerate() {
        let (mut fitting, mut unfit, mut misfits) = (Vec::new(), Vec::new(), Vec::new());
        for (place, row) in rows.iter().enumerate() {
            match row {
                Fits(item) if item.at.is_some() && item.at < after => {}
                Fits(item) => fitting.push(item.clone()),
                Odd(item, at) => {
                    misfits.push(Misfit {
                        before: fitting.len(),
                        payload: json!({ "id": item.id, "at": at, "text": item.text }).to_string(),
                        what: WHAT.to_owned(),
                        place: format!("the file, line {}", nth * 4 + place + 1),
                    });
                    unfit.push(Item { at: None, ..item.clone() });
                }
            }
        }
        let mark = fitting.iter().filter_map(|it| it.at).max();
        let mark = mark.filter(|_| request.mode != ReadMode::Full);
        let unfit = (!unfit.is_empty()).then(|| Unfit { records: batch(&unfit), misfits });
        let mark = mark.map(Cursor::Int);
        out.send(Batch { unfit, ..Batch::new(batch(&fitting), mark) }).await?;
    }
    Ok(())
}

impl Bench {
    async fn aside(&self) -> Vec<Quarantined> {
        let query = QuarantineQuery {
            activation: self.activation.id,
            stream: "items".parse().unwrap(),
            after: None,
            limit: 100,
        };
        self.engine.records.quarantined(&query).await.unwrap()
    }

    async fn keys_aside(&self) -> Vec<String> {
        self.aside().await.into_iter().filter_map(|it| it.key).collect()
    }

    /// What was noticed for `reason`.
    async fn noticed_for(&self, reason: DiagnosticReason) -> Vec<String> {
        let all = self.noted().await.into_iter();
        all.filter(|it| it.0 == reason).map(|it| it.1).collect()
    }
}

#[tokio::test]
async fn a_record_that_does_not_fit_is_kept_aside_as_it_stands_and_the_rest_is_read() {
    for_both(|url| async move {
        let bench = Bench::new(&url, source(rows(30, &[7, 20]))).await;
        let outcome = bench.sync(SyncMode::Incremental).await;
        let counts = outcome.counts;
        assert_eq!((outcome.end, counts.written, counts.quarantined), (RunEnd::Clean, 28, 2));
        assert_eq!((counts.read, bench.mark("items").await.as_deref()), (30, Some("29")));
        let aside = bench.aside().await;
        let told: Vec<_> =
            aside.iter().map(|it| (it.key.as_deref().unwrap(), it.reason.as_str())).collect();
        assert_eq!(
            told,
            [
                ("7", "the file, line 8: the column `at` is to hold integer"),
                ("20", "the file, line 21: the column `at` is to hold integer"),
            ]
        );
        assert_eq!(aside[0].payload, r#"{"id":7,"at":"soon","text":"item 7"}"#);
        let noticed = bench.noticed_for(DiagnosticReason::RecordsQuarantined).await;
        assert_eq!(noticed, [format!("2 records: {WHAT}")], "once, however many there are");
    })
    .await;
}

#[tokio::test]
async fn a_record_that_was_kept_aside_is_let_go_once_it_fits() {
    for_both(|url| async move {
        let bench = Bench::new(&url, source(rows(30, &[7, 20]))).await;
        bench.sync(SyncMode::Incremental).await;

        let mut other = rows(30, &[7, 20]);
        let Odd(_, at) = &mut other[7] else { panic!("it is odd") };
        *at = "late";
        bench.serve(source(other));
        bench.sync(SyncMode::Incremental).await;
        let aside = bench.aside().await;
        let payloads = aside.iter().filter(|it| it.payload.contains("late")).count();
        assert_eq!((aside.len(), payloads), (2, 1), "only how it is now: {aside:?}");

        let mut mended = rows(30, &[20]);
        mended[7] = Fits(Item::new(7, Some(30), "item 7, mended"));
        bench.serve(source(mended));
        bench.sync(SyncMode::Incremental).await;
        assert_eq!(bench.keys_aside().await, ["20"]);
        assert_eq!(bench.records("items", Deleted::Hidden).await.len(), 29);

        bench.serve(source(rows(30, &[])));
        bench.sync(SyncMode::Full).await;
        assert_eq!(bench.keys_aside().await, [""; 0]);
        assert_eq!(bench.records("items", Deleted::Hidden).await.len(), 30);
    })
    .await;
}

#[tokio::test]
async fn a_record_that_fits_no_more_stays_as_it_was() {
    for_both(|url| async move {
        let bench = Bench::new(&url, source(rows(30, &[]))).await;
        bench.sync(SyncMode::Full).await;
        bench.serve(source(rows(30, &[3])));
        for mode in [SyncMode::Full, SyncMode::Incremental] {
            let counts = bench.sync(mode).await.counts;
            assert_eq!((counts.deleted, counts.quarantined), (0, 1), "{mode}");
            assert_eq!(bench.records("items", Deleted::Hidden).await.len(), 30);
        }
    })
    .await;
}

#[tokio::test]
async fn a_stream_of_which_most_does_not_fit_is_no_success() {
    for_both(|url| async move {
        let bench = Bench::new(&url, source(rows(2, &[]))).await;
        bench.sync(SyncMode::Full).await;
        let most = [0, 1, 2, 3, 4, 5];
        bench.serve(source(rows(10, &most)));
        for mode in [SyncMode::Full, SyncMode::Incremental] {
            let outcome = bench.sync(mode).await;
            assert_eq!(outcome.error.unwrap().0, "sync.too_many_quarantined", "{mode}");
            assert_eq!(bench.mark("items").await, None, "the next run is to read them again");
            assert_eq!(bench.keys_aside().await.len(), 6);
        }
        bench.serve(source(rows(12, &most)));
        assert_eq!(bench.sync(SyncMode::Full).await.end, RunEnd::Clean, "half is not most");
    })
    .await;
}

#[tokio::test]
async fn a_policy_says_whether_the_value_or_the_record_is_left_out() {
    on_sqlite(|url| async move {
        let bench = Bench::new(&url, source(rows(8, &[]))).await;
        bench.sync(SyncMode::Full).await;
        bench.serve(source(rows(10, &[3, 9])));
        bench.set(|it| it.schema_policy = SchemaPolicy::DiscardRow).await;
        let counts = bench.sync(SyncMode::Full).await.counts;
        assert_eq!((counts.read, counts.quarantined, counts.deleted), (8, 0, 0));
        let live = bench.records("items", Deleted::Hidden).await;
        assert_eq!(live.len(), 9, "what was there stays, what is new does not come");
        let noticed = bench.noticed_for(DiagnosticReason::RowsDiscarded).await;
        assert_eq!(noticed, [format!("2 records: {WHAT}")]);

        bench.set(|it| it.schema_policy = SchemaPolicy::DiscardValue).await;
        let counts = bench.sync(SyncMode::Full).await.counts;
        assert_eq!((counts.read, counts.quarantined), (10, 0));
        let live = bench.records("items", Deleted::Hidden).await;
        let last: serde_json::Value = serde_json::from_str(live[9].payload.get()).unwrap();
        assert_eq!(last, json!({ "id": 9, "at": null, "text": "item 9" }));
        let noticed = bench.noticed_for(DiagnosticReason::ValuesDiscarded).await;
        assert_eq!(noticed, [format!("2 records: {WHAT}")]);
        assert_eq!(bench.aside().await, []);
    })
    .await;
}

#[tokio::test]
async fn of_several_records_with_one_key_the_last_counts_whether_all_its_values_fit_or_not() {
    on_sqlite(|url| async move {
        let item = |id, text| Item::new(id, Some(id), text);
        let all = vec![
            Fits(item(1, "a")),
            Odd(item(2, "a"), "soon"),
            Fits(item(3, "a")),
            Fits(item(4, "b")),
            Odd(item(5, "c"), "soon"),
            Odd(item(6, "b"), "soon"),
        ];
        let bench = Bench::new(&url, source(all)).await;
        bench
            .set(|it| {
                it.schema_policy = SchemaPolicy::DiscardValue;
                it.primary_key = vec!["text".to_owned()];
            })
            .await;
        bench.sync(SyncMode::Full).await;
        let live = bench.records("items", Deleted::Hidden).await;
        let ids: Vec<_> = live.iter().map(|it| it.payload.get().to_owned()).collect();
        assert_eq!(live.len(), 3);
        for (payload, id) in ids.iter().zip([3, 6, 5]) {
            let payload: serde_json::Value = serde_json::from_str(payload).unwrap();
            assert_eq!(payload["id"], id, "{ids:?}");
        }
    })
    .await;
}
