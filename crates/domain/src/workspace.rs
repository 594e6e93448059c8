//! Workspaces: the tenant boundary.

use time::OffsetDateTime;

use crate::{
    Attribute, Name, OrganizationId, Resource, ResourceType, Revision, Slug, Within, WorkspaceId,
};

/// A workspace: its activations and records are its own. A parent reads its descendants.
#[derive(Clone, Debug, PartialEq)]
pub struct Workspace {
    /// Stable public identifier.
    pub id: WorkspaceId,
    /// How often it was written.
    pub revision: Revision,
    /// The organization that owns it.
    pub organization_id: OrganizationId,
    /// The workspace above it, if any.
    pub parent_id: Option<WorkspaceId>,
    /// What people call it.
    pub name: Name,
    /// Names it in URLs. Unique among the live workspaces of an organization.
    pub slug: Slug,
    /// The operator's own identifier of it.
    pub external_workspace_id: Option<String>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was last written.
    pub updated_at: OffsetDateTime,
    /// When it was deleted.
    pub deleted_at: Option<OffsetDateTime>,
}

impl Workspace {
    /// `root` and all below it, given all workspaces of the organization.
    ///
    /// Nested no deeper than there are workspaces, so that a loop in the data ends.
    pub fn descendants(all: &[Self], root: WorkspaceId) -> Vec<WorkspaceId> {
        let mut found = vec![root];
        let mut next = 0;
        while let Some(parent) = found.get(next).copied() {
            next += 1;
            for child in all.iter().filter(|it| it.parent_id == Some(parent)) {
                if !found.contains(&child.id) {
                    found.push(child.id);
                }
            }
        }
        found
    }
}

impl Resource for Workspace {
    type Id = WorkspaceId;
    type Tenancy = Within;
    const TYPE: ResourceType = ResourceType::Workspace;
    const ATTRIBUTES: &'static [Attribute] = &[
        Attribute::id("workspace_id"),
        Attribute::id("parent_id"),
        Attribute::text("name"),
        Attribute::text("slug"),
        Attribute::text("external_workspace_id"),
        Attribute::date("created_at"),
        Attribute::date("updated_at"),
        Attribute::date("deleted_at"),
    ];

    fn id(&self) -> WorkspaceId {
        self.id
    }

    fn revision(&self) -> Revision {
        self.revision
    }
}
