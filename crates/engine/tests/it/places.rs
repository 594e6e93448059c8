//! What was taken of one place, or under one filter, is not used for another.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt, future::pending};
use linkspan_domain::{Deleted, DiagnosticReason, RunEnd, SyncMode};
use linkspan_sdk::{Definition, ReadRequest};
use serde_json::json;

use crate::{
    bench::{Bench, for_both},
    made_up::{definition, halting, items, numbered, send, spec},
};

#[tokio::test]
async fn another_place_is_read_in_full_and_gets_a_mark_of_its_own() {
    for_both(|url| async move {
        let bench = Bench::new(&url, items(&["items"], numbered(0..25))).await;
        bench.point_at("one");
        bench.sync(SyncMode::Incremental).await;
        assert_eq!(bench.mark("items").await.as_deref(), Some("24"));

        bench.point_at("two");
        bench.serve(items(&["items"], numbered(0..10)));
        let counts = bench.sync(SyncMode::Incremental).await.counts;
        assert_eq!((counts.unchanged, counts.deleted), (10, 15));
        assert_eq!(bench.noted().await[0].0, DiagnosticReason::PlaceChanged);
        assert_eq!(bench.mark("items").await, None, "the mark was one of the first place");

        bench.serve(items(&["items"], numbered(0..12)));
        let counts = bench.sync(SyncMode::Incremental).await.counts;
        assert_eq!((counts.written, counts.deleted), (2, 0));
        assert_eq!(bench.mark("items").await.as_deref(), Some("11"));
        let again = bench.sync(SyncMode::Incremental).await.counts;
        assert_eq!(again.read, 1, "from the mark on");
        assert_eq!(bench.noted().await.len(), 1, "once is enough");
    })
    .await;
}

#[tokio::test]
async fn a_full_load_that_is_taken_over_under_another_filter_begins_anew() {
    for_both(|url| async move {
        let (source, reached, _go_on) = halting();
        let bench = Bench::new(&url, source).await;
        let id = bench.start(SyncMode::Full, &[]).await;
        let happened = async {
            reached.notified().await;
            bench.written(id, 6).await;
        };
        bench.give_back(id, happened).await;

        bench.filter(&json!({ "id": { "_gte": 6 } }));
        bench.serve(items(&["items"], numbered(0..12)));
        let outcome = bench.finish(id).await;
        assert_eq!(outcome.end, RunEnd::Clean);
        let kept = bench.records("items", Deleted::Shown).await;
        let keys: Vec<_> = kept.iter().map(|it| it.key.as_str()).collect();
        assert_eq!(keys, ["10", "11", "6", "7", "8", "9"]);
    })
    .await;
}

/// Two streams, of which the second hangs the first time it is read; and how often the first was read.
fn half_stuck() -> (Definition, Arc<AtomicUsize>) {
    let (firsts, seconds) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
    let read = {
        let firsts = Arc::clone(&firsts);
        move |request: ReadRequest, mut out| {
            let is_first = request.stream.as_str() == "one";
            let reads = if is_first { &*firsts } else { &seconds };
            let before = reads.fetch_add(1, Ordering::SeqCst);
            async move {
                if !is_first && before == 0 {
                    return pending().await;
                }
                send(numbered(0..5), &request, 3, &mut out).await
            }
            .boxed()
        }
    };
    (definition(Arc::new(|| Ok(vec![spec("one"), spec("two")])), Arc::new(read)), firsts)
}

#[tokio::test]
async fn a_stream_that_a_run_has_read_is_not_read_again_by_its_next_worker() {
    for_both(|url| async move {
        let (source, reads) = half_stuck();
        let bench = Bench::new(&url, source).await;
        let id = bench.start(SyncMode::Full, &[]).await;
        let happened = async {
            while bench.state("one").await.and_then(|it| it.loaded_by) != Some(id) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        bench.give_back(id, happened).await;

        let outcome = bench.finish(id).await;
        assert_eq!((outcome.end, outcome.counts.read), (RunEnd::Clean, 10));
        assert_eq!(reads.load(Ordering::SeqCst), 1);
        bench.sync(SyncMode::Full).await;
        assert_eq!(reads.load(Ordering::SeqCst), 2, "another run reads it");
    })
    .await;
}
