//! Nouns, rules and ports of Linkspan: the crate that teams embed.
//!
//! Nothing here does I/O, reads a clock or knows a framework.

mod api_key;
mod audit;
mod auth_config;
mod call;
mod condition;
mod config;
mod connection_test;
mod connector;
mod connector_filter;
mod connector_mapping;
mod connector_type;
mod credential_version;
mod cursor;
mod diagnostic;
mod entity;
mod file;
mod id;
mod key_rotation;
mod list;
mod oauth;
mod permission;
mod person;
mod place;
pub mod ports;
mod problem;
mod provider;
mod record_schema;
mod resource;
mod schedule;
mod secret;
mod stream;
mod stream_memory;
mod sync_log;
mod sync_target;
mod tenancy;
mod text;
mod whole;
mod words;
mod workspace;
mod workspace_connector;

pub use api_key::{ApiKey, KeyHash};
pub use audit::{Action, ActorType, AuditEvent, ChainHash, ChainLink, InvalidChainHash};
pub use auth_config::{InvalidAuthConfig, filled_in, is_scope};
pub use call::{Act, Actor, Call, Caller, Denied, IdempotencyClaim, IdempotencyReply, Receipt};
pub use condition::{
    Cell, Condition, ConditionMismatch, Decimal, FieldPath, InvalidCondition, Pattern, Scalar,
    Test, Truth,
};
pub use config::{
    ConfigError, ConfigSchema, Secrets, SplitConfig, join_config, looks_secret, masked_config,
};
pub use connection_test::ConnectionTest;
pub use connector::{
    AuthConfig, AuthorizationFlow, Availability, CatalogEntry, Connector, Direction, McpTransport,
    OauthConfig, OauthGrantType, ProviderType, TargetModel, Transport,
};
pub use connector_filter::{ConnectorFilter, FilterScope};
pub use connector_mapping::{
    Confidence, ConnectorMapping, MappingCounts, MappingOrigin, MappingStatus, MappingVersion,
    OnCollapse, UnmappedRecord,
};
pub use connector_type::{
    Capability, Category, CommandManifest, ConnectorTypeKey, ConnectorTypeManifest, Deprecation,
    ExecutionModel, InvalidConnectorTypeKey,
};
pub use credential_version::{
    CredentialEvent, CredentialPhase, CredentialSnapshot, CredentialState, CredentialTest,
    CredentialVersion, InvalidOverlap, Overlap, UnexpectedCredentialState,
};
pub use cursor::{Cursor, CursorType, InvalidCursor};
pub use diagnostic::{Diagnostic, DiagnosticClass, DiagnosticReason};
pub use entity::{Entity, EntityCounts, EntityDirection, EntitySource};
pub use file::{ContentHash, UploadedFile};
pub use id::{
    ApiKeyId, AuditEventId, ConnectionTestId, ConnectorFilterId, ConnectorId, ConnectorMappingId,
    CredentialVersionId, DiagnosticId, EntityId, FileId, Id, KeyRotationId, OrganizationId,
    PersonId, ProviderConnectorId, ProviderId, SyncLogId, SyncTargetId, WorkspaceConnectorId,
    WorkspaceId,
};
pub use key_rotation::{
    KeyRole, KeyRotation, KeyRotationCounts, KeyRotationFailure, KeyRotationRefusal,
    KeyRotationStatus,
};
pub use list::{
    Deleted, Filter, FilterTest, FilterValue, InvalidFilter, ListQuery, Order, Page, PageRequest,
    PageSize, Position, Sort,
};
pub use oauth::{
    AuthorizationServer, Challenge, ClientAuthentication, ClientKey, ClientKeyError,
    ClientMetadata, ClientOrigin, ClientProof, GivenProof, Grant, GrantHolder, HeldGrant,
    InvalidChallenge, InvalidDocumentUrl, InvalidSealedForm, Issuer, IssuerCheck, JournaledReply,
    OauthClient, PendingAuthorization, Redirected, Sealable, UnfitProof, is_private_transport,
};
pub use permission::{Permission, Role};
pub use person::Person;
pub use place::Place;
pub use problem::{Code, Problem};
pub use provider::{Provider, ProviderConnector};
pub use record_schema::FieldKind;
pub use resource::{Attribute, AttributeKind, Resource, ResourceType, Revision};
pub use schedule::{
    CronExpression, Interval, InvalidCron, InvalidInterval, InvalidZone, Recurrence, Schedule,
    ZoneName,
};
pub use secret::{MASK, Secret, is_mask};
pub use stream::{InvalidStreamName, StreamField, StreamName, StreamSpec};
pub use stream_memory::{SchemaChange, StreamMemory};
pub use sync_log::{
    Failures, Fence, Lease, RunCounts, RunOutcome, RunStatus, StreamState, SyncLog, SyncMode,
    Trigger,
};
pub use sync_target::SyncTarget;
pub use tenancy::{Platform, Visible, Within};
pub use text::{Email, FileName, InvalidText, Name, ServiceId, Slug};
pub use words::plain_words;
pub use workspace::Workspace;
pub use workspace_connector::{
    Event, Health, InvalidRetention, LogLevel, Missing, Proof, Readiness, Retention, RetentionDays,
    RunEnd, SchemaPolicy, SealedSecrets, Status, StreamSettings, StreamSource, UnexpectedEvent,
    WorkspaceConnector,
};

/// The guide's examples are tested with the code they are about.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/embedding-the-domain.md")]
struct EmbeddingGuide;
