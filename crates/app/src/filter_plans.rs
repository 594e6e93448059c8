//! How the records of an activation are filtered: what of it the source does, and what is done here.

use std::sync::Arc;

use linkspan_domain::{
    Caller, Condition, Direction, ResourceType, StreamName, StreamSpec, WorkspaceConnector,
    WorkspaceConnectorId,
    ports::{Store, SyncStore, World},
};
use linkspan_engine::{StreamFilter, concerns_some};
use linkspan_sdk::Pushed;

use crate::{ActivationError, Filters, RecordError, Records, Sources, sources::may_run};

/// Explains filters. Readers of connectors ask.
pub struct FilterPlans {
    activations: Records<WorkspaceConnector>,
    filters: Arc<Filters>,
    sources: Arc<Sources>,
    syncs: Arc<dyn SyncStore>,
}

/// How the records of one stream are filtered in a full sync, and in the first incremental one.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterPlan {
    /// Which stream.
    pub stream: StreamName,
    /// What must hold of each record, all of it.
    pub parts: Vec<FilterPart>,
    /// Fields that other parts of the filter name, and the stream does not have.
    pub missing: Vec<String>,
    /// Why the filter cannot be asked of the stream, so that a run fails.
    pub error: Option<String>,
}

/// One part of a filter, and where it is evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterPart {
    /// What must hold.
    pub condition: Condition,
    /// Where it is evaluated, and how the source is asked.
    pub pushed: Pushed,
}

impl FilterPlans {
    /// Explains the filters that `filters` keeps.
    pub fn new(
        activations: Arc<dyn Store<WorkspaceConnector>>,
        filters: Arc<Filters>,
        sources: Arc<Sources>,
        syncs: Arc<dyn SyncStore>,
        world: Arc<dyn World>,
    ) -> Self {
        Self { activations: Records::new(activations, world), filters, sources, syncs }
    }

    /// How the streams of an activation are filtered, one by one. Without a filter: no stream is.
    #[tracing::instrument(skip_all, fields(%id), err(level = "debug"))]
    pub async fn of(
        &self,
        caller: &Caller,
        id: WorkspaceConnectorId,
    ) -> Result<Vec<FilterPlan>, ActivationError> {
        let activation = self.activations.get(caller, id).await?;
        let definition = self.sources.settings().definition(&activation.connector_type)?;
        may_run(caller, definition)?;
        let mut effective = self.filters.effective(caller, &[&activation]).await?;
        let Some(filter) = effective.remove(&id) else { return Ok(Vec::new()) };
        if activation.direction() == Direction::Output {
            return self.of_pushes(&activation, &filter.config).await;
        }
        let specs = self.sources.discover(&activation, crate::sources::PATIENCE).await??.streams;
        // A part that concerns no stream fails the run, whichever streams it is about.
        let unfit = concerns_some(&filter.config, &specs).err().map(|it| it.to_string());
        let mut plans = Vec::with_capacity(specs.len());
        for spec in specs {
            let plan = self.plan(&activation, &filter.config, spec).await?;
            plans.push(FilterPlan { error: plan.error.or_else(|| unfit.clone()), ..plan });
        }
        Ok(plans)
    }

    /// How what an activation pushes is filtered: all of it here, by the fields that the sources brought in. Those that have
    /// brought nothing in yet have none.
    async fn of_pushes(
        &self,
        activation: &WorkspaceConnector,
        filter: &Condition,
    ) -> Result<Vec<FilterPlan>, ActivationError> {
        let mut plans = Vec::new();
        for (stream, source) in activation.pushes() {
            let state = self.syncs.stream(source.workspace_connector_id, &source.stream).await;
            let state = state.map_err(RecordError::reading(ResourceType::WorkspaceConnector))?;
            let Some(memory) = state.and_then(|it| it.memory) else { continue };
            let bound = filter.bind(&memory.fields);
            let error = bound.as_ref().err().map(ToString::to_string);
            let here = |condition| FilterPart { condition, pushed: Pushed::Not };
            let parts = bound.into_iter().map(here).collect();
            plans.push(FilterPlan { stream: stream.clone(), parts, missing: Vec::new(), error });
        }
        Ok(plans)
    }

    async fn plan(
        &self,
        activation: &WorkspaceConnector,
        filter: &Condition,
        spec: StreamSpec,
    ) -> Result<FilterPlan, ActivationError> {
        let its = match StreamFilter::of(filter, &spec.fields) {
            Ok(its) => its,
            Err(mismatch) => {
                return Ok(FilterPlan {
                    stream: spec.name,
                    parts: Vec::new(),
                    missing: Vec::new(),
                    error: Some(mismatch.to_string()),
                });
            }
        };
        let StreamFilter { parts, missing } = its;
        let pushed = if parts.is_empty() {
            Vec::new()
        } else {
            self.sources.push_down(activation, spec.name.clone(), parts.clone()).await??
        };
        let parts = parts.into_iter().zip(pushed);
        let parts = parts.map(|(condition, pushed)| FilterPart { condition, pushed }).collect();
        Ok(FilterPlan { stream: spec.name, parts, missing, error: None })
    }
}
