//! The changes of streams and the change feed of a workspace: in order, each once, and none missed.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

use futures_util::future::join_all;
use linkspan_domain::{Deleted, RunEnd, SyncMode, WorkspaceConnectorId};
use linkspan_sdk::{
    ChangeKind, ChangesQuery, FeedChange, FeedPosition, FeedQuery, More, Position, RecordChange,
};

use crate::{activation::Bench, scratch::on_both};

on_both! {
    a_reader_of_a_stream_hears_of_each_change_once
    a_full_load_is_one_change_and_its_tombstones_are_in_it
    a_page_of_changes_ends_with_the_bytes_that_it_may_have
    what_comes_back_is_added_again
    an_abandoned_load_was_never_a_change
    a_feed_can_be_narrowed_and_still_goes_on
    eight_writers_and_a_reader_who_misses_nothing
    a_purged_activation_leaves_no_entry
}

use ChangeKind::{Added, Deleted as Gone, Updated};

const A: (&str, &str) = ("1", "{\"a\":1}");
const A2: (&str, &str) = ("1", "{\"a\":2}");
const B: (&str, &str) = ("2", "{\"b\":1}");
const C: (&str, &str) = ("3", "{\"c\":1}");

async fn changes(bench: &Bench, after: &Position, limit: u32) -> Vec<RecordChange> {
    let query = ChangesQuery {
        activation: bench.activation.id,
        stream: "orders".parse().unwrap(),
        after: after.clone(),
        limit,
        bytes: usize::MAX,
    };
    bench.records.changes(&query).await.unwrap()
}

/// Key and kind of all changes behind `after`, one at a time, and where the reader stands then.
async fn follow(bench: &Bench, mut after: Position) -> (Vec<(String, ChangeKind)>, Position) {
    let mut heard = Vec::new();
    loop {
        let page = changes(bench, &after, 1).await;
        let Some(change) = page.into_iter().next() else { return (heard, after) };
        heard.push((change.record.key, change.kind));
        after = change.position;
    }
}

fn told(changes: &[(&str, ChangeKind)]) -> Vec<(String, ChangeKind)> {
    changes.iter().map(|(key, kind)| ((*key).to_owned(), *kind)).collect()
}

async fn a_reader_of_a_stream_hears_of_each_change_once(url: &str) {
    let bench = Bench::new(url).await;
    let load = bench.incremental().await;
    bench.commit(&load, &[B, A]).await.unwrap();
    let (heard, at) = follow(&bench, Position::default()).await;
    assert_eq!(heard, told(&[("1", Added), ("2", Added)]));
    bench.commit(&load, &[A, B]).await.unwrap();
    assert_eq!(follow(&bench, at.clone()).await.0, [], "nothing changed");
    bench.commit(&load, &[C, A2]).await.unwrap();
    let (heard, after) = follow(&bench, at.clone()).await;
    assert_eq!(heard, told(&[("1", Updated), ("3", Added)]));
    let whole = Position { key: None, ..after };
    assert_eq!(follow(&bench, whole).await.0, []);
    let all = changes(&bench, &Position::default(), 100).await;
    let all: Vec<_> = all.into_iter().map(|it| (it.record.key, it.kind)).collect();
    assert_eq!(all, told(&[("2", Added), ("1", Added), ("3", Added)]), "each once, the last");
}

async fn a_page_of_changes_ends_with_the_bytes_that_it_may_have(url: &str) {
    let bench = Bench::new(url).await;
    bench.full(&[A, B, C]).await;
    let mut lengths = Vec::new();
    for bytes in [1, A.1.len() + B.1.len(), usize::MAX] {
        let (activation, stream) = (bench.activation.id, "orders".parse().unwrap());
        let query =
            ChangesQuery { activation, stream, after: Position::default(), limit: 100, bytes };
        lengths.push(bench.records.changes(&query).await.unwrap().len());
    }
    assert_eq!(lengths, [1, 2, 3]);
}

async fn a_full_load_is_one_change_and_its_tombstones_are_in_it(url: &str) {
    let bench = Bench::new(url).await;
    bench.full(&[A, B]).await;
    let (heard, at) = follow(&bench, Position::default()).await;
    assert_eq!(heard, told(&[("1", Added), ("2", Added)]));
    let run = bench.begin(SyncMode::Full).await;
    let load = bench.open(run, SyncMode::Full).await.unwrap();
    bench.commit(&load, &[A2, C]).await.unwrap();
    assert_eq!(follow(&bench, at.clone()).await.0, [], "nobody sees a load before it ends");
    bench.finish(load).await.unwrap();
    let (heard, _) = follow(&bench, at).await;
    assert_eq!(heard, told(&[("1", Updated), ("2", Gone), ("3", Added)]));
}

async fn what_comes_back_is_added_again(url: &str) {
    let bench = Bench::new(url).await;
    bench.full(&[A, B]).await;
    bench.full(&[A]).await;
    let (_, at) = follow(&bench, Position::default()).await;
    bench.full(&[A, B]).await;
    let (heard, at) = follow(&bench, at).await;
    assert_eq!(heard, told(&[("2", Added)]));
    bench.full(&[A]).await;
    let (_, at) = follow(&bench, at).await;
    let load = bench.incremental().await;
    bench.commit(&load, &[B]).await.unwrap();
    assert_eq!(follow(&bench, at).await.0, told(&[("2", Added)]));
}

async fn an_abandoned_load_was_never_a_change(url: &str) {
    let bench = Bench::new(url).await;
    let run = bench.begin(SyncMode::Full).await;
    let load = bench.open(run, SyncMode::Full).await.unwrap();
    bench.commit(&load, &[A, B]).await.unwrap();
    bench.end(run, RunEnd::Failed).await.unwrap();
    let load = bench.incremental().await;
    bench.commit(&load, &[C]).await.unwrap();
    assert_eq!(follow(&bench, Position::default()).await.0, told(&[("3", Added)]));
    assert_eq!(feed(&bench, &query(&bench)).await.len(), 1);
}

fn query(bench: &Bench) -> FeedQuery {
    FeedQuery {
        workspace: bench.activation.workspace_id,
        activation: None,
        stream: None,
        after: FeedPosition::default(),
        limit: 2,
    }
}

/// All that a reader of the feed hears who begins with `query`.
async fn feed(bench: &Bench, query: &FeedQuery) -> Vec<FeedChange> {
    let mut query = query.clone();
    let mut heard = Vec::new();
    loop {
        let page = bench.records.feed(&query).await.unwrap();
        assert!(page.changes.len() <= query.limit as usize);
        heard.extend(page.changes);
        query.after = page.next;
        if page.more == More::NotYet {
            return heard;
        }
    }
}

async fn a_feed_can_be_narrowed_and_still_goes_on(url: &str) {
    let one = Bench::new(url).await;
    let other = one.another(2).await;
    for bench in [&one, &other, &one] {
        let load = bench.incremental().await;
        bench.commit(&load, &[A, B, C]).await.unwrap();
        bench.commit(&load, &[A2]).await.unwrap();
        bench.end(load.run, RunEnd::Clean).await.unwrap();
    }
    let keys = |changes: Vec<FeedChange>| -> Vec<(WorkspaceConnectorId, String)> {
        changes.into_iter().map(|it| (it.activation, it.record.key)).collect()
    };
    let all = keys(feed(&one, &query(&one)).await);
    let expected =
        |bench: &Bench, keys: [&str; 3]| keys.map(|it| (bench.activation.id, it.to_owned()));
    // The third run found the first record as it was before, so it changed twice more.
    let other_first = expected(&other, ["2", "3", "1"]);
    assert_eq!(all.len(), 6);
    assert_eq!(all[2..5], other_first);
    let narrow = FeedQuery { activation: Some(other.activation.id), ..query(&one) };
    assert_eq!(keys(feed(&one, &narrow).await), other_first);
    let page = one.records.feed(&FeedQuery { limit: 100, ..narrow }).await.unwrap();
    assert_eq!(page.next.key, None);
    let after = FeedQuery { after: page.next, ..query(&one) };
    assert_eq!(feed(&one, &after).await.len(), 0, "what was left out is passed");
    let none = FeedQuery { stream: Some("others".parse().unwrap()), ..query(&one) };
    assert_eq!(feed(&one, &none).await.len(), 0);
    let elsewhere = FeedQuery { workspace: one.place.foreign_workspace, ..query(&one) };
    assert_eq!(feed(&one, &elsewhere).await.len(), 0);
}

/// What eight writers do, each to its own activation, while the reader follows.
async fn write(bench: &Bench, seed: u32) {
    for round in 0..6_u32 {
        let rows: Vec<(String, String)> = (0..20)
            .map(|it| {
                (
                    ((it * 7 + seed + round * 3) % 25).to_string(),
                    format!("{{\"v\":{}}}", (it + round) % 4),
                )
            })
            .collect();
        let rows: Vec<(&str, &str)> = rows.iter().map(|(key, row)| (&**key, &**row)).collect();
        if round % 3 == 2 {
            bench.full(&rows[..15]).await;
        } else {
            let load = bench.incremental().await;
            for part in rows.chunks(4) {
                bench.commit(&load, part).await.unwrap();
            }
            bench.end(load.run, RunEnd::Clean).await.unwrap();
        }
    }
}

type Copy = BTreeMap<(WorkspaceConnectorId, String), String>;

async fn eight_writers_and_a_reader_who_misses_nothing(url: &str) {
    let first = Bench::new(url).await;
    let mut writers = Vec::new();
    for number in 2..10 {
        writers.push(first.another(number).await);
    }
    let is_over = AtomicBool::new(false);
    let read = async {
        let mut copy = Copy::new();
        let mut query = FeedQuery { limit: 7, ..query(&first) };
        loop {
            let was_over = is_over.load(Ordering::SeqCst);
            let page = first.records.feed(&query).await.unwrap();
            for change in page.changes {
                let (key, payload) = (change.record.key, change.record.payload.get().to_owned());
                let place = (change.activation, key);
                match change.kind {
                    Added | Updated => copy.insert(place, payload),
                    Gone => copy.remove(&place),
                };
            }
            query.after = page.next;
            if page.more == More::NotYet && was_over {
                return copy;
            }
        }
    };
    let all = async {
        join_all(writers.iter().zip(0..).map(|(bench, seed)| write(bench, seed))).await;
        is_over.store(true, Ordering::SeqCst);
    };
    let (copy, ()) = tokio::join!(read, all);
    let mut kept = Copy::new();
    for bench in &writers {
        for record in bench.page(Deleted::Hidden).await {
            kept.insert((bench.activation.id, record.key), record.payload.get().to_owned());
        }
    }
    assert!(kept.len() > 100, "{}", kept.len());
    let differs = |it: &(&_, &String)| kept.get(it.0) != Some(it.1);
    assert_eq!((copy.len(), copy.iter().filter(differs).count()), (kept.len(), 0));
}

async fn a_purged_activation_leaves_no_entry(url: &str) {
    use linkspan_domain::ports::Change;
    use linkspan_testkit::fixtures::receipt;
    let bench = Bench::new(url).await;
    bench.full(&[A]).await;
    assert_eq!(crate::activation::rows(url, "change_feed_entries").await, 1);
    let stored = bench.stored().await;
    let purge = [Change::Purge(stored)];
    bench.db.workspace_connectors().write(&purge, &receipt(800_000, None)).await.unwrap();
    assert_eq!(crate::activation::rows(url, "change_feed_entries").await, 0);
}
