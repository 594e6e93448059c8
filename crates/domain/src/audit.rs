//! The audit trail.

mod action;
mod chain;

use serde_json::Value;
use strum::VariantNames;
use time::OffsetDateTime;
use uuid::Uuid;

pub use action::Action;
pub use chain::{ChainHash, ChainLink, InvalidChainHash};

use crate::{
    Attribute, AuditEventId, OrganizationId, Resource, ResourceType, Revision, Within, WorkspaceId,
};

/// Something that was done, and by whom. Append-only.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEvent {
    /// Stable public identifier.
    pub id: AuditEventId,
    /// In which organization.
    pub organization_id: OrganizationId,
    /// In which workspace, if in one.
    pub workspace_id: Option<WorkspaceId>,
    /// Which kind of actor.
    pub actor_type: ActorType,
    /// Which actor. None for the platform itself.
    pub actor_id: Option<Uuid>,
    /// What was done: `connector.created`. See [`Action`].
    pub action: String,
    /// To which kind of thing.
    pub resource_type: ResourceType,
    /// To which thing. None where the act has no lasting object.
    pub resource_id: Option<Uuid>,
    /// What else is worth knowing. Never a secret.
    pub details: Value,
    /// From where.
    pub ip_address: Option<String>,
    /// The request it belongs to.
    pub trace_id: String,
    /// When.
    pub created_at: OffsetDateTime,
    /// Its place in the chain. None: it is not kept yet, or was kept before there was a chain.
    pub link: Option<ChainLink>,
}

/// Who acts.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantNames,
    strum::EnumIter,
)]
#[strum(serialize_all = "snake_case")]
pub enum ActorType {
    /// A person.
    Person,
    /// A key that belongs to nobody in particular.
    ApiKey,
    /// The platform itself: seeding, scheduling, the command line.
    System,
}

impl Resource for AuditEvent {
    type Id = AuditEventId;
    type Tenancy = Within;
    const TYPE: ResourceType = ResourceType::AuditEvent;
    const ATTRIBUTES: &'static [Attribute] = &[
        Attribute::id("audit_event_id"),
        Attribute::number("sequence"),
        Attribute::text("hash"),
        Attribute::id("workspace_id"),
        Attribute::one_of("actor_type", ActorType::VARIANTS),
        Attribute::id("actor_id"),
        Attribute::text("action"),
        Attribute::one_of("resource_type", ResourceType::VARIANTS),
        Attribute::id("resource_id"),
        Attribute::text("trace_id"),
        Attribute::date("created_at"),
    ];

    fn id(&self) -> AuditEventId {
        self.id
    }

    fn revision(&self) -> Revision {
        Revision::FIRST
    }
}
