//! Who may do what: every operation, for every role.

use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    contract::{DOCUMENT, JSON_API},
    platform::Platform,
};

/// Which role an operation takes at least. Every operation has to be here.
fn least(operation: &str) -> &'static str {
    match operation {
        "get_health"
        | "get_readiness"
        | "get_metrics"
        | "complete_authorization"
        | "get_client_metadata" => "nobody",
        "list_workspaces" | "get_workspace" | "list_people" | "get_person" => "viewer",
        "list_connectors"
        | "get_connector"
        | "list_connector_types"
        | "get_connector_type"
        | "get_connector_type_capabilities"
        | "list_connector_filters"
        | "get_connector_filter"
        | "list_providers"
        | "get_provider"
        | "list_provider_connectors"
        | "get_provider_connector"
        | "list_workspace_connectors"
        | "get_workspace_connector"
        | "get_workspace_connector_capabilities"
        | "get_schedule"
        | "list_stream_states"
        | "list_connection_tests"
        | "list_connector_sync_diagnostics"
        | "explain_filter"
        | "get_connector_sync_diagnostic"
        | "list_streams"
        | "list_target_models"
        | "get_target_model"
        | "list_connector_mappings"
        | "get_connector_mapping"
        | "list_connector_mapping_versions"
        | "list_unmapped_records"
        | "list_entities"
        | "get_entity"
        | "list_entity_sources"
        | "list_entity_changes"
        | "query_entities"
        | "list_workspace_connector_sync_targets"
        | "get_workspace_connector_sync_target"
        | "list_record_changes"
        | "list_quarantined_records"
        | "query_records"
        | "list_files"
        | "get_file"
        | "list_workspace_connector_sync_logs"
        | "get_workspace_connector_sync_log"
        | "follow_workspace_connector_sync_log" => "analyst",
        other => least_to_write(other),
    }
}

/// The same for what changes something.
fn least_to_write(operation: &str) -> &'static str {
    match operation {
        "create_connector_filter"
        | "update_connector_filter"
        | "delete_connector_filter"
        | "restore_connector_filter"
        | "purge_connector_filter"
        | "create_workspace_connector"
        | "update_workspace_connector"
        | "delete_workspace_connector"
        | "restore_workspace_connector"
        | "purge_workspace_connector"
        | "authorize_workspace_connector"
        | "access_connector"
        | "test_draft"
        | "test_workspace_connector"
        | "create_connector_mapping"
        | "update_connector_mapping"
        | "delete_connector_mapping"
        | "restore_connector_mapping"
        | "purge_connector_mapping"
        | "revert_connector_mapping"
        | "try_connector_mapping"
        | "suggest_mappings"
        | "create_workspace_connector_sync_target"
        | "delete_workspace_connector_sync_target"
        | "restore_workspace_connector_sync_target"
        | "purge_workspace_connector_sync_target"
        | "upload_file"
        | "delete_file"
        | "start_sync"
        | "set_schedule"
        | "set_stream_cursor"
        | "bootstrap_workspace_connector"
        | "remove_schedule"
        | "cancel_workspace_connector_sync_log"
        | "resume_workspace_connector_sync_log" => "designer",
        "create_connector"
        | "update_connector"
        | "delete_connector"
        | "restore_connector"
        | "purge_connector"
        | "create_provider"
        | "update_provider"
        | "delete_provider"
        | "restore_provider"
        | "purge_provider"
        | "create_provider_connector"
        | "update_provider_connector"
        | "delete_provider_connector"
        | "restore_provider_connector"
        | "purge_provider_connector"
        | "create_workspace"
        | "update_workspace"
        | "delete_workspace"
        | "restore_workspace"
        | "purge_workspace"
        | "create_person"
        | "update_person"
        | "delete_person"
        | "restore_person"
        | "purge_person"
        | "list_api_keys"
        | "get_api_key"
        | "create_api_key"
        | "revoke_api_key"
        | "list_audit_events"
        | "get_audit_event" => "admin",
        other => panic!("who may {other}?"),
    }
}

const ROLES: [&str; 5] = ["nobody", "viewer", "analyst", "designer", "admin"];

#[tokio::test]
async fn every_operation_takes_its_role() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let workspace = platform.workspace.id;
    let mut clients = vec![("nobody", platform.anybody())];
    let mut keys = Vec::new();
    for role in &ROLES[1..] {
        let person = admin.make("/v1/people", "person", json!({
            "name": role, "email": format!("{role}@example.com"), "role": role, "workspaces": [workspace],
        })).await;
        let new = json!({ "data": { "type": "api_key", "attributes": {
            "name": role, "person_id": person, "permissions": ["connector:read", "connector:manage", "org:admin"],
        } } });
        let key = admin.post("/v1/api-keys", new).await.expect(201);
        keys.push((*role, key.attributes()["key"].as_str().unwrap().to_owned()));
    }
    clients.extend(keys.iter().map(|(role, key)| (*role, platform.client(key))));
    let activation = admin.activation("one").await;

    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            let least = ROLES.iter().position(|it| *it == least(name)).unwrap();
            // What nobody has: whoever may ask is told that it is not there, others that they may not.
            let id = if path.contains("/{id}/tests") {
                &*activation
            } else {
                "01960000-0000-7000-8000-ffffffffffff"
            };
            let path = path
                .replace("{id}", id)
                .replace("{key}", "shop")
                .replace("{stream}", "orders")
                .replace("{slug}", "shop");
            let (path, media_type) = match name {
                "upload_file" => (format!("{path}?name=a.csv"), "text/csv"),
                _ => (path, JSON_API),
            };
            let method: Method = method.to_uppercase().parse().unwrap();
            for (rank, (role, client)) in clients.iter().enumerate() {
                let client = client.with("Content-Type", media_type);
                let answer = client.send(method.clone(), &path, body(operation, id)).await;
                let expected = match role {
                    _ if rank >= least => None,
                    &"nobody" => Some(401),
                    _ => Some(403),
                };
                match expected {
                    Some(status) => {
                        assert_eq!(answer.status, status, "{role} {name}: {}", answer.text);
                    }
                    None => assert!(
                        !matches!(answer.status, 401 | 403),
                        "{role} {name}: {}",
                        answer.text
                    ),
                }
            }
        }
    }
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
        "EntityQuery" => return Some(json!({ "model": "people" }).to_string()),
        "RevertMapping" => return Some(json!({ "version": 1 }).to_string()),
        "MappingDryRun" => {
            let draft = json!({ "target_model": "people", "expression": "{}", "records": [] });
            return Some(draft.to_string());
        }
        "NewAuthorization" | "TestOverrides" | "NewSync" | "RecordQuery" | "SuggestMappings" => {
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
