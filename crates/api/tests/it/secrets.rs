//! Secrets go in, and never come out. Each answer is searched for the planted one where it arrives.

use linkspan_domain::MASK;
use serde_json::json;

use crate::platform::{PLANTED, Platform};

#[tokio::test]
async fn secrets_are_masked_wherever_settings_are_shown() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let id = admin.activation("one").await;
    let place = format!("/v1/workspace-connectors/{id}");
    let shown = admin.get(&place).await.expect(200);
    assert_eq!(shown.attributes()["config"], json!({ "host": "shop", "password": MASK }));
    assert_eq!(shown.attributes()["status"], "enabled");
    let listed = admin.get("/v1/workspace-connectors").await;
    assert_eq!(listed.body["data"][0]["attributes"]["config"]["password"], MASK);

    let patch = |config| json!({ "data": { "type": "workspace_connector", "id": id, "attributes": { "config": config } } });
    let kept = admin
        .patch(&place, patch(json!({ "host": "other", "password": "••••" })))
        .await
        .expect(200);
    assert_eq!(kept.attributes()["config"], json!({ "host": "other", "password": MASK }));
    assert_eq!(kept.attributes()["status"], "enabled");
    let gone = admin.patch(&place, patch(json!({ "password": null }))).await.expect(200);
    assert_eq!(gone.attributes()["config"]["host"], "other");
    assert_ne!(gone.attributes()["config"]["password"], MASK);
    assert_eq!(gone.attributes()["status"], "to_configure");
    let error = admin
        .patch(&place, patch(json!({ "password": "••••" })))
        .await
        .refused(422, "workspace_connector.invalid_config");
    assert_eq!(error["source"]["pointer"], "/data/attributes/config/password");
    let error = admin
        .patch(&place, patch(json!({ "api_token": PLANTED })))
        .await
        .refused(422, "workspace_connector.unknown_secret");
    assert_eq!(error["source"]["pointer"], "/data/attributes/config/api_token");
    let error = admin
        .patch(&place, patch(json!({ "port": PLANTED })))
        .await
        .refused(422, "workspace_connector.invalid_config");
    assert_eq!(error["source"]["pointer"], "/data/attributes/config/port");
}

#[tokio::test]
async fn settings_are_tried_before_and_after_they_are_kept() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let connector = admin.connector("one").await;
    let draft = |host: &str| json!({ "connector_id": connector, "config": { "host": host, "password": PLANTED } });
    let works = admin.post("/v1/workspace-connectors/test", draft("shop")).await.expect(200);
    assert_eq!((&works.body["ok"], &works.body["message"]), (&json!(true), &json!("it is open")));
    let down = admin.post("/v1/workspace-connectors/test", draft("down")).await.expect(200);
    assert_eq!(down.body["ok"], false);
    assert!(down.body["error"].is_string());
    let enveloped = json!({ "data": { "type": "connection_test", "attributes": draft("shop") } });
    admin.post("/v1/workspace-connectors/test", enveloped).await.expect(200);
    admin
        .post("/v1/workspace-connectors/test", json!({ "config": {} }))
        .await
        .refused(422, "resource.invalid");

    let id = admin.activate(&connector, "first").await;
    let place = format!("/v1/workspace-connectors/{id}");
    admin.post(&format!("{place}/test"), json!({})).await.expect(200);
    let down = admin
        .post(&format!("{place}/test"), json!({ "config": { "host": "down" } }))
        .await
        .expect(200);
    assert_eq!(down.body["ok"], false);
    let history =
        admin.get(&format!("{place}/tests?include=workspace_connector")).await.expect(200);
    assert_eq!(history.listed("ok"), ["false", "true"]);
    assert_eq!(history.body["included"][0]["id"], *id);
    let page = admin.get(&format!("{place}/tests?page[size]=1&filter[ok]=true")).await.expect(200);
    assert_eq!(page.body["meta"]["page"]["total"], 1);
    let empty = admin.send(poem::http::Method::POST, &format!("{place}/test"), None).await;
    assert_eq!(empty.expect(200).body["ok"], true);
}

#[tokio::test]
async fn an_activation_shows_what_it_can_and_runs() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let id = admin.activation("one").await;
    let place = format!("/v1/workspace-connectors/{id}");
    let models = admin.get(&format!("{place}/models")).await.expect(200);
    assert_eq!(models.listed("name"), ["orders"]);
    let left_out = json!([{ "name": "a;b", "reason": "characters_in_name" }]);
    assert_eq!(models.body["meta"], json!({ "page": { "total": 1 }, "left_out": left_out }));
    let can = admin.get(&format!("{place}/capabilities")).await.expect(200);
    assert_eq!(can.attributes()["connector_type"], "shop");

    let incremental = json!({ "mode": "incremental" });
    admin.post(&format!("{place}/syncs"), incremental).await.refused(422, "sync.cursor_required");
    let sync = json!({ "data": { "type": "workspace_connector_sync_log", "attributes": { "streams": ["orders"] } } });
    let started = admin
        .post(&format!("{place}/syncs?include=workspace_connector"), sync.clone())
        .await
        .expect(202);
    assert_eq!(started.header("retry-after"), "1");
    assert_eq!(started.attributes()["status"], "scheduled");
    assert_eq!(started.body["included"][0]["attributes"]["status"], "processing");
    let log = admin.get(started.header("location")).await.expect(200);
    assert_eq!(log.body["data"]["id"], started.body["data"]["id"]);
    admin.post(&format!("{place}/syncs"), sync).await.refused(409, "sync.already_in_progress");
    let cancel = format!("{}/cancel", started.header("location"));
    let stopped = admin.post(&cancel, json!({})).await.expect(202);
    assert_eq!(stopped.attributes()["error_code"], "sync.cancelled");
    admin.post(&cancel, json!({})).await.refused(409, "sync.not_active");
    let resume = format!("{}/resume", started.header("location"));
    let resumed = admin.post(&resume, json!({})).await.expect(202);
    assert_eq!(resumed.attributes()["trigger_type"], "resume");
    assert_eq!(resumed.attributes()["streams"], json!(["orders"]));
    admin.post(&resume, json!({})).await.refused(409, "sync.already_in_progress");
    let run = resumed.body["data"]["id"].as_str().unwrap();
    admin
        .post(&format!("/v1/workspace-connector-sync-logs/{run}/cancel"), json!({}))
        .await
        .expect(202);
    admin.post(&resume, json!({})).await.refused(409, "sync.not_resumable");

    let down = admin.activation("two").await;
    let patch = json!({ "data": { "type": "workspace_connector", "id": down, "attributes": { "config": { "host": "down" } } } });
    admin.patch(&format!("/v1/workspace-connectors/{down}"), patch).await.expect(200);
    admin
        .get(&format!("/v1/workspace-connectors/{down}/models"))
        .await
        .refused(424, "source.unavailable");
    let unknown = json!({ "streams": ["nothing"] });
    let third = admin.activation("three").await;
    admin
        .post(&format!("/v1/workspace-connectors/{third}/syncs"), unknown)
        .await
        .refused(404, "stream.not_found");
}

#[tokio::test]
async fn an_activation_is_switched_off_and_on() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let id = admin.activation("one").await;
    let place = format!("/v1/workspace-connectors/{id}");
    for (status, then) in [
        ("disabled", "disabled"),
        ("enabled", "enabled"),
        ("suspended", "suspended"),
        ("enabled", "enabled"),
    ] {
        let patch = json!({ "data": { "type": "workspace_connector", "id": id, "attributes": { "status": status } } });
        assert_eq!(admin.patch(&place, patch).await.expect(200).attributes()["status"], then);
    }
    let patch = json!({ "data": { "type": "workspace_connector", "id": id, "attributes": { "status": "degraded" } } });
    admin.patch(&place, patch).await.refused(422, "resource.invalid");
}

#[tokio::test]
async fn the_database_holds_no_secret() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let id = admin.activation("one").await;
    admin.post(&format!("/v1/workspace-connectors/{id}/test"), json!({})).await.expect(200);
    platform.database.close().await;
    for file in std::fs::read_dir(platform.home.path()).unwrap() {
        let path = file.unwrap().path();
        // Nothing was uploaded.
        if path.is_dir() {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(PLANTED.len()).any(|it| it == PLANTED.as_bytes());
        assert!(!found, "{} holds the planted secret", path.display());
    }
}
