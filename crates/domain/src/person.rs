//! People.

use std::collections::BTreeSet;

use strum::VariantNames;
use time::OffsetDateTime;

use crate::{
    Attribute, Email, Name, OrganizationId, PersonId, Resource, ResourceType, Revision, Role,
    Within, WorkspaceId,
};

/// A person of an organization. Among live people of an organization the mail address is unique, without regard to case.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// Stable public identifier.
    pub id: PersonId,
    /// How often it was written.
    pub revision: Revision,
    /// The organization.
    pub organization_id: OrganizationId,
    /// What people call them.
    pub name: Name,
    /// Where to write to them.
    pub email: Email,
    /// What they may do.
    pub role: Role,
    /// The workspaces they work in. An admin works in all.
    pub workspaces: BTreeSet<WorkspaceId>,
    /// When they joined.
    pub created_at: OffsetDateTime,
    /// When the row was last written.
    pub updated_at: OffsetDateTime,
    /// When they left.
    pub deleted_at: Option<OffsetDateTime>,
}

impl Resource for Person {
    type Id = PersonId;
    type Tenancy = Within;
    const TYPE: ResourceType = ResourceType::Person;
    const ATTRIBUTES: &'static [Attribute] = &[
        Attribute::id("person_id"),
        Attribute::text("name"),
        Attribute::text("email"),
        Attribute::one_of("role", Role::VARIANTS),
        Attribute::date("created_at"),
        Attribute::date("updated_at"),
        Attribute::date("deleted_at"),
    ];

    fn id(&self) -> PersonId {
        self.id
    }

    fn revision(&self) -> Revision {
        self.revision
    }
}
