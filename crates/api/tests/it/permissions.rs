//! Who may do what: every route, for every role.

use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    contract::{DOCUMENT, JSON_API},
    platform::{Client, Platform},
};

/// Whether callers with `role` may do what `operation` does, as the document says. None: nobody is let in without a key.
fn may(operation: &Value, role: &str) -> bool {
    match (operation["x-permission"].as_str().unwrap(), role) {
        ("nothing", _) => true,
        (_, NOBODY) => false,
        ("caller", _) => true,
        (permission, role) => {
            DOCUMENT["x-roles"][role].as_array().unwrap().contains(&permission.into())
        }
    }
}

const NOBODY: &str = "nobody";

/// A client for every role, and one without a key.
async fn clients(platform: &Platform) -> Vec<(&'static str, Client<'_>)> {
    let admin = platform.admin();
    let mut clients = vec![(NOBODY, platform.anybody())];
    for role in DOCUMENT["x-roles"].as_object().unwrap().keys() {
        let person = admin
            .make(
                "/v1/people",
                "person",
                json!({
                    "name": role, "email": format!("{role}@example.com"), "role": role,
                    "workspaces": [platform.workspace.id],
                }),
            )
            .await;
        let new = json!({ "data": { "type": "api_key", "attributes": {
            "name": role, "person_id": person, "permissions": ["connector:read", "connector:manage", "org:admin"],
        } } });
        let key = admin.post("/v1/api-keys", new).await.expect(201);
        clients.push((role, platform.client(key.attributes()["key"].as_str().unwrap())));
    }
    clients
}

#[tokio::test]
async fn every_route_lets_in_the_roles_that_the_table_names() {
    let platform = Platform::start().await;
    let clients = clients(&platform).await;
    assert_eq!(clients.len(), 5);
    let activation = platform.admin().activation("one").await;
    let mut asked = 0;
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            // What nobody has: whoever may ask is told that it is not there, others that they may not.
            let id = if path.contains("/{id}/tests") {
                &*activation
            } else {
                "01960000-0000-7000-8000-ffffffffffff"
            };
            let path = path.replace("{id}", id).replace("{history_id}", id);
            let path = path.replace("{key}", "shop").replace("{slug}", "shop");
            let path = path.replace("{stream}", "orders");
            let (path, media_type) = match name {
                "upload_file" => (format!("{path}?name=a.csv"), "text/csv"),
                _ => (path, JSON_API),
            };
            let method: Method = method.to_uppercase().parse().unwrap();
            for (role, client) in &clients {
                let client = client.with("Content-Type", media_type);
                let answer = client.send(method.clone(), &path, body(operation, id)).await;
                let refused = match answer.status {
                    401 => Some(NOBODY),
                    403 => Some(*role),
                    _ => None,
                };
                let expected = (!may(operation, role)).then_some(*role);
                assert_eq!(refused, expected, "{role} {name}: {}", answer.text);
                asked += 1;
            }
        }
    }
    assert!(asked > 400, "only {asked} requests");
}

#[tokio::test]
async fn a_key_is_weaker_at_once_when_its_owner_is() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let (_, designer) = clients(&platform).await.into_iter().find(|it| it.0 == "designer").unwrap();
    let path = "/v1/people?filter[email]=designer@example.com";
    let person = admin.get(path).await.body["data"][0]["id"].as_str().unwrap().to_owned();
    let new = json!({ "data": { "type": "connector_filter", "attributes": {
        "connector_id": admin.connector("two").await, "config": {},
    } } });
    designer.post("/v1/connector-filters", new.clone()).await.expect(201);
    let change =
        json!({ "data": { "type": "person", "id": person, "attributes": { "role": "analyst" } } });
    admin.patch(&format!("/v1/people/{person}"), change).await.expect(200);
    designer.post("/v1/connector-filters", new).await.refused(403, "permission.denied");
    designer.get("/v1/connectors").await.expect(200);
    admin.delete(&format!("/v1/people/{person}")).await.expect(204);
    designer.get("/v1/connectors").await.refused(401, "request.unauthenticated");
}

/// A body that can be read, and that refers to what is not there.
fn body(operation: &Value, id: &str) -> Option<String> {
    let schema = operation["requestBody"]["content"][JSON_API]["schema"]["$ref"].as_str()?;
    let name = schema.rsplit('/').next().unwrap();
    let attributes = match name {
        "NewConnector" => json!({
            "name": "x", "provider": "well", "category_id": "x", "service_id": "x", "connector_type": "shop",
        }),
        "NewConnectorFilter" => json!({ "connector_id": id, "config": {} }),
        "NewProvider" | "NewWorkspace" => json!({ "name": "x", "slug": "x" }),
        "NewProviderConnector" => json!({ "provider_id": id, "connector_id": id }),
        "NewWorkspaceConnector" => json!({ "connector_id": id, "config": {} }),
        "BootstrapWorkspaceConnector" => json!({
            "connector_id": id, "config": {}, "schedule": { "interval_secs": 60, "mode": "full" },
        }),
        "SetCursor" => return Some(json!({ "cursor_after": null }).to_string()),
        "NewPerson" => json!({ "name": "x", "email": "x@example.com", "role": "viewer" }),
        "NewApiKey" => json!({ "name": "x", "permissions": ["connector:read"] }),
        "ConnectionDraft" => return Some(json!({ "connector_type": "shop" }).to_string()),
        "SetSchedule" => return Some(json!({ "interval_secs": 60, "mode": "full" }).to_string()),
        "NewConnectorMapping" => json!({
            "workspace_connector_id": id, "stream": "x", "target_model": "people", "expression": "{}",
        }),
        "NewSyncTarget" => json!({ "workspace_connector_id": id, "target_workspace_id": id }),
        "CredentialRotation" => return Some(json!({ "config": {} }).to_string()),
        "EntityQuery" => return Some(json!({ "model": "people" }).to_string()),
        "RevertMapping" => return Some(json!({ "version": 1 }).to_string()),
        "MappingDryRun" => {
            let draft = json!({ "target_model": "people", "expression": "{}", "records": [] });
            return Some(draft.to_string());
        }
        "CredentialRollback" | "NewAuthorization" | "Nothing" | "TestOverrides" | "NewSync"
        | "RecordQuery" | "SuggestMappings" => {
            return Some("{}".to_owned());
        }
        _ => json!({}),
    };
    let kind = crate::contract::DOCUMENT["components"]["schemas"][name]["properties"]["data"]["properties"]["type"]["enum"][0].clone();
    let mut data = json!({ "type": kind, "attributes": attributes });
    if name.ends_with("Patch") {
        data["id"] = id.into();
    }
    Some(json!({ "data": data }).to_string())
}
