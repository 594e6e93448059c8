//! What becomes of runs, whatever their source does.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use linkspan_domain::{
    Deleted, RunEnd, RunStatus, Status, StreamSettings, SyncMode, ports::Change,
};
use linkspan_engine::{Ended, RunEvent, Stop};
use linkspan_sdk::{Definition, Failure};
use linkspan_testkit::fixtures::receipt;

use crate::{
    bench::{Bench, for_both, on_sqlite, settings},
    made_up::{Item, definition, halting, items, numbered, send, spec},
};

/// A source that fails so, after the first `sent` items.
fn failing(sent: i64, failure: impl Fn() -> Failure + Send + Sync + Clone + 'static) -> Definition {
    let read = move |request, mut out| {
        let failure = failure.clone();
        async move {
            send(numbered(0..sent), &request, 3, &mut out).await?;
            Err(failure())
        }
        .boxed()
    };
    definition(Arc::new(|| Ok(vec![spec("items")])), Arc::new(read))
}

fn away() -> Failure {
    Failure::Unavailable { system: "the sea".to_owned(), source: None }
}

#[tokio::test]
async fn a_full_sync_brings_everything_in_and_buries_what_went() {
    for_both(|url| async move {
        let bench = Bench::new(&url, items(&["a", "b"], numbered(0..25))).await;
        let outcome = bench.sync(SyncMode::Full).await;
        assert_eq!((outcome.end, outcome.counts.written), (RunEnd::Clean, 50));
        assert_eq!(bench.records("b", Deleted::Hidden).await.len(), 25);
        assert_eq!(bench.status().await, Status::Enabled);

        bench.serve(items(&["a", "b"], numbered(5..26)));
        let counts = bench.sync(SyncMode::Full).await.counts;
        assert_eq!(
            (counts.read, counts.written, counts.unchanged, counts.deleted),
            (42, 2, 40, 10)
        );
        assert_eq!(bench.records("a", Deleted::Hidden).await.len(), 21);
        assert_eq!(bench.records("a", Deleted::Shown).await.len(), 26);
    })
    .await;
}

#[tokio::test]
async fn a_run_tells_what_it_does() {
    on_sqlite(|url| async move {
        let bench = Bench::new(&url, items(&["a"], numbered(0..25))).await;
        let outcome = bench.sync(SyncMode::Incremental).await;
        let told = bench.told.0.lock().unwrap();
        let stream = "a".parse().unwrap();
        assert_eq!(
            told[0],
            RunEvent::Started { mode: SyncMode::Incremental, streams: vec!["a".parse().unwrap()] }
        );
        assert_eq!(told[1], RunEvent::StreamStarted { stream });
        let reads: Vec<_> = told
            .iter()
            .filter_map(|it| match it {
                RunEvent::Advanced { counts, mark, .. } => {
                    Some((counts.read, mark.clone().unwrap()))
                }
                _ => None,
            })
            .collect();
        assert_eq!(reads, [(12, "11".to_owned()), (24, "23".to_owned()), (25, "24".to_owned())]);
        let [.., RunEvent::StreamFinished { counts, .. }, RunEvent::Ended { status, .. }] =
            &told[..]
        else {
            panic!("{told:?}")
        };
        assert_eq!((*counts, *status), (outcome.counts, RunStatus::Success));
    })
    .await;
}

#[tokio::test]
async fn an_incremental_sync_loses_nothing_at_the_boundary() {
    for_both(|url| async move {
        let first = vec![
            Item::new(1, Some(10), "one"),
            Item::new(2, Some(20), "two"),
            Item::new(3, Some(20), "three"),
            Item::new(4, None, "four"),
        ];
        let bench = Bench::new(&url, items(&["a"], first.clone())).await;
        let counts = bench.sync(SyncMode::Incremental).await.counts;
        assert_eq!((counts.read, counts.written), (4, 4));
        assert_eq!(bench.mark("a").await.as_deref(), Some("20"));

        // One came late with the same value, one without any changed, one is older than the mark.
        let mut second = first;
        second.extend([Item::new(5, Some(20), "five"), Item::new(6, Some(19), "lost in the past")]);
        second[3].text = "four, again".to_owned();
        bench.serve(items(&["a"], second));
        let counts = bench.sync(SyncMode::Incremental).await.counts;
        assert_eq!((counts.read, counts.written, counts.unchanged, counts.deleted), (4, 2, 2, 0));
        assert_eq!(bench.texts("a").await, ["one", "two", "three", "four, again", "five"]);

        let counts = bench.sync(SyncMode::Incremental).await.counts;
        assert_eq!((counts.written, counts.unchanged), (0, 4));
        assert_eq!(bench.mark("a").await.as_deref(), Some("20"));
    })
    .await;
}

#[tokio::test]
async fn the_first_incremental_sync_starts_where_the_settings_say() {
    on_sqlite(|url| async move {
        let bench = Bench::new(&url, items(&["a"], numbered(0..10))).await;
        let mut activation = bench.stored().await;
        activation.streams = vec![settings(Some("7"))];
        let store = bench.db.workspace_connectors();
        store.write(&[Change::Update(activation)], &receipt(9, None)).await.unwrap();
        assert_eq!(bench.sync(SyncMode::Incremental).await.counts.read, 3);
        assert_eq!(bench.sync(SyncMode::Incremental).await.counts.read, 1, "the mark is further");
    })
    .await;
}

#[tokio::test]
async fn settings_that_do_not_fit_fail_their_stream_and_no_other() {
    on_sqlite(|url| async move {
        let bench = Bench::new(&url, items(&["a", "b"], numbered(0..10))).await;
        let set = async |streams, number| {
            let activation =
                linkspan_domain::WorkspaceConnector { streams, ..bench.stored().await };
            let store = bench.db.workspace_connectors();
            store.write(&[Change::Update(activation)], &receipt(number, None)).await.unwrap();
        };
        set(Vec::new(), 10).await;
        let outcome = bench.sync(SyncMode::Incremental).await;
        assert_eq!(outcome.error.unwrap().0, "sync.cursor_required");
        assert_eq!((outcome.end, bench.status().await), (RunEnd::Failed, Status::Enabled));

        let run = bench.start(SyncMode::Full, &["a", "z"]).await;
        let outcome = bench.finish(run).await;
        let (code, message) = outcome.error.unwrap();
        assert_eq!(code, "stream.not_found");
        assert!(message.contains("`z`"), "{message}");

        let wrong = StreamSettings {
            stream: Some("b".parse().unwrap()),
            cursor_column: Some("changed".to_owned()),
            ..settings(None)
        };
        set(vec![wrong, settings(None)], 11).await;
        let outcome = bench.sync(SyncMode::Incremental).await;
        let (code, message) = outcome.error.unwrap();
        assert_eq!(code, "workspace_connector.invalid_config");
        assert!(message.contains("`b`") && message.contains("`changed`"), "{message}");
        // The third run in a row that failed; what ails one stream of several does not break the activation.
        assert_eq!((outcome.end, bench.status().await), (RunEnd::Unhealthy, Status::Degraded));
        let mut read = Vec::new();
        for stream in ["a", "b"] {
            read.push(bench.records(stream, Deleted::Shown).await.len());
        }
        assert_eq!(read, [10, 0]);
    })
    .await;
}

#[tokio::test]
async fn refused_credentials_need_a_person() {
    on_sqlite(|url| async move {
        let bench = Bench::new(&url, failing(3, || Failure::Unauthorized)).await;
        let outcome = bench.sync(SyncMode::Incremental).await;
        assert_eq!(outcome.error.unwrap().0, "source.unauthorized");
        assert_eq!(bench.status().await, Status::NeedReconnect);
        assert_eq!(bench.records("items", Deleted::Hidden).await.len(), 3, "what came is kept");
    })
    .await;
}

#[tokio::test]
async fn a_source_that_stumbles_is_tried_again_from_the_last_checkpoint() {
    on_sqlite(|url| async move {
        let (tries, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let read = {
            let seen = Arc::clone(&seen);
            move |request: linkspan_sdk::ReadRequest, mut out| {
                let number = tries.fetch_add(1, Ordering::Relaxed);
                seen.lock().unwrap().push(request.mode.clone());
                async move {
                    let sent = if number < 2 { 12 } else { 40 };
                    send(numbered(0..sent), &request, 3, &mut out).await?;
                    if number < 2 { Err(away()) } else { Ok(()) }
                }
                .boxed()
            }
        };
        let source = definition(Arc::new(|| Ok(vec![spec("items")])), Arc::new(read));
        let bench = Bench::new(&url, source).await;
        let outcome = bench.sync(SyncMode::Incremental).await;
        assert_eq!((outcome.end, outcome.counts.written), (RunEnd::Clean, 40));
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 3);
        let linkspan_sdk::ReadMode::Incremental { after, .. } = &seen[2] else { panic!() };
        assert_eq!(after.as_ref().unwrap().to_string(), "11");
    })
    .await;
}

#[tokio::test]
async fn three_failures_in_a_row_are_an_illness_and_a_clean_run_heals_it() {
    on_sqlite(|url| async move {
        let bench = Bench::new(&url, failing(5, away)).await;
        for end in [RunEnd::Failed, RunEnd::Failed, RunEnd::Unhealthy] {
            let outcome = bench.sync(SyncMode::Full).await;
            assert_eq!(outcome.end, end);
            assert_eq!(outcome.error.unwrap().0, "source.unavailable");
        }
        assert_eq!(bench.status().await, Status::Degraded);
        assert_eq!(
            bench.records("items", Deleted::Shown).await.len(),
            0,
            "half a load is not seen"
        );
        bench.serve(items(&["items"], numbered(0..2)));
        assert_eq!(bench.sync(SyncMode::Full).await.end, RunEnd::Clean);
        assert_eq!(bench.status().await, Status::Enabled);
        assert_eq!(bench.records("items", Deleted::Shown).await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_full_load_that_breaks_off_buries_nothing() {
    on_sqlite(|url| async move {
        let bench = Bench::new(&url, items(&["items"], numbered(0..20))).await;
        bench.sync(SyncMode::Full).await;
        bench.serve(failing(7, away));
        let outcome = bench.sync(SyncMode::Full).await;
        assert_eq!((outcome.end, outcome.counts.deleted), (RunEnd::Failed, 0));
        assert_eq!(bench.records("items", Deleted::Hidden).await.len(), 20);
    })
    .await;
}

#[tokio::test]
async fn what_trying_again_does_not_mend_is_an_error() {
    on_sqlite(|url| async move {
        let refuse = || Err(Failure::setting("database", "does not exist"));
        let never = |_, _| async { Ok(()) }.boxed();
        let bench = Bench::new(&url, definition(Arc::new(refuse), Arc::new(never))).await;
        let outcome = bench.sync(SyncMode::Full).await;
        assert_eq!((outcome.end, bench.status().await), (RunEnd::Broken, Status::Error));
        assert!(outcome.error.unwrap().1.contains("`database`"));
    })
    .await;
}

#[tokio::test]
async fn one_stream_that_fails_does_not_keep_the_others_from_being_read() {
    on_sqlite(|url| async move {
        let read = |request: linkspan_sdk::ReadRequest, mut out| {
            async move {
                if request.stream.as_str() == "a" {
                    return Err(Failure::NotFound("the table a".to_owned()));
                }
                send(numbered(0..9), &request, 3, &mut out).await
            }
            .boxed()
        };
        let discover = || Ok(vec![spec("a"), spec("b")]);
        let bench = Bench::new(&url, definition(Arc::new(discover), Arc::new(read))).await;
        let outcome = bench.sync(SyncMode::Full).await;
        assert_eq!(outcome.status(), RunStatus::Error);
        assert_eq!(outcome.error.unwrap().0, "source.not_found");
        assert_eq!((outcome.end, bench.status().await), (RunEnd::Failed, Status::Enabled));
        assert_eq!(bench.records("b", Deleted::Hidden).await.len(), 9);
    })
    .await;
}

#[tokio::test]
async fn a_few_records_that_cannot_be_kept_do_not_stop_a_run_but_too_many_do() {
    on_sqlite(|url| async move {
        let odd = |count: i64| {
            let mut all = numbered(0..30);
            for it in all.iter_mut().take(usize::try_from(count).unwrap()) {
                it.text.push('\0');
            }
            all
        };
        let bench = Bench::new(&url, items(&["items"], odd(2))).await;
        let outcome = bench.sync(SyncMode::Full).await;
        let counts = outcome.counts;
        assert_eq!((outcome.end, counts.written, counts.quarantined), (RunEnd::Clean, 28, 2));
        assert_eq!(counts.read, 30);

        bench.serve(items(&["items"], odd(20)));
        let outcome = bench.sync(SyncMode::Full).await;
        assert_eq!(outcome.error.unwrap().0, "sync.too_many_quarantined");
        assert_eq!(bench.records("items", Deleted::Hidden).await.len(), 28);
    })
    .await;
}

#[tokio::test]
async fn losses_for_many_reasons_degrade_an_activation() {
    on_sqlite(|url| async move {
        let mut odd = numbered(0..30);
        odd[0].text.push('\0');
        let bench = Bench::new(&url, items(&["a", "b", "c"], odd)).await;
        let outcome = bench.sync(SyncMode::Full).await;
        assert_eq!((outcome.end, outcome.status()), (RunEnd::Lossy, RunStatus::Success));
        assert_eq!(bench.status().await, Status::Degraded);
    })
    .await;
}

#[tokio::test]
async fn a_slow_source_is_kept_up_with() {
    on_sqlite(|url| async move {
        let (source, reached, go_on) = halting();
        let bench = Bench::new(&url, source).await;
        let run = bench.start(SyncMode::Incremental, &[]).await;
        let run = bench.claim(run).await;
        let (engine, id) = (bench.engine.clone(), run.id);
        let working = tokio::spawn(async move { engine.run(run, &Stop::default()).await });
        reached.notified().await;
        // Six rows are less than a checkpoint, but they do not wait for long.
        while bench.records("items", Deleted::Hidden).await.len() < 6 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(bench.log(id).await.counts.written, 6);
        go_on.notify_one();
        assert!(matches!(working.await.unwrap(), Ended::Finished(_)));
        assert_eq!(bench.records("items", Deleted::Hidden).await.len(), 12);
    })
    .await;
}
