//! Records that do not fit the columns of their stream.

use std::sync::Arc;

use arrow_array::{RecordBatch, StringArray};
use futures_util::FutureExt;
use linkspan_domain::{Cursor, Deleted, DiagnosticReason, RunEnd, SchemaPolicy, SyncMode};
use linkspan_sdk::{
    Batch, BatchSink, Definition, Failure, Misfit, QuarantineQuery, Quarantined, ReadMode,
    ReadRequest, Unfit,
};
use serde_json::{Value, json};

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
    /// Its `text` is a number.
    Garbled(Item),
}

use Row::{Fits, Garbled, Odd};

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
                Fits(item) | Garbled(item) if item.at.is_some() && item.at < after => {}
                Fits(item) => fitting.push(item.clone()),
                Odd(item, at) => {
                    let payload = json!({ "id": item.id, "at": at, "text": item.text });
                    misfits.push(misfit(fitting.len(), &payload, WHAT, nth * 4 + place));
                    unfit.push((Item { at: None, ..item.clone() }, Some(item.text.as_str())));
                }
                Garbled(item) => {
                    let payload = json!({ "id": item.id, "at": item.at, "text": 5 });
                    let what = "the column `text` is to hold text";
                    misfits.push(misfit(fitting.len(), &payload, what, nth * 4 + place));
                    unfit.push((item.clone(), None));
                }
            }
        }
        let mark = fitting.iter().filter_map(|it| it.at).max();
        let mark = mark.filter(|_| request.mode != ReadMode::Full);
        let unfit = (!unfit.is_empty()).then(|| Unfit { records: with_texts(&unfit), misfits });
        let mark = mark.map(Cursor::Int);
        out.send(Batch { unfit, ..Batch::new(batch(&fitting), mark) }).await?;
    }
    Ok(())
}

fn misfit(before: usize, payload: &Value, what: &str, row: usize) -> Misfit {
    let place = format!("the file, line {}", row + 1);
    Misfit { before, payload: payload.to_string(), what: what.to_owned(), place }
}

fn with_texts(rows: &[(Item, Option<&str>)]) -> RecordBatch {
    let items: Vec<_> = rows.iter().map(|it| it.0.clone()).collect();
    let records = batch(&items);
    let mut columns = records.columns().to_vec();
    columns[2] = Arc::new(rows.iter().map(|it| it.1).collect::<StringArray>());
    RecordBatch::try_new(records.schema(), columns).unwrap()
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
        let last: Value = serde_json::from_str(live[9].payload.get()).unwrap();
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
            let payload: Value = serde_json::from_str(payload).unwrap();
            assert_eq!(payload["id"], id, "{ids:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_kept_aside_before_is_no_news_to_the_next_run() {
    for_both(|url| async move {
        let garbled =
            |from: i64, at| (from..from + 8).map(move |id| Garbled(Item::new(id, Some(at), "it")));
        let mut all = rows(30, &[]);
        all.extend(garbled(30, 29));
        let bench = Bench::new(&url, source(all.clone())).await;
        for run in ["the first", "the second", "the third"] {
            let outcome = bench.sync(SyncMode::Incremental).await;
            assert_eq!((outcome.end, outcome.counts.quarantined), (RunEnd::Clean, 8), "{run}");
        }
        all.extend(garbled(40, 31));
        bench.serve(source(all));
        let outcome = bench.sync(SyncMode::Incremental).await;
        assert_eq!(outcome.error.unwrap().0, "sync.too_many_quarantined");
    })
    .await;
}

#[tokio::test]
async fn a_filter_holds_of_records_that_do_not_fit_as_far_as_it_can_be_told() {
    for_both(|url| async move {
        let bench = Bench::new(&url, source(rows(4, &[]))).await;
        bench.filter(&json!({ "at": { "_lt": 50 }, "text": { "_nlike": "%secret%" } }));
        bench.sync(SyncMode::Incremental).await;

        let item = |id, at| Item::new(id, Some(at), "it");
        bench.serve(source(vec![
            Garbled(item(0, 40)),
            Garbled(item(1, 60)),
            Odd(item(2, 40), "soon"),
            Odd(Item::new(3, None, "a secret"), "soon"),
        ]));
        let counts = bench.sync(SyncMode::Incremental).await.counts;
        assert_eq!((counts.quarantined, counts.deleted), (2, 2));
        assert_eq!(bench.keys_aside().await, ["0", "2"], "the others do not pass");
        assert_eq!(bench.records("items", Deleted::Hidden).await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn of_records_with_one_key_one_that_does_not_fit_counts_in_its_place() {
    for_both(|url| async move {
        let item = |id, at, text| Item::new(id, Some(at), text);
        let all = (0..3).map(|id| Fits(item(id, 1, "old"))).collect();
        let bench = Bench::new(&url, source(all)).await;
        bench.filter(&json!({ "at": { "_lt": 50 } }));
        bench.sync(SyncMode::Incremental).await;

        bench.serve(source(vec![
            Odd(item(0, 2, "odd"), "soon"),
            Fits(item(0, 60, "does not pass")),
            Odd(item(1, 2, "odd"), "soon"),
            Fits(item(1, 2, "new")),
            Fits(item(2, 2, "new")),
            Odd(item(2, 2, "odd"), "soon"),
            Fits(item(3, 3, "x")),
            Fits(item(4, 3, "x")),
            // In another batch.
            Fits(item(2, 2, "newer")),
        ]));
        for mode in [SyncMode::Incremental, SyncMode::Full] {
            bench.sync(mode).await;
            let live = bench.records("items", Deleted::Hidden).await;
            let texts = live.iter().map(|it| {
                let payload: Value = serde_json::from_str(it.payload.get()).unwrap();
                (it.key.clone(), payload["text"].as_str().unwrap().to_owned())
            });
            let texts: Vec<_> = texts.filter(|it| it.1 != "x").collect();
            let expected = [("1", "new"), ("2", "newer")];
            assert_eq!(texts, expected.map(|(key, text)| (key.to_owned(), text.to_owned())));
            assert_eq!(bench.keys_aside().await, [""; 0], "{mode}");
        }
        bench.serve(source(vec![Fits(item(1, 2, "newest")), Odd(item(1, 2, "odd"), "soon")]));
        bench.sync(SyncMode::Incremental).await;
        assert_eq!(bench.keys_aside().await, ["1"]);
        let live = bench.records("items", Deleted::Hidden).await;
        assert!(live[0].payload.get().contains("\"new\""), "as it was: {}", live[0].payload);
    })
    .await;
}
