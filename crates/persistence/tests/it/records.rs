//! Records: generations, tombstones, marks, quarantine, and writes of workers that lost their run.

use linkspan_domain::{
    Condition, Cursor, Deleted, FieldKind, Retention, RunEnd, StreamField, StreamMemory, SyncMode,
    ports::StoreError,
};
use linkspan_sdk::{Finish, Held, LoadPart, QuarantineQuery, RecordQuery, Rejected};
use linkspan_testkit::fixtures::EPOCH;
use serde_json::json;
use time::Duration;

use crate::{
    activation::{Bench, LEASE, checkpoint, did},
    scratch::on_both,
};

on_both! {
    what_is_kept_can_be_read
    an_unchanged_record_is_not_written_again
    of_rows_with_one_key_the_last_is_kept
    nobody_sees_a_load_before_it_ends
    what_a_full_load_does_not_meet_is_buried
    what_comes_back_is_alive_again
    a_load_goes_on_where_its_run_was
    another_run_begins_anew
    a_stale_worker_writes_nothing
    the_mark_moves_with_its_records
    a_mark_is_forgotten_with_its_column
    an_incremental_load_buries_what_it_names
    what_is_remembered_of_a_stream_is_what_readers_see
    what_cannot_be_kept_is_kept_aside
    many_rows_go_in_at_once
    keys_compare_byte_by_byte
    a_large_load_ends_in_good_time
    the_parts_of_a_load_are_planned_once_and_read_once
}

const A: (&str, &str) = ("1", "{\"a\":1}");
const A2: (&str, &str) = ("1", "{\"a\":2}");
const B: (&str, &str) = ("2", "{\"b\":1}");
const C: (&str, &str) = ("3", "{\"c\":1}");
const D: (&str, &str) = ("4", "{\"d\":1}");

fn owned(rows: &[(&str, &str)]) -> Vec<(String, String)> {
    rows.iter().map(|(key, payload)| ((*key).to_owned(), (*payload).to_owned())).collect()
}

async fn what_is_kept_can_be_read(url: &str) {
    let bench = Bench::new(url).await;
    assert_eq!(bench.seen().await, []);
    let run = bench.begin(SyncMode::Full).await;
    let load = bench.open(run, SyncMode::Full).await.unwrap();
    assert_eq!((load.held, load.generation), (Held::Nothing, 1));
    let payload = r#"{"text":"a \"b\" \u00e9 𝄞\n","number":1.50,"none":null,"list":[1,{"x":[]}]}"#;
    let committed = bench.commit(&load, &[B, ("1", payload), C]).await.unwrap();
    assert_eq!(did(committed.counts), (3, 0, 0));
    assert_eq!(committed.held, Held::Nothing);
    assert_eq!(committed.counts.bytes, (payload.len() + B.1.len() + C.1.len()) as u64);
    assert_eq!(bench.finish(load).await.unwrap(), 0);

    let records = bench.page(Deleted::Hidden).await;
    assert_eq!(records.iter().map(|it| it.key.as_str()).collect::<Vec<_>>(), ["1", "2", "3"]);
    let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(parsed(records[0].payload.get()), parsed(payload));
    assert!(records[0].payload.get().contains("1.50"), "numbers keep their digits");
    assert_eq!(records[0].hash, linkspan_sdk::ContentHash::of(payload));
    assert_eq!(records[0].run, Some(run.id));
    assert_eq!(records[0].first_seen_at, EPOCH);
    assert_eq!(records[0].last_seen_at, EPOCH + Duration::days(1), "the end of the load");
    assert_eq!(records[0].deleted_at, None);
    assert_eq!(bench.count().await, 3);

    let mut query = RecordQuery {
        activation: bench.activation.id,
        stream: "orders".parse().unwrap(),
        after: Some("1".to_owned()),
        limit: 1,
        deleted: Deleted::Hidden,
    };
    let page = bench.records.page(&query).await.unwrap();
    assert_eq!(page.iter().map(|it| it.key.as_str()).collect::<Vec<_>>(), ["2"]);
    query.stream = "others".parse().unwrap();
    assert_eq!(bench.records.page(&query).await.unwrap().len(), 0);

    let log = bench.log(run.id).await;
    assert_eq!(did(log.counts), (3, 0, 0));
    assert_eq!(log.counts.bytes, committed.counts.bytes);
}

async fn an_unchanged_record_is_not_written_again(url: &str) {
    let bench = Bench::new(url).await;
    let load = bench.incremental().await;
    assert_eq!(did(bench.commit(&load, &[A, B]).await.unwrap().counts), (2, 0, 0));
    assert_eq!(bench.seen().await, owned(&[A, B]), "readers see it at once");
    let again = bench.commit(&load, &[A, B]).await.unwrap();
    assert_eq!((did(again.counts), again.held), ((0, 2, 0), Held::Anything));
    bench.end(load.run, RunEnd::Clean).await.unwrap();

    let load = bench.incremental().await;
    assert_eq!(load.held, Held::Anything);
    let before = bench.page(Deleted::Hidden).await;
    let third = bench.commit(&load, &[A2, B, C]).await.unwrap();
    assert_eq!(did(third.counts), (2, 1, 0));
    let after = bench.page(Deleted::Hidden).await;
    assert_eq!(bench.seen().await, owned(&[A2, B, C]));
    assert_eq!(after[0].run, Some(load.run.id));
    assert_eq!(after[1].run, before[1].run);
    assert_eq!(bench.count().await, 3);
}

async fn of_rows_with_one_key_the_last_is_kept(url: &str) {
    let bench = Bench::new(url).await;
    let load = bench.incremental().await;
    let committed = bench.commit(&load, &[A2, B, A, B, A2, A2]).await.unwrap();
    assert_eq!((did(committed.counts), committed.held), ((3, 3, 0), Held::Anything));
    assert_eq!(bench.seen().await, owned(&[A2, B]));
    assert_eq!(bench.count().await, 2);
}

async fn nobody_sees_a_load_before_it_ends(url: &str) {
    let bench = Bench::new(url).await;
    bench.full(&[A, B]).await;
    let run = bench.begin(SyncMode::Full).await;
    let load = bench.open(run, SyncMode::Full).await.unwrap();
    assert_eq!(load.generation, 2);
    assert_eq!(did(bench.commit(&load, &[A2, C]).await.unwrap().counts), (2, 0, 0));
    assert_eq!(bench.seen().await, owned(&[A, B]));
    assert_eq!(bench.count().await, 2);
    // The same again, as after a resumption: nothing new.
    assert_eq!(did(bench.commit(&load, &[A2, C]).await.unwrap().counts), (0, 2, 0));
    assert_eq!(bench.finish(load).await.unwrap(), 1);
    assert_eq!(bench.seen().await, owned(&[A2, C]));
    assert_eq!(bench.count().await, 2);
    assert_eq!(bench.syncs.streams(bench.activation.id).await.unwrap()[0].generation, 2);
}

async fn what_a_full_load_does_not_meet_is_buried(url: &str) {
    let bench = Bench::new(url).await;
    assert_eq!(bench.full(&[A, B, C]).await.1, 0);
    let (counts, deleted) = bench.full(&[A, C, D]).await;
    assert_eq!((did(counts), deleted), ((1, 2, 0), 1));
    assert_eq!(bench.seen().await, owned(&[A, C, D]));
    assert_eq!(bench.count().await, 3);
    let all = bench.page(Deleted::Shown).await;
    assert_eq!(all.iter().filter(|it| it.deleted_at.is_some()).count(), 1);
    assert_eq!(all[1].key, "2");

    let (counts, deleted) = bench.full(&[A, C, D]).await;
    assert_eq!((did(counts), deleted), ((0, 3, 0), 0));
    let (_, deleted) = bench.full(&[]).await;
    assert_eq!(deleted, 3);
    assert_eq!(bench.count().await, 0);
}

async fn what_comes_back_is_alive_again(url: &str) {
    let bench = Bench::new(url).await;
    bench.full(&[A, B]).await;
    bench.full(&[B]).await;
    let (counts, deleted) = bench.full(&[A, B]).await;
    assert_eq!((did(counts), deleted), ((1, 1, 0), 0));
    assert_eq!(bench.seen().await, owned(&[A, B]));
    assert_eq!(bench.count().await, 2);

    bench.full(&[]).await;
    let load = bench.incremental().await;
    assert_eq!(did(bench.commit(&load, &[A2]).await.unwrap().counts), (1, 0, 0));
    assert_eq!(bench.seen().await, owned(&[A2]));
    assert_eq!(bench.count().await, 1);
}

async fn a_load_goes_on_where_its_run_was(url: &str) {
    let bench = Bench::new(url).await;
    bench.full(&[A, B, C]).await;
    let first = bench.begin(SyncMode::Full).await;
    let load = bench.open(first, SyncMode::Full).await.unwrap();
    bench.commit(&load, &[A2, D]).await.unwrap();

    // Another worker takes over, and reads from the beginning.
    let second = bench.take(first.id, Bench::at(2) + LEASE).await;
    let load = bench.open(second, SyncMode::Full).await.unwrap();
    assert_eq!((load.generation, load.held), (2, Held::Anything));
    assert_eq!(did(bench.commit(&load, &[A2, D]).await.unwrap().counts), (0, 2, 0));
    assert_eq!(did(bench.commit(&load, &[B]).await.unwrap().counts), (0, 1, 0));
    assert_eq!(bench.finish(load).await.unwrap(), 1);
    assert_eq!(bench.seen().await, owned(&[A2, B, D]));
    assert_eq!(bench.count().await, 3);
    let counts = bench.log(first.id).await.counts;
    assert_eq!((did(counts), counts.deleted), ((2, 3, 0), 1));
}

async fn another_run_begins_anew(url: &str) {
    let bench = Bench::new(url).await;
    let run = bench.begin(SyncMode::Full).await;
    let load = bench.open(run, SyncMode::Full).await.unwrap();
    bench.commit(&load, &[A, B]).await.unwrap();
    bench.end(run, RunEnd::Failed).await.unwrap();

    // Nothing of the broken load is ever seen.
    let (counts, deleted) = bench.full(&[C]).await;
    assert_eq!((did(counts), deleted), ((1, 0, 0), 0));
    assert_eq!(bench.seen().await, owned(&[C]));
    assert_eq!(bench.page(Deleted::Shown).await.len(), 1);

    let run = bench.begin(SyncMode::Full).await;
    let load = bench.open(run, SyncMode::Full).await.unwrap();
    bench.commit(&load, &[A2, D]).await.unwrap();
    bench.end(run, RunEnd::Failed).await.unwrap();
    let load = bench.incremental().await;
    assert_eq!(bench.seen().await, owned(&[C]));
    bench.commit(&load, &[A]).await.unwrap();
    assert_eq!(bench.seen().await, owned(&[A, C]));
    assert_eq!(bench.count().await, 2);
}

async fn a_stale_worker_writes_nothing(url: &str) {
    let bench = Bench::new(url).await;
    let first = bench.begin(SyncMode::Full).await;
    let stale = bench.open(first, SyncMode::Full).await.unwrap();
    bench.commit(&stale, &[A]).await.unwrap();
    let second = bench.take(first.id, Bench::at(1) + LEASE).await;

    let refused = bench.commit(&stale, &[B]).await;
    assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
    let refused = bench.finish(stale.clone()).await;
    assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
    let refused = bench.open(first, SyncMode::Full).await;
    assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");

    let load = bench.open(second, SyncMode::Full).await.unwrap();
    bench.commit(&load, &[C]).await.unwrap();
    bench.finish(load.clone()).await.unwrap();
    assert_eq!(bench.seen().await, owned(&[A, C]));
    bench.end(second, RunEnd::Clean).await.unwrap();
    let refused = bench.commit(&load, &[D]).await;
    assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
    assert_eq!(did(bench.log(first.id).await.counts), (2, 0, 0));
}

async fn the_mark_moves_with_its_records(url: &str) {
    let bench = Bench::new(url).await;
    let mark = async || {
        let state = bench.syncs.stream(bench.activation.id, &"orders".parse().unwrap()).await;
        let state = state.unwrap().unwrap();
        (state.cursor_column, state.cursor_after, state.synced_at)
    };
    let load = bench.incremental().await;
    assert_eq!(mark().await, (Some("id".to_owned()), None, None));
    let mut first = checkpoint(&load, &[A]);
    first.mark = Some(Cursor::Int(7));
    bench.records.commit(&first).await.unwrap();
    assert_eq!(mark().await.1.as_deref(), Some("7"));
    bench.commit(&load, &[B]).await.unwrap();
    assert_eq!(mark().await.1.as_deref(), Some("7"), "a commit without a mark leaves it");

    bench.take(load.run.id, Bench::at(1) + LEASE).await;
    let mut stale = checkpoint(&load, &[C]);
    stale.mark = Some(Cursor::Int(9));
    bench.records.commit(&stale).await.unwrap_err();
    assert_eq!(mark().await.1.as_deref(), Some("7"), "what fails moves nothing");
    assert_eq!(bench.count().await, 2);
}

async fn an_incremental_load_buries_what_it_names(url: &str) {
    let bench = Bench::new(url).await;
    bench.full(&[A, B]).await;
    let load = bench.incremental().await;
    let mut commit = checkpoint(&load, &[]);
    commit.gone = [A.0, "never there", "it's \"quoted\""].map(str::to_owned).into();
    assert_eq!(bench.records.commit(&commit).await.unwrap().counts.deleted, 1);
    assert_eq!(bench.count().await, 1);
    let again = bench.records.commit(&commit).await.unwrap();
    assert_eq!(again.counts.deleted, 0, "what is gone does not go again");
    bench.commit(&load, &[A]).await.unwrap();
    assert_eq!(bench.count().await, 2, "what comes back is back");
}

async fn what_is_remembered_of_a_stream_is_what_readers_see(url: &str) {
    let bench = Bench::new(url).await;
    let memory = async || bench.syncs.streams(bench.activation.id).await.unwrap().remove(0).memory;
    let remembered = |key: &str| StreamMemory {
        fields: vec![StreamField {
            name: key.to_owned(),
            kind: FieldKind::Decimal,
            nullable: true,
        }],
        primary_key: vec![key.to_owned()],
        filter: Some(Condition::parse(&json!({ key: { "_gt": 1 } })).unwrap()),
        place: None,
    };
    let run = bench.begin(SyncMode::Full).await;
    let load = bench.open(run, SyncMode::Full).await.unwrap();
    bench.commit(&load, &[A]).await.unwrap();
    assert_eq!(memory().await, None, "not before the swap");
    let retention = Retention::default();
    let extent = SyncMode::Full;
    let finish = Finish { load, memory: remembered("a"), retention, extent, now: EPOCH };
    bench.records.finish_stream(&finish).await.unwrap();
    assert_eq!(memory().await, Some(remembered("a")));
    bench.end(run, RunEnd::Clean).await.unwrap();

    let run = bench.begin(SyncMode::Incremental).await;
    let opening = linkspan_sdk::Opening {
        basis: linkspan_sdk::ContentHash::of("basis"),
        run,
        activation: bench.activation.id,
        stream: "orders".parse().unwrap(),
        mode: SyncMode::Incremental,
        cursor_column: Some("id".to_owned()),
        memory: remembered("b"),
        source: None,
        now: EPOCH,
    };
    bench.records.open_stream(&opening).await.unwrap();
    assert_eq!(memory().await, Some(remembered("b")));
}

async fn a_mark_is_forgotten_with_its_column(url: &str) {
    let bench = Bench::new(url).await;
    let load = bench.incremental().await;
    let mut first = checkpoint(&load, &[A]);
    first.mark = Some(Cursor::Int(7));
    bench.records.commit(&first).await.unwrap();
    bench.finish(load.clone()).await.unwrap();
    let opening = linkspan_sdk::Opening {
        basis: linkspan_sdk::ContentHash::of("basis"),
        run: load.run,
        activation: bench.activation.id,
        stream: load.stream.clone(),
        mode: SyncMode::Incremental,
        cursor_column: Some("updated_at".to_owned()),
        memory: StreamMemory::default(),
        source: None,
        now: EPOCH,
    };
    bench.records.open_stream(&opening).await.unwrap();
    let state = bench.syncs.streams(bench.activation.id).await.unwrap().remove(0);
    assert_eq!(state.cursor_column.as_deref(), Some("updated_at"));
    assert_eq!(state.cursor_after, None);
    assert_eq!(state.synced_at, Some(EPOCH + Duration::days(1)));
    assert_eq!(bench.count().await, 1);
}

async fn what_cannot_be_kept_is_kept_aside(url: &str) {
    let bench = Bench::new(url).await;
    let reject = |key: Option<&str>, payload: &str| Rejected {
        key: key.map(str::to_owned),
        payload: payload.to_owned(),
        reason: "it is odd".to_owned(),
    };
    bench.full(&[A, B]).await;
    let run = bench.begin(SyncMode::Full).await;
    let load = bench.open(run, SyncMode::Full).await.unwrap();
    let mut odd = checkpoint(&load, &[A]);
    odd.rejected =
        vec![reject(None, "{\"x\":1}"), reject(Some("2"), "{\"x\":2}"), reject(None, "{\"x\":1}")];
    assert_eq!(did(bench.records.commit(&odd).await.unwrap().counts), (0, 1, 3));
    assert_eq!(bench.finish(load).await.unwrap(), 0, "a record that is there is not buried");
    bench.end(run, RunEnd::Clean).await.unwrap();
    assert_eq!(bench.seen().await, owned(&[A, B]));

    let query = |after| QuarantineQuery {
        activation: bench.activation.id,
        stream: "orders".parse().unwrap(),
        after,
        limit: 10,
    };
    let aside = bench.records.quarantined(&query(None)).await.unwrap();
    assert_eq!(aside.len(), 2, "the same record is kept once");
    assert_eq!((aside[0].key.as_deref(), aside[0].payload.as_str()), (None, "{\"x\":1}"));
    assert_eq!((aside[1].key.as_deref(), aside[1].reason.as_str()), (Some("2"), "it is odd"));
    assert_eq!((aside[1].run, aside[1].first_seen_at), (Some(run.id), EPOCH));
    let rest = bench.records.quarantined(&query(Some(aside[0].position))).await.unwrap();
    assert_eq!(rest, aside[1..]);
    assert_eq!(bench.records.counts(bench.activation.id).await.unwrap()[0].quarantined, 2);

    // A full load that does not meet them any more lets go of them.
    bench.full(&[A, B]).await;
    assert_eq!(bench.records.counts(bench.activation.id).await.unwrap()[0].quarantined, 0);
}

async fn many_rows_go_in_at_once(url: &str) {
    let bench = Bench::new(url).await;
    let rows: Vec<(String, String)> =
        (0..2_345).map(|it| (format!("{it:05}"), format!("{{\"n\":{it}}}"))).collect();
    let borrowed =
        |rows: &[(String, String)], from: usize| -> Vec<(String, String)> { rows[from..].to_vec() };
    let all: Vec<(&str, &str)> = rows.iter().map(|(k, p)| (k.as_str(), p.as_str())).collect();
    let load = bench.incremental().await;
    assert_eq!(did(bench.commit(&load, &all[..1_100]).await.unwrap().counts), (1_100, 0, 0));
    assert_eq!(did(bench.commit(&load, &all).await.unwrap().counts), (1_245, 1_100, 0));
    let mut changed = borrowed(&rows, 0);
    for (_, payload) in changed.iter_mut().step_by(3) {
        "{\"n\":-1}".clone_into(payload);
    }
    let changed: Vec<_> = changed.iter().map(|(k, p)| (k.as_str(), p.as_str())).collect();
    assert_eq!(did(bench.commit(&load, &changed).await.unwrap().counts), (782, 1_563, 0));
    let counts = bench.records.counts(bench.activation.id).await.unwrap();
    assert_eq!(counts[0].records, 2_345);
    bench.finish(load.clone()).await.unwrap();
    bench.end(load.run, RunEnd::Clean).await.unwrap();
    let (counts, deleted) = bench.full(&all[..2_000]).await;
    assert_eq!((did(counts), deleted), ((667, 1_333, 0), 345));
}

async fn keys_compare_byte_by_byte(url: &str) {
    let bench = Bench::new(url).await;
    let keys = ["", "A", "B", "[\"a\",\"b\"]", "a", "é"];
    let rows = keys.map(|it| (it, "{}"));
    bench.full(&rows).await;
    assert_eq!(bench.seen().await.into_iter().map(|it| it.0).collect::<Vec<_>>(), keys);
    assert_eq!(did(bench.full(&rows).await.0), (0, 6, 0));
}

/// Statements that compare each with each would take minutes.
async fn a_large_load_ends_in_good_time(url: &str) {
    let bench = Bench::new(url).await;
    let rows: Vec<(String, &str)> = (0..30_000).map(|it| (format!("{it:06}"), "{}")).collect();
    let rows: Vec<(&str, &str)> =
        rows.iter().map(|(key, payload)| (key.as_str(), *payload)).collect();
    let loads = async {
        bench.full(&rows).await;
        let (counts, deleted) = bench.full(&rows[100..]).await;
        assert_eq!((did(counts), deleted), ((0, 29_900, 0), 100));
        let changed: Vec<_> = rows.iter().map(|(key, _)| (*key, "[]")).collect();
        assert_eq!(did(bench.full(&changed).await.0), (30_000, 0, 0));
        let load = bench.incremental().await;
        assert_eq!(did(bench.commit(&load, &rows).await.unwrap().counts), (30_000, 0, 0));
        assert_eq!(bench.records.counts(bench.activation.id).await.unwrap()[0].records, 30_000);
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), loads).await.unwrap();
}

/// PostgreSQL is stricter about what JSON is than a parser needs to be.
#[tokio::test]
async fn postgres_refuses_single_rows_without_harm_to_the_others() {
    crate::scratch::on_postgres(|url| async move {
        let bench = Bench::new(&url).await;
        let poison = ("13", "{\"x\":1e400000}");
        let half = ("14", "{\"x\":\"\\ud800\"}");
        let run = bench.begin(SyncMode::Full).await;
        let load = bench.open(run, SyncMode::Full).await.unwrap();
        let committed = bench.commit(&load, &[A, poison, B, half, C]).await.unwrap();
        assert_eq!((did(committed.counts), committed.held), ((3, 0, 2), Held::Nothing));
        bench.finish(load).await.unwrap();
        bench.end(run, RunEnd::Clean).await.unwrap();
        assert_eq!(bench.seen().await, owned(&[A, B, C]));
        assert_eq!(bench.count().await, 3);

        // What was fine before and is refused now stays as it was.
        let (counts, deleted) = bench.full(&[("1", poison.1), B, ("2", half.1), D]).await;
        assert_eq!((did(counts), deleted), ((2, 0, 2), 1));
        assert_eq!(bench.seen().await, owned(&[A, B, D]));
        assert_eq!(bench.count().await, 3);
        assert_eq!(bench.records.counts(bench.activation.id).await.unwrap()[0].quarantined, 2);
    })
    .await;
}

async fn the_parts_of_a_load_are_planned_once_and_read_once(url: &str) {
    let bench = Bench::new(url).await;
    let part = |value: serde_json::Value| Condition::parse(&value).unwrap();
    let conditions: Vec<_> =
        [json!({ "id": { "_lt": 5 } }), json!({ "id": { "_gte": 5 } })].map(part).into();
    let run = bench.begin(SyncMode::Full).await;
    let load = bench.open(run, SyncMode::Full).await.unwrap();
    assert_eq!(bench.records.plan_parts(&load, &[]).await.unwrap(), None);
    let planned = bench.records.plan_parts(&load, &conditions).await.unwrap().unwrap();
    assert_eq!(planned.iter().map(|it| it.number).collect::<Vec<_>>(), [0, 1]);
    bench.commit(&load, &[A]).await.unwrap();
    bench.records.finish_part(&load, 0).await.unwrap();

    // Another worker takes the run over, and would split otherwise.
    let later = Bench::at(1) + LEASE + LEASE;
    let taken = bench.take(run.id, later).await;
    assert!(matches!(bench.records.finish_part(&load, 1).await, Err(StoreError::Stale)));
    let load = bench.open(taken, SyncMode::Full).await.unwrap();
    let others = [part(json!({ "id": { "_lt": 9 } }))];
    let left = bench.records.plan_parts(&load, &others).await.unwrap().unwrap();
    assert_eq!(left, [LoadPart { number: 1, condition: conditions[1].clone() }]);
    bench.commit(&load, &[B]).await.unwrap();
    bench.records.finish_part(&load, 1).await.unwrap();
    assert_eq!(bench.records.plan_parts(&load, &others).await.unwrap(), Some(Vec::new()));
    bench.finish(load).await.unwrap();
    assert_eq!(bench.seen().await, owned(&[A, B]));
    assert_eq!(crate::activation::rows(url, "load_parts").await, 0);
}
