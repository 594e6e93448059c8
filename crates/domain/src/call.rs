//! Who calls, from where, and what is kept of a call once it has had its effect.

use std::collections::BTreeSet;

use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    Action, ActorType, ApiKeyId, AuditEvent, AuditEventId, Id, OrganizationId, Permission,
    PersonId, Resource, ResourceType, Visible, Within, WorkspaceId,
};

/// Who calls, and what they may do and see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub actor: Actor,
    /// In which organization.
    pub organization: OrganizationId,
    /// What they may do.
    pub permissions: BTreeSet<Permission>,
    /// The workspace they act in, and those they see.
    pub visible: Visible,
}

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A person, maybe by way of a key of theirs.
    Person(PersonId),
    /// A key that belongs to nobody in particular.
    ApiKey(ApiKeyId),
    /// The platform itself: seeding, scheduling, the command line.
    System,
}

impl Actor {
    /// Which kind of actor.
    pub const fn actor_type(self) -> ActorType {
        match self {
            Self::Person(_) => ActorType::Person,
            Self::ApiKey(_) => ActorType::ApiKey,
            Self::System => ActorType::System,
        }
    }

    /// Which one.
    pub const fn id(self) -> Option<Uuid> {
        match self {
            Self::Person(id) => Some(id.uuid()),
            Self::ApiKey(id) => Some(id.uuid()),
            Self::System => None,
        }
    }
}

/// The caller lacks a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this needs the permission {permission}; ask an admin for a role or a key that has it")]
pub struct Denied {
    /// What is lacking.
    pub permission: Permission,
}

impl Caller {
    /// The platform itself, acting in `visible`.
    pub fn system(organization: OrganizationId, visible: Visible) -> Self {
        let permissions = crate::Role::Admin.permissions();
        Self { actor: Actor::System, organization, permissions, visible }
    }

    /// Passes if the caller has `permission`.
    pub fn require(&self, permission: Permission) -> Result<(), Denied> {
        if self.permissions.contains(&permission) { Ok(()) } else { Err(Denied { permission }) }
    }

    /// Everything of the caller's organization.
    pub const fn within(&self) -> Within {
        Within(self.organization)
    }
}

/// One call: the caller, and where the call comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Who calls.
    pub caller: Caller,
    /// The address it came from.
    pub ip_address: Option<String>,
    /// Names the call in logs, errors and the audit trail.
    pub trace_id: String,
    /// The claim on its idempotency key, if it has one.
    pub claim: Option<IdempotencyClaim>,
}

impl Call {
    /// A call of the platform itself in a workspace, which `trace_id` names.
    pub fn of_system(
        organization: OrganizationId,
        workspace: WorkspaceId,
        trace_id: String,
    ) -> Self {
        let caller = Caller::system(organization, Visible::only(workspace));
        Self { caller, ip_address: None, trace_id, claim: None }
    }
}

/// A claim on an idempotency key: the call that holds it, and no other, may have its effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyClaim {
    /// Tenant, principal, method and route: keys of different scopes never meet.
    pub scope: String,
    /// The caller's key.
    pub key: String,
    /// Names this claim: a later one on the same key has another.
    pub token: Uuid,
}

/// What is kept of a write, in the same transaction as its effect.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    /// What the audit trail says.
    pub audit: AuditEvent,
    /// What the idempotency key is answered with from now on.
    pub reply: Option<IdempotencyReply>,
}

/// What an idempotency key is answered with: the thing that the first call made or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyReply {
    /// The claim that this fulfils.
    pub claim: IdempotencyClaim,
    /// The kind of thing.
    pub resource_type: ResourceType,
    /// Which thing.
    pub resource_id: Uuid,
}

/// What was done, for the audit trail.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// What it is called.
    pub action: Action,
    /// What else is worth knowing. Never a secret.
    pub details: Value,
}

impl Act {
    /// An act that its name and object say all about.
    pub const fn new(action: Action) -> Self {
        Self { action, details: Value::Null }
    }
}

impl Call {
    /// The receipt for doing `act` to `resource`.
    pub fn receipt<R: Resource>(
        &self,
        act: Act,
        resource: &R,
        id: AuditEventId,
        now: OffsetDateTime,
    ) -> Receipt {
        self.receipt_of::<R>(act, resource.id(), id, now)
    }

    /// As [`receipt`](Self::receipt), of a thing that may be gone.
    pub fn receipt_of<R: Resource>(
        &self,
        act: Act,
        resource: R::Id,
        id: AuditEventId,
        now: OffsetDateTime,
    ) -> Receipt {
        let resource_id = resource.uuid();
        Receipt {
            audit: AuditEvent {
                id,
                organization_id: self.caller.organization,
                workspace_id: Some(self.caller.visible.workspace),
                actor_type: self.caller.actor.actor_type(),
                actor_id: self.caller.actor.id(),
                action: act.action.of(R::TYPE),
                resource_type: R::TYPE,
                resource_id: Some(resource_id),
                details: act.details,
                ip_address: self.ip_address.clone(),
                trace_id: self.trace_id.clone(),
                created_at: now,
                link: None,
            },
            reply: self.claim.clone().map(|claim| IdempotencyReply {
                claim,
                resource_type: R::TYPE,
                resource_id,
            }),
        }
    }
}
