//! Streams, and parts of large ones, that are read side by side.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use linkspan_domain::{Condition, Deleted, RunEnd, SyncMode};
use linkspan_sdk::{Definition, Failure, ReadRequest};

use crate::{
    bench::{Bench, LIMITS, for_both},
    made_up::{numbered, send, spec, split, thirds},
};

/// What the reads of a source do.
#[derive(Default)]
struct Reads {
    now: AtomicUsize,
    most: AtomicUsize,
    /// How many there are to be at a time.
    together: usize,
    /// How often each was begun, by what it is filtered by.
    begun: Mutex<BTreeMap<String, usize>>,
    /// Which of them fails the first time it is begun.
    weak: Option<usize>,
}

fn source(
    reads: Arc<Reads>,
    streams: &'static [&'static str],
    parts: Vec<Condition>,
) -> Definition {
    let read = move |request: ReadRequest, mut out| {
        let reads = Arc::clone(&reads);
        async move {
            let now = reads.now.fetch_add(1, Ordering::SeqCst) + 1;
            reads.most.fetch_max(now, Ordering::SeqCst);
            let times = {
                let mut begun = reads.begun.lock().unwrap();
                let times = begun.entry(format!("{:?}", request.filter)).or_default();
                *times += 1;
                *times
            };
            // Until as many read as may; more would come in the meantime.
            for _ in 0..100 {
                tokio::time::sleep(Duration::from_millis(50)).await;
                if reads.most.load(Ordering::SeqCst) >= reads.together {
                    break;
                }
            }
            let is_weak = reads.weak.is_some_and(|it| request.filter == thirds(10, 20)[it..=it]);
            let sent = send(numbered(0..30), &request, 3, &mut out).await;
            reads.now.fetch_sub(1, Ordering::SeqCst);
            if is_weak && times == 1 {
                return Err(Failure::unavailable("the system", "it fell over"));
            }
            sent
        }
        .boxed()
    };
    split(Arc::new(|| Ok(streams.iter().copied().map(spec).collect())), Arc::new(read), parts)
}

#[tokio::test]
async fn the_parts_of_a_full_load_are_read_side_by_side() {
    for_both(|url| async move {
        let reads = Arc::new(Reads { together: LIMITS.reads, ..Reads::default() });
        let bench = Bench::new(&url, source(Arc::clone(&reads), &["items"], thirds(10, 20))).await;
        let done = bench.sync(SyncMode::Full).await;
        assert_eq!((done.end, done.counts.read, done.counts.written), (RunEnd::Clean, 30, 30));
        assert_eq!(reads.most.load(Ordering::SeqCst), bench.engine.limits.reads);
        assert_eq!(bench.records("items", Deleted::Hidden).await.len(), 30);

        let again = bench.sync(SyncMode::Full).await;
        assert_eq!((again.counts.unchanged, again.counts.deleted), (30, 0));
        let incremental = bench.sync(SyncMode::Incremental).await;
        assert_eq!(incremental.end, RunEnd::Clean);
        let begun = reads.begun.lock().unwrap();
        assert_eq!(begun.len(), 4, "three parts, and once all of it: {begun:?}");
    })
    .await;
}

#[tokio::test]
async fn what_was_read_of_a_load_that_broke_off_is_not_read_again() {
    for_both(|url| async move {
        let reads = Arc::new(Reads { weak: Some(2), ..Reads::default() });
        let mut bench =
            Bench::new(&url, source(Arc::clone(&reads), &["items"], thirds(10, 20))).await;
        bench.engine.limits.reads = 1;
        let done = bench.sync(SyncMode::Full).await;
        assert_eq!(done.end, RunEnd::Clean);
        assert_eq!(bench.records("items", Deleted::Hidden).await.len(), 30);
        let begun = reads.begun.lock().unwrap();
        assert_eq!(begun.values().sum::<usize>(), 4, "{begun:?}");
    })
    .await;
}

#[tokio::test]
async fn streams_are_read_side_by_side_but_not_all_at_once() {
    for_both(|url| async move {
        let reads = Arc::new(Reads { together: LIMITS.reads, ..Reads::default() });
        let streams = &["one", "two", "three", "four"];
        let bench = Bench::new(&url, source(Arc::clone(&reads), streams, Vec::new())).await;
        let done = bench.sync(SyncMode::Full).await;
        assert_eq!((done.end, done.counts.written), (RunEnd::Clean, 120));
        assert_eq!(reads.most.load(Ordering::SeqCst), bench.engine.limits.reads);
        for stream in streams {
            assert_eq!(bench.records(stream, Deleted::Hidden).await.len(), 30);
        }
    })
    .await;
}
