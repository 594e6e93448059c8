//! `/v1/audit-events`: the audit trail.

use linkspan_app::Records;
use linkspan_domain::{
    ActorType, Attribute, AuditEvent, AuditEventId, OrganizationId, Resource, ResourceType,
    Revision, WorkspaceId,
};
use poem_openapi::OpenApi;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Tag;
use crate::{
    App,
    answer::{Collection, Document},
    include::Found,
    problem::Failure,
    request::{Listing, Reading},
    resource::{Kept, Key, Related, Relationship, Shown, attributes, instant},
};

/// The operations.
#[derive(Default)]
pub(crate) struct AuditEvents;

#[OpenApi(prefix_path = "/v1/audit-events", tag = "Tag::Organization")]
impl AuditEvents {
    /// List audit events
    #[oai(path = "/", method = "get", operation_id = "list_audit_events")]
    async fn list(&self, request: Listing<AuditEvent>) -> Result<Collection<AuditEvent>, Failure> {
        request.answer().await
    }

    /// Get an audit event
    #[oai(path = "/:id", method = "get", operation_id = "get_audit_event")]
    async fn get(&self, request: Reading<AuditEvent>) -> Result<Document<AuditEvent>, Failure> {
        request.answer().await
    }
}

attributes! { AuditEvent, |it| {
    /// The same as `id`.
    audit_event_id: AuditEventId = it.id;
    /// In which organization.
    organization_id: OrganizationId = it.organization_id;
    /// In which workspace, if in one.
    workspace_id: Option<WorkspaceId> = it.workspace_id;
    /// Which kind of actor.
    actor_type: ActorType = <&str>::from(it.actor_type);
    /// Which actor. None for the platform itself.
    actor_id: Option<Uuid> = it.actor_id;
    /// What was done: `connector.created`.
    action: String = &it.action;
    /// To which kind of thing.
    resource_type: ResourceType = it.resource_type;
    /// To which thing. None where the act has no lasting object.
    resource_id: Option<Uuid> = it.resource_id;
    /// What else is worth knowing. Never a secret.
    details: Option<Value> = &it.details;
    /// From where.
    ip_address: Option<String> = &it.ip_address;
    /// The request it belongs to.
    trace_id: String = &it.trace_id;
    /// When.
    created_at: OffsetDateTime = instant(it.created_at);
    /// Its number in the chain of the organization, from 1 on. None: it is from before there was a chain.
    sequence: Option<i64> = it.link.map(|it| it.sequence);
    /// Stands for the event and all before it.
    hash: Option<String> = it.link.map(|it| it.hash.to_string());
} }

impl Shown for AuditEvent {
    const TYPE: &'static str = "audit_event";
    const NAME: &'static str = "AuditEvent";
    const PATH: Option<&'static str> = Some("/v1/audit-events");
    const RELATIONSHIPS: &'static [Relationship] = &[Relationship::one("workspace", "workspace")];
    const LISTED: &'static [Attribute] = <Self as Resource>::ATTRIBUTES;

    fn key(&self) -> Key {
        Key::of(self.id)
    }

    fn revision(&self) -> Revision {
        Revision::FIRST
    }

    fn related(&self, _: &str, _: &Found) -> Related {
        Related::maybe(self.workspace_id)
    }
}

impl Kept for AuditEvent {
    fn records(app: &App) -> &Records<Self> {
        app.audit.records()
    }
}
