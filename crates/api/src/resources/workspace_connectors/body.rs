//! What callers say about activations.

use std::collections::BTreeMap;

use linkspan_app::{ActivationPatch, Draft, DraftOf, NewActivation, Patch, StartSync, Switch};
use linkspan_domain::{
    Code, ConnectorId, ConnectorTypeKey, LogLevel, Name, PersonId, StreamName, StreamSettings,
    SyncLog, SyncMode, WorkspaceConnector,
};
use poem_openapi::registry::MetaSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    body::{Link, PlainBody, Written, patch, present},
    problem::Failure,
    schema::{object, property},
};

const PERSON: Link = Link { name: "person", target: "person", attribute: "person_id" };
const CONNECTOR: Link = Link { name: "connector", target: "connector", attribute: "connector_id" };

/// What a new activation is made of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewActivationBody {
    connector_id: ConnectorId,
    #[serde(default)]
    name: Option<Name>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    person_id: Option<PersonId>,
    #[serde(default)]
    config: Map<String, Value>,
    #[serde(default)]
    streams: Vec<StreamSettings>,
    #[serde(default)]
    output_schemas: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    mock_enabled: bool,
    #[serde(default)]
    log_level: LogLevel,
}

impl Written for NewActivationBody {
    type Of = WorkspaceConnector;
    const NAME: &'static str = "NewWorkspaceConnector";
    const LINKS: &'static [Link] = &[CONNECTOR, PERSON];

    fn example() -> Option<Value> {
        let connector =
            json!({ "type": "connector", "id": "012c387a-75c8-50c9-b1e3-c573571b4068" });
        Some(json!({ "data": {
            "type": "workspace_connector",
            "attributes": {
                "name": "Production database",
                "config": { "host": "db.example.com", "database": "crm", "username": "reader", "password": "…" },
                "streams": [{ "stream": "public.orders", "cursor_column": "updated_at", "cursor_type": "timestamp" }],
            },
            "relationships": { "connector": { "data": connector } },
        } }))
    }
}

impl From<NewActivationBody> for NewActivation {
    fn from(body: NewActivationBody) -> Self {
        let NewActivationBody {
            connector_id,
            name,
            description,
            person_id,
            config,
            streams,
            output_schemas,
            labels,
            mock_enabled,
            log_level,
        } = body;
        Self {
            connector_id,
            name,
            description,
            person_id,
            config,
            streams,
            output_schemas,
            labels,
            mock_enabled,
            log_level,
        }
    }
}

/// What changes about an activation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ActivationPatchBody {
    #[serde(default, deserialize_with = "present")]
    name: Option<Name>,
    #[serde(default, deserialize_with = "patch")]
    description: Patch<String>,
    #[serde(default, deserialize_with = "patch")]
    person_id: Patch<PersonId>,
    #[serde(default, deserialize_with = "present")]
    config: Option<Map<String, Value>>,
    #[serde(default, deserialize_with = "present")]
    streams: Option<Vec<StreamSettings>>,
    #[serde(default, deserialize_with = "present")]
    output_schemas: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present")]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default, deserialize_with = "present")]
    mock_enabled: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    log_level: Option<LogLevel>,
    #[serde(default, deserialize_with = "present")]
    status: Option<Wanted>,
}

/// The statuses that a caller can ask for.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    Enabled,
    Disabled,
    Suspended,
}

impl Written for ActivationPatchBody {
    type Of = WorkspaceConnector;
    const NAME: &'static str = "WorkspaceConnectorPatch";
    const LINKS: &'static [Link] = &[PERSON];
}

impl From<ActivationPatchBody> for ActivationPatch {
    fn from(body: ActivationPatchBody) -> Self {
        let ActivationPatchBody {
            name,
            description,
            person_id,
            config,
            streams,
            output_schemas,
            labels,
            mock_enabled,
            log_level,
            status,
        } = body;
        let switch = status.map(|it| match it {
            Wanted::Enabled => Switch::On,
            Wanted::Disabled => Switch::Off,
            Wanted::Suspended => Switch::Suspended,
        });
        Self {
            name,
            description,
            person_id,
            config,
            streams,
            output_schemas,
            labels,
            mock_enabled,
            log_level,
            switch,
        }
    }
}

/// Settings to try before they are kept.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DraftBody {
    #[serde(default)]
    connector_id: Option<ConnectorId>,
    #[serde(default)]
    connector_type: Option<ConnectorTypeKey>,
    #[serde(default)]
    config: Map<String, Value>,
}

impl PlainBody for DraftBody {
    const NAME: &'static str = "ConnectionDraft";
    const TYPE: &'static str = "connection_test";

    fn schema() -> MetaSchema {
        let properties = vec![
            property::<Option<ConnectorId>>(
                "connector_id",
                "The connector whose settings they are. Either this…",
            ),
            property::<Option<ConnectorTypeKey>>(
                "connector_type",
                "…or the type whose settings they are.",
            ),
            property::<Map<String, Value>>("config", "The settings, secrets included."),
        ];
        object(properties, &[])
    }

    fn example() -> Option<Value> {
        Some(json!({
            "connector_type": "csv_url",
            "config": { "url": "https://example.com/people.csv" },
        }))
    }
}

impl DraftBody {
    pub(super) fn read(self) -> Result<Draft, Failure> {
        let of = match (self.connector_id, self.connector_type) {
            (Some(connector), None) => DraftOf::Connector(connector),
            (None, Some(kind)) => DraftOf::Type(kind),
            _ => {
                let detail = "give either `connector_id` or `connector_type`";
                return Err(
                    Failure::new(Code::Invalid, detail).at("/data/attributes/connector_type")
                );
            }
        };
        Ok(Draft { of, config: self.config })
    }
}

/// What to change about settings for a test.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Overrides {
    #[serde(default)]
    pub(super) config: Map<String, Value>,
}

impl PlainBody for Overrides {
    const NAME: &'static str = "TestOverrides";
    const TYPE: &'static str = "connection_test";

    fn schema() -> MetaSchema {
        let about =
            "What to change about the settings for this test, as a JSON Merge Patch (RFC 7396).";
        object(vec![property::<Map<String, Value>>("config", about)], &[])
    }
}

/// What a run shall do.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SyncBody {
    #[serde(default)]
    mode: Option<SyncMode>,
    #[serde(default)]
    streams: Vec<StreamName>,
}

impl PlainBody for SyncBody {
    const NAME: &'static str = "NewSync";
    const TYPE: &'static str = <SyncLog as crate::resource::Shown>::TYPE;

    fn schema() -> MetaSchema {
        let properties = vec![
            property::<Option<SyncMode>>(
                "mode",
                "What to read. Without it: what is new where a cursor is known, else everything.",
            ),
            property::<Vec<StreamName>>("streams", "Which streams. Empty: all."),
        ];
        object(properties, &[])
    }
}

impl From<SyncBody> for StartSync {
    fn from(SyncBody { mode, streams }: SyncBody) -> Self {
        Self { mode, streams }
    }
}
