//! What came of testing connections, as the history of an activation shows it.

use linkspan_app::Records;
use linkspan_domain::{
    Attribute, ConnectionTest, ConnectionTestId, ConnectorTypeKey, Resource, Revision,
    WorkspaceConnectorId, WorkspaceId,
};
use time::OffsetDateTime;

use crate::{
    App,
    include::Found,
    resource::{Kept, Key, Related, Relationship, Shown, attributes, instant},
};

attributes! { ConnectionTest, |it| {
    /// The same as `id`.
    connection_test_id: ConnectionTestId = it.id;
    /// In which workspace.
    workspace_id: WorkspaceId = it.workspace_id;
    /// Of which activation. None: of a draft.
    workspace_connector_id: Option<WorkspaceConnectorId> = it.workspace_connector_id;
    /// Of which type.
    connector_type: ConnectorTypeKey = &it.connector_type;
    /// Whether it works.
    ok: bool = it.ok;
    /// How long it took, in milliseconds.
    latency_ms: i64 = it.latency_ms;
    /// What was found, for people.
    message: String = &it.message;
    /// What machines call what went wrong.
    error: Option<String> = &it.error;
    /// When.
    created_at: OffsetDateTime = instant(it.created_at);
} }

impl Shown for ConnectionTest {
    const TYPE: &'static str = "connection_test";
    const NAME: &'static str = "ConnectionTest";
    const PATH: Option<&'static str> = None;
    const RELATIONSHIPS: &'static [Relationship] = &[
        Relationship::one("workspace_connector", "workspace_connector"),
        Relationship::one("connector_type", "connector_type"),
    ];
    const LISTED: &'static [Attribute] = <Self as Resource>::ATTRIBUTES;

    fn key(&self) -> Key {
        Key::of(self.id)
    }

    fn revision(&self) -> Revision {
        Revision::FIRST
    }

    fn related(&self, name: &str, _: &Found) -> Related {
        match name {
            "workspace_connector" => Related::maybe(self.workspace_connector_id),
            _ => Related::One(Some(Key::Text(self.connector_type.to_string()))),
        }
    }
}

impl Kept for ConnectionTest {
    fn records(app: &App) -> &Records<Self> {
        app.activations.tests()
    }
}
