//! Diagnostics: what a run noticed, apart from whether it succeeded.

use serde::{Deserialize, Serialize};
use strum::VariantNames;
use time::{Duration, OffsetDateTime};

use crate::{
    Attribute, DiagnosticId, Resource, ResourceType, Revision, StreamName, SyncLogId, TargetModel,
    Visible, WorkspaceConnectorId, WorkspaceId,
};

/// Something that a run noticed about an activation. Append-only, and forgotten after [`Diagnostic::KEPT`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable public identifier.
    pub id: DiagnosticId,
    /// About which activation.
    pub workspace_connector_id: WorkspaceConnectorId,
    /// In which workspace.
    pub workspace_id: WorkspaceId,
    /// By which run, if by one.
    pub sync_log_id: Option<SyncLogId>,
    /// About which stream, if about one.
    pub stream: Option<StreamName>,
    /// About which target model, if about one.
    pub target_model: Option<TargetModel>,
    /// What was noticed.
    pub reason: DiagnosticReason,
    /// The same in words, with names and numbers. Never a secret, and no more of records than the names of their fields.
    pub detail: String,
    /// When.
    pub created_at: OffsetDateTime,
}

/// What a run can notice.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
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
pub enum DiagnosticReason {
    /// The fields or the primary key of a stream are not what they were.
    SchemaDrift,
    /// A filter asks for what a stream does not have.
    FilterUnsupported,
    /// A filter is not the one of the run before, so that the stream is read in full.
    FilterChanged,
    /// The settings point at another system, or another part of it, than in the run before, so that the stream is read in full.
    PlaceChanged,
    /// Records cannot be stored, and are kept aside.
    RecordsQuarantined,
    /// Values were left out, as the stream's settings say.
    ValuesDiscarded,
    /// Records were left out, as the stream's settings say.
    RowsDiscarded,
    /// A mapping cannot make its model out of records.
    MappingFailed,
    /// Entities lack what they refer to, or were dropped for another reason.
    EntitiesDropped,
    /// A mapping is to be looked at, since its stream is not what it was.
    MappingNeedsRegeneration,
    /// A mapping did worse than the one before, which is back in its place.
    RegressionRevert,
    /// Everything was read, and there was nothing.
    EmptyResult,
    /// The system has tables that are no streams because of their names.
    StreamsLeftOut,
}

/// What a diagnostic means for the data.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
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
pub enum DiagnosticClass {
    /// Something that the source has is not here.
    DataLoss,
    /// Good to know.
    Informational,
}

impl DiagnosticReason {
    /// What it means for the data. Only losses tell on the health of an activation.
    pub const fn class(self) -> DiagnosticClass {
        match self {
            Self::RecordsQuarantined
            | Self::ValuesDiscarded
            | Self::RowsDiscarded
            | Self::MappingFailed
            | Self::EntitiesDropped => DiagnosticClass::DataLoss,
            Self::SchemaDrift
            | Self::FilterUnsupported
            | Self::FilterChanged
            | Self::PlaceChanged
            | Self::MappingNeedsRegeneration
            | Self::RegressionRevert
            | Self::EmptyResult
            | Self::StreamsLeftOut => DiagnosticClass::Informational,
        }
    }
}

impl Diagnostic {
    /// How long diagnostics are kept.
    pub const KEPT: Duration = Duration::days(30);
}

impl Resource for Diagnostic {
    type Id = DiagnosticId;
    type Tenancy = Visible;
    const TYPE: ResourceType = ResourceType::ConnectorSyncDiagnostic;
    const ATTRIBUTES: &'static [Attribute] = &[
        Attribute::id("connector_sync_diagnostic_id"),
        Attribute::id("workspace_connector_id"),
        Attribute::id("workspace_connector_sync_log_id"),
        Attribute::text("stream"),
        Attribute::one_of("target_model", TargetModel::VARIANTS),
        Attribute::one_of("reason", DiagnosticReason::VARIANTS),
        Attribute::one_of("class", DiagnosticClass::VARIANTS),
        Attribute::date("created_at"),
    ];

    fn id(&self) -> DiagnosticId {
        self.id
    }

    fn revision(&self) -> Revision {
        Revision::FIRST
    }
}
