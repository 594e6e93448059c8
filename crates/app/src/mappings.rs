//! Mappings: what the records of streams become.

mod error;
mod suggesting;
mod trying;

use std::sync::Arc;

use linkspan_domain::{
    Act, Action, Call, Caller, Connector, ConnectorMapping, ConnectorMappingId, MappingOrigin,
    MappingStatus, MappingVersion, OnCollapse, Revision, StreamName, TargetModel, UnmappedRecord,
    WorkspaceConnector, WorkspaceConnectorId,
    ports::{Store, World},
};
use linkspan_engine::{Models, Verdict};
use linkspan_sdk::{EntityStore, RecordStore};
use serde_json::json;
use tokio::time::Instant;

pub use error::MappingError;
pub use suggesting::{SuggestMappings, Suggested, SuggestedField, SuggestedMapping};
pub use trying::{DryRun, DryRunOf, DryRunRow, DryRunRows};

use crate::{
    RecordError, Records, Sources, Writable, activations::require_stream, patch::Changes,
    records::require_live, suitability::LOOKING,
};

/// Mappings of the streams of activations to target models.
///
/// Readers of connectors read them, managers write those of the workspace they act in. An expression is kept only if it can be
/// read, and makes objects of the model out of the records that are there.
pub struct Mappings {
    records: Records<ConnectorMapping>,
    store: Arc<dyn Store<ConnectorMapping>>,
    activations: Records<WorkspaceConnector>,
    connectors: Records<Connector>,
    entities: Arc<dyn EntityStore>,
    raw: Arc<dyn RecordStore>,
    models: Arc<Models>,
    sources: Arc<Sources>,
    world: Arc<dyn World>,
}

/// What mappings are kept in, and what they are about.
#[derive(Clone)]
#[expect(missing_docs, reason = "the stores say themselves what they keep")]
pub struct MappingStores {
    pub mappings: Arc<dyn Store<ConnectorMapping>>,
    pub activations: Arc<dyn Store<WorkspaceConnector>>,
    pub connectors: Arc<dyn Store<Connector>>,
    pub entities: Arc<dyn EntityStore>,
    pub records: Arc<dyn RecordStore>,
}

/// What a new mapping is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the mapping says what they are")]
pub struct NewMapping {
    pub workspace_connector_id: WorkspaceConnectorId,
    pub stream: StreamName,
    pub target_model: TargetModel,
    pub expression: String,
    pub status: MappingStatus,
    pub on_collapse: OnCollapse,
}

/// What changes about a mapping.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the mapping says what they are")]
pub struct MappingPatch {
    pub expression: Option<String>,
    pub status: Option<MappingStatus>,
    pub needs_regeneration: Option<bool>,
    pub on_collapse: Option<OnCollapse>,
}

impl Mappings {
    /// The mappings that `stores` keep.
    pub fn new(
        stores: MappingStores,
        models: Arc<Models>,
        sources: Arc<Sources>,
        world: Arc<dyn World>,
    ) -> Self {
        let MappingStores { mappings: store, activations, connectors, entities, records } = stores;
        Self {
            records: Records::new(Arc::clone(&store), Arc::clone(&world)),
            store,
            activations: Records::new(activations, Arc::clone(&world)),
            connectors: Records::new(connectors, Arc::clone(&world)),
            entities,
            raw: records,
            models,
            sources,
            world,
        }
    }

    /// The mappings, for reading.
    pub const fn records(&self) -> &Records<ConnectorMapping> {
        &self.records
    }

    /// Adds a mapping.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub async fn create(
        &self,
        call: &Call,
        new: NewMapping,
    ) -> Result<ConnectorMapping, MappingError> {
        call.caller.require(ConnectorMapping::WRITE)?;
        let NewMapping {
            workspace_connector_id,
            stream,
            target_model,
            expression,
            status,
            on_collapse,
        } = new;
        let activation = self.activation(call, workspace_connector_id).await?;
        let now = self.world.now();
        let mapping = ConnectorMapping {
            id: ConnectorMappingId::from_uuid(self.world.uuid()),
            revision: Revision::FIRST,
            workspace_connector_id,
            workspace_id: activation.workspace_id,
            stream,
            target_model,
            expression,
            version: 1,
            origin: MappingOrigin::Written,
            confidence: None,
            status,
            needs_regeneration: false,
            on_collapse,
            last_persist_count: 0,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        mapping.guard(&call.caller)?;
        self.require_stream(call, &activation, &mapping.stream).await?;
        self.accept(&mapping).await?;
        Ok(self.records.insert(call, mapping).await?)
    }

    /// Changes a mapping. Another expression is another version, which begins with the first record again.
    #[tracing::instrument(skip_all, fields(%id), err(level = "debug"))]
    pub async fn update(
        &self,
        call: &Call,
        id: ConnectorMappingId,
        expected: Option<Revision>,
        patch: MappingPatch,
    ) -> Result<ConnectorMapping, MappingError> {
        let MappingPatch { expression, status, needs_regeneration, on_collapse } = patch;
        let mut mapping = self.records.live(call, id, expected).await?;
        let mut changes = Changes::default();
        if let Some(expression) = expression.filter(|it| *it != mapping.expression) {
            let before = mapping.status;
            mapping.reword(expression, MappingOrigin::Written, None);
            mapping.status = before;
            self.accept(&mapping).await?;
            changes.note("expression");
        }
        changes.set("status", &mut mapping.status, status);
        changes.set("needs_regeneration", &mut mapping.needs_regeneration, needs_regeneration);
        changes.set("on_collapse", &mut mapping.on_collapse, on_collapse);
        Ok(self.records.save(call, mapping, &changes).await?)
    }

    /// Gives a mapping an earlier wording back, as a new version.
    #[tracing::instrument(skip_all, fields(%id, version), err(level = "debug"))]
    pub async fn revert(
        &self,
        call: &Call,
        id: ConnectorMappingId,
        expected: Option<Revision>,
        version: u32,
    ) -> Result<ConnectorMapping, MappingError> {
        let mut mapping = self.records.live(call, id, expected).await?;
        let versions = self.read_versions(id).await?;
        let before = versions.into_iter().find(|it| it.version == version);
        let before = before.ok_or(MappingError::NoVersion { id, version })?;
        let status = mapping.status;
        mapping.reword(before.expression, MappingOrigin::Reverted, before.confidence);
        mapping.status = status;
        let details = json!({ "version": version });
        let act = Act { action: Action::MappingReverted, details };
        Ok(self.records.put(call, mapping, act).await?)
    }

    /// All wordings of a mapping, the newest first.
    pub async fn versions(
        &self,
        caller: &Caller,
        id: ConnectorMappingId,
    ) -> Result<Vec<MappingVersion>, MappingError> {
        self.records.get(caller, id).await?;
        self.read_versions(id).await
    }

    /// The records that a mapping failed on, the oldest first.
    pub async fn unmapped(
        &self,
        caller: &Caller,
        id: ConnectorMappingId,
    ) -> Result<Vec<UnmappedRecord>, MappingError> {
        self.records.get(caller, id).await?;
        let found = self.entities.unmapped(id, None, MOST_UNMAPPED).await;
        found.map_err(MappingError::reading)
    }

    /// Soft-deletes a mapping. The entities that it made are withdrawn soon after.
    pub async fn delete(
        &self,
        call: &Call,
        id: ConnectorMappingId,
        expected: Option<Revision>,
    ) -> Result<(), RecordError> {
        self.records.delete(call, id, expected).await
    }

    /// Brings a deleted mapping back. It begins with the first record again.
    pub async fn restore(
        &self,
        call: &Call,
        id: ConnectorMappingId,
        expected: Option<Revision>,
    ) -> Result<ConnectorMapping, RecordError> {
        self.records.restore(call, id, expected).await
    }

    /// Removes a deleted mapping for good, with its versions.
    pub async fn purge(
        &self,
        call: &Call,
        id: ConnectorMappingId,
        expected: Option<Revision>,
    ) -> Result<(), RecordError> {
        self.records.purge(call, id, expected).await
    }

    /// Refuses a stream that is not there. One that has records is; what a system does not say is not known, and passes.
    async fn require_stream(
        &self,
        call: &Call,
        activation: &WorkspaceConnector,
        stream: &StreamName,
    ) -> Result<(), MappingError> {
        if !self.samples(activation.id, stream, 1).await?.is_empty() {
            return Ok(());
        }
        let until = Instant::now() + LOOKING;
        let Some(known) = self.sources.streams(&call.caller, activation, until).await else {
            return Ok(());
        };
        Ok(require_stream(&known, stream, || "/data/attributes/stream".to_owned())?)
    }

    async fn read_versions(
        &self,
        id: ConnectorMappingId,
    ) -> Result<Vec<MappingVersion>, MappingError> {
        self.entities.versions(id).await.map_err(MappingError::reading)
    }

    async fn activation(
        &self,
        call: &Call,
        id: WorkspaceConnectorId,
    ) -> Result<WorkspaceConnector, RecordError> {
        require_live(&self.activations, &call.caller, id, "workspace_connector").await
    }
}

/// So many records that a mapping failed on are shown.
const MOST_UNMAPPED: u32 = 500;

/// What becomes of a proposal, as the mapping that it makes says it.
const fn status(verdict: Verdict) -> Option<MappingStatus> {
    match verdict {
        Verdict::Applied => Some(MappingStatus::Active),
        Verdict::Proposed => Some(MappingStatus::Proposed),
        Verdict::Refused => None,
    }
}

#[cfg(test)]
pub(crate) mod tests;
