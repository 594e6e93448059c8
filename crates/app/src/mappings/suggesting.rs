//! Proposing mappings from what the streams of an activation look like.

use std::{collections::BTreeSet, sync::Arc};

use linkspan_domain::{
    Act, Action, Attribute, AuditEventId, Call, Confidence, ConnectorMapping, ConnectorMappingId,
    Filter, FilterTest, FilterValue, MappingOrigin, MappingStatus, OnCollapse, Revision,
    StreamName, StreamSpec, TargetModel, WorkspaceConnector, WorkspaceConnectorId,
    ports::{Change, StoreError},
};
use linkspan_engine::{MapError, ModelSchema, Suggestion, Verdict, suggest};
use linkspan_sdk::Record;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::{MappingError, Mappings, status, trying::invalid};
use crate::{
    ActivationError, RecordError,
    records::refused,
    sources::{PATIENCE, may_run},
};

/// For which streams and models to propose mappings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SuggestMappings {
    /// Which streams. Empty: all.
    pub streams: Vec<StreamName>,
    /// Which models. Empty: those that the connector supports, or all.
    pub target_models: BTreeSet<TargetModel>,
}

/// A proposal, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct SuggestedMapping {
    /// Of which activation.
    pub workspace_connector_id: WorkspaceConnectorId,
    /// Of which stream.
    pub stream: StreamName,
    /// What the records become.
    pub target_model: TargetModel,
    /// The JSONata expression.
    pub expression: String,
    /// How sure it is.
    pub confidence: Confidence,
    /// What became of it.
    pub outcome: Suggested,
    /// The mapping of the stream to the model, if there is one now.
    pub connector_mapping_id: Option<ConnectorMappingId>,
    /// What fills which field.
    pub fields: Vec<SuggestedField>,
    /// The fields that the model requires and nothing fills.
    pub missing: Vec<String>,
}

/// What became of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Suggested {
    /// It is sure enough, and runs use it from now on.
    Applied,
    /// A person should look at it; then set its status to `active`.
    Proposed,
    /// It is not sure enough to be kept.
    Refused,
    /// There is a mapping already, which stays as it is.
    Kept,
}

/// What fills one field.
#[derive(Clone, Debug, PartialEq)]
pub struct SuggestedField {
    /// The field of the model.
    pub field: String,
    /// The path in the record, or several that are joined.
    pub sources: Vec<String>,
    /// How sure it is.
    pub confidence: Confidence,
}

/// So many streams are looked at when none is named.
const MOST_STREAMS: usize = 50;

/// So many records of a stream are looked at.
const SAMPLES: u32 = 100;

/// A proposal, and what the samples say of it.
struct Proposal {
    suggestion: Suggestion,
    verdict: Verdict,
    stream: StreamName,
}

impl Mappings {
    /// Proposes mappings for the streams of an activation, and keeps those that are sure enough: applied, or for a person to look
    /// at. A mapping that is there stays, unless it was itself proposed and waits to be looked at or made anew.
    #[tracing::instrument(skip_all, fields(%id), err(level = "debug"))]
    pub async fn suggest(
        &self,
        call: &Call,
        id: WorkspaceConnectorId,
        wanted: SuggestMappings,
    ) -> Result<Vec<SuggestedMapping>, MappingError> {
        let activation = self.activations.live(call, id, None).await?;
        let streams = self.streams(call, &activation, &wanted.streams).await?;
        let models = self.wanted_models(call, &activation, wanted.target_models).await?;
        let mut proposals = Vec::new();
        for stream in streams {
            proposals.extend(self.propose(id, stream, models.clone()).await?);
        }
        self.keep(call, &activation, proposals).await
    }

    async fn streams(
        &self,
        call: &Call,
        activation: &WorkspaceConnector,
        wanted: &[StreamName],
    ) -> Result<Vec<StreamSpec>, MappingError> {
        let definition = self.sources.settings().definition(&activation.connector_type);
        may_run(&call.caller, definition.map_err(ActivationError::from)?)?;
        let found = self.sources.discover(activation, PATIENCE).await;
        let found = found.map_err(ActivationError::from)?.map_err(ActivationError::from)?;
        let mut found = found.streams;
        if let Some(absent) = wanted.iter().find(|it| found.iter().all(|has| has.name != **it)) {
            return Err(invalid("streams", &format!("has {absent}, which is no stream")));
        }
        found.retain(|it| wanted.is_empty() || wanted.contains(&it.name));
        if found.len() > MOST_STREAMS {
            let reason = format!(
                "is required, since there are {} streams: name up to {MOST_STREAMS}",
                found.len()
            );
            return Err(invalid("streams", &reason));
        }
        Ok(found)
    }

    async fn wanted_models(
        &self,
        call: &Call,
        activation: &WorkspaceConnector,
        wanted: BTreeSet<TargetModel>,
    ) -> Result<Vec<Arc<ModelSchema>>, MappingError> {
        let wanted = if wanted.is_empty() {
            let connector = self.connectors.get(&call.caller, activation.connector_id).await?;
            connector.entry.supported_target_models
        } else {
            wanted
        };
        let models = self.models.iter().map(Arc::clone);
        Ok(models.filter(|it| wanted.is_empty() || wanted.contains(&it.model)).collect())
    }

    /// The proposals for one stream.
    async fn propose(
        &self,
        activation: WorkspaceConnectorId,
        stream: StreamSpec,
        models: Vec<Arc<ModelSchema>>,
    ) -> Result<Vec<Proposal>, MappingError> {
        let samples = self.samples(activation, &stream.name, SAMPLES).await?;
        let values: Vec<Value> =
            samples.iter().filter_map(|it| serde_json::from_str(it.payload.get()).ok()).collect();
        let name = stream.name.clone();
        let work = move || -> Vec<Suggestion> {
            models.iter().map(|it| suggest(&stream, &values, it)).collect()
        };
        let suggestions = spawn_blocking(work).await.map_err(MapError::Broken)?;
        let mut proposals = Vec::with_capacity(suggestions.len());
        for suggestion in suggestions {
            let verdict = self.judge(&suggestion, &samples).await?;
            proposals.push(Proposal { suggestion, verdict, stream: name.clone() });
        }
        Ok(proposals)
    }

    /// What becomes of a proposal: one that fails on a sample is not applied, one that fails on all is refused.
    async fn judge(
        &self,
        suggestion: &Suggestion,
        samples: &[Record],
    ) -> Result<Verdict, MappingError> {
        let verdict = suggestion.verdict();
        if verdict == Verdict::Refused || samples.is_empty() {
            return Ok(verdict);
        }
        let expression = suggestion.expression.clone();
        let outcomes = self.try_on(expression, suggestion.model, samples).await?;
        let failed = outcomes.iter().filter(|it| it.is_err()).count();
        Ok(match failed {
            0 => verdict,
            all if all == outcomes.len() => Verdict::Refused,
            _ => Verdict::Proposed,
        })
    }

    /// Keeps what is sure enough, in one transaction.
    async fn keep(
        &self,
        call: &Call,
        activation: &WorkspaceConnector,
        proposals: Vec<Proposal>,
    ) -> Result<Vec<SuggestedMapping>, MappingError> {
        let of_activation = Filter {
            attribute: Attribute::id("workspace_connector_id"),
            test: FilterTest::Equals(FilterValue::Id(activation.id.uuid())),
        };
        let there = self.records.list_all(&call.caller, vec![of_activation]).await?;
        let (mut changes, mut all) = (Vec::new(), Vec::new());
        for proposal in proposals {
            let model = proposal.suggestion.model;
            let known =
                there.iter().find(|it| it.stream == proposal.stream && it.target_model == model);
            let (outcome, change) = self.decide(activation, &proposal, known);
            let kept = match &change {
                Some(Change::Insert(it) | Change::Update(it)) => Some(it.id),
                Some(Change::Purge(_)) | None => known.map(|it| it.id),
            };
            changes.extend(change);
            all.push(shown(activation.id, proposal, outcome, kept));
        }
        if !changes.is_empty() {
            let act = Act {
                action: Action::MappingsSuggested,
                details: json!({ "mappings": changes.len() }),
            };
            // What is kept already stays: the call may be made again.
            let call = Call { claim: None, ..call.clone() };
            let id = AuditEventId::from_uuid(self.world.uuid());
            let receipt = call.receipt(act, activation, id, self.world.now());
            self.store.write(&changes, &receipt).await.map_err(|error| match error {
                StoreError::Taken | StoreError::Stale => RecordError::Stale {
                    resource: linkspan_domain::ResourceType::ConnectorMapping,
                    id: activation.id.to_string(),
                },
                other => refused::<ConnectorMapping>(ConnectorMappingId::from_uuid(
                    activation.id.uuid(),
                ))(other),
            })?;
        }
        Ok(all)
    }

    /// What becomes of a proposal, given the mapping that is there.
    fn decide(
        &self,
        activation: &WorkspaceConnector,
        proposal: &Proposal,
        known: Option<&ConnectorMapping>,
    ) -> (Suggested, Option<Change<ConnectorMapping>>) {
        let Proposal { suggestion, verdict, stream } = proposal;
        let Some(status) = status(*verdict) else { return (Suggested::Refused, None) };
        let outcome = match status {
            MappingStatus::Active => Suggested::Applied,
            MappingStatus::Proposed => Suggested::Proposed,
        };
        let confidence = Some(Confidence::of(suggestion.confidence));
        let now = self.world.now();
        match known {
            Some(known) if !is_open(known) || known.expression == suggestion.expression => {
                (Suggested::Kept, None)
            }
            // What runs by it goes on until somebody agrees to something better.
            Some(known)
                if known.status == MappingStatus::Active && outcome == Suggested::Proposed =>
            {
                (Suggested::Kept, None)
            }
            Some(known) => {
                let mut mapping = known.clone();
                mapping.reword(suggestion.expression.clone(), MappingOrigin::Suggested, confidence);
                mapping.status = status;
                mapping.updated_at = now;
                (outcome, Some(Change::Update(mapping)))
            }
            None => {
                let mapping = ConnectorMapping {
                    id: ConnectorMappingId::from_uuid(self.world.uuid()),
                    revision: Revision::FIRST,
                    workspace_connector_id: activation.id,
                    workspace_id: activation.workspace_id,
                    stream: stream.clone(),
                    target_model: suggestion.model,
                    expression: suggestion.expression.clone(),
                    version: 1,
                    origin: MappingOrigin::Suggested,
                    confidence,
                    status,
                    needs_regeneration: false,
                    on_collapse: OnCollapse::Revert,
                    last_persist_count: 0,
                    created_at: now,
                    updated_at: now,
                    deleted_at: None,
                };
                (outcome, Some(Change::Insert(mapping)))
            }
        }
    }
}

/// Whether a proposal may take the place of what `mapping` says.
fn is_open(mapping: &ConnectorMapping) -> bool {
    mapping.origin == MappingOrigin::Suggested
        && (mapping.needs_regeneration || mapping.status == MappingStatus::Proposed)
}

fn shown(
    activation: WorkspaceConnectorId,
    proposal: Proposal,
    outcome: Suggested,
    kept: Option<ConnectorMappingId>,
) -> SuggestedMapping {
    let Proposal { suggestion, stream, .. } = proposal;
    let field = |it: linkspan_engine::FieldSuggestion| SuggestedField {
        field: it.field,
        sources: it.sources,
        confidence: Confidence::of(it.confidence),
    };
    SuggestedMapping {
        workspace_connector_id: activation,
        stream,
        target_model: suggestion.model,
        expression: suggestion.expression,
        confidence: Confidence::of(suggestion.confidence),
        outcome,
        connector_mapping_id: kept,
        fields: suggestion.fields.into_iter().map(field).collect(),
        missing: suggestion.missing,
    }
}
