//! Tests of starting syncs.

use std::sync::mpsc;

use linkspan_domain::{Fence, Role, RunStatus, StreamSettings, ports::MockRunQueue};
use serde_json::json;

use super::*;
use crate::fixtures::{MockRuns, activation, call, code, id, keep, sources, world};

fn run(mode: Option<SyncMode>, streams: &[&str]) -> StartSync {
    let streams = streams.iter().map(|it| it.parse().unwrap()).collect();
    StartSync { mode, streams }
}

async fn start(
    stored: WorkspaceConnector,
    sync: StartSync,
    outcome: Result<(), StoreError>,
) -> Result<SyncLog, SyncError> {
    let mut runs = MockRuns::new();
    let mut queue = MockRunQueue::new();
    let (offer, offered) = mpsc::channel();
    queue.expect_offer().returning(move |run| offer.send(run).unwrap());
    let mut outcome = Some(outcome);
    runs.expect_start().returning(move |_, receipt| {
        assert_eq!(receipt.audit.action, "sync.started");
        outcome.take().unwrap()
    });
    let activations = keep(vec![stored]).store;
    let syncs = Syncs::new(Arc::new(runs), Arc::new(queue), activations, sources(), world());
    let started = syncs.start(&call(Role::Designer), id(30), sync).await;
    assert_eq!(
        offered.try_recv().ok(),
        started.as_ref().ok().map(|it| it.id),
        "who waits is offered"
    );
    started
}

fn with_cursor(stream: Option<&str>) -> WorkspaceConnector {
    activation(|it| {
        it.streams = vec![StreamSettings {
            stream: stream.map(|it| it.parse().unwrap()),
            cursor_column: Some("id".to_owned()),
            ..StreamSettings::default()
        }];
    })
}

#[tokio::test]
async fn a_run_waits_for_a_worker() {
    let run = start(activation(|_| {}), run(None, &[]), Ok(())).await.unwrap();
    assert_eq!((run.status, run.mode, run.fence), (RunStatus::Scheduled, SyncMode::Full, Fence(0)));
    assert_eq!(run.workspace_id, activation(|_| {}).workspace_id);
    assert_eq!(json!(run.mode), json!("full"));
}

#[tokio::test]
async fn an_incremental_run_needs_a_cursor_for_every_stream_it_names() {
    let incremental = Some(SyncMode::Incremental);
    let of = async |stored, mode, streams: &[&str]| {
        let started = start(stored, run(mode, streams), Ok(())).await;
        started.map(|it| it.mode).map_err(|error| error.code().to_string())
    };
    let required = Err("sync.cursor_required".to_owned());
    assert_eq!(of(activation(|_| {}), incremental, &[]).await, required);
    assert_eq!(of(with_cursor(None), incremental, &[]).await, Ok(SyncMode::Incremental));
    assert_eq!(of(with_cursor(None), None, &[]).await, Ok(SyncMode::Incremental));
    assert_eq!(of(with_cursor(None), Some(SyncMode::Full), &[]).await, Ok(SyncMode::Full));
    let named = with_cursor(Some("files"));
    assert_eq!(of(named.clone(), incremental, &["files"]).await, Ok(SyncMode::Incremental));
    assert_eq!(of(named.clone(), incremental, &["files", "public.orders"]).await, required);
    // There are other streams, of which nothing is known.
    assert_eq!(of(named.clone(), incremental, &[]).await, required);
    assert_eq!(of(named, None, &[]).await, Ok(SyncMode::Full));
}

#[tokio::test]
async fn streams_without_a_cursor_are_named() {
    let says = async |stored, streams: &[&str]| {
        let sync = run(Some(SyncMode::Incremental), streams);
        start(stored, sync, Ok(())).await.unwrap_err().to_string()
    };
    let none = says(activation(|_| {}), &[]).await;
    assert!(none.contains("and there is none;"), "{none}");
    let named = || with_cursor(Some("files"));
    let others = says(named(), &[]).await;
    assert!(others.contains("and `public.orders`, `audit.logins` have none;"), "{others}");
    let asked = says(named(), &["files", "audit.logins"]).await;
    assert!(asked.contains("and `audit.logins` has none;"), "{asked}");
    let mut all_but_one = with_cursor(None);
    let without = StreamSettings { cursor_column: None, ..named().streams.remove(0) };
    all_but_one.streams.push(without);
    let one = says(all_but_one, &[]).await;
    assert!(one.contains("and `files` has none;"), "{one}");
}

#[tokio::test]
async fn one_run_at_a_time() {
    let busy = activation(|it| it.status = Status::Processing);
    assert_eq!(code(start(busy, run(None, &[]), Ok(())).await), "sync.already_in_progress");
    let raced = start(activation(|_| {}), run(None, &[]), Err(StoreError::Taken)).await;
    assert_eq!(code(raced), "sync.already_in_progress");
}

#[tokio::test]
async fn what_is_not_enabled_does_not_run() {
    for status in [Status::ToConfigure, Status::Disabled, Status::NeedReconnect, Status::Suspended]
    {
        let started = start(activation(|it| it.status = status), run(None, &[]), Ok(())).await;
        assert_eq!(code(started), "workspace_connector.unexpected_status", "{status}");
    }
    let raced = start(activation(|_| {}), run(None, &[]), Err(StoreError::Stale)).await;
    assert_eq!(code(raced), "resource.stale");
}

#[tokio::test]
async fn streams_that_are_not_there_are_refused_unless_nobody_can_tell() {
    let absent = start(activation(|_| {}), run(None, &["public.absent"]), Ok(())).await;
    assert_eq!(code(absent), "stream.not_found");
    assert_eq!(code(start(activation(|_| {}), run(None, &["files"]), Ok(())).await), "ok");
    let down = activation(|it| {
        it.config.insert("host".to_owned(), json!("down"));
    });
    assert_eq!(code(start(down, run(None, &["public.absent"]), Ok(())).await), "ok");
}

#[tokio::test]
async fn what_has_no_records_does_not_sync_and_doubles_are_for_admins() {
    let double = activation(|it| it.connector_type = "double".parse().unwrap());
    assert_eq!(code(start(double, run(None, &[]), Ok(())).await), "permission.denied");
    let absent = activation(|it| it.connector_type = "absent".parse().unwrap());
    assert_eq!(code(start(absent, run(None, &[]), Ok(())).await), "connector_type.not_installed");
}

#[tokio::test]
async fn an_activation_that_pushes_needs_a_type_that_writes() {
    let source = linkspan_domain::StreamSource {
        workspace_connector_id: id(31),
        stream: "files".parse().unwrap(),
    };
    let mut output = with_cursor(Some("out"));
    output.streams[0].cursor_column = None;
    output.streams[0].source = Some(source);
    let refused = start(output, run(None, &[]), Ok(())).await.unwrap_err();
    let needed = Unsuitable::Unsupported(linkspan_domain::Capability::Write);
    assert_eq!(refused.to_string(), needed.to_string());
}
