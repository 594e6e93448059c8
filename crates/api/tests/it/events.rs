//! Following runs.

use serde_json::{Value, json};

use crate::platform::{Platform, STRANGER};

/// The name of an event, and what it says.
fn event(block: &str) -> Option<(&str, Value)> {
    let (name, data) = block.split_once('\n')?;
    let data = serde_json::from_str(data.strip_prefix("data: ")?).ok()?;
    Some((name.strip_prefix("event: ")?, data))
}

/// The names of events, and what they say.
fn events(text: &str) -> Vec<(&str, Value)> {
    let blocks = text.split("\n\n").filter(|it| !it.is_empty());
    blocks.map(|it| event(it).unwrap_or_else(|| panic!("{it} is no event"))).collect()
}

#[tokio::test]
async fn a_run_is_followed_to_its_end() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let activation = admin.activation("one").await;
    let started =
        admin.post(&format!("/v1/workspace-connectors/{activation}/syncs"), json!({})).await;
    let run = started.expect(202).body["data"]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/workspace-connector-sync-logs/{run}");
    let following = admin
        .with("Accept", "text/event-stream")
        .with("Accept-Encoding", "gzip")
        .with("Last-Event-ID", "7");
    let events_of = format!("{path}/events");
    // Nobody works on it here: it ends when somebody stops it.
    let (seen, ()) = tokio::join!(following.get(&events_of), async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        admin.post(&format!("{path}/cancel"), json!({})).await.expect(202);
    });
    let seen = seen.expect(200);
    assert_eq!(seen.header("content-type"), "text/event-stream");
    assert_eq!(seen.header("content-encoding"), "", "what is compressed comes late");
    let events = events(&seen.text);
    let names: Vec<_> = events.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["state", "ended"], "{}", seen.text);
    assert_eq!(events[0].1["data"]["id"], json!(run));
    assert_eq!(events[0].1["data"]["attributes"]["status"], "scheduled");
    assert_eq!(
        (&events[1].1["status"], &events[1].1["code"]),
        (&json!("error"), &json!("sync.cancelled"))
    );

    let stranger = platform.client(STRANGER);
    stranger.get(&events_of).await.refused(404, "resource.not_found");
    admin.get(&format!("{events_of}?page=1")).await.refused(400, "request.invalid_parameter");
}

#[tokio::test]
async fn who_follows_is_let_go_when_the_server_stops() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let activation = admin.activation("one").await;
    let started =
        admin.post(&format!("/v1/workspace-connectors/{activation}/syncs"), json!({})).await;
    let run = started.expect(202).body["data"]["id"].as_str().unwrap().to_owned();
    platform.closing.cancel();
    let seen =
        admin.get(&format!("/v1/workspace-connector-sync-logs/{run}/events")).await.expect(200);
    let names: Vec<_> = events(&seen.text).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["state"]);
}
