//! When activations sync by themselves.

use std::sync::Arc;

use linkspan_domain::{
    Act, Action, Call, Caller, Code, Problem, Recurrence, Revision, Schedule, SyncMode,
    WorkspaceConnector, WorkspaceConnectorId,
    ports::{ScheduleStore, Store, StoreError, World},
};
use serde_json::json;

use crate::{
    RecordError, Records, Sources, Unsuitable,
    records::store_code,
    suitability::{can_sync, mode},
};

/// The schedules of activations. Readers of connectors read them, managers set them.
pub struct Schedules {
    store: Arc<dyn ScheduleStore>,
    activations: Records<WorkspaceConnector>,
    sources: Arc<Sources>,
    world: Arc<dyn World>,
}

/// When an activation shall sync by itself, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetSchedule {
    /// When.
    pub recurrence: Recurrence,
    /// What each run reads.
    pub mode: SyncMode,
    /// Whether it goes on.
    pub pace: Pace,
}

/// Whether a schedule goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// It does.
    Running,
    /// It waits until somebody sets it again.
    Paused,
}

/// Why a schedule was not read or set.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// As with every kept thing.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The activation cannot sync like that.
    #[error(transparent)]
    Unsuitable(#[from] Unsuitable),
    /// There is no time that it would come.
    #[error("no time fits that schedule")]
    Never,
    /// The activation has no schedule.
    #[error("workspace connector {0} has no schedule; set one with PUT")]
    NotFound(WorkspaceConnectorId),
    /// The store failed.
    #[error("could not read or set the schedule of workspace connector {id}")]
    Store {
        /// Of which activation.
        id: WorkspaceConnectorId,
        /// What went wrong.
        source: StoreError,
    },
}

impl Problem for ScheduleError {
    fn code(&self) -> Code {
        match self {
            Self::Record(error) => error.code(),
            Self::Unsuitable(error) => error.code(),
            Self::Never => Code::Invalid,
            Self::NotFound(_) => Code::NotFound,
            Self::Store { source, .. } => store_code(source),
        }
    }

    fn pointer(&self) -> Option<String> {
        match self {
            Self::Record(error) => error.pointer(),
            Self::Unsuitable(error) => error.pointer(),
            Self::Never => Some("/data/attributes/cron".to_owned()),
            Self::NotFound(_) | Self::Store { .. } => None,
        }
    }
}

impl Schedules {
    /// The schedules that `store` keeps.
    pub fn new(
        store: Arc<dyn ScheduleStore>,
        activations: Arc<dyn Store<WorkspaceConnector>>,
        sources: Arc<Sources>,
        world: Arc<dyn World>,
    ) -> Self {
        let activations = Records::new(activations, Arc::clone(&world));
        Self { store, activations, sources, world }
    }

    /// The schedule of an activation.
    pub async fn get(
        &self,
        caller: &Caller,
        id: WorkspaceConnectorId,
    ) -> Result<Schedule, ScheduleError> {
        self.activations.get(caller, id).await?;
        let found = self.store.find(&caller.visible, id).await;
        let found = found.map_err(|source| ScheduleError::Store { id, source })?;
        found.ok_or(ScheduleError::NotFound(id))
    }

    /// Sets the schedule of an activation, in place of the one there.
    #[tracing::instrument(skip_all, fields(%id), err(level = "debug"))]
    pub async fn set(
        &self,
        call: &Call,
        id: WorkspaceConnectorId,
        expected: Option<Revision>,
        set: SetSchedule,
    ) -> Result<Schedule, ScheduleError> {
        let activation = self.activations.live(call, id, expected).await?;
        let (schedule, act) = self.prepare(call, &activation, set).await?;
        let receipt = self.activations.receipt(call, act, &activation);
        self.store.put(&schedule, &receipt).await.map_err(|source| failed(id, source))?;
        self.get(&call.caller, id).await
    }

    /// The schedule that `set` asks for, if `activation` can sync like that, and what setting it is called.
    pub(crate) async fn prepare(
        &self,
        call: &Call,
        activation: &WorkspaceConnector,
        set: SetSchedule,
    ) -> Result<(Schedule, Act), ScheduleError> {
        can_sync(&self.sources, &call.caller, activation)?;
        mode(&self.sources, activation, Some(set.mode), &[]).await?;
        let now = self.world.now();
        let next = set.recurrence.next_after(now).ok_or(ScheduleError::Never)?;
        let details = json!({ "mode": set.mode, "paused": set.pace == Pace::Paused });
        let schedule = Schedule {
            workspace_connector_id: activation.id,
            workspace_id: activation.workspace_id,
            recurrence: set.recurrence,
            mode: set.mode,
            next_run_at: Some(next).filter(|_| set.pace == Pace::Running),
            last_started_at: None,
            last_skipped_at: None,
            created_at: now,
            updated_at: now,
        };
        Ok((schedule, Act { action: Action::ScheduleSet, details }))
    }

    /// Takes the schedule of an activation away.
    #[tracing::instrument(skip_all, fields(%id), err(level = "debug"))]
    pub async fn remove(
        &self,
        call: &Call,
        id: WorkspaceConnectorId,
        expected: Option<Revision>,
    ) -> Result<(), ScheduleError> {
        let activation = self.activations.live(call, id, expected).await?;
        let receipt =
            self.activations.receipt(call, Act::new(Action::ScheduleRemoved), &activation);
        self.store.remove(id, &receipt).await.map_err(|source| match source {
            StoreError::Stale => ScheduleError::NotFound(id),
            other => failed(id, other),
        })
    }
}

fn failed(id: WorkspaceConnectorId, source: StoreError) -> ScheduleError {
    match source {
        StoreError::ClaimLost => RecordError::ClaimLost.into(),
        source => ScheduleError::Store { id, source },
    }
}

#[cfg(test)]
mod tests {
    use linkspan_domain::{Role, ports::MockScheduleStore};
    use time::Duration;

    use super::*;
    use crate::fixtures::{NOW, activation, call, code, id, keep, sources, world};

    fn every_hour(mode: SyncMode, pace: Pace) -> SetSchedule {
        SetSchedule { recurrence: Recurrence::Every(3600.try_into().unwrap()), mode, pace }
    }

    async fn set(role: Role, set: SetSchedule) -> Result<Option<time::OffsetDateTime>, String> {
        let mut store = MockScheduleStore::new();
        let kept = Arc::new(std::sync::Mutex::new(None));
        let put = Arc::clone(&kept);
        store.expect_put().returning(move |schedule, receipt| {
            assert_eq!(receipt.audit.action, "schedule.set");
            *put.lock().unwrap() = Some(schedule.clone());
            Ok(())
        });
        store.expect_find().returning(move |_, _| Ok(kept.lock().unwrap().clone()));
        let activations = keep(vec![activation(|_| {})]).store;
        let schedules = Schedules::new(Arc::new(store), activations, sources(), world());
        let set = schedules.set(&call(role), id(30), None, set).await;
        set.map(|it| it.next_run_at).map_err(|error| error.code().to_string())
    }

    #[tokio::test]
    async fn a_schedule_says_when_the_next_run_is_unless_it_is_paused() {
        let running = set(Role::Designer, every_hour(SyncMode::Full, Pace::Running)).await;
        assert_eq!(running, Ok(Some(NOW + Duration::HOUR)));
        let paused = set(Role::Designer, every_hour(SyncMode::Full, Pace::Paused)).await;
        assert_eq!(paused, Ok(None));
    }

    #[tokio::test]
    async fn a_schedule_that_could_never_work_is_refused() {
        let incremental = every_hour(SyncMode::Incremental, Pace::Running);
        assert_eq!(set(Role::Admin, incremental).await, Err("sync.cursor_required".to_owned()));
        let full = every_hour(SyncMode::Full, Pace::Running);
        assert_eq!(set(Role::Analyst, full).await, Err("permission.denied".to_owned()));
    }

    #[tokio::test]
    async fn an_activation_without_a_schedule_says_so() {
        let mut store = MockScheduleStore::new();
        store.expect_find().returning(|_, _| Ok(None));
        store.expect_remove().returning(|_, _| Err(StoreError::Stale));
        let activations = keep(vec![activation(|_| {})]).store;
        let schedules = Schedules::new(Arc::new(store), activations, sources(), world());
        let call = call(Role::Admin);
        assert_eq!(code(schedules.get(&call.caller, id(30)).await), "resource.not_found");
        assert_eq!(code(schedules.remove(&call, id(30), None).await), "resource.not_found");
    }
}
