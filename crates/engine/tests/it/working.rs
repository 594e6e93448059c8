//! A worker that claims runs by itself.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use linkspan_domain::{Deleted, RunStatus, SyncMode};
use linkspan_engine::{Worker, WorkerSettings};
use tokio_util::sync::CancellationToken;

use crate::{
    bench::{Bench, on_sqlite},
    made_up::{Item, definition, send, spec},
};

#[tokio::test]
async fn a_worker_does_what_is_there_and_gives_back_what_it_cannot_end() {
    on_sqlite(|url| async move {
        let read = |request: linkspan_sdk::ReadRequest, mut out| {
            async move {
                let item = Item::new(1, Some(1), "one");
                send(vec![item], &request, 3, &mut out).await?;
                if request.stream.as_str() == "endless" {
                    std::future::pending::<()>().await;
                }
                Ok(())
            }
            .boxed()
        };
        let discover = || Ok(vec![spec("short"), spec("endless")]);
        let bench = Bench::new(&url, definition(Arc::new(discover), Arc::new(read))).await;
        let settings =
            WorkerSettings { poll: Duration::from_mins(1), ..WorkerSettings::named("w") };
        let queue = bench.db.run_queue();
        let worker = Arc::new(Worker::new(bench.engine.clone(), Arc::clone(&queue), settings));
        let shutdown = CancellationToken::new();
        let working = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { worker.run(&shutdown).await }
        });

        let short = bench.start(SyncMode::Full, &["short"]).await;
        queue.offer(short).await;
        while bench.log(short).await.status != RunStatus::Success {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(bench.records("short", Deleted::Hidden).await.len(), 1);

        let endless = bench.start(SyncMode::Incremental, &["endless"]).await;
        queue.offer(endless).await;
        while bench.log(endless).await.counts.written < 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        shutdown.cancel();
        working.await.unwrap();
        let log = bench.log(endless).await;
        assert_eq!((log.status, log.lease), (RunStatus::Scheduled, None), "anybody may claim it");
    })
    .await;
}

#[tokio::test]
async fn a_worker_for_one_run_leaves_the_others_alone() {
    on_sqlite(|url| async move {
        let read = |request: linkspan_sdk::ReadRequest, mut out| {
            async move { send(vec![Item::new(1, Some(1), "one")], &request, 3, &mut out).await }
                .boxed()
        };
        let discover = || Ok(vec![spec("items")]);
        let bench = Bench::new(&url, definition(Arc::new(discover), Arc::new(read))).await;
        let settings =
            WorkerSettings { poll: Duration::from_millis(5), ..WorkerSettings::named("w") };
        let worker = Worker::new(bench.engine.clone(), bench.db.run_queue(), settings);
        let waiting = bench.start(SyncMode::Full, &["items"]).await;

        let shutdown = CancellationToken::new();
        let another = linkspan_domain::SyncLogId::from_uuid(bench.engine.world.uuid());
        let looking = worker.run_only(another, &shutdown);
        assert!(tokio::time::timeout(Duration::from_millis(100), looking).await.is_err());
        assert_eq!(bench.log(waiting).await.status, RunStatus::Scheduled);

        worker.run_only(waiting, &shutdown).await;
        assert_eq!(bench.log(waiting).await.status, RunStatus::Success);
    })
    .await;
}
