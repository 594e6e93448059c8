//! Runs of activations that write.

use std::sync::{Arc, atomic::Ordering};

use linkspan_domain::{
    Condition, StreamSettings, StreamSource, SyncMode, WorkspaceConnector, ports::Change,
};
use linkspan_engine::RunEvent;
use linkspan_testkit::fixtures::receipt;
use serde_json::json;

use crate::{
    bench::{Bench, for_both, settings},
    made_up::{Item, System, items, system},
};

fn some(count: i64, text: &str) -> Vec<Item> {
    (1..=count).map(|id| Item::new(id, Some(id), text)).collect()
}

/// The activation brings in `records` into its stream `items`; then it is turned round, and pushes them into `out`.
async fn bring_in(bench: &Bench, records: Vec<Item>, number: u32) {
    turn(bench, vec![settings(None)], number).await;
    bench.serve(items(&["items"], records));
    assert_eq!(bench.sync(SyncMode::Full).await.error, None);
}

async fn turn(bench: &Bench, streams: Vec<StreamSettings>, number: u32) {
    let activation = WorkspaceConnector { streams, ..bench.stored().await };
    let store = bench.db.workspace_connectors();
    store.write(&[Change::Update(activation)], &receipt(number, None)).await.unwrap();
}

async fn point(bench: &Bench, into: &Arc<System>, number: u32) {
    let source = StreamSource {
        workspace_connector_id: bench.activation.id,
        stream: "items".parse().unwrap(),
    };
    let output = StreamSettings {
        stream: Some("out".parse().unwrap()),
        cursor_column: None,
        cursor_type: None,
        source: Some(source),
        ..settings(None)
    };
    turn(bench, vec![output], number).await;
    bench.serve(system(Arc::clone(into)));
}

#[tokio::test]
async fn what_changed_is_pushed_and_nothing_else() {
    for_both(|url| async move {
        let bench = Bench::new(&url, items(&["items"], Vec::new())).await;
        let outside = Arc::new(System::default());
        bring_in(&bench, some(2_500, "a"), 20).await;
        point(&bench, &outside, 21).await;
        let first = bench.sync(SyncMode::Incremental).await;
        assert_eq!(first.error, None);
        assert_eq!((first.counts.read, first.counts.written), (2_500, 2_500));
        assert_eq!(outside.texts().len(), 2_500);

        let nothing = bench.sync(SyncMode::Incremental).await;
        assert_eq!((nothing.counts.read, nothing.counts.deleted), (0, 0));

        // One is new, one is another, one is gone.
        let mut records = some(2_501, "a");
        records[6].text = "b".to_owned();
        records.remove(0);
        bring_in(&bench, records, 22).await;
        point(&bench, &outside, 23).await;
        let third = bench.sync(SyncMode::Incremental).await;
        assert_eq!((third.counts.written, third.counts.deleted), (2, 1));
        let texts = outside.texts();
        assert_eq!((texts.len(), texts[0].0, texts[5].1.as_str()), (2_500, 2, "b"));

        // In full, everything is pushed anew.
        outside.held.lock().unwrap().clear();
        let full = bench.sync(SyncMode::Full).await;
        assert_eq!(full.counts.written, 2_500);
        assert_eq!(outside.texts(), texts);
    })
    .await;
}

#[tokio::test]
async fn a_push_that_breaks_off_goes_on_from_what_the_system_has() {
    for_both(|url| async move {
        let bench = Bench::new(&url, items(&["items"], Vec::new())).await;
        let outside = Arc::new(System::default());
        bring_in(&bench, some(5_000, "a"), 20).await;
        point(&bench, &outside, 21).await;
        outside.fails_after.store(4, Ordering::SeqCst);
        let outcome = bench.sync(SyncMode::Incremental).await;
        assert_eq!(outcome.error, None, "it is tried again");
        assert_eq!(outside.texts().len(), 5_000);
        let told = bench.told.0.lock().unwrap();
        assert!(told.iter().any(|it| matches!(it, RunEvent::Retrying { .. })));
    })
    .await;
}

#[tokio::test]
async fn a_filter_lets_through_what_it_holds_of_and_takes_back_the_rest() {
    for_both(|url| async move {
        let bench = Bench::new(&url, items(&["items"], Vec::new())).await;
        let outside = Arc::new(System::default());
        let condition = Condition::parse(&json!({ "text": { "_eq": "yes" } })).unwrap();
        let mut records = some(3, "yes");
        records[1].text = "no".to_owned();
        bring_in(&bench, records.clone(), 20).await;
        point(&bench, &outside, 21).await;
        *bench.opener.filter.lock().unwrap() = Some(condition.clone());
        bench.sync(SyncMode::Incremental).await;
        let ids = || outside.texts().iter().map(|it| it.0).collect::<Vec<_>>();
        assert_eq!(ids(), [1, 3]);

        records[1].text = "yes".to_owned();
        records[2].text = "no".to_owned();
        *bench.opener.filter.lock().unwrap() = None;
        bring_in(&bench, records, 22).await;
        point(&bench, &outside, 23).await;
        *bench.opener.filter.lock().unwrap() = Some(condition);
        bench.sync(SyncMode::Incremental).await;
        assert_eq!(ids(), [1, 2]);

        // Another filter means another look at everything.
        *bench.opener.filter.lock().unwrap() = None;
        bench.sync(SyncMode::Incremental).await;
        assert_eq!(ids(), [1, 2, 3]);
    })
    .await;
}

#[tokio::test]
async fn a_source_that_has_brought_nothing_in_is_nothing_to_push() {
    for_both(|url| async move {
        let bench = Bench::new(&url, items(&["items"], Vec::new())).await;
        let outside = Arc::new(System::default());
        point(&bench, &outside, 21).await;
        let outcome = bench.sync(SyncMode::Incremental).await;
        assert_eq!((outcome.error, outcome.counts.read), (None, 0));
        assert_eq!(outside.taken.load(Ordering::SeqCst), 0);
    })
    .await;
}
