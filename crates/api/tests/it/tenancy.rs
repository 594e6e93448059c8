//! Nobody sees or touches what belongs to another organization: on every route, it is not there.

use linkspan_domain::{
    Diagnostic, DiagnosticReason, Entity, Id, Revision, TargetModel, WorkspaceConnectorId,
    WorkspaceId,
};
use poem::http::Method;
use serde_json::{Map, Value, json};
use time::macros::datetime;

use crate::{
    contract::{DOCUMENT, JSON_API},
    platform::{Answer, Client, Platform, STRANGER},
};

/// Collections of what everybody sees who reads at all. This list may only shrink.
const SHARED: [&str; 3] = ["/v1/connectors", "/v1/providers", "/v1/provider-connectors"];

/// One thing of each kind that belongs to a workspace, by the path it lives at. `client` acts in `workspace`.
async fn things_of_a_workspace(
    client: &Client<'_>,
    platform: &Platform,
    workspace: WorkspaceId,
    service: &str,
) -> Vec<(&'static str, String)> {
    let admin = platform.admin();
    let connector = admin.connector(service).await;
    let activation = client.activate(&connector, service).await;
    let syncs = format!("/v1/workspace-connectors/{activation}/syncs");
    let sync = client.post(&syncs, json!({})).await.expect(202);
    let filter = json!({ "connector_id": connector, "config": {} });
    let mapping = json!({
        "workspace_connector_id": activation, "stream": "orders", "target_model": "people", "expression": "{}",
    });
    let target = json!({ "workspace_connector_id": activation, "target_workspace_id": workspace });
    let upload = client.with("Content-Type", "text/csv");
    let path = format!("/v1/files?name={service}.csv");
    let file = upload.send(Method::POST, &path, Some("id\n1\n".to_owned())).await.expect(201);
    let id = |answer: &Answer| answer.body["data"]["id"].as_str().unwrap().to_owned();
    let (entity, diagnostic) = keep_brought_in(platform, workspace, &activation).await;
    vec![
        ("/v1/workspace-connectors", activation),
        ("/v1/workspace-connector-sync-logs", id(&sync)),
        (
            "/v1/connector-filters",
            client.make("/v1/connector-filters", "connector_filter", filter).await,
        ),
        (
            "/v1/connector-mappings",
            client.make("/v1/connector-mappings", "connector_mapping", mapping).await,
        ),
        ("/v1/workspace-connector-sync-targets", own_target(client, target).await),
        ("/v1/files", id(&file)),
        ("/v1/entities", entity),
        ("/v1/connector-sync-diagnostics", diagnostic),
    ]
}

/// The target that an activation begins with, or one that is made.
async fn own_target(client: &Client<'_>, target: Value) -> String {
    let path = "/v1/workspace-connector-sync-targets";
    let listed = client.get(path).await.expect(200);
    match listed.body["data"][0]["id"].as_str() {
        Some(id) => id.to_owned(),
        None => client.make(path, "workspace_connector_sync_target", target).await,
    }
}

/// An entity and a diagnostic of the activation: what runs bring in.
async fn keep_brought_in(
    platform: &Platform,
    workspace: WorkspaceId,
    activation: &str,
) -> (String, String) {
    let activation: WorkspaceConnectorId = activation.parse().unwrap();
    let at = datetime!(2026-05-01 12:00 UTC);
    let entity = Entity {
        id: Id::from_uuid(activation.uuid()),
        revision: Revision::FIRST,
        workspace_id: workspace,
        target_model: TargetModel::People,
        external_id: None,
        payload: Map::new(),
        hash: "0".repeat(32),
        workspace_connector_id: activation,
        stream: "orders".parse().unwrap(),
        record_key: "1".to_owned(),
        item: 0,
        first_seen_at: at,
        last_seen_at: at,
        deleted_at: None,
    };
    let diagnostic = Diagnostic {
        id: Id::from_uuid(activation.uuid()),
        workspace_connector_id: activation,
        workspace_id: workspace,
        sync_log_id: None,
        stream: None,
        target_model: None,
        reason: DiagnosticReason::SchemaDrift,
        detail: "something else".to_owned(),
        created_at: at,
    };
    let ids = (entity.id.to_string(), diagnostic.id.to_string());
    platform.database.diagnostics().note(&[diagnostic]).await.unwrap();
    platform.keep(&*platform.database.entities(), entity).await;
    ids
}

/// What of each kind the operator has, by the path it lives at.
async fn things(admin: &Client<'_>, platform: &Platform) -> Vec<(&'static str, String)> {
    let mut things = things_of_a_workspace(admin, platform, platform.workspace.id, "one").await;
    let person = json!({ "name": "Ada", "email": "ada@example.com", "role": "admin" });
    let key = json!({ "name": "CI", "permissions": ["connector:read"] });
    let event =
        admin.get("/v1/audit-events").await.body["data"][0]["id"].as_str().unwrap().to_owned();
    let rotation = admin.post("/v1/keys/rotate", json!({})).await.expect(202);
    things.extend([
        ("/v1/workspaces", platform.workspace.id.to_string()),
        ("/v1/people", admin.make("/v1/people", "person", person).await),
        ("/v1/api-keys", admin.make("/v1/api-keys", "api_key", key).await),
        ("/v1/audit-events", event),
        ("/v1/key-rotations", rotation.body["data"]["id"].as_str().unwrap().to_owned()),
    ]);
    things
}

/// Every route of the document that has an identifier, with the collection that it belongs to.
fn routes_with_identifiers() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let paths = DOCUMENT["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, item)| {
        let collection = path.split_once("/{id}").map(|(collection, _)| collection);
        let methods = item.as_object().unwrap().keys();
        methods.filter_map(move |method| Some((path.as_str(), method.as_str(), collection?)))
    })
}

/// Something that can be read as the body of a request about the thing with that identifier.
fn body(path: &str, method: &Method, collection: &str, id: &str) -> Option<String> {
    let kind = match collection {
        "/v1/people" => "person".to_owned(),
        other => other.trim_start_matches("/v1/").trim_end_matches('s').replace('-', "_"),
    };
    let body = match *method {
        _ if path.ends_with("/streams/{stream}") => json!({ "cursor_after": null }),
        _ if path.ends_with("/revert") => json!({ "version": 1 }),
        _ if path.ends_with("/rotate") => json!({ "config": {} }),
        Method::PATCH => json!({ "data": { "type": kind, "id": id, "attributes": {} } }),
        Method::PUT => json!({ "interval_secs": 60, "mode": "full" }),
        _ => return None,
    };
    Some(body.to_string())
}

#[tokio::test]
async fn what_belongs_to_others_is_not_there() {
    let platform = Platform::start().await;
    let things = things(&platform.admin(), &platform).await;
    let stranger = platform.client(STRANGER).with("Content-Type", JSON_API);
    let absent = "01960000-0000-7000-8000-ffffffffffff";
    let mut asked = 0;
    for (path, method, collection) in routes_with_identifiers() {
        if SHARED.contains(&collection) {
            continue;
        }
        let known = things.iter().find(|(it, _)| *it == collection);
        let (_, id) = known.unwrap_or_else(|| panic!("whose is what {method} {path} is about?"));
        let method: Method = method.to_uppercase().parse().unwrap();
        let mut answers = Vec::new();
        for id in [id.as_str(), absent] {
            let place = path.replace("{id}", id).replace("{stream}", "orders");
            let place = place.replace("{history_id}", absent).replace("{slug}", "one");
            let answer =
                stranger.send(method.clone(), &place, body(path, &method, collection, id)).await;
            let error = answer.refused(404, "resource.not_found");
            answers.push(error["detail"].as_str().unwrap().replace(id, "…"));
        }
        assert_eq!(
            answers[0], answers[1],
            "{method} {path}: another's and no one's are told apart"
        );
        asked += 1;
    }
    assert!(asked >= 50, "only {asked} operations were asked");
}

/// Bodies, too, can name what belongs to others: it is not there, either.
#[tokio::test]
async fn bodies_cannot_refer_to_what_belongs_to_others() {
    let platform = Platform::start().await;
    let things = things(&platform.admin(), &platform).await;
    let stranger = platform.client(STRANGER);
    let of = |collection: &str| {
        let found = things.iter().find(|(it, _)| *it == collection);
        found.unwrap().1.clone()
    };
    let (activation, workspace) = (of("/v1/workspace-connectors"), platform.workspace.id);
    let absent = "01960000-0000-7000-8000-ffffffffffff";
    let bodies = |activation: &str, workspace: &str, person: &str| {
        vec![
            (
                "/v1/connector-mappings",
                "connector_mapping",
                json!({
                    "workspace_connector_id": activation, "stream": "x", "target_model": "people", "expression": "{}",
                }),
            ),
            (
                "/v1/workspace-connector-sync-targets",
                "workspace_connector_sync_target",
                json!({
                    "workspace_connector_id": activation, "target_workspace_id": workspace,
                }),
            ),
            (
                "/v1/workspaces",
                "workspace",
                json!({ "name": "x", "slug": "x", "parent_id": workspace }),
            ),
            (
                "/v1/people",
                "person",
                json!({
                    "name": "x", "email": "x@example.com", "role": "viewer", "workspaces": [workspace],
                }),
            ),
            (
                "/v1/api-keys",
                "api_key",
                json!({
                    "name": "x", "permissions": ["connector:read"], "workspaces": [workspace],
                }),
            ),
            (
                "/v1/api-keys",
                "api_key",
                json!({
                    "name": "x", "permissions": ["connector:read"], "person_id": person,
                }),
            ),
        ]
    };
    let person = of("/v1/people");
    let theirs = bodies(&activation, &workspace.to_string(), &person);
    let none = bodies(absent, absent, absent);
    for ((path, kind, theirs), (_, _, none)) in theirs.into_iter().zip(none) {
        let mut told = Vec::new();
        for attributes in [theirs, none] {
            let new = json!({ "data": { "type": kind, "attributes": attributes } });
            let answer = stranger.post(path, new).await;
            assert!(matches!(answer.status, 404 | 409), "{path}: {}", answer.text);
            told.push((answer.status, answer.body["errors"][0]["code"].clone()));
        }
        assert_eq!(told[0], told[1], "{path}: another's and no one's are told apart");
    }
    let query = json!({ "workspace_connector_id": activation });
    let found = stranger.post("/v1/records/query", query).await;
    assert!(found.status == 404 || found.body["data"] == json!([]), "{}", found.text);
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

#[tokio::test]
async fn a_parent_reads_every_kind_of_thing_below_it_and_writes_none() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let root = platform.workspace.id.to_string();
    let below = json!({ "name": "Below", "slug": "below", "parent_id": root });
    let below = admin.make("/v1/workspaces", "workspace", below).await;
    let lower = admin.with("Linkspan-Workspace", &below);
    let above = things_of_a_workspace(&admin, &platform, platform.workspace.id, "above").await;
    let under = things_of_a_workspace(&lower, &platform, below.parse().unwrap(), "under").await;
    let upper = admin.with("Content-Type", JSON_API);
    let mut asked = 0;
    for (path, method, collection) in routes_with_identifiers() {
        let Some((_, id)) = under.iter().find(|(it, _)| *it == collection) else { continue };
        let (_, higher) = above.iter().find(|(it, _)| *it == collection).unwrap();
        let ends_in_itself = path == format!("{collection}/{{id}}");
        if method == "get" && ends_in_itself {
            admin.get(&format!("{collection}/{id}")).await.expect(200);
            lower.get(&format!("{collection}/{higher}")).await.refused(404, "resource.not_found");
            let page = format!("{collection}?page[size]=100");
            let seen = admin.get(&page).await.expect(200).text;
            assert!(seen.contains(id.as_str()), "{collection}");
            let seen = lower.get(&page).await.expect(200).text;
            assert!(seen.contains(id.as_str()) && !seen.contains(higher.as_str()), "{collection}");
        }
        if matches!(method, "patch" | "put" | "delete") {
            let method: Method = method.to_uppercase().parse().unwrap();
            let place = path.replace("{id}", id).replace("{stream}", "orders");
            let sent = body(path, &method, collection, id);
            upper.send(method, &place, sent).await.refused(403, "permission.denied");
            asked += 1;
        }
    }
    assert!(asked >= 8, "only {asked} writes were tried");
}
