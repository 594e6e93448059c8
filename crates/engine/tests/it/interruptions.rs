//! Runs that are stopped, given back, taken over, or that kill their workers.

use std::time::Duration;

use linkspan_domain::{Deleted, RunEnd, RunOutcome, RunStatus, Status, SyncMode, ports::Change};
use linkspan_engine::{Ended, Stop};
use linkspan_testkit::fixtures::receipt;

use crate::{
    bench::{Bench, LIMITS, for_both, on_sqlite},
    made_up::{halting, items, numbered},
};

#[tokio::test]
async fn a_person_can_stop_a_run() {
    on_sqlite(|url| async move {
        let (source, reached, _go_on) = halting();
        let bench = Bench::new(&url, source).await;
        let run = bench.start(SyncMode::Full, &[]).await;
        let run = bench.claim(run).await;
        let (engine, id) = (bench.engine.clone(), run.id);
        let working = tokio::spawn(async move { engine.run(run, &Stop::default()).await });
        reached.notified().await;
        let now = bench.engine.world.now();
        let (cancelled, receipt) = (RunOutcome::cancelled(), receipt(9, None));
        bench.engine.syncs.cancel(id, &cancelled, &receipt, now).await.unwrap();
        let Ended::Finished(outcome) = working.await.unwrap() else { panic!() };
        assert_eq!(
            (outcome.end, outcome.error.unwrap().0),
            (RunEnd::Cancelled, "sync.cancelled".to_owned())
        );
        assert_eq!(bench.status().await, Status::Enabled);
        assert_eq!(bench.engine.syncs.failures(bench.activation.id).await.unwrap().count, 0);
    })
    .await;
}

#[tokio::test]
async fn a_source_that_falls_silent_counts_as_unavailable() {
    on_sqlite(|url| async move {
        let (source, _reached, _go_on) = halting();
        let mut bench = Bench::new(&url, source).await;
        bench.engine.limits.stall = Duration::from_millis(100);
        bench.engine.limits.retries = 0;
        let run = bench.start(SyncMode::Full, &[]).await;
        let outcome = bench.finish(run).await;
        assert_eq!(
            (outcome.end, outcome.error.unwrap().0),
            (RunEnd::Failed, "source.unavailable".to_owned())
        );
    })
    .await;
}

#[tokio::test]
async fn a_run_that_kills_its_workers_is_given_up() {
    on_sqlite(|url| async move {
        let mut bench = Bench::new(&url, items(&["items"], numbered(0..12))).await;
        bench.engine.limits.crashes = 2;
        let id = bench.start(SyncMode::Full, &[]).await;
        for _ in 0..=2 {
            // Nobody works on it, nobody gives it back.
            bench.claim(id).await;
            tokio::time::sleep(LIMITS.lease.unsigned_abs()).await;
        }
        let run = bench.claim(id).await;
        assert_eq!(run.crashes, 3);
        let Ended::Finished(outcome) = bench.engine.run(run, &Stop::default()).await else {
            panic!()
        };
        assert_eq!(outcome.error.unwrap().0, "sync.crashed");
        assert_eq!(bench.status().await, Status::Enabled);
    })
    .await;
}

#[tokio::test]
async fn a_run_that_is_given_back_goes_on_elsewhere() {
    for_both(|url| async move {
        let (source, reached, _go_on) = halting();
        let bench = Bench::new(&url, source).await;
        let id = bench.start(SyncMode::Incremental, &[]).await;
        let happened = async {
            reached.notified().await;
            bench.written(id, 6).await;
        };
        bench.give_back(id, happened).await;
        assert_eq!(bench.status().await, Status::Processing);

        bench.serve(items(&["items"], numbered(0..12)));
        let outcome = bench.finish(id).await;
        assert_eq!(outcome.end, RunEnd::Clean);
        let counts = bench.log(id).await.counts;
        assert_eq!(outcome.counts, counts, "counts go on with the run");
        assert_eq!((counts.read, counts.written, counts.unchanged), (13, 12, 1));
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_lost_its_run_stops_and_writes_nothing_more() {
    for_both(|url| async move {
        let (source, reached, go_on) = halting();
        let bench = Bench::new(&url, source).await;
        let id = bench.start(SyncMode::Incremental, &[]).await;
        let run = bench.claim(id).await;
        let engine = bench.engine.clone();
        let working = tokio::spawn(async move { engine.run(run, &Stop::default()).await });
        reached.notified().await;
        while bench.log(id).await.counts.written < 6 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // As if the worker had been asleep for a year.
        let later = bench.engine.world.now() + time::Duration::days(365);
        let taken = bench.engine.syncs.claim("other", Some(id), later, later).await.unwrap();
        assert!(taken.is_some());
        go_on.notify_one();
        assert_eq!(working.await.unwrap(), Ended::Lost);
        assert_eq!(bench.records("items", Deleted::Hidden).await.len(), 6);
        assert_eq!(bench.log(id).await.status, RunStatus::InProgress);
    })
    .await;
}

#[tokio::test]
async fn a_heartbeat_keeps_the_run_while_the_source_thinks() {
    on_sqlite(|url| async move {
        let (source, reached, go_on) = halting();
        let bench = Bench::new(&url, source).await;
        let id = bench.start(SyncMode::Incremental, &[]).await;
        let run = bench.claim(id).await;
        let until = run.lease.clone().unwrap().until;
        let engine = bench.engine.clone();
        let working = tokio::spawn(async move { engine.run(run, &Stop::default()).await });
        reached.notified().await;
        while bench.log(id).await.lease.unwrap().until <= until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        go_on.notify_one();
        assert!(matches!(working.await.unwrap(), Ended::Finished(_)));
    })
    .await;
}

#[tokio::test]
async fn a_paused_activation_is_left_alone() {
    on_sqlite(|url| async move {
        let bench = Bench::new(&url, items(&["items"], numbered(0..3))).await;
        let id = bench.start(SyncMode::Full, &[]).await;
        let mut activation = bench.stored().await;
        activation.apply(linkspan_domain::Event::Disabled).unwrap();
        let store = bench.db.workspace_connectors();
        store.write(&[Change::Update(activation)], &receipt(9, None)).await.unwrap();
        let outcome = bench.finish(id).await;
        assert_eq!(outcome.end, RunEnd::Cancelled);
        assert_eq!(bench.status().await, Status::Disabled);
        assert_eq!(bench.records("items", Deleted::Shown).await.len(), 0);
    })
    .await;
}
