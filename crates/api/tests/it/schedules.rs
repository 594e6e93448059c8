//! When activations sync by themselves.

use serde_json::{Value, json};

use crate::platform::{Answer, Client, Platform};

async fn put(admin: &Client<'_>, path: &str, attributes: Value) -> Answer {
    let body = json!({ "data": { "type": "schedule", "attributes": attributes } });
    admin.put(path, body).await
}

#[tokio::test]
async fn a_schedule_is_set_shown_replaced_and_removed() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let activation = admin.activation("one").await;
    let path = format!("/v1/workspace-connectors/{activation}/schedule");
    admin.get(&path).await.refused(404, "resource.not_found");

    let cron = json!({ "cron": "30 6 * * MON-FRI", "time_zone": "Europe/Vienna", "mode": "full" });
    let set = put(&admin, &path, cron).await.expect(200);
    assert_eq!(set.body["data"]["id"], json!(activation));
    assert_eq!(set.attributes()["time_zone"], "Europe/Vienna");
    assert_eq!(set.attributes()["paused"], false);
    assert!(set.attributes()["next_run_at"].is_string());
    let shown = admin.get(&path).await.expect(200);
    assert_eq!(shown.body["data"]["attributes"], set.body["data"]["attributes"]);

    let paused = json!({ "interval_secs": 3600, "mode": "full", "paused": true });
    let set = put(&admin, &path, paused).await.expect(200);
    assert_eq!(set.attributes()["interval_secs"], 3600);
    assert_eq!(set.attributes()["cron"], Value::Null);
    assert_eq!(set.attributes()["next_run_at"], Value::Null);

    admin.delete(&path).await.expect(204);
    admin.get(&path).await.refused(404, "resource.not_found");
    admin.delete(&path).await.refused(404, "resource.not_found");
}

#[tokio::test]
async fn a_schedule_that_cannot_be_meant_is_refused() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let activation = admin.activation("one").await;
    let path = format!("/v1/workspace-connectors/{activation}/schedule");
    for (attributes, pointer) in [
        (json!({ "mode": "full" }), "cron"),
        (json!({ "cron": "@daily", "interval_secs": 60, "mode": "full" }), "cron"),
        (json!({ "cron": "0 0 30 2 *", "mode": "full" }), "cron"),
        (json!({ "cron": "@daily", "time_zone": "Mars", "mode": "full" }), "time_zone"),
        (json!({ "interval_secs": 60, "time_zone": "UTC", "mode": "full" }), "time_zone"),
        (json!({ "interval_secs": 59, "mode": "full" }), "interval_secs"),
    ] {
        let refused = put(&admin, &path, attributes.clone()).await.refused(422, "resource.invalid");
        let place = refused["source"]["pointer"].as_str().unwrap().to_owned();
        assert_eq!(place, format!("/data/attributes/{pointer}"), "{attributes}");
    }
    let incremental = json!({ "cron": "@daily", "mode": "incremental" });
    put(&admin, &path, incremental).await.refused(422, "sync.cursor_required");
    admin.get(&path).await.refused(404, "resource.not_found");
}

#[tokio::test]
async fn an_activation_can_come_with_its_schedule() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let connector = admin.connector("one").await;
    let path = "/v1/workspace-connectors/bootstrap";
    let body = |name: &str, schedule: Value| {
        let mut attributes = json!({
            "connector_id": connector, "name": name, "config": { "host": "shop", "password": "x" },
        });
        if !schedule.is_null() {
            attributes["schedule"] = schedule;
        }
        json!({ "data": { "type": "workspace_connector", "attributes": attributes } })
    };
    let daily = json!({ "cron": "@daily", "mode": "full" });
    let once = admin.with("Idempotency-Key", "bootstrap-1");
    let made = once.post(path, body("both", daily.clone())).await.expect(201);
    let id = made.body["data"]["id"].as_str().unwrap().to_owned();
    assert_eq!(made.header("location"), format!("/v1/workspace-connectors/{id}"));
    let schedule = admin.get(&format!("/v1/workspace-connectors/{id}/schedule")).await.expect(200);
    assert_eq!(schedule.attributes()["cron"], "@daily");
    let again = once.post(path, body("both", daily.clone())).await.expect(201);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.body["data"]["id"], json!(id));

    // One that could never work leaves nothing behind.
    for (schedule, code, place) in [
        (Value::Null, "resource.invalid", ""),
        (json!({ "mode": "full" }), "resource.invalid", "/cron"),
        (json!({ "cron": "@daily", "mode": "incremental" }), "sync.cursor_required", "/mode"),
    ] {
        let refused = admin.post(path, body("neither", schedule)).await.refused(422, code);
        let place = format!("/data/attributes/schedule{place}");
        assert_eq!(refused["source"]["pointer"], json!(place));
    }
    let listed = admin.get("/v1/workspace-connectors").await.expect(200);
    assert_eq!(listed.listed("name"), ["both"]);
    let taken = admin.post(path, body("Both", daily)).await;
    taken.refused(409, "resource.name_taken");
}

#[tokio::test]
async fn marks_of_streams_that_were_never_synced_cannot_be_moved() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let activation = admin.activation("one").await;
    let path = format!("/v1/workspace-connectors/{activation}/streams");
    assert_eq!(admin.get(&path).await.expect(200).body["data"], json!([]));
    let one = format!("{path}/orders");
    let cursor = json!({ "cursor_after": "7" });
    admin.patch(&one, cursor.clone()).await.refused(404, "stream.not_found");
    let stale = admin.with("If-Match", "\"9-x\"");
    stale.patch(&one, cursor).await.refused(412, "resource.stale");
    admin.patch(&one, json!({})).await.expect(422);
}

#[tokio::test]
async fn what_marks_are_of_changes_while_the_schedule_is_paused() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let activation = admin.activation("one").await;
    let place = format!("/v1/workspace-connectors/{activation}");
    let streams = async |streams: Value| {
        let attributes = json!({ "streams": streams });
        let data =
            json!({ "type": "workspace_connector", "id": activation, "attributes": attributes });
        admin.patch(&place, json!({ "data": data })).await
    };
    streams(json!([{ "cursor_column": "updated_at" }])).await.expect(200);
    let path = format!("{place}/schedule");
    let hourly = json!({ "interval_secs": 3600, "mode": "full" });
    put(&admin, &path, hourly).await.expect(200);

    let other = json!([{ "cursor_column": "id", "cursor_type": "int" }]);
    let refused = streams(other.clone()).await.refused(409, "schedule.running");
    assert_eq!(refused["source"]["pointer"], "/data/attributes/streams");
    assert!(refused["detail"].as_str().unwrap().contains("pause it first"), "{refused}");
    streams(json!([{ "cursor_column": "updated_at", "lag": 5 }])).await.expect(200);

    let paused = json!({ "interval_secs": 3600, "mode": "full", "paused": true });
    put(&admin, &path, paused).await.expect(200);
    let changed = streams(other.clone()).await.expect(200);
    assert_eq!(changed.attributes()["streams"], other);
    let trail = "/v1/audit-events?filter[action]=stream.cursor_set";
    let event = admin.get(trail).await.expect(200).body["data"][0]["attributes"].clone();
    let expected = json!({ "stream": null, "cursor_column": "id", "cursor_type": "int" });
    assert_eq!(event["details"], expected, "{event}");
}
