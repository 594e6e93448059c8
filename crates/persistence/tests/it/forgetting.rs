//! What streams forget, and that no reader of changes is left behind unaware.

use linkspan_domain::{
    Cursor, Deleted, Retention, RunEnd, StreamMemory, StreamSource, SyncMode,
    ports::{Change, StoreError},
};
use linkspan_sdk::{
    ChangeKind, Checkpoint, FeedPage, FeedPosition, FeedQuery, Finish, Load, Opening, Position,
};
use linkspan_testkit::fixtures::{EPOCH, receipt};
use time::Duration;

use crate::{
    activation::{Bench, checkpoint, rows},
    scratch::on_both,
};

on_both! {
    a_reader_behind_a_forgotten_deletion_is_told
    a_reader_who_has_passed_a_forgotten_deletion_goes_on
    a_reader_who_began_after_a_deletion_does_not_miss_it
    deletions_of_other_streams_are_nobody_elses_business
    a_tombstone_stays_until_every_push_has_met_it
    a_push_that_can_come_back_still_holds_them
    a_mark_that_is_none_of_a_push_holds_them_and_fails_nobody
    tombstones_go_with_incremental_loads_too
    old_entries_are_forgotten_once_nothing_is_left_of_them
}

const A: (&str, &str) = ("1", "{\"a\":1}");
const A2: (&str, &str) = ("1", "{\"a\":2}");
const B: (&str, &str) = ("2", "{\"b\":1}");
const C: (&str, &str) = ("3", "{\"c\":1}");

/// A whole full load on a day; tombstones are kept for one.
async fn full(bench: &Bench, rows: &[(&str, &str)], day: i64) {
    let run = bench.begin(SyncMode::Full).await;
    let load = bench.open(run, SyncMode::Full).await.unwrap();
    bench.commit(&load, rows).await.unwrap();
    bench.records.finish_stream(&ending(load, day)).await.unwrap();
    bench.end(run, RunEnd::Clean).await.unwrap();
}

fn ending(load: Load, day: i64) -> Finish {
    let retention = Retention { stale: None, tombstones: Some(1_u32.try_into().unwrap()) };
    let (memory, now) = (StreamMemory::default(), EPOCH + Duration::days(day));
    Finish { extent: load.mode, load, memory, retention, now }
}

async fn feed(bench: &Bench, after: &FeedPosition, limit: u32) -> Result<FeedPage, StoreError> {
    let query = FeedQuery {
        workspace: bench.activation.workspace_id,
        activation: None,
        stream: None,
        after: after.clone(),
        limit,
    };
    bench.records.feed(&query).await
}

/// Where a reader stands who has met so many changes.
async fn met(bench: &Bench, changes: u32) -> FeedPosition {
    feed(bench, &FeedPosition::default(), changes).await.unwrap().next
}

async fn keys(bench: &Bench) -> Vec<String> {
    bench.page(Deleted::Shown).await.into_iter().map(|it| it.key).collect()
}

fn is_told(page: &Result<FeedPage, StoreError>) -> bool {
    matches!(page, Err(StoreError::Expired))
}

async fn a_reader_behind_a_forgotten_deletion_is_told(url: &str) {
    let bench = Bench::new(url).await;
    full(&bench, &[A, B, C], 1).await;
    let (part, whole) = (met(&bench, 2).await, met(&bench, 100).await);
    full(&bench, &[A], 2).await;
    let within = feed(&bench, &whole, 1).await.unwrap().next;
    assert_eq!(within.key.as_deref(), Some("2"), "one of two deletions");
    for at in [&part, &whole, &within] {
        assert!(feed(&bench, at, 100).await.is_ok(), "what is still there is told");
    }
    full(&bench, &[A, C], 4).await;
    assert_eq!(keys(&bench).await, ["1", "3"]);
    for at in [&part, &whole, &within] {
        let page = feed(&bench, at, 100).await;
        assert!(is_told(&page), "{at:?}: {page:?}");
    }
}

async fn a_reader_who_has_passed_a_forgotten_deletion_goes_on(url: &str) {
    let bench = Bench::new(url).await;
    full(&bench, &[A, B], 1).await;
    full(&bench, &[A], 2).await;
    let at = met(&bench, 100).await;
    full(&bench, &[A2], 4).await;
    let page = feed(&bench, &at, 100).await.unwrap();
    let heard: Vec<_> = page.changes.iter().map(|it| (&*it.record.key, it.kind)).collect();
    assert_eq!(heard, [("1", ChangeKind::Updated)]);
}

async fn a_reader_who_began_after_a_deletion_does_not_miss_it(url: &str) {
    let bench = Bench::new(url).await;
    full(&bench, &[A, B, C], 1).await;
    full(&bench, &[A, C], 2).await;
    // They met nothing of the second record before it was deleted.
    let at = met(&bench, 1).await;
    full(&bench, &[A, C], 4).await;
    assert_eq!(keys(&bench).await, ["1", "3"]);
    let page = feed(&bench, &at, 100).await.unwrap();
    assert_eq!(page.changes.iter().map(|it| &*it.record.key).collect::<Vec<_>>(), ["3"]);
    let mut at = FeedPosition::default();
    for key in ["1", "3"] {
        let page = feed(&bench, &at, 1).await.unwrap();
        assert_eq!(page.changes[0].record.key, key, "nor does who begins when it is forgotten");
        at = page.next;
    }
}

async fn deletions_of_other_streams_are_nobody_elses_business(url: &str) {
    let one = Bench::new(url).await;
    let other = one.another(2).await;
    full(&one, &[A, B], 1).await;
    full(&other, &[A, B], 1).await;
    let at = met(&one, 100).await;
    full(&one, &[A], 2).await;
    full(&one, &[A], 4).await;
    let narrow = |activation| FeedQuery {
        workspace: one.activation.workspace_id,
        activation: Some(activation),
        stream: None,
        after: at.clone(),
        limit: 100,
    };
    assert!(one.records.feed(&narrow(other.activation.id)).await.is_ok());
    assert!(is_told(&one.records.feed(&narrow(one.activation.id)).await));
}

/// The push of `target` has come so far.
async fn push(bench: &Bench, target: &Bench, generation: i64, key: Option<&str>) {
    let run = target.begin(SyncMode::Incremental).await;
    let source = StreamSource {
        workspace_connector_id: bench.activation.id,
        stream: "orders".parse().unwrap(),
    };
    let opening = Opening { source: Some(source), ..target.opening(run, SyncMode::Incremental) };
    let load = target.records.open_stream(&opening).await.unwrap();
    let position = Position { generation, key: key.map(str::to_owned) };
    let mark = Some(Cursor::Text(position.to_string()));
    let checkpoint = Checkpoint { mark, ..checkpoint(&load, &[]) };
    target.records.commit(&checkpoint).await.unwrap();
    target.end(run, RunEnd::Clean).await.unwrap();
}

async fn a_tombstone_stays_until_every_push_has_met_it(url: &str) {
    let bench = Bench::new(url).await;
    let (one, two) = (bench.another(2).await, bench.another(3).await);
    full(&bench, &[A, B, C], 1).await;
    push(&bench, &one, 1, Some("3")).await;
    push(&bench, &two, 1, None).await;
    full(&bench, &[A], 2).await;
    push(&bench, &one, 2, Some("3")).await;
    full(&bench, &[A], 4).await;
    assert_eq!(keys(&bench).await, ["1", "2", "3"], "one of two pushes has yet to meet them");
    push(&bench, &two, 2, Some("2")).await;
    full(&bench, &[A], 5).await;
    assert_eq!(keys(&bench).await, ["1", "3"]);
    push(&bench, &two, 2, None).await;
    full(&bench, &[A], 6).await;
    assert_eq!(keys(&bench).await, ["1"]);
}

async fn a_push_that_can_come_back_still_holds_them(url: &str) {
    let bench = Bench::new(url).await;
    let target = bench.another(2).await;
    full(&bench, &[A, B], 1).await;
    push(&bench, &target, 1, None).await;
    full(&bench, &[A], 2).await;
    let mut stored = target.stored().await;
    stored.deleted_at = Some(EPOCH);
    let store = bench.db.workspace_connectors();
    store.write(&[Change::Update(stored)], &receipt(700_000, None)).await.unwrap();
    full(&bench, &[A], 4).await;
    assert_eq!(keys(&bench).await, ["1", "2"], "it may be restored");
    let stored = target.stored().await;
    store.write(&[Change::Purge(stored)], &receipt(700_001, None)).await.unwrap();
    full(&bench, &[A], 5).await;
    assert_eq!(keys(&bench).await, ["1"]);
}

async fn a_mark_that_is_none_of_a_push_holds_them_and_fails_nobody(url: &str) {
    let bench = Bench::new(url).await;
    let target = bench.another(2).await;
    full(&bench, &[A, B], 1).await;
    full(&bench, &[A], 2).await;
    for (day, generation, key) in [(4, 3_000_000_000, None), (5, i64::from(i32::MIN), Some("x"))] {
        push(&bench, &target, generation, key).await;
        full(&bench, &[A], day).await;
        assert_eq!(keys(&bench).await, ["1", "2"], "it says nothing of what was met");
    }
}

async fn tombstones_go_with_incremental_loads_too(url: &str) {
    let bench = Bench::new(url).await;
    full(&bench, &[A, B], 1).await;
    full(&bench, &[A], 2).await;
    for (day, left) in [(2, ["1", "2"].as_slice()), (4, ["1"].as_slice())] {
        let load = bench.incremental().await;
        let run = load.run;
        bench.records.finish_stream(&ending(load, day)).await.unwrap();
        bench.end(run, RunEnd::Clean).await.unwrap();
        assert_eq!(keys(&bench).await, left);
    }
}

async fn old_entries_are_forgotten_once_nothing_is_left_of_them(url: &str) {
    let bench = Bench::new(url).await;
    full(&bench, &[A, B], 1).await;
    full(&bench, &[A2, B], 2).await;
    full(&bench, &[A, B, C], 3).await;
    let entries = async || rows(url, "change_feed_entries").await;
    assert_eq!(entries().await, 3);
    full(&bench, &[A, B, C], 31).await;
    assert_eq!(entries().await, 4, "none of them is older than thirty days");
    full(&bench, &[A, B, C], 40).await;
    // The second of them is gone: its record changed again. The others stand for what they brought, or for what readers met.
    assert_eq!(entries().await, 4);
    let at = FeedPosition::default();
    let page = feed(&bench, &at, 100).await.unwrap();
    let heard: Vec<_> = page.changes.iter().map(|it| (&*it.record.key, it.kind)).collect();
    let added = ["2", "1", "3"].map(|key| (key, ChangeKind::Added));
    assert_eq!(heard, added);
}
