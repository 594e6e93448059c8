//! Nobody sees or touches what belongs to another organization: on every route, it is not there.

use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    contract::{DOCUMENT, JSON_API},
    platform::{Client, Platform, STRANGER},
};

/// What of each kind the operator has, by the path it lives at.
async fn things(admin: &Client<'_>, platform: &Platform) -> Vec<(&'static str, String)> {
    let activation = admin.activation("one").await;
    let sync = admin
        .post(&format!("/v1/workspace-connectors/{activation}/syncs"), json!({}))
        .await
        .expect(202);
    let connector = admin.connector("two").await;
    let filter = json!({ "connector_id": connector, "config": {} });
    let person = json!({ "name": "Ada", "email": "ada@example.com", "role": "admin" });
    let key = json!({ "name": "CI", "permissions": ["connector:read"] });
    let event =
        admin.get("/v1/audit-events").await.body["data"][0]["id"].as_str().unwrap().to_owned();
    vec![
        ("/v1/workspace-connectors", activation),
        ("/v1/workspace-connector-sync-logs", sync.body["data"]["id"].as_str().unwrap().to_owned()),
        (
            "/v1/connector-filters",
            admin.make("/v1/connector-filters", "connector_filter", filter).await,
        ),
        ("/v1/workspaces", platform.workspace.id.to_string()),
        ("/v1/people", admin.make("/v1/people", "person", person).await),
        ("/v1/api-keys", admin.make("/v1/api-keys", "api_key", key).await),
        ("/v1/audit-events", event),
    ]
}

#[tokio::test]
async fn what_belongs_to_others_is_not_there() {
    let platform = Platform::start().await;
    let things = things(&platform.admin(), &platform).await;
    let stranger = platform.client(STRANGER).with("Content-Type", JSON_API);
    let absent = "01960000-0000-7000-8000-ffffffffffff";
    let mut asked = 0;
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        let Some((collection, id)) =
            things.iter().find(|(it, _)| path.starts_with(&format!("{it}/{{id}}")))
        else {
            continue;
        };
        let kind = kind(collection);
        for method in item.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let mut answers = Vec::new();
            for id in [id.as_str(), absent] {
                let body = match method {
                    _ if path.ends_with("/streams/{stream}") => json!({ "cursor_after": null }),
                    _ if path.ends_with("/rotate") => json!({ "config": {} }),
                    Method::PATCH => {
                        json!({ "data": { "type": kind, "id": id, "attributes": {} } })
                    }
                    Method::PUT => json!({ "interval_secs": 60, "mode": "full" }),
                    _ => Value::Null,
                };
                let body = (!body.is_null()).then(|| body.to_string());
                let path = path.replace("{id}", id).replace("{history_id}", absent);
                let answer = stranger.send(method.clone(), &path, body).await;
                let error = answer.refused(404, "resource.not_found");
                answers.push(error["detail"].as_str().unwrap().replace(id, "…"));
            }
            assert_eq!(
                answers[0], answers[1],
                "{method} {path}: another's and no one's are told apart"
            );
            asked += 1;
        }
    }
    assert!(asked >= 25, "only {asked} operations were asked");
}

fn kind(collection: &str) -> &'static str {
    match collection {
        "/v1/workspace-connectors" => "workspace_connector",
        "/v1/connector-filters" => "connector_filter",
        "/v1/workspaces" => "workspace",
        "/v1/people" => "person",
        _ => "none",
    }
}

#[tokio::test]
async fn lists_and_includes_show_ones_own_only() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let things = things(&admin, &platform).await;
    let stranger = platform.client(STRANGER);
    for (path, id) in &things {
        let listed = stranger.get(&format!("{path}?page[size]=500")).await.expect(200);
        assert!(!listed.text.contains(id.as_str()), "{path} shows {id}");
    }
    let (_, activation) = &things[0];
    let filtered = stranger
        .get(&format!("/v1/workspace-connectors?filter[workspace_connector_id]={activation}"))
        .await;
    assert_eq!(filtered.expect(200).body["meta"]["page"]["total"], 0);
    let refer = json!({ "data": { "type": "api_key", "attributes": {
        "name": "Mine", "permissions": ["connector:read"], "workspaces": [platform.workspace.id],
    } } });
    stranger.post("/v1/api-keys", refer).await.refused(409, "resource.dangling");
    let elsewhere = stranger.with("Linkspan-Workspace", &platform.workspace.id.to_string());
    elsewhere.get("/v1/connectors").await.refused(404, "resource.not_found");
}

#[tokio::test]
async fn a_parent_reads_what_is_below_it_and_no_more() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let root = platform.workspace.id.to_string();
    let below = admin
        .make(
            "/v1/workspaces",
            "workspace",
            json!({ "name": "Below", "slug": "below", "parent_id": root }),
        )
        .await;
    let lower = admin.with("Linkspan-Workspace", "below");
    let connector = admin.connector("one").await;
    let above = admin.activate(&connector, "above").await;
    let under = lower.activate(&connector, "under").await;
    let names = |answer: Value| -> usize {
        answer["meta"]["page"]["total"].as_u64().unwrap().try_into().unwrap()
    };
    assert_eq!(names(admin.get("/v1/workspace-connectors").await.body), 2);
    assert_eq!(names(lower.get("/v1/workspace-connectors").await.body), 1);
    admin.get(&format!("/v1/workspace-connectors/{under}")).await.expect(200);
    lower
        .get(&format!("/v1/workspace-connectors/{above}"))
        .await
        .refused(404, "resource.not_found");
    admin
        .delete(&format!("/v1/workspace-connectors/{under}"))
        .await
        .refused(403, "permission.denied");
    admin
        .with("Linkspan-Workspace", &below)
        .delete(&format!("/v1/workspace-connectors/{under}"))
        .await
        .expect(204);
    admin
        .with("Linkspan-Workspace", "nowhere")
        .get("/v1/connectors")
        .await
        .refused(404, "resource.not_found");
}
