//! Results of testing connections.

use time::OffsetDateTime;

use crate::{
    Attribute, ConnectionTestId, ConnectorTypeKey, Resource, ResourceType, Revision, Visible,
    WorkspaceConnectorId, WorkspaceId,
};

/// What came of testing a connection.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionTest {
    /// Stable public identifier.
    pub id: ConnectionTestId,
    /// In which workspace.
    pub workspace_id: WorkspaceId,
    /// Of which activation. None: of a draft.
    pub workspace_connector_id: Option<WorkspaceConnectorId>,
    /// Of which type.
    pub connector_type: ConnectorTypeKey,
    /// Whether it works.
    pub ok: bool,
    /// How long it took, in milliseconds.
    pub latency_ms: i64,
    /// What was found, for people.
    pub message: String,
    /// The stable code of what went wrong.
    pub error: Option<String>,
    /// When.
    pub created_at: OffsetDateTime,
}

impl Resource for ConnectionTest {
    type Id = ConnectionTestId;
    type Tenancy = Visible;
    const TYPE: ResourceType = ResourceType::ConnectionTest;
    const ATTRIBUTES: &'static [Attribute] = &[
        Attribute::id("connection_test_id"),
        Attribute::id("workspace_connector_id"),
        Attribute::boolean("ok"),
        Attribute::number("latency_ms"),
        Attribute::date("created_at"),
    ];

    fn id(&self) -> ConnectionTestId {
        self.id
    }

    fn revision(&self) -> Revision {
        Revision::FIRST
    }
}
