//! How the records of an activation are filtered: what of it the source does, and what is done here.

use std::sync::Arc;

use linkspan_domain::{
    Caller, Condition, Direction, ResourceType, StreamName, StreamSpec, StreamState,
    WorkspaceConnector, WorkspaceConnectorId,
    ports::{Store, SyncStore, World},
};
use linkspan_engine::{StreamFilter, StreamPlan, concerns_some};
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
    /// What must hold of each record, all of it, and then the parts that do not concern the stream.
    pub parts: Vec<FilterPart>,
    /// Fields that the latter name, and the stream does not have.
    pub missing: Vec<String>,
    /// Why the filter cannot be asked of the stream, so that a run fails.
    pub error: Option<String>,
}

/// One part of a filter, and where it is evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterPart {
    /// What must hold.
    pub condition: Condition,
    /// Where it is evaluated.
    pub place: FilterPlace,
    /// Those of several tests in it that the source does not do, or not exactly, so that all of it is evaluated here.
    pub held_back_by: Vec<Condition>,
}

/// Where a part of a filter is evaluated.
#[derive(Clone, Debug, PartialEq)]
pub enum FilterPlace {
    /// At the source, here, or both, as the source says.
    AsPushed(Pushed),
    /// Nowhere: it names a field that the stream does not have.
    Nowhere,
}

impl FilterPart {
    fn here(condition: Condition) -> Self {
        let place = FilterPlace::AsPushed(Pushed::Not);
        Self { condition, place, held_back_by: Vec::new() }
    }

    fn nowhere(condition: Condition) -> Self {
        Self { condition, place: FilterPlace::Nowhere, held_back_by: Vec::new() }
    }
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
        let states = self.syncs.streams(id).await;
        let states = states.map_err(RecordError::reading(ResourceType::WorkspaceConnector))?;
        for spec in specs {
            let state = states.iter().find(|it| it.stream == spec.name);
            let plan = self.plan(&activation, &filter.config, spec, state).await?;
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
            let parts = bound.into_iter().flat_map(Condition::conjuncts);
            let parts = parts.map(FilterPart::here).collect();
            plans.push(FilterPlan { stream: stream.clone(), parts, missing: Vec::new(), error });
        }
        Ok(plans)
    }

    async fn plan(
        &self,
        activation: &WorkspaceConnector,
        filter: &Condition,
        spec: StreamSpec,
        state: Option<&StreamState>,
    ) -> Result<FilterPlan, ActivationError> {
        let plan = match StreamPlan::full(activation, &spec, filter, state) {
            Ok(plan) => plan,
            Err(error) => {
                let (parts, missing) = (Vec::new(), Vec::new());
                let error = Some(error.to_string());
                return Ok(FilterPlan { stream: spec.name, parts, missing, error });
            }
        };
        let leaves_filtering = plan.leaves_filtering();
        let StreamFilter { parts, others, missing } = plan.filter;
        let mut parts = if leaves_filtering && !parts.is_empty() {
            self.pushed(activation, &spec.name, parts).await?
        } else {
            parts.into_iter().map(FilterPart::here).collect()
        };
        parts.extend(others.into_iter().map(FilterPart::nowhere));
        Ok(FilterPlan { stream: spec.name, parts, missing, error: None })
    }

    /// Which of `parts` the source takes over, and which tests keep it from the others.
    async fn pushed(
        &self,
        activation: &WorkspaceConnector,
        stream: &StreamName,
        parts: Vec<Condition>,
    ) -> Result<Vec<FilterPart>, ActivationError> {
        let tests: Vec<_> = parts.iter().flat_map(Condition::tests).cloned().collect();
        let asked = [parts.clone(), tests.clone()].concat();
        let mut answers = self.sources.push_down(activation, stream.clone(), asked).await??;
        let of_tests = answers.split_off(parts.len().min(answers.len()));
        let inexact: Vec<_> = tests
            .into_iter()
            .zip(of_tests)
            .filter_map(|(test, it)| (!matches!(it, Pushed::Exactly(_))).then_some(test))
            .collect();
        let parts = parts.into_iter().zip(answers).map(|(condition, pushed)| {
            let is_alone = matches!(condition, Condition::Field(..));
            let is_held_back = !is_alone && !matches!(pushed, Pushed::Exactly(_));
            let tests = condition.tests().into_iter();
            let held_back_by =
                tests.filter(|it| is_held_back && inexact.contains(it)).cloned().collect();
            FilterPart { condition, place: FilterPlace::AsPushed(pushed), held_back_by }
        });
        Ok(parts.collect())
    }
}
