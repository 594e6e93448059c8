//! Who sees what: organizations, workspaces and what a caller may see of them.

use crate::{OrganizationId, WorkspaceId};

/// Shown to everybody who may read at all: the catalog and its kin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Platform;

/// The workspaces a call acts in: one, and below it those that it may read as their parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visible {
    /// Where the call acts: what it creates belongs here.
    pub workspace: WorkspaceId,
    /// All workspaces whose things the call may see, [`workspace`](Self::workspace) among them.
    pub workspaces: Vec<WorkspaceId>,
}

impl Visible {
    /// One workspace alone.
    pub fn only(workspace: WorkspaceId) -> Self {
        Self { workspace, workspaces: vec![workspace] }
    }

    /// Whether things of `workspace` are seen.
    pub fn contains(&self, workspace: WorkspaceId) -> bool {
        self.workspaces.contains(&workspace)
    }
}

/// Everything of one organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Within(pub OrganizationId);
