//! What each operation takes of its caller. The document says it, `docs/permissions.md` shows it, and tests hold the server to it.

use linkspan_domain::{Permission, Role};
use serde_json::{Map, Value, json};
use strum::IntoEnumIterator;

/// What an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    /// Nothing: probes, and where providers and people come who have no key.
    Nothing,
    /// A key or a token that works. What it shows depends on the caller.
    Caller,
    /// A permission.
    Permission(Permission),
}

/// Says of every operation what it takes, and of every role what it has.
pub(super) fn add(document: &mut Value) {
    let operations = document.get_mut("paths").and_then(Value::as_object_mut);
    let operations = operations.into_iter().flat_map(Map::values_mut);
    for operation in operations.filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        let name = operation["operationId"].as_str().unwrap_or_default();
        // One that is not in the table has none, which a test refuses.
        let Some(needs) = needs(name) else { continue };
        operation["x-permission"] = match needs {
            Needs::Nothing => "nothing".into(),
            Needs::Caller => "caller".into(),
            Needs::Permission(permission) => permission.to_string().into(),
        };
    }
    let roles = Role::iter().map(|role| {
        let permissions: Vec<_> = role.permissions().iter().map(ToString::to_string).collect();
        (role.to_string(), json!(permissions))
    });
    document["x-roles"] = Value::Object(roles.collect());
}

fn needs(operation: &str) -> Option<Needs> {
    Some(match operation {
        "get_health"
        | "get_readiness"
        | "get_metrics"
        | "cancel_authorization"
        | "complete_authorization"
        | "show_authorization"
        | "start_authorization"
        | "get_client_metadata" => Needs::Nothing,
        "list_workspaces" | "get_workspace" | "list_people" | "get_person" => Needs::Caller,
        name if READ.contains(&name) => Needs::Permission(Permission::ConnectorRead),
        name if MANAGE.contains(&name) => Needs::Permission(Permission::ConnectorManage),
        name if ADMINISTER.contains(&name) => Needs::Permission(Permission::OrgAdmin),
        _ => return None,
    })
}

/// What takes `connector:read`.
const READ: &[&str] = &[
    "explain_filter",
    "follow_workspace_connector_sync_log",
    "get_connector",
    "get_connector_filter",
    "get_connector_mapping",
    "get_connector_sync_diagnostic",
    "get_connector_type",
    "get_connector_type_capabilities",
    "get_entity",
    "get_file",
    "get_provider",
    "get_provider_connector",
    "get_schedule",
    "get_target_model",
    "get_workspace_connector",
    "get_workspace_connector_capabilities",
    "get_workspace_connector_sync_log",
    "get_workspace_connector_sync_target",
    "list_connection_tests",
    "list_connector_filters",
    "list_connector_mapping_versions",
    "list_connector_mappings",
    "list_connector_sync_diagnostics",
    "list_connector_types",
    "list_connectors",
    "list_credential_versions",
    "list_entities",
    "list_entity_changes",
    "list_entity_sources",
    "list_files",
    "list_provider_connectors",
    "list_providers",
    "list_quarantined_records",
    "list_record_changes",
    "list_stream_states",
    "list_streams",
    "list_target_models",
    "list_unmapped_records",
    "list_workspace_connector_sync_logs",
    "list_workspace_connector_sync_targets",
    "list_workspace_connectors",
    "query_entities",
    "query_records",
];

/// What takes `connector:manage`. Templates of filters, and types that are mocks, take `org:admin` besides.
const MANAGE: &[&str] = &[
    "access_connector",
    "authorize_workspace_connector",
    "bootstrap_workspace_connector",
    "cancel_workspace_connector_sync_log",
    "create_connector_filter",
    "create_connector_mapping",
    "create_workspace_connector",
    "create_workspace_connector_sync_target",
    "delete_connector_filter",
    "delete_connector_mapping",
    "delete_file",
    "delete_workspace_connector",
    "delete_workspace_connector_sync_target",
    "purge_connector_filter",
    "purge_connector_mapping",
    "purge_workspace_connector",
    "purge_workspace_connector_sync_target",
    "remove_schedule",
    "restore_connector_filter",
    "restore_connector_mapping",
    "restore_workspace_connector",
    "restore_workspace_connector_sync_target",
    "resume_workspace_connector_sync_log",
    "revert_connector_mapping",
    "revoke_credential_version",
    "roll_back_credentials",
    "rotate_credentials",
    "set_schedule",
    "set_stream_cursor",
    "start_sync",
    "suggest_mappings",
    "test_draft",
    "test_workspace_connector",
    "try_connector_mapping",
    "update_connector_filter",
    "update_connector_mapping",
    "update_workspace_connector",
    "upload_file",
];

/// What takes `org:admin`.
const ADMINISTER: &[&str] = &[
    "create_api_key",
    "create_connector",
    "create_person",
    "create_provider",
    "create_provider_connector",
    "create_workspace",
    "delete_connector",
    "delete_person",
    "delete_provider",
    "delete_provider_connector",
    "delete_workspace",
    "get_api_key",
    "get_audit_event",
    "get_key_rotation",
    "list_api_keys",
    "list_audit_events",
    "list_key_rotations",
    "list_keys",
    "purge_connector",
    "purge_person",
    "purge_provider",
    "purge_provider_connector",
    "purge_workspace",
    "restore_connector",
    "restore_person",
    "restore_provider",
    "restore_provider_connector",
    "restore_workspace",
    "revoke_api_key",
    "rotate_keys",
    "update_connector",
    "update_person",
    "update_provider",
    "update_provider_connector",
    "update_workspace",
    "verify_audit_chain",
];

#[cfg(test)]
mod tests {
    use serde_json::Value;

    #[test]
    fn every_operation_says_what_it_takes() {
        let document: Value = serde_json::from_str(&crate::openapi()).unwrap();
        let mut named = 0;
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                let name = operation["operationId"].as_str().unwrap();
                assert!(operation["x-permission"].is_string(), "{name} is not in the table");
                named += 1;
            }
        }
        let listed = super::READ.len() + super::MANAGE.len() + super::ADMINISTER.len();
        assert_eq!(named, listed + 12, "the table names an operation that is not there");
    }
}
