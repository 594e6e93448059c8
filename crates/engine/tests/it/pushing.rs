//! Runs of activations that write.

use std::sync::{Arc, atomic::Ordering};

use linkspan_domain::{
    Condition, StreamSettings, StreamSource, SyncMode, WorkspaceConnector, ports::Change,
};
use linkspan_engine::RunEvent;
use linkspan_sdk::QuarantineQuery;
use linkspan_testkit::fixtures::receipt;
use serde_json::json;

use crate::{
    bench::{Bench, for_both, on_sqlite, settings},
    made_up::{Gathering, Item, System, gathering, items, many, system},
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
    point_at(bench, "out", into, number).await;
}

async fn point_at(bench: &Bench, stream: &str, into: &Arc<System>, number: u32) {
    let source = StreamSource {
        workspace_connector_id: bench.activation.id,
        stream: "items".parse().unwrap(),
    };
    let output = StreamSettings {
        stream: Some(stream.parse().unwrap()),
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
async fn nothing_is_pushed_into_what_it_was_read_from() {
    for_both(|url| async move {
        let bench = Bench::new(&url, items(&["items"], Vec::new())).await;
        let outside = Arc::new(System::default());
        bring_in(&bench, some(3, "a"), 20).await;
        point_at(&bench, "items", &outside, 21).await;
        let (code, says) = bench.sync(SyncMode::Incremental).await.error.unwrap();
        assert!(says.contains("push into another"), "{code} {says}");
        assert_eq!(outside.texts().len(), 0);
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
async fn a_system_that_gathers_changes_is_opened_once_and_asked_for_them_now_and_then() {
    on_sqlite(|url| async move {
        let bench = Bench::new(&url, items(&["items"], Vec::new())).await;
        turn(&bench, vec![settings(None)], 20).await;
        bench.serve(many(60_000));
        assert_eq!(bench.sync(SyncMode::Full).await.error, None);
        for (number, until, opened) in
            [(21, Gathering::UntilAsked, 1), (22, Gathering::UntilItsEnd, 2)]
        {
            let (outside, files) = (Arc::new(System::default()), Arc::default());
            point(&bench, &outside, number).await;
            bench.serve(gathering(Arc::clone(&outside), until, Arc::clone(&files)));
            let pushed = bench.sync(SyncMode::Full).await;
            assert_eq!((pushed.error, pushed.counts.written), (None, 60_000), "{until:?}");
            assert_eq!(outside.texts().len(), 60_000, "{until:?}");
            assert_eq!(*files.lock().unwrap(), [50_000, 10_000], "{until:?}");
            assert_eq!(outside.opened.load(Ordering::SeqCst), opened, "{until:?}");
        }
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

async fn quarantined(bench: &Bench) -> Vec<(String, String)> {
    let (activation, stream) = (bench.activation.id, "out".parse().unwrap());
    let query = QuarantineQuery { activation, stream, after: None, limit: 100 };
    let kept = bench.engine.records.quarantined(&query).await.unwrap();
    kept.into_iter().map(|it| (it.key.unwrap(), it.reason)).collect()
}

#[tokio::test]
async fn what_the_system_refuses_is_kept_aside_until_a_later_version_is_pushed() {
    for_both(|url| async move {
        let bench = Bench::new(&url, items(&["items"], Vec::new())).await;
        let outside = Arc::new(System::default());
        *outside.refuses.lock().unwrap() = Some("bad".to_owned());
        let mut records = some(1_500, "a");
        for at in [3, 1_200, 1_400] {
            records[at].text = "bad".to_owned();
        }
        bring_in(&bench, records.clone(), 20).await;
        point(&bench, &outside, 21).await;
        let first = bench.sync(SyncMode::Incremental).await;
        assert_eq!((first.counts.written, first.counts.quarantined), (1_497, 3));
        assert_eq!((first.error, outside.texts().len()), (None, 1_497));
        let aside = quarantined(&bench).await;
        assert!(aside.iter().all(|it| it.1.contains("no good")), "{aside:?}");
        let keys: Vec<_> = aside.iter().map(|it| it.0.as_str()).collect();
        assert_eq!(keys.len(), 3);
        assert!(["4", "1201", "1401"].iter().all(|it| keys.contains(it)), "{keys:?}");

        // One is corrected, one is gone, one stays as it is.
        records[3].text = "good".to_owned();
        records.remove(1_200);
        bring_in(&bench, records, 22).await;
        point(&bench, &outside, 23).await;
        let second = bench.sync(SyncMode::Incremental).await;
        assert_eq!((second.counts.written, second.counts.deleted), (1, 1));
        let keys: Vec<_> = quarantined(&bench).await.into_iter().map(|it| it.0).collect();
        assert_eq!(keys, ["1401"]);

        *outside.refuses.lock().unwrap() = None;
        assert_eq!(bench.sync(SyncMode::Full).await.error, None);
        assert_eq!(quarantined(&bench).await, []);
        assert_eq!(outside.texts().len(), 1_499);
    })
    .await;
}

#[tokio::test]
async fn a_push_of_which_too_much_is_refused_fails_and_passes_none_of_it() {
    for_both(|url| async move {
        let bench = Bench::new(&url, items(&["items"], Vec::new())).await;
        let outside = Arc::new(System::default());
        *outside.refuses.lock().unwrap() = Some("bad".to_owned());
        bring_in(&bench, some(50, "bad"), 20).await;
        point(&bench, &outside, 21).await;
        let outcome = bench.sync(SyncMode::Incremental).await;
        assert!(outcome.error.is_some(), "{outcome:?}");
        assert_eq!(bench.mark("out").await, None);

        *outside.refuses.lock().unwrap() = None;
        let outcome = bench.sync(SyncMode::Incremental).await;
        assert_eq!((outcome.error, outcome.counts.written), (None, 50));
        assert_eq!((quarantined(&bench).await, outside.texts().len()), (Vec::new(), 50));
    })
    .await;
}

#[tokio::test]
async fn into_a_target_that_is_another_everything_is_pushed() {
    for_both(|url| async move {
        let bench = Bench::new(&url, items(&["items"], Vec::new())).await;
        let outside = Arc::new(System::default());
        *outside.target.lock().unwrap() = Some("one".to_owned());
        bring_in(&bench, some(20, "a"), 20).await;
        point(&bench, &outside, 21).await;
        let mut written = Vec::new();
        for target in ["one", "one", "another"] {
            *outside.target.lock().unwrap() = Some(target.to_owned());
            written.push(bench.sync(SyncMode::Incremental).await.counts.written);
        }
        *bench.opener.settings.lock().unwrap() = json!({ "host": "elsewhere" });
        written.push(bench.sync(SyncMode::Incremental).await.counts.written);
        assert_eq!(written, [20, 0, 20, 20]);
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
