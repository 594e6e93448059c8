//! Records that full loads do not meet: stale for a while, then tombstones, then forgotten.

use linkspan_domain::{Deleted, Retention, RetentionDays, RunEnd, StreamMemory, SyncMode};
use linkspan_sdk::{ChangeKind, ChangesQuery, Finish, Load, Position, Record, Rejected};
use linkspan_testkit::fixtures::EPOCH;
use time::{Duration, OffsetDateTime};

use crate::{
    activation::{Bench, checkpoint, did},
    entities::{Mapped, becomes, gone},
    scratch::on_both,
};

on_both! {
    a_tombstone_stays_until_every_mapping_has_met_it
    what_is_not_met_is_stale_and_still_there
    what_is_met_again_is_not_stale
    an_incremental_load_meets_what_was_stale
    what_was_stale_for_long_enough_is_buried
    what_was_buried_for_long_enough_is_forgotten
    a_stream_that_keeps_nothing_buries_what_was_stale
    what_is_named_is_buried_though_it_was_stale
    an_abandoned_load_makes_nothing_stale
}

const A: (&str, &str) = ("1", "{\"a\":1}");
const A2: (&str, &str) = ("1", "{\"a\":2}");
const B: (&str, &str) = ("2", "{\"b\":1}");
const C: (&str, &str) = ("3", "{\"c\":1}");
const D: (&str, &str) = ("4", "{\"d\":1}");

fn day(number: i64) -> OffsetDateTime {
    EPOCH + Duration::days(number)
}

fn days(number: u32) -> RetentionDays {
    number.try_into().unwrap()
}

/// Stale for ten days, then a tombstone forever.
fn stale() -> Retention {
    Retention { stale: Some(days(10)), tombstones: None }
}

async fn finish(bench: &Bench, load: Load, retention: Retention, now: OffsetDateTime) -> u64 {
    let (memory, extent) = (StreamMemory::default(), SyncMode::Full);
    let finish = Finish { load, memory, retention, extent, now };
    bench.records.finish_stream(&finish).await.unwrap()
}

/// A whole full load that ends at `now`. Answers how many records it buried.
async fn full(
    bench: &Bench,
    rows: &[(&str, &str)],
    retention: Retention,
    now: OffsetDateTime,
) -> u64 {
    let run = bench.begin(SyncMode::Full).await;
    let load = bench.open(run, SyncMode::Full).await.unwrap();
    bench.commit(&load, rows).await.unwrap();
    let deleted = finish(bench, load, retention, now).await;
    assert_eq!(bench.log(run.id).await.counts.deleted, deleted);
    bench.end(run, RunEnd::Clean).await.unwrap();
    bench.count().await;
    deleted
}

/// Key and since when it is stale, of all live records.
async fn lives(bench: &Bench) -> Vec<(String, Option<OffsetDateTime>)> {
    let records = bench.page(Deleted::Hidden).await;
    records.into_iter().map(|it| (it.key, it.stale_since)).collect()
}

fn live(all: &[(&str, Option<OffsetDateTime>)]) -> Vec<(String, Option<OffsetDateTime>)> {
    all.iter().map(|(key, since)| ((*key).to_owned(), *since)).collect()
}

async fn record(bench: &Bench, key: &str) -> Option<Record> {
    bench.page(Deleted::Shown).await.into_iter().find(|it| it.key == key)
}

/// Key and kind of what changed behind a generation, and whether it is told to be stale.
async fn changes(bench: &Bench, generation: i64) -> Vec<(String, ChangeKind, bool)> {
    let query = ChangesQuery {
        activation: bench.activation.id,
        stream: "orders".parse().unwrap(),
        after: Position { generation, key: None },
        limit: 100,
        bytes: usize::MAX,
    };
    let changes = bench.records.changes(&query).await.unwrap();
    let told = |it: &Record| it.stale_since.is_some();
    changes.into_iter().map(|it| (it.record.key.clone(), it.kind, told(&it.record))).collect()
}

async fn what_is_not_met_is_stale_and_still_there(url: &str) {
    let bench = Bench::new(url).await;
    full(&bench, &[A, B, C], stale(), day(1)).await;
    assert_eq!(lives(&bench).await, live(&[("1", None), ("2", None), ("3", None)]));
    full(&bench, &[A, B, C], stale(), day(2)).await;
    assert_eq!(full(&bench, &[A2], stale(), day(3)).await, 0, "stale is not deleted");
    let since = Some(day(3));
    assert_eq!(lives(&bench).await, live(&[("1", None), ("2", since), ("3", since)]));
    assert_eq!(bench.count().await, 3);
    let missed = record(&bench, "2").await.unwrap();
    assert_eq!((missed.last_seen_at, missed.deleted_at), (day(2), None), "met on the day before");
    assert_eq!(changes(&bench, 2).await, [("1".to_owned(), ChangeKind::Updated, false)]);
    let all = changes(&bench, 0).await;
    assert!(all.contains(&("2".to_owned(), ChangeKind::Added, true)), "{all:?}");

    full(&bench, &[A2], stale(), day(4)).await;
    assert_eq!(record(&bench, "2").await.unwrap().stale_since, since, "since the first time");
}

async fn what_is_met_again_is_not_stale(url: &str) {
    let bench = Bench::new(url).await;
    full(&bench, &[A, B, C, D], stale(), day(1)).await;
    full(&bench, &[], stale(), day(2)).await;
    let run = bench.begin(SyncMode::Full).await;
    let load = bench.open(run, SyncMode::Full).await.unwrap();
    // One unchanged, one changed, one that cannot be stored as it is now.
    let mut again = checkpoint(&load, &[B, A2]);
    let (key, payload) = (Some(C.0.to_owned()), "{}".to_owned());
    again.rejected = vec![Rejected { key, payload, reason: "it is odd".to_owned() }];
    assert_eq!(did(bench.records.commit(&again).await.unwrap().counts), (1, 1, 1));
    let since = Some(day(2));
    let all = live(&[("1", since), ("2", since), ("3", since), ("4", since)]);
    assert_eq!(lives(&bench).await, all, "not before the swap");
    // Long after: what was met is not buried, and the rest is.
    assert_eq!(finish(&bench, load, stale(), day(50)).await, 1);
    assert_eq!(lives(&bench).await, live(&[("1", None), ("2", None), ("3", None)]));
    assert_eq!(record(&bench, "2").await.unwrap().last_seen_at, day(50));
    assert_eq!(bench.count().await, 3);
}

async fn an_incremental_load_meets_what_was_stale(url: &str) {
    let bench = Bench::new(url).await;
    full(&bench, &[A, B, C, D], stale(), day(1)).await;
    full(&bench, &[], stale(), day(2)).await;
    let run = bench.begin(SyncMode::Incremental).await;
    let load = bench.open(run, SyncMode::Incremental).await.unwrap();
    let mut some = checkpoint(&load, &[A2, B]);
    some.now = day(3);
    let (key, payload) = (Some(C.0.to_owned()), "{}".to_owned());
    some.rejected = vec![Rejected { key, payload, reason: "it is odd".to_owned() }];
    assert_eq!(did(bench.records.commit(&some).await.unwrap().counts), (1, 1, 1));
    let since = Some(day(2));
    assert_eq!(lives(&bench).await, live(&[("1", None), ("2", None), ("3", None), ("4", since)]));
    assert_eq!(record(&bench, "2").await.unwrap().last_seen_at, day(3));
    assert_eq!(changes(&bench, 2).await, [("1".to_owned(), ChangeKind::Updated, false)]);
    assert_eq!(bench.count().await, 4);
}

async fn what_was_stale_for_long_enough_is_buried(url: &str) {
    let bench = Bench::new(url).await;
    full(&bench, &[A, B, C], stale(), day(1)).await;
    full(&bench, &[A, B], stale(), day(2)).await;
    full(&bench, &[A], stale(), day(5)).await;
    let just_before = day(12) - Duration::SECOND;
    assert_eq!(full(&bench, &[A], stale(), just_before).await, 0);
    assert_eq!(full(&bench, &[A], stale(), day(12)).await, 1, "the one that went first");
    assert_eq!(lives(&bench).await, live(&[("1", None), ("2", Some(day(5)))]));
    let buried = record(&bench, "3").await.unwrap();
    assert_eq!((buried.stale_since, buried.deleted_at), (None, Some(day(12))));
    assert_eq!(changes(&bench, 4).await, [("3".to_owned(), ChangeKind::Deleted, false)]);
    assert_eq!(bench.count().await, 2);

    full(&bench, &[A, C], stale(), day(13)).await;
    assert_eq!(changes(&bench, 5).await, [("3".to_owned(), ChangeKind::Added, false)]);
    assert_eq!(bench.count().await, 3);
}

async fn what_was_buried_for_long_enough_is_forgotten(url: &str) {
    let bench = Bench::new(url).await;
    let at_once = Retention { stale: None, tombstones: Some(days(7)) };
    full(&bench, &[A, B], at_once, day(1)).await;
    assert_eq!(full(&bench, &[A], at_once, day(2)).await, 1);
    full(&bench, &[A], at_once, day(9) - Duration::SECOND).await;
    assert!(record(&bench, "2").await.is_some());
    assert_eq!(full(&bench, &[A], Retention::default(), day(9)).await, 0);
    assert!(record(&bench, "2").await.is_some(), "forever, unless the settings say otherwise");
    assert_eq!(full(&bench, &[A], at_once, day(9)).await, 0, "it was counted when it was buried");
    assert!(record(&bench, "2").await.is_none());
    assert_eq!(bench.count().await, 1);

    let both = Retention { stale: Some(days(7)), tombstones: Some(days(7)) };
    full(&bench, &[A, B], both, day(10)).await;
    let met = full(&bench, &[], both, day(11)).await;
    let buried = full(&bench, &[B], both, day(18)).await;
    assert_eq!((met, buried), (0, 1), "the tombstone has its days before it");
    assert!(record(&bench, "1").await.is_some());
    full(&bench, &[A, B], both, day(25)).await;
    assert_eq!(lives(&bench).await, live(&[("1", None), ("2", None)]), "what came back stays");
}

async fn a_stream_that_keeps_nothing_buries_what_was_stale(url: &str) {
    let bench = Bench::new(url).await;
    full(&bench, &[A, B, C], stale(), day(1)).await;
    full(&bench, &[A], stale(), day(2)).await;
    assert_eq!(full(&bench, &[B], Retention::default(), day(3)).await, 2);
    assert_eq!(lives(&bench).await, live(&[("2", None)]));
    assert_eq!(record(&bench, "3").await.unwrap().stale_since, None);
    assert_eq!(bench.count().await, 1);
}

async fn what_is_named_is_buried_though_it_was_stale(url: &str) {
    let bench = Bench::new(url).await;
    full(&bench, &[A, B], stale(), day(1)).await;
    full(&bench, &[A], stale(), day(2)).await;
    let run = bench.begin(SyncMode::Incremental).await;
    let load = bench.open(run, SyncMode::Incremental).await.unwrap();
    let mut naming = checkpoint(&load, &[]);
    naming.gone = vec!["2".to_owned()];
    assert_eq!(bench.records.commit(&naming).await.unwrap().counts.deleted, 1);
    let buried = record(&bench, "2").await.unwrap();
    assert_eq!((buried.stale_since, buried.deleted_at), (None, Some(EPOCH)));
    assert_eq!(bench.count().await, 1);
}

async fn an_abandoned_load_makes_nothing_stale(url: &str) {
    let bench = Bench::new(url).await;
    full(&bench, &[A, B, C], stale(), day(1)).await;
    full(&bench, &[A, B], stale(), day(2)).await;
    let run = bench.begin(SyncMode::Full).await;
    let load = bench.open(run, SyncMode::Full).await.unwrap();
    bench.commit(&load, &[C]).await.unwrap();
    bench.end(run, RunEnd::Failed).await.unwrap();
    assert_eq!(full(&bench, &[A, B], stale(), day(3)).await, 0);
    let expected = live(&[("1", None), ("2", None), ("3", Some(day(2)))]);
    assert_eq!(lives(&bench).await, expected, "what it met is forgotten with it");
}

async fn a_tombstone_stays_until_every_mapping_has_met_it(url: &str) {
    let mapped = Mapped::new(url).await;
    let bench = &mapped.bench;
    let retention = Retention { stale: None, tombstones: Some(1_u32.try_into().unwrap()) };
    let full = async |rows: &[(&str, &str)], day: i64| {
        let load = bench.open(mapped.run, SyncMode::Full).await.unwrap();
        bench.commit(&load, rows).await.unwrap();
        let (memory, now) = (StreamMemory::default(), EPOCH + Duration::days(day));
        let finish = Finish { load, memory, retention, extent: SyncMode::Full, now };
        bench.records.finish_stream(&finish).await.unwrap();
        let records = bench.page(Deleted::Shown).await;
        records.into_iter().map(|it| it.key).collect::<Vec<_>>()
    };
    let (one, two) = (("1", "{}"), ("2", "{\"a\":1}"));
    full(&[one, two], 1).await;
    mapped.commit(0, 1, vec![becomes("1", &["a"]), becomes("2", &["b"])]).await;
    full(&[one], 2).await;
    assert_eq!(full(&[one], 10).await, ["1", "2"], "the mapping has yet to meet it");
    mapped.commit(1, 2, vec![gone("2")]).await;
    assert_eq!(mapped.live().await, [("1".to_owned(), "a".to_owned())]);
    assert_eq!(full(&[one], 11).await, ["1"]);
}
