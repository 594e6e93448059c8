//! What a full load goes on with, and what it leaves, over both databases.

use std::collections::HashSet;

use linkspan_domain::{
    Condition, ConnectorTypeKey, Cursor, Place, Retention, RunEnd, StreamMemory, SyncLogId,
    SyncMode, ports::StoreError,
};
use linkspan_sdk::{Checkpoint, Committed, Finish, HeldRun, Load, LoadPart, Rejected, SentAhead};
use linkspan_testkit::fixtures::EPOCH;
use serde_json::json;

use crate::{
    activation::{Bench, LEASE, checkpoint, did},
    scratch::on_both,
};

on_both! {
    many_versions_are_written_over_what_is_there
    rows_sent_ahead_are_stored_by_their_commit_and_by_nothing_else
    a_load_on_another_basis_begins_anew_and_so_does_its_plan
    the_mark_goes_with_its_place
    who_read_a_stream_in_full_is_known
    a_run_that_is_resumed_goes_on_where_the_other_broke_off
    only_the_last_run_is_resumed_and_only_if_it_broke_off
    what_a_full_load_takes_back_is_not_met
}

const A: (&str, &str) = ("1", "{\"a\":1}");
const B: (&str, &str) = ("2", "{\"b\":1}");
const C: (&str, &str) = ("3", "{\"c\":1}");
const D: (&str, &str) = ("4", "{\"d\":1}");
const E: (&str, &str) = ("5", "{}");

async fn a_load_on_another_basis_begins_anew_and_so_does_its_plan(url: &str) {
    let bench = Bench::new(url).await;
    let part = |first: i64| Condition::parse(&json!({ "id": { "_lt": first } })).unwrap();
    let run = bench.begin(SyncMode::Full).await;
    let load = bench.open_on("one filter", run, SyncMode::Full).await.unwrap();
    bench.records.plan_parts(&load, &[part(5)]).await.unwrap();
    bench.commit(&load, &[A]).await.unwrap();
    bench.records.finish_part(&load, 0).await.unwrap();

    let taken = bench.take(run.id, Bench::at(1) + LEASE + LEASE).await;
    let load = bench.open_on("another filter", taken, SyncMode::Full).await.unwrap();
    let left = bench.records.plan_parts(&load, &[part(9)]).await.unwrap().unwrap();
    assert_eq!(left, [LoadPart { number: 0, condition: part(9) }]);
    bench.commit(&load, &[B]).await.unwrap();
    bench.finish(load).await.unwrap();
    assert_eq!(
        bench.seen().await,
        [(B.0.to_owned(), B.1.to_owned())],
        "what was read under the first is gone"
    );
    assert_eq!(bench.count().await, 1);
}

async fn the_mark_goes_with_its_place(url: &str) {
    const CRM: ConnectorTypeKey = ConnectorTypeKey::of("crm");
    let bench = Bench::new(url).await;
    let state = async || bench.syncs.streams(bench.activation.id).await.unwrap().remove(0);
    let run = bench.begin(SyncMode::Incremental).await;
    let load = bench.open(run, SyncMode::Incremental).await.unwrap();
    let mut first = checkpoint(&load, &[A]);
    first.mark = Some(Cursor::Int(7));
    bench.records.commit(&first).await.unwrap();
    bench.finish(load).await.unwrap();
    bench.end(run, RunEnd::Clean).await.unwrap();

    // Where the incremental load read is not known.
    for (place, mark) in [("one", Some("7")), ("one", Some("7")), ("two", None)] {
        let run = bench.begin(SyncMode::Full).await;
        let load = bench.open(run, SyncMode::Full).await.unwrap();
        bench.commit(&load, &[A]).await.unwrap();
        let place = Some(Place::of(&CRM, place.into()));
        let memory = StreamMemory { place, ..StreamMemory::default() };
        let (retention, extent) = (Retention::default(), SyncMode::Full);
        let finish = Finish { load, memory: memory.clone(), retention, extent, now: EPOCH };
        bench.records.finish_stream(&finish).await.unwrap();
        bench.end(run, RunEnd::Clean).await.unwrap();
        let state = state().await;
        assert_eq!(state.cursor_after.as_deref(), mark);
        assert_eq!(state.memory, Some(memory));
    }
}

async fn who_read_a_stream_in_full_is_known(url: &str) {
    let bench = Bench::new(url).await;
    let stream = "orders".parse().unwrap();
    let loaded_by =
        async || bench.syncs.stream(bench.activation.id, &stream).await.unwrap().unwrap().loaded_by;
    let run = bench.begin(SyncMode::Full).await;
    let load = bench.open(run, SyncMode::Full).await.unwrap();
    assert_eq!(loaded_by().await, None);
    bench.finish(load).await.unwrap();
    assert_eq!(loaded_by().await, Some(run.id));
    let absent = bench.syncs.stream(bench.activation.id, &"absent".parse().unwrap()).await;
    assert_eq!(absent.unwrap(), None);
}

/// Starts a run that goes on where another one broke off.
async fn resume(bench: &Bench, broken: SyncLogId) -> Result<HeldRun, StoreError> {
    let (run, receipt) = bench.next_run(SyncMode::Full);
    bench.syncs.resume(&run, broken, &receipt).await?;
    Ok(bench.take(run.id, run.created_at).await)
}

async fn a_run_that_is_resumed_goes_on_where_the_other_broke_off(url: &str) {
    let bench = Bench::new(url).await;
    let part = |first: i64| Condition::parse(&json!({ "id": { "_lt": first } })).unwrap();
    let broken = bench.begin(SyncMode::Full).await;
    let load = bench.open(broken, SyncMode::Full).await.unwrap();
    let mut first = checkpoint(&load, &[A]);
    first.rejected =
        vec![Rejected { key: None, payload: "{}".to_owned(), reason: "bad".to_owned() }];
    bench.records.plan_parts(&load, &[part(2), part(9)]).await.unwrap();
    bench.records.commit(&first).await.unwrap();
    bench.records.finish_part(&load, 0).await.unwrap();
    bench.end(broken, RunEnd::Failed).await.unwrap();

    let run = resume(&bench, broken.id).await.unwrap();
    let load = bench.open(run, SyncMode::Full).await.unwrap();
    let left = bench.records.plan_parts(&load, &[part(5)]).await.unwrap().unwrap();
    assert_eq!(left, [LoadPart { number: 1, condition: part(9) }]);
    bench.commit(&load, &[B]).await.unwrap();
    bench.finish(load).await.unwrap();
    let all = [A, B].map(|(key, row)| (key.to_owned(), row.to_owned()));
    assert_eq!(bench.seen().await, all);
    let counts = bench.records.counts(bench.activation.id).await.unwrap();
    assert_eq!(
        counts[0].quarantined, 1,
        "what the other kept aside was not met again, and is not mended"
    );
    let log = bench.log(run.id).await;
    assert_eq!((log.counts.read, log.counts.written), (1, 1));
}

async fn only_the_last_run_is_resumed_and_only_if_it_broke_off(url: &str) {
    let bench = Bench::new(url).await;
    let broken = bench.begin(SyncMode::Full).await;
    let early = resume(&bench, broken.id).await;
    assert!(matches!(early, Err(StoreError::Dangling)), "{early:?}");
    bench.end(broken, RunEnd::Failed).await.unwrap();
    let last = bench.begin(SyncMode::Full).await;
    bench.end(last, RunEnd::Clean).await.unwrap();
    for run in [broken.id, last.id] {
        let late = resume(&bench, run).await;
        assert!(matches!(late, Err(StoreError::Dangling)), "{late:?}");
    }
}

async fn many_versions_are_written_over_what_is_there(url: &str) {
    let bench = Bench::new(url).await;
    let mut load = bench.incremental().await;
    let mut commit = async |first: u32, last: u32, version: u32, gone: &[&str]| {
        let rows: Vec<_> = (first..last)
            .map(|it| (it.to_string(), format!("{{\"v\":{}}}", version * (it % 2))))
            .collect();
        let rows: Vec<_> = rows.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
        let mut checkpoint = checkpoint(&load, &rows);
        checkpoint.gone = gone.iter().map(|it| (*it).to_owned()).collect();
        let committed = bench.records.commit(&checkpoint).await.unwrap();
        load.held = committed.held;
        did(committed.counts)
    };
    assert_eq!(commit(0, 3_000, 1, &[]).await, (3_000, 0, 0));
    // Those at even places say what they said.
    assert_eq!(commit(0, 3_000, 2, &[]).await, (1_500, 1_500, 0));
    assert_eq!(commit(2_000, 4_500, 2, &["0", "1"]).await, (1_500, 1_000, 0));
    assert_eq!(commit(4_000, 7_000, 3, &[]).await, (2_750, 250, 0));
    let revived = commit(0, 4_000, 4, &[]).await;
    assert_eq!(revived, (2_001, 1_999, 0), "one of the two that were gone had not changed");
    assert_eq!(bench.syncs.streams(bench.activation.id).await.unwrap()[0].records, 7_000);
}

async fn rows_sent_ahead_are_stored_by_their_commit_and_by_nothing_else(url: &str) {
    let bench = Bench::new(url).await;
    let mut load = bench.incremental().await;
    let of = |load: &Load, version: u32| {
        let rows: Vec<_> =
            (0..2_000).map(|it| (it.to_string(), format!("{{\"v\":{version}}}"))).collect();
        let rows: Vec<_> = rows.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
        checkpoint(load, &rows)
    };
    let stored =
        async || bench.seen().await.into_iter().map(|(_, row)| row).collect::<HashSet<_>>();
    for version in [1, 2, 3] {
        assert!(bench.records.send_ahead(&load, &of(&load, version).rows).await.unwrap().is_none());
        load.held = bench.records.commit(&of(&load, version)).await.unwrap().held;
    }

    let (forgotten, next, last) = (of(&load, 9), of(&load, 5), of(&load, 6));
    let between = of(&load, 4);
    let ahead = bench.records.send_ahead(&load, &forgotten.rows).await.unwrap();
    assert_eq!(ahead.is_some(), url.starts_with("postgres"), "only that gains by it");
    drop(ahead);
    let ahead = bench.records.send_ahead(&load, &next.rows).await.unwrap();
    assert_eq!(stored().await, HashSet::from(["{\"v\":3}".to_owned()]));
    assert_eq!(did(bench.records.commit(&between).await.unwrap().counts), (2_000, 0, 0));
    let committed = commit_sent(&bench, ahead, &next).await.unwrap();
    assert_eq!(did(committed.counts), (2_000, 0, 0));
    assert_eq!(stored().await, HashSet::from(["{\"v\":5}".to_owned()]));

    let ahead = bench.records.send_ahead(&load, &last.rows).await.unwrap();
    bench.take(load.run.id, Bench::at(1) + LEASE).await;
    let refused = commit_sent(&bench, ahead, &last).await;
    assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
    assert_eq!(stored().await, HashSet::from(["{\"v\":5}".to_owned()]));
}

async fn commit_sent(
    bench: &Bench,
    ahead: Option<Box<dyn SentAhead>>,
    checkpoint: &Checkpoint,
) -> Result<Committed, StoreError> {
    match ahead {
        Some(ahead) => ahead.commit(checkpoint).await,
        None => bench.records.commit(checkpoint).await,
    }
}

async fn what_a_full_load_takes_back_is_not_met(url: &str) {
    let bench = Bench::new(url).await;
    let kept = [D, E].map(|(key, row)| (key.to_owned(), row.to_owned()));
    // In the first load there is nothing but what is new.
    for known in [false, true] {
        if known {
            bench.full(&[A, B, C]).await;
            bench.full(&[A, C]).await;
        }
        let run = bench.begin(SyncMode::Full).await;
        let load = bench.open(run, SyncMode::Full).await.unwrap();
        // As it was, changed, brought back, new.
        bench.commit(&load, &[A, ("3", "{\"c\":2}"), B, D, E]).await.unwrap();
        let mut back = checkpoint(&load, &[]);
        back.gone = ["1", "2", "3", "4"].map(str::to_owned).into();
        bench.records.commit(&back).await.unwrap();
        bench.commit(&load, &[D]).await.unwrap();
        bench.finish(load).await.unwrap();
        bench.end(run, RunEnd::Clean).await.unwrap();
        assert_eq!(bench.seen().await, kept, "known: {known}");
        assert_eq!(bench.count().await, 2);
    }
}
