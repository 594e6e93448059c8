//! How activations are shown.

use std::collections::BTreeMap;

use linkspan_app::Records;
use linkspan_domain::{
    Attribute, Caller, Capability, ConnectorId, ConnectorTypeKey, LogLevel, Name, PersonId,
    Resource, Revision, Status, StreamSettings, WorkspaceConnector, WorkspaceConnectorId,
    WorkspaceId, masked_config,
};
use semver::Version;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::{
    App,
    include::Found,
    problem::Failure,
    resource::{Kept, Key, Related, Relationship, Shown, attributes, instant, maybe_instant},
    view::View,
};

attributes! { WorkspaceConnector, |it| {
    /// The same as `id`.
    workspace_connector_id: WorkspaceConnectorId = it.id;
    /// The catalog entry it activates.
    connector_id: ConnectorId = it.connector_id;
    /// The workspace that owns it.
    workspace_id: WorkspaceId = it.workspace_id;
    /// Who looks after it, if anybody.
    person_id: Option<PersonId> = it.person_id;
    /// The type that serves it.
    connector_type: ConnectorTypeKey = &it.connector_type;
    /// The version of the type when the settings were last written.
    connector_type_version: Version = &it.connector_type_version;
    /// What people call it. Unique among the live activations of the workspace, without regard to case.
    name: Name = &it.name;
    /// What it is for.
    description: Option<String> = &it.description;
    /// Where it is in its life. `enabled`, `disabled` and, for admins, `suspended` can be written.
    status: Status = it.status;
    /// The settings. Secrets that are set read `••••••••`.
    config: Map<String, Value> = config(it);
    /// What its sync does with streams.
    streams: Vec<StreamSettings> = &it.streams;
    /// The schemas that discovery may show. Empty: the connector's own.
    output_schemas: Vec<String> = &it.output_schemas;
    /// Words of the operator's own, to find it by.
    labels: BTreeMap<String, String> = &it.labels;
    /// Whether commands answer from mock data.
    mock_enabled: bool = it.mock_enabled;
    /// How much its runs log.
    log_level: LogLevel = it.log_level;
    /// What the grant can do, as last seen.
    installed_capabilities: Option<Value> = &it.installed_capabilities;
    /// When it was made.
    created_at: OffsetDateTime = instant(it.created_at);
    /// When it was last written.
    updated_at: OffsetDateTime = instant(it.updated_at);
    /// When it was disconnected.
    deleted_at: Option<OffsetDateTime> = maybe_instant(it.deleted_at);
} }

/// The settings as callers see them.
fn config(it: &WorkspaceConnector) -> Value {
    match &it.secrets {
        Some(secrets) => masked_config(&it.config, &secrets.pointers),
        None => Value::Object(it.config.clone()),
    }
}

impl Shown for WorkspaceConnector {
    const TYPE: &'static str = "workspace_connector";
    const NAME: &'static str = "WorkspaceConnector";
    const PATH: Option<&'static str> = Some("/v1/workspace-connectors");
    const RELATIONSHIPS: &'static [Relationship] = &[
        Relationship::one("connector", "connector"),
        Relationship::one("workspace", "workspace"),
        Relationship::one("person", "person"),
        Relationship::one("connector_type", "connector_type"),
        Relationship::one("filter", "connector_filter"),
    ];
    const LISTED: &'static [Attribute] = <Self as Resource>::ATTRIBUTES;

    fn key(&self) -> Key {
        Key::of(self.id)
    }

    fn revision(&self) -> Revision {
        self.revision
    }

    fn related(&self, name: &str, found: &Found) -> Related {
        match name {
            "connector" => Related::one(self.connector_id),
            "workspace" => Related::one(self.workspace_id),
            "person" => Related::maybe(self.person_id),
            "connector_type" => Related::One(Some(Key::Text(self.connector_type.to_string()))),
            // The workspace's own filter, else the template: known only from outside.
            _ => Related::maybe(found.filter_of_activation.get(&self.id).copied()),
        }
    }
}

impl Kept for WorkspaceConnector {
    fn records(app: &App) -> &Records<Self> {
        app.activations.records()
    }

    async fn look_up(
        app: &App,
        caller: &Caller,
        things: &[&Self],
        view: &View,
    ) -> Result<Found, Failure> {
        if !view.needs::<Self>("filter") {
            return Ok(Found::default());
        }
        let filters = app.filters.effective(caller, things).await?;
        let filter_of_activation = filters.into_iter().map(|(id, it)| (id, it.id)).collect();
        Ok(Found { filter_of_activation, ..Found::default() })
    }
}

/// What an activation can do: what its type can, and what its grant allows.
pub(crate) struct ActivationCapabilities {
    id: WorkspaceConnectorId,
    revision: Revision,
    connector_type: ConnectorTypeKey,
    capabilities: Vec<Capability>,
    commands: Vec<String>,
    is_queryable: bool,
    installed_capabilities: Option<Value>,
}

impl ActivationCapabilities {
    pub(super) fn of(
        app: &App,
        caller: &Caller,
        activation: WorkspaceConnector,
    ) -> Result<Self, Failure> {
        let manifest = app.connector_types.get(caller, activation.connector_type.as_str())?;
        Ok(Self {
            id: activation.id,
            revision: activation.revision,
            connector_type: activation.connector_type,
            capabilities: manifest.capabilities.clone(),
            commands: manifest.commands.iter().map(|it| it.name.clone()).collect(),
            is_queryable: manifest.is_queryable,
            installed_capabilities: activation.installed_capabilities,
        })
    }
}

attributes! { ActivationCapabilities, |it| {
    /// The type that serves it.
    connector_type: ConnectorTypeKey = &it.connector_type;
    /// What it can be asked for.
    capabilities: Vec<Capability> = &it.capabilities;
    /// The names of its operations.
    commands: Vec<String> = &it.commands;
    /// Whether a dataset or a query can be based on it.
    is_queryable: bool = it.is_queryable;
    /// What the grant can do, as last seen.
    installed_capabilities: Option<Value> = &it.installed_capabilities;
} }

impl Shown for ActivationCapabilities {
    const TYPE: &'static str = "workspace_connector_capabilities";
    const NAME: &'static str = "WorkspaceConnectorCapabilities";
    const PATH: Option<&'static str> = None;
    const RELATIONSHIPS: &'static [Relationship] = &[];
    const LISTED: &'static [Attribute] = &[];

    fn key(&self) -> Key {
        Key::of(self.id)
    }

    fn revision(&self) -> Revision {
        self.revision
    }

    fn related(&self, _: &str, _: &Found) -> Related {
        Related::One(None)
    }
}
