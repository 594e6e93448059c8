//! Filters: which records an activation lets through.

use serde_json::Value;
use time::OffsetDateTime;

use crate::{
    Attribute, Condition, ConnectorFilterId, ConnectorId, Resource, ResourceType, Revision,
    Visible, WorkspaceId,
};

/// Which records of a connector pass.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectorFilter {
    /// Stable public identifier.
    pub id: ConnectorFilterId,
    /// How often it was written.
    pub revision: Revision,
    /// Whose records.
    pub connector_id: ConnectorId,
    /// For whom it holds.
    pub scope: FilterScope,
    /// What must hold of a record.
    pub config: Condition,
    /// The same in words, for people.
    pub natural_language: Option<String>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was last written.
    pub updated_at: OffsetDateTime,
    /// When it was deleted.
    pub deleted_at: Option<OffsetDateTime>,
}

/// For whom a filter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterScope {
    /// Every workspace that has none of its own.
    Template,
    /// One workspace, in place of the template.
    Custom(WorkspaceId),
}

impl FilterScope {
    /// The workspace, if it is one's own.
    pub const fn workspace(self) -> Option<WorkspaceId> {
        match self {
            Self::Template => None,
            Self::Custom(workspace) => Some(workspace),
        }
    }
}

impl ConnectorFilter {
    /// The one that holds in `workspace`: its own, else the template.
    pub fn effective<'a>(
        filters: impl IntoIterator<Item = &'a Self>,
        workspace: WorkspaceId,
    ) -> Option<&'a Self> {
        filters
            .into_iter()
            .filter(|it| it.deleted_at.is_none())
            .filter(|it| it.scope.workspace().is_none_or(|its| its == workspace))
            .max_by_key(|it| it.scope.workspace().is_some())
    }

    /// What must hold of a record, as it is kept. None: it is deleted, and asks for nothing.
    pub fn asks(&self) -> Option<Value> {
        self.deleted_at.is_none().then(|| self.config.to_value())
    }
}

impl Resource for ConnectorFilter {
    type Id = ConnectorFilterId;
    type Tenancy = Visible;
    const TYPE: ResourceType = ResourceType::ConnectorFilter;
    const ATTRIBUTES: &'static [Attribute] = &[
        Attribute::id("connector_filter_id"),
        Attribute::id("connector_id"),
        Attribute::id("workspace_id"),
        Attribute::boolean("template"),
        Attribute::text("natural_language"),
        Attribute::date("created_at"),
        Attribute::date("updated_at"),
        Attribute::date("deleted_at"),
    ];

    fn id(&self) -> ConnectorFilterId {
        self.id
    }

    fn revision(&self) -> Revision {
        self.revision
    }
}
