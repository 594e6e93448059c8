//! Activations: a connector at work in a workspace.

mod retention;
mod status;

use std::collections::{BTreeMap, BTreeSet};

use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strum::VariantNames;
use time::OffsetDateTime;

pub use retention::{InvalidRetention, Missing, Retention, RetentionDays};
pub use status::{Event, Health, Proof, Readiness, RunEnd, Status, UnexpectedEvent};

use crate::{
    Attribute, ConnectorId, ConnectorTypeKey, CursorType, Direction, Name, PersonId, Resource,
    ResourceType, Revision, StreamName, Visible, WorkspaceConnectorId, WorkspaceId, ports::Sealed,
};

/// One activation of a connector in a workspace: settings, sealed credentials, status.
///
/// Among live activations of a workspace the name is unique, without regard to case.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkspaceConnector {
    /// Stable public identifier.
    pub id: WorkspaceConnectorId,
    /// How often it was written.
    pub revision: Revision,
    /// The catalog entry it activates.
    pub connector_id: ConnectorId,
    /// The workspace that owns it.
    pub workspace_id: WorkspaceId,
    /// Who looks after it, if anybody.
    pub person_id: Option<PersonId>,
    /// The type that serves it.
    pub connector_type: ConnectorTypeKey,
    /// The version of the type when the settings were last written.
    pub connector_type_version: Version,
    /// What people call it.
    pub name: Name,
    /// What it is for.
    pub description: Option<String>,
    /// Where it is in its life. Changes through [`WorkspaceConnector::apply`].
    pub status: Status,
    /// The settings, without secrets.
    pub config: Map<String, Value>,
    /// The secret settings.
    pub secrets: Option<SealedSecrets>,
    /// What its sync does with streams.
    pub streams: Vec<StreamSettings>,
    /// The schemas that discovery may show. Empty: the connector's own.
    pub output_schemas: Vec<String>,
    /// Words of the operator's own, to find it by.
    pub labels: BTreeMap<String, String>,
    /// Whether commands answer from mock data.
    pub mock_enabled: bool,
    /// How much its runs log.
    pub log_level: LogLevel,
    /// What the grant can do, as last seen.
    pub installed_capabilities: Option<Value>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was last written.
    pub updated_at: OffsetDateTime,
    /// When it was disconnected.
    pub deleted_at: Option<OffsetDateTime>,
}

/// The secret settings of an activation, sealed, and where in the settings they belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSecrets {
    /// The blob.
    pub blob: Sealed,
    /// JSON pointers of the secrets that are set.
    pub pointers: BTreeSet<String>,
}

/// How a stream is synced.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamSettings {
    /// Which stream; none speaks for all that are not named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamName>,
    /// The column that grows with each change of a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor_column: Option<String>,
    /// How cursor values compare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor_type: Option<CursorType>,
    /// Where the first incremental sync starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor_after: Option<String>,
    /// The columns that name a row, where the source does not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub primary_key: Vec<String>,
    /// How far before the last cursor value an incremental sync begins, for rows that come late: whole numbers for a cursor
    /// of the type `int`, seconds for a `timestamp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<u64>,
    /// What becomes of the stream when its fields are not what they were.
    #[serde(default, skip_serializing_if = "SchemaPolicy::is_default")]
    pub schema_policy: SchemaPolicy,
    /// What becomes of a record that a full load does not meet.
    #[serde(default, skip_serializing_if = "Missing::is_default")]
    pub missing: Missing,
    /// For how long stale records and tombstones are kept. None: 30 days where records become stale, else forever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<RetentionDays>,
    /// Where the records of an output stream come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<StreamSource>,
}

/// A stream of another activation of the workspace, whose records an output stream pushes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamSource {
    /// The activation that keeps the records.
    pub workspace_connector_id: WorkspaceConnectorId,
    /// Its stream.
    pub stream: StreamName,
}

/// What becomes of a stream whose schema is not what it was.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Default,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::EnumIter,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SchemaPolicy {
    /// It is read as it is now.
    #[default]
    Evolve,
    /// It is not read, and its run fails.
    Freeze,
    /// Records that do not fit the remembered fields are left out.
    DiscardRow,
    /// Values that do not fit the remembered fields are left out.
    DiscardValue,
}

impl StreamSettings {
    /// What the end of a full load makes of the records that it did not meet, and of tombstones.
    pub fn retention(&self) -> Retention {
        Retention::of(self.missing, self.retention_days)
    }
}

impl SchemaPolicy {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How much the runs of an activation log.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::EnumIter,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[allow(missing_docs)]
pub enum LogLevel {
    Trace,
    Debug,
    #[default]
    Info,
    Warn,
    Error,
    Fatal,
}

impl WorkspaceConnector {
    /// Moves on after `event`.
    pub fn apply(&mut self, event: Event) -> Result<(), UnexpectedEvent> {
        self.status = self.status.after(event)?;
        Ok(())
    }

    /// Its grant is gone, and with it what it could do. One that is switched off stays so: it is asked for a grant when it is
    /// switched on.
    pub fn lose_grant(&mut self) {
        let _ = self.apply(Event::GrantRevoked);
        self.installed_capabilities = None;
    }

    /// The streams that it pushes into its system, each with where its records come from. None for an activation that
    /// brings records in.
    pub fn pushes(&self) -> impl Iterator<Item = (&StreamName, &StreamSource)> {
        self.streams.iter().filter_map(|it| Some((it.stream.as_ref()?, it.source.as_ref()?)))
    }

    /// Whether it brings records in or pushes them out.
    pub fn direction(&self) -> Direction {
        if self.pushes().next().is_some() { Direction::Output } else { Direction::Input }
    }

    /// Whether it shows `stream`. Streams of a database are called `schema.table`; others are in no schema, and so in all.
    pub fn shows(&self, stream: &str) -> bool {
        let of = |schema: &str| self.output_schemas.iter().any(|it| it == schema);
        self.output_schemas.is_empty()
            || stream.split_once('.').is_none_or(|(schema, _)| of(schema))
    }

    /// How `stream` is synced: what is said of it by name, else what is said of all.
    pub fn stream_settings(&self, stream: &StreamName) -> Option<&StreamSettings> {
        let named = self.streams.iter().find(|it| it.stream.as_ref() == Some(stream));
        named.or_else(|| self.streams.iter().find(|it| it.stream.is_none()))
    }
}

impl Resource for WorkspaceConnector {
    type Id = WorkspaceConnectorId;
    type Tenancy = Visible;
    const TYPE: ResourceType = ResourceType::WorkspaceConnector;
    const ATTRIBUTES: &'static [Attribute] = &[
        Attribute::id("workspace_connector_id"),
        Attribute::id("connector_id"),
        Attribute::id("workspace_id"),
        Attribute::id("person_id"),
        Attribute::text("connector_type"),
        Attribute::text("name"),
        Attribute::one_of("status", Status::VARIANTS),
        Attribute::boolean("mock_enabled"),
        Attribute::one_of("log_level", LogLevel::VARIANTS),
        Attribute::date("created_at"),
        Attribute::date("updated_at"),
        Attribute::date("deleted_at"),
    ];

    fn id(&self) -> WorkspaceConnectorId {
        self.id
    }

    fn revision(&self) -> Revision {
        self.revision
    }
}
