//! What the records of streams become, and who receives it.

use linkspan_domain::{Entity, Id, Revision, TargetModel, WorkspaceConnectorId, ports::Change};
use serde_json::{Value, json};
use time::macros::datetime;
use uuid::Uuid;

use crate::platform::{Client, Platform};

const EXPRESSION: &str = "{ \"external_id\": $string(id), \"full_name\": name }";

fn mapping(activation: &str, expression: &str) -> Value {
    json!({
        "workspace_connector_id": activation, "stream": "orders", "target_model": "people",
        "expression": expression,
    })
}

async fn make(admin: &Client<'_>, activation: &str) -> String {
    let attributes = mapping(activation, EXPRESSION);
    admin.make("/v1/connector-mappings", "connector_mapping", attributes).await
}

fn document(kind: &str, id: Option<&str>, attributes: &Value) -> Value {
    let mut data = json!({ "type": kind, "attributes": attributes });
    if let Some(id) = id {
        data["id"] = id.into();
    }
    json!({ "data": data })
}

#[tokio::test]
async fn target_models_are_listed_with_their_schemas() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let all = admin.get("/v1/target-models").await.expect(200);
    assert_eq!(
        all.body["meta"]["page"]["total"].as_u64().or(all.body["meta"]["total"].as_u64()),
        Some(12)
    );
    let people = admin.get("/v1/target-models/people").await.expect(200);
    assert_eq!(people.attributes()["version"], "1.0.0");
    assert_eq!(people.attributes()["schema"]["required"], json!(["external_id"]));
    admin.get("/v1/target-models/poem").await.refused(404, "resource.not_found");
}

#[tokio::test]
async fn a_mapping_lives_from_its_first_wording_to_its_purge() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let activation = admin.activation("one").await;
    let id = make(&admin, &activation).await;
    let path = format!("/v1/connector-mappings/{id}");
    let made = admin.get(&path).await.expect(200);
    assert_eq!(made.attributes()["origin"], "written");
    assert_eq!(made.attributes()["status"], "active");
    let again = document("connector_mapping", None, &mapping(&activation, "{}"));
    admin.post("/v1/connector-mappings", again).await.refused(409, "resource.name_taken");

    assert_eq!(made.attributes()["on_collapse"], "revert");
    let meant = json!({ "expression": "{}", "on_collapse": "keep" });
    let patch = document("connector_mapping", Some(&id), &meant);
    let changed = admin.patch(&path, patch).await.expect(200);
    assert_eq!(changed.attributes()["version"], 2);
    assert_eq!(changed.attributes()["on_collapse"], "keep");
    let odd = document("connector_mapping", Some(&id), &json!({ "on_collapse": true }));
    let odd = admin.patch(&path, odd).await.refused(422, "resource.invalid");
    assert_eq!(odd["source"]["pointer"], "/data/attributes/on_collapse");
    let body = json!({ "version": 1 });
    let reverted = admin.post(&format!("{path}/revert"), body).await.expect(200);
    assert_eq!(reverted.attributes()["expression"], EXPRESSION);
    assert_eq!(reverted.attributes()["version"], 3);
    let absent = json!({ "version": 9 });
    admin.post(&format!("{path}/revert"), absent).await.refused(404, "resource.not_found");
    let versions = admin.get(&format!("{path}/versions")).await.expect(200);
    let numbers: Vec<_> = versions.body["data"].as_array().unwrap().iter().collect();
    assert_eq!(numbers.len(), 3);
    assert_eq!(numbers[0]["attributes"]["origin"], "reverted");
    let unmapped = admin.get(&format!("{path}/unmapped-records")).await.expect(200);
    assert_eq!(unmapped.body["data"], json!([]));

    admin.delete(&path).await.expect(204);
    admin.get(&path).await.refused(404, "resource.not_found");
    admin.post(&format!("{path}/restore"), json!({})).await.expect(200);
    admin.delete(&path).await.expect(204);
    admin.post(&format!("{path}/purge"), json!({})).await.expect(204);
}

#[tokio::test]
async fn what_is_no_mapping_is_refused_where_it_is_wrong() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let activation = admin.activation("one").await;
    let broken = document("connector_mapping", None, &mapping(&activation, "{"));
    let broken = admin.post("/v1/connector-mappings", broken).await;
    let broken = broken.refused(422, "connector_mapping.invalid_expression");
    assert_eq!(broken["source"]["pointer"], "/data/attributes/expression");
    let nowhere = document("connector_mapping", None, &mapping(&Uuid::nil().to_string(), "{}"));
    let nowhere = admin.post("/v1/connector-mappings", nowhere).await;
    nowhere.refused(409, "resource.dangling");
}

#[tokio::test]
async fn a_dry_run_tells_what_each_record_becomes() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let id = make(&admin, &admin.activation("one").await).await;
    let path = "/v1/connector-mappings/dry-run";
    let records = json!([{ "id": 1, "name": "Ada" }, { "name": "Nobody" }]);
    let kept = json!({ "connector_mapping_id": id, "records": records });
    let done = admin.with("Idempotency-Key", "once").post(path, kept.clone()).await.expect(200);
    assert_eq!(
        (&done.attributes()["mapped"], &done.attributes()["failed"]),
        (&json!(1), &json!(1))
    );
    let rows = &done.attributes()["rows"];
    assert_eq!(rows[0]["objects"], json!([{ "external_id": "1", "full_name": "Ada" }]));
    assert_eq!(rows[1]["error"], "`external_id` is required");
    admin.with("Idempotency-Key", "once").post(path, kept).await.expect(200);

    let draft = json!({ "target_model": "people", "expression": EXPRESSION, "records": records });
    let drafted = admin.post(path, draft).await.expect(200);
    assert_eq!(drafted.attributes()["rows"], *rows);
    for (body, pointer) in [
        (json!({ "expression": "{}" }), "target_model"),
        (json!({ "target_model": "people", "records": [] }), "expression"),
        (json!({ "target_model": "people", "expression": "{}" }), "records"),
        (
            json!({ "target_model": "people", "expression": "{}", "stream": "x" }),
            "workspace_connector_id",
        ),
        (json!({ "connector_mapping_id": id, "target_model": "people" }), "connector_mapping_id"),
    ] {
        let refused = admin.post(path, body.clone()).await.refused(422, "resource.invalid");
        let place = refused["source"]["pointer"].as_str().unwrap();
        assert_eq!(place, format!("/{pointer}"), "{body}");
    }
}

#[tokio::test]
async fn suggestions_say_what_became_of_each() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let activation = admin.activation("one").await;
    let path = format!("/v1/workspace-connectors/{activation}/suggest-mappings");
    let all = admin.post(&path, json!({})).await.expect(200);
    let all = all.body["data"].as_array().unwrap().clone();
    assert_eq!(all.len(), 12, "one stream, all models");
    assert!(all.iter().all(|it| it["attributes"]["outcome"] == "refused"), "{all:?}");
    let some = json!({ "streams": ["orders"], "target_models": ["invoice"] });
    let some = admin.post(&path, some).await.expect(200);
    assert_eq!(some.body["data"].as_array().unwrap().len(), 1);
    let absent = json!({ "streams": ["absent"] });
    admin.post(&path, absent).await.refused(422, "resource.invalid");
}

fn entity(
    platform: &Platform,
    activation: &str,
    number: u128,
    target_model: TargetModel,
) -> Entity {
    let at = datetime!(2026-05-01 12:00 UTC);
    Entity {
        id: Id::from_uuid(Uuid::from_u128(number)),
        revision: Revision::FIRST,
        workspace_id: platform.workspace.id,
        target_model,
        external_id: Some(number.to_string()),
        payload: json!({ "external_id": number.to_string() }).as_object().unwrap().clone(),
        hash: format!("{number:032x}"),
        workspace_connector_id: activation.parse::<WorkspaceConnectorId>().unwrap(),
        stream: "orders".parse().unwrap(),
        record_key: number.to_string(),
        item: 0,
        first_seen_at: at,
        last_seen_at: at,
        deleted_at: None,
    }
}

#[tokio::test]
async fn the_changes_of_entities_are_followed_within_a_workspace() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let activation = admin.activation("one").await;
    let path = "/v1/entities/changes";
    let nothing = admin.get(path).await.expect(200);
    assert_eq!(nothing.body["data"], json!([]));
    let mut gone = entity(&platform, &activation, 2, TargetModel::Invoice);
    gone.deleted_at = Some(gone.last_seen_at);
    let changes = [
        Change::Insert(entity(&platform, &activation, 1, TargetModel::People)),
        Change::Insert(gone),
    ];
    let receipt = linkspan_testkit::fixtures::receipt(1, None);
    platform.database.entities().write(&changes, &receipt).await.unwrap();

    let first = admin.get(&format!("{path}?page[size]=1")).await.expect(200);
    assert_eq!(first.body["data"][0]["type"], "entity_change");
    assert_eq!(first.body["data"][0]["attributes"]["kind"], "ADDED");
    assert_eq!(first.body["data"][0]["attributes"]["entity_id"], json!(Uuid::from_u128(1)));
    let next = first.body["links"]["next"].as_str().unwrap();
    let second = admin.get(next).await.expect(200);
    assert_eq!(second.body["data"][0]["attributes"]["kind"], "DELETED");
    let people = admin.get(&format!("{path}?filter[target_model]=people")).await.expect(200);
    assert_eq!(people.body["data"].as_array().unwrap().len(), 1);
    assert_eq!(people.body["links"]["next"], Value::Null);
    let cursor = people.body["meta"]["page"]["cursor"].as_str().unwrap();
    let rest = admin.get(&format!("{path}?page[after]={cursor}")).await.expect(200);
    assert_eq!(rest.body["data"], json!([]), "what the choice passed over is passed");

    for bad in ["page[after]=x", "filter[stream]=orders", "filter[target_model]=poem", "sort=id"] {
        admin.get(&format!("{path}?{bad}")).await.expect(400);
    }
    let stranger = platform.client(crate::platform::STRANGER);
    let foreign = stranger.get(path).await.expect(200);
    assert_eq!(foreign.body["data"], json!([]));
    stranger.get(&format!("{path}?page[after]={cursor}")).await.refused(400, "page.invalid_cursor");
}

#[tokio::test]
async fn entities_are_listed_by_model_and_only_to_those_whose_they_are() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let activation = admin.activation("one").await;
    let mut invoice = entity(&platform, &activation, 2, TargetModel::Invoice);
    invoice.payload.insert("total_amount".to_owned(), json!("12.50"));
    let payload = invoice.payload.clone();
    let changes = [
        Change::Insert(entity(&platform, &activation, 1, TargetModel::People)),
        Change::Insert(invoice),
    ];
    let receipt = linkspan_testkit::fixtures::receipt(1, None);
    platform.database.entities().write(&changes, &receipt).await.unwrap();

    let path = "/v1/entities?filter[target_model]=invoice&include=workspace_connector";
    let invoices = admin.get(path).await.expect(200);
    assert_eq!(invoices.body["data"].as_array().unwrap().len(), 1);
    assert_eq!(invoices.body["data"][0]["attributes"]["payload"], json!(payload));
    assert_eq!(invoices.body["included"][0]["id"], json!(activation));
    let one = format!("/v1/entities/{}", Uuid::from_u128(1));
    admin.get(&one).await.expect(200);
    let sources = admin.get(&format!("{one}/sources")).await.expect(200);
    assert_eq!(sources.body["data"], json!([]));
    let stranger = platform.client(crate::platform::STRANGER);
    stranger.get(&one).await.refused(404, "resource.not_found");
    stranger.get(&format!("{one}/sources")).await.refused(404, "resource.not_found");

    let find = async |body: Value| admin.post("/v1/entities/query", body).await.expect(200);
    let said = json!({ "external_id": { "_eq": "2" } });
    let invoices = find(json!({ "model": "invoice", "where": said })).await;
    assert_eq!(invoices.body["data"][0]["id"], json!(Uuid::from_u128(2)));
    assert_eq!(invoices.body["data"][0]["type"], "entity");
    assert_eq!(invoices.body["data"].as_array().unwrap().len(), 1);
    let others = find(json!({ "model": "people", "where": said })).await;
    assert_eq!(others.body["data"], json!([]));
    let first = find(json!({ "model": "invoice", "limit": 1 })).await;
    let after = &first.body["data"][0]["meta"]["page"]["cursor"];
    assert!(after.is_string(), "{}", first.body);
    let rest = find(json!({ "model": "invoice", "after": after })).await;
    assert_eq!(rest.body["data"], json!([]));
    assert_eq!(rest.body["meta"]["page"]["cursor"], Value::Null);
    let dear = json!({ "total_amount": { "_gt": "9" } });
    let invoices = find(json!({ "model": "invoice", "where": dear })).await;
    assert_eq!(invoices.body["data"][0]["id"], json!(Uuid::from_u128(2)), "as numbers");
    let query = "/v1/entities/query";
    let foreign = stranger.post(query, json!({ "model": "invoice" })).await.expect(200);
    assert_eq!(foreign.body["data"], json!([]));
    let elsewhere = json!({ "model": "invoice", "after": after });
    stranger.post(query, elsewhere).await.refused(400, "page.invalid_cursor");
    for wrong in [json!({}), json!({ "model": "absent" }), json!({ "model": "people", "limit": 0 })]
    {
        admin.post(query, wrong).await.expect(422);
    }
    let malformed = json!({ "model": "people", "where": { "name": { "_equals": "A" } } });
    admin.post(query, malformed).await.refused(422, "connector_filter.invalid_condition");
}

#[tokio::test]
async fn an_activation_has_its_own_workspace_as_target_and_takes_others() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let activation = admin.activation("one").await;
    let all = "/v1/workspace-connector-sync-targets";
    let own = admin.get(all).await.expect(200);
    let own = own.body["data"][0]["attributes"].clone();
    assert_eq!(own["workspace_connector_id"], json!(activation));
    assert_eq!(own["workspace_id"], own["target_workspace_id"]);

    let attributes = json!({ "name": "Other", "slug": "other" });
    let other = admin.make("/v1/workspaces", "workspace", attributes).await;
    let new = json!({ "workspace_connector_id": activation, "target_workspace_id": other });
    let kind = "workspace_connector_sync_target";
    let target = admin.make(all, kind, new.clone()).await;
    let twice = admin.post(all, document(kind, None, &new)).await;
    twice.refused(409, "resource.name_taken");
    let path = format!("{all}/{target}");
    let shown = admin.get(&format!("{path}?include=target_workspace")).await.expect(200);
    assert_eq!(shown.body["included"][0]["id"], json!(other));
    admin.delete(&path).await.expect(204);
    admin.post(&format!("{path}/restore"), json!({})).await.expect(200);
    admin.delete(&path).await.expect(204);
    admin.post(&format!("{path}/purge"), json!({})).await.expect(204);

    let nowhere = json!({
        "workspace_connector_id": activation, "target_workspace_id": Uuid::nil(),
    });
    admin.post(all, document(kind, None, &nowhere)).await.refused(409, "resource.dangling");
}
