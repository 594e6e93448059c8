//! Sync targets: who receives what an activation brings in.

use time::OffsetDateTime;

use crate::{
    Attribute, Resource, ResourceType, Revision, SyncTargetId, Visible, WorkspaceConnectorId,
    WorkspaceId,
};

/// A workspace that receives what an activation brings in. Each activation begins with its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncTarget {
    /// Stable public identifier.
    pub id: SyncTargetId,
    /// How often it was written.
    pub revision: Revision,
    /// Of which activation.
    pub workspace_connector_id: WorkspaceConnectorId,
    /// The workspace of the activation.
    pub workspace_id: WorkspaceId,
    /// The workspace that receives.
    pub target_workspace_id: WorkspaceId,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was last written.
    pub updated_at: OffsetDateTime,
    /// When it was deleted.
    pub deleted_at: Option<OffsetDateTime>,
}

impl Resource for SyncTarget {
    type Id = SyncTargetId;
    type Tenancy = Visible;
    const TYPE: ResourceType = ResourceType::WorkspaceConnectorSyncTarget;
    const ATTRIBUTES: &'static [Attribute] = &[
        Attribute::id("workspace_connector_sync_target_id"),
        Attribute::id("workspace_connector_id"),
        Attribute::id("workspace_id"),
        Attribute::id("target_workspace_id"),
        Attribute::date("created_at"),
        Attribute::date("updated_at"),
        Attribute::date("deleted_at"),
    ];

    fn id(&self) -> SyncTargetId {
        self.id
    }

    fn revision(&self) -> Revision {
        self.revision
    }
}
