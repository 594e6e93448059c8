//! Workers that are killed in the middle of their work: nothing is lost, nothing is there twice.

use std::{
    collections::BTreeMap,
    env,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use linkspan_domain::{Deleted, RunCounts, RunStatus, SyncMode};
use linkspan_engine::{Ended, Stop};
use linkspan_sdk::{Definition, ReadRequest};

use crate::{
    bench::{Bench, on_postgres, on_sqlite},
    made_up::{Item, send, spec, split, thirds},
};

/// How many workers die on each database.
const KILLS: u32 = 25;

/// The full load begins anew with each worker; so many die before one may live.
const KILLS_PER_FULL_RUN: u32 = 4;

/// Where the child finds its database, and how old the source's data is.
const URL: &str = "LINKSPAN_KILL_URL";
const VERSION: &str = "LINKSPAN_KILL_VERSION";

/// The items of a stream at `version`. From one version to the next some change, some are added, and in `stock`, which
/// is read in full, some go. What changes in `log` gets a higher cursor, or has none.
fn items(stream: &str, version: i64) -> Vec<Item> {
    let changes = |id: i64| (1..=version).filter(move |it| (id * 31 + it * 17) % 23 == 0);
    (0..2_000 + 300 * version)
        .filter(|id| stream == "log" || (id + version) % 29 != 0)
        .map(|id| {
            let last = changes(id).next_back().unwrap_or(0).max(id.saturating_sub(1_700) / 300);
            // Five share each value.
            let at = (id % 97 != 0).then_some(last * 1_000_000 + id / 5);
            Item::new(id, at, &format!("item {id} as of {last}, {}", "x".repeat(200)))
        })
        .collect()
}

fn source(version: i64) -> Definition {
    let read = move |request: ReadRequest, mut out| {
        async move {
            // A pace at which a worker can be caught at it.
            let all = items(request.stream.as_str(), version);
            let (sink, mut batches) = linkspan_sdk::BatchSink::channel();
            let sending = async {
                let mut sink = sink;
                send(all, &request, 50, &mut sink).await
            };
            let passing = async {
                while let Some(batch) = batches.recv().await {
                    tokio::time::sleep(Duration::from_millis(4)).await;
                    linkspan_sdk::BatchSink::send(&mut out, batch).await?;
                }
                Ok(())
            };
            futures_util::future::try_join(sending, passing).await.map(drop)
        }
        .boxed()
    };
    let discover = || Ok(vec![spec("log"), spec("stock")]);
    split(Arc::new(discover), Arc::new(read), thirds(700, 1_400))
}

/// The worker that is killed: the tests run this one alone in a process of its own.
#[tokio::test]
async fn worker() {
    let (Some(url), Some(version)) = (env::var_os(URL), env::var_os(VERSION)) else { return };
    let version = version.to_str().unwrap().parse().unwrap();
    let bench = Bench::again(url.to_str().unwrap(), source(version)).await;
    loop {
        if let Some(run) = bench.engine.claim("a worker", None).await.unwrap() {
            let ended = bench.engine.run(run, &Stop::default()).await;
            assert!(matches!(ended, Ended::Finished(_)), "{ended:?}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn start(url: &str, version: i64) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "kill::worker", "--nocapture"])
        .env(URL, url)
        .env(VERSION, version.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Random enough, and the same in each run of the tests.
struct Dice(u64);

impl Dice {
    fn up_to(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

async fn killed_workers_lose_nothing(url: &str, seed: u64) {
    let bench = Bench::new(url, source(0)).await;
    let mut dice = Dice(seed);
    let (mut kills, mut version) = (0, 0);
    while kills < KILLS {
        for (mode, stream) in [(SyncMode::Incremental, "log"), (SyncMode::Full, "stock")] {
            let before = contents(&bench, stream).await;
            let run = bench.start(mode, &[stream]).await;
            let mut killed_here = 0;
            while bench.log(run).await.status.is_active() {
                let mut child = start(url, version);
                let may_live =
                    kills >= KILLS || (mode == SyncMode::Full && killed_here == KILLS_PER_FULL_RUN);
                if !may_live && kill_at_work(&bench, run, &mut child, &mut dice).await {
                    kills += 1;
                    killed_here += 1;
                }
                let status = child.wait().unwrap();
                assert!(status.success() || !may_live, "{status}");
            }
            check(&bench, run, stream, &before, &items(stream, version)).await;
        }
        version += 1;
    }
}

/// Waits until the worker has the run, and a while longer, and kills it. Answers whether it was still at work.
async fn kill_at_work(
    bench: &Bench,
    run: linkspan_domain::SyncLogId,
    child: &mut Child,
    dice: &mut Dice,
) -> bool {
    let fence = bench.log(run).await.fence;
    let patience = Instant::now();
    while bench.log(run).await.fence == fence {
        assert!(patience.elapsed() < Duration::from_secs(20), "no worker takes the run");
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    tokio::time::sleep(Duration::from_millis(dice.up_to(260))).await;
    let was_alive = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    was_alive
}

async fn contents(bench: &Bench, stream: &str) -> BTreeMap<String, serde_json::Value> {
    let records = bench.records(stream, Deleted::Hidden).await;
    let parsed = records.into_iter().map(|it| {
        let payload = serde_json::from_str(it.payload.get()).unwrap();
        (it.key, payload)
    });
    parsed.collect()
}

async fn check(
    bench: &Bench,
    run: linkspan_domain::SyncLogId,
    stream: &str,
    before: &BTreeMap<String, serde_json::Value>,
    items: &[Item],
) {
    let expected: BTreeMap<_, _> = items.iter().map(|it| (it.id.to_string(), it.json())).collect();
    let actual = contents(bench, stream).await;
    let lost: Vec<_> = expected.keys().filter(|it| !actual.contains_key(*it)).collect();
    assert!(lost.is_empty(), "lost in {stream}: {lost:?}");
    assert_eq!(actual, expected, "{stream}");

    let log = bench.log(run).await;
    assert_eq!((log.status, log.error_code), (RunStatus::Success, None));
    let RunCounts { read, written, unchanged, deleted, quarantined, .. } = log.counts;
    let changed = expected.iter().filter(|(key, it)| before.get(*key) != Some(it)).count();
    let gone = before.keys().filter(|it| !expected.contains_key(*it)).count();
    assert_eq!(
        (written, deleted),
        (changed as u64, gone as u64),
        "{stream}: each change counts once"
    );
    assert_eq!((read, quarantined), (written + unchanged, 0));
    let counts = bench.engine.records.counts(bench.activation.id).await.unwrap();
    let counts = counts.iter().find(|it| it.stream.as_str() == stream).unwrap();
    assert_eq!(counts.records, expected.len() as u64, "{stream}: the stream knows its size");
}

#[tokio::test]
async fn killed_workers_lose_nothing_on_sqlite() {
    on_sqlite(|url| async move { killed_workers_lose_nothing(&url, 1).await }).await;
}

#[tokio::test]
async fn killed_workers_lose_nothing_on_postgres() {
    on_postgres(|url| async move { killed_workers_lose_nothing(&url, 2).await }).await;
}
