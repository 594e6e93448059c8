//! The shapes of the domain's values.

use std::collections::{BTreeMap, BTreeSet};

use linkspan_app::ChainFaultKind;
use linkspan_domain::{
    ActorType, ApiKeyId, AuditEventId, AuthConfig, AuthorizationFlow, Availability, Capability,
    Category, Condition, Confidence, ConfigSchema, ConnectionTestId, ConnectorFilterId,
    ConnectorId, ConnectorMappingId, ConnectorTypeKey, CredentialState, CredentialTest,
    CredentialVersionId, CursorType, DiagnosticClass, DiagnosticId, DiagnosticReason, Direction,
    Email, EntityDirection, EntityId, ExecutionModel, FileId, FileName, KeyRole, KeyRotationId,
    KeyRotationRefusal, KeyRotationStatus, LogLevel, MappingOrigin, MappingStatus, McpTransport,
    Missing, Name, OauthConfig, OauthGrantType, OnCollapse, OrganizationId, Overlap, Permission,
    PersonId, ProviderConnectorId, ProviderId, ProviderType, ResourceType, RetentionDays, Role,
    RunStatus, SchemaPolicy, ServiceId, Slug, Status, StreamName, StreamSettings, StreamSource,
    SyncLogId, SyncMode, SyncTargetId, TargetModel, Transport, Trigger, WorkspaceConnectorId,
    WorkspaceId, ports::KeyId,
};
use poem_openapi::registry::MetaSchema;
use semver::Version;
use serde_json::{Map, Value};
use strum::VariantNames;
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

use super::{Schema, inline, list, object, one_of, open_object, property};

macro_rules! shapes {
    ($($kind:ty => $shape:expr;)+) => {$(
        impl Schema for $kind {
            fn schema() -> MetaSchema {
                $shape
            }
        }
    )+};
}

macro_rules! words {
    ($($kind:ty)+) => {$(
        impl Schema for $kind {
            fn schema() -> MetaSchema {
                one_of(<$kind>::VARIANTS)
            }
        }
    )+};
}

macro_rules! ids {
    ($($kind:ty)+) => {$(
        impl Schema for $kind {
            fn schema() -> MetaSchema {
                Uuid::schema()
            }
        }
    )+};
}

shapes! {
    Confidence => MetaSchema {
        minimum: Some(0.0),
        maximum: Some(1.0),
        ..MetaSchema::new_with_format("number", "double")
    };
    bool => MetaSchema::new("boolean");
    i64 => MetaSchema::new_with_format("integer", "int64");
    u64 => MetaSchema { minimum: Some(0.0), ..i64::schema() };
    String => MetaSchema::new("string");
    Uuid => MetaSchema::new_with_format("string", "uuid");
    OffsetDateTime => MetaSchema::new_with_format("string", "date-time");
    Url => MetaSchema::new_with_format("string", "uri");
    Version => text(r"^(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})$", 5, 29);
    Name => text(r"^[!-~]([ -~]*[!-~])?$|^[^\x00-\x20\x7f-\xa0]$|^[^\x00-\x20\x7f-\xa0][^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0]$", 1, 200);
    Slug => text(r"^[a-z0-9._-]+$", 1, 100);
    ServiceId => text(r"^[A-Za-z0-9._-]+$", 1, 100);
    ConnectorTypeKey => text(r"^[a-z0-9_-]+$", 1, 64);
    FileName => text(r"^[^\x00-\x20\x7f-\xa0./\\]([^\x00-\x1f\x7f-\x9f/\\]*[^\x00-\x20\x7f-\xa0/\\])?$", 1, 200);
    StreamName => text(r"^[^\x00-\x1f\x7f-\x9f]+$", 1, 512);
    KeyId => text(r"^[0-9a-f]{8}$", 8, 8);
    Email => MetaSchema { max_length: Some(254), ..MetaSchema::new_with_format("string", "email") };
    Permission => one_of(&["connector:read", "connector:manage", "org:admin"]);
    Value => MetaSchema::ANY;
    Map<String, Value> => open_object();
    ConfigSchema => open_object();
    Condition => open_object();
    AuthConfig => auth_config();
    OauthConfig => oauth_config();
    RetentionDays => MetaSchema {
        minimum: Some(1.0),
        maximum: Some(f64::from(RetentionDays::MAX)),
        ..MetaSchema::new("integer")
    };
    Overlap => MetaSchema {
        minimum: Some(0.0),
        maximum: Some(f64::from(Overlap::MAX)),
        default: Some(u32::from(Overlap::default()).into()),
        ..MetaSchema::new("integer")
    };
    StreamSettings => stream_settings();
    StreamSource => stream_source();
}

words! {
    ActorType AuthorizationFlow Availability Capability Category ChainFaultKind CredentialState CredentialTest CursorType DiagnosticClass DiagnosticReason Direction EntityDirection ExecutionModel KeyRole KeyRotationRefusal KeyRotationStatus LogLevel MappingOrigin MappingStatus McpTransport Missing OauthGrantType OnCollapse ProviderType ResourceType Role RunStatus SchemaPolicy Status SyncMode TargetModel Transport Trigger
}

ids! {
    ApiKeyId AuditEventId ConnectionTestId ConnectorFilterId ConnectorId ConnectorMappingId CredentialVersionId DiagnosticId EntityId FileId KeyRotationId OrganizationId PersonId ProviderConnectorId SyncTargetId
    ProviderId SyncLogId WorkspaceConnectorId WorkspaceId
}

impl<T: Schema> Schema for Option<T> {
    fn schema() -> MetaSchema {
        MetaSchema { nullable: true, ..T::schema() }
    }
}

impl<T: Schema> Schema for Vec<T> {
    fn schema() -> MetaSchema {
        list(inline(T::schema()))
    }
}

impl<T: Schema> Schema for BTreeSet<T> {
    fn schema() -> MetaSchema {
        MetaSchema { unique_items: Some(true), ..Vec::<T>::schema() }
    }
}

impl<T: Schema> Schema for BTreeMap<String, T> {
    fn schema() -> MetaSchema {
        MetaSchema {
            additional_properties: Some(Box::new(inline(T::schema()))),
            ..MetaSchema::new("object")
        }
    }
}

fn text(pattern: &str, min_length: usize, max_length: usize) -> MetaSchema {
    MetaSchema {
        pattern: Some(pattern.to_owned()),
        min_length: Some(min_length),
        max_length: Some(max_length),
        ..MetaSchema::new("string")
    }
}

fn auth_config() -> MetaSchema {
    let properties = vec![
        property::<String>(
            "oauth_metadata_url",
            "The discovery document of the authorization server.",
        ),
        property::<String>(
            "authorization_endpoint",
            "Takes the place of the discovered authorization endpoint.",
        ),
        property::<OauthConfig>("oauth_config", "The endpoints of a server without discovery."),
        property::<String>(
            "mcp_server_url",
            "The MCP server. May hold placeholders such as `{subdomain}`.",
        ),
        property::<McpTransport>("mcp_transport", "How the MCP server is spoken to."),
        property::<String>("token_test_url", "Polled to see whether a token still works."),
        property::<bool>("cimd_supported", "Whether the server takes client metadata documents."),
        property::<Vec<String>>("pkce", "The code challenge methods the server takes."),
    ];
    object(properties, &[])
}

fn oauth_config() -> MetaSchema {
    let properties = vec![
        property::<String>("authorization_endpoint", "Where the user consents."),
        property::<String>("token_endpoint", "Where codes become tokens."),
        property::<String>("revocation_endpoint", "Where tokens end (RFC 7009)."),
        property::<String>("registration_endpoint", "Where clients register (RFC 7591)."),
        property::<Vec<String>>("scopes", "What to ask for."),
        property::<OauthGrantType>(
            "grant_type",
            "By whose right: a person's who agrees, or the client's own.",
        ),
    ];
    object(properties, &[])
}

fn stream_settings() -> MetaSchema {
    let properties = vec![
        property::<StreamName>("stream", "Which stream. Without it: all that are not named."),
        property::<String>("cursor_column", "The column that grows with each change of a row."),
        property::<CursorType>("cursor_type", "How cursor values compare."),
        property::<String>("cursor_after", "Where the first incremental sync starts."),
        property::<Vec<String>>(
            "primary_key",
            "The columns that name a row, where the source does not say.",
        ),
        property::<u64>(
            "lag",
            "How far before the last cursor value an incremental sync begins, for rows that come late: whole numbers for a cursor of the type `int`, seconds for a `timestamp`.",
        ),
        property::<SchemaPolicy>(
            "schema_policy",
            "What becomes of the stream when its fields are not what they were: it is read as it is now, its run fails, or the records or values that do not fit are left out.",
        ),
        property::<Missing>(
            "missing",
            "What becomes of a record that a full sync does not meet: it is deleted, or it is marked as stale and deleted when it was stale for `retention_days`.",
        ),
        property::<RetentionDays>(
            "retention_days",
            "For how many days stale records and then deleted ones are kept; full syncs remove what is older. Without it: 30 with `mark_stale`, else deleted records are kept forever.",
        ),
        property::<StreamSource>(
            "source",
            "For an activation that writes: the stream of another activation whose records go here.",
        ),
    ];
    object(properties, &[])
}

fn stream_source() -> MetaSchema {
    let properties = vec![
        property::<WorkspaceConnectorId>(
            "workspace_connector_id",
            "The activation of the same workspace that keeps the records.",
        ),
        property::<StreamName>("stream", "Its stream."),
    ];
    object(properties, &["workspace_connector_id", "stream"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::field_names;

    fn names(schema: &MetaSchema) -> Vec<&'static str> {
        schema.properties.iter().map(|(name, _)| *name).collect()
    }

    #[test]
    fn objects_have_the_fields_that_are_read() {
        assert_eq!(names(&AuthConfig::schema()), field_names::<AuthConfig>());
        assert_eq!(names(&OauthConfig::schema()), field_names::<OauthConfig>());
        assert_eq!(names(&StreamSettings::schema()), field_names::<StreamSettings>());
    }
}
