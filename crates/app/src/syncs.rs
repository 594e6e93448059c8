//! Runs of syncs: starting them, and what became of them.

use std::sync::Arc;

use linkspan_domain::{
    Act, Action, Actor, Call, Code, Denied, Direction, Permission, Problem, RunOutcome, RunStatus,
    Status, StreamName, SyncLog, SyncLogId, SyncMode, Trigger, WorkspaceConnector,
    WorkspaceConnectorId,
    ports::{RunQueue, Store, StoreError, SyncStore, World},
};
use serde_json::json;

use crate::{
    RecordError, Records, SettingsError, Sources, Unsuitable,
    records::store_code,
    suitability::{LOOKING, can_sync, mode},
};

/// Runs of syncs. Readers of connectors read them, managers start them; workers do them.
pub struct Syncs {
    store: Arc<dyn SyncStore>,
    queue: Arc<dyn RunQueue>,
    records: Records<SyncLog>,
    activations: Records<WorkspaceConnector>,
    sources: Arc<Sources>,
    world: Arc<dyn World>,
}

/// What a run shall do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartSync {
    /// What to read. None: what is new where a cursor is known, else everything.
    pub mode: Option<SyncMode>,
    /// Which streams. Empty: all.
    pub streams: Vec<StreamName>,
}

/// What to do about an activation that cannot sync as it is.
const fn mend(status: Status) -> &'static str {
    match status {
        Status::Disabled => {
            "to enable it, PATCH /v1/workspace-connectors/{id} with `\"status\": \"enabled\"` among the attributes"
        }
        Status::Suspended => "an admin has to set its status to enabled",
        Status::ToConfigure => "give it the settings and credentials that it lacks",
        Status::NeedReconnect => {
            "give it new credentials, or authorize it again (`linkspan authorize`, or POST …/authorize) where its connector needs a \
             grant, or, if what it has is accepted again, test it (`linkspan check`, or POST …/test)"
        }
        _ => {
            "change the settings or the filter that the last run failed on, or test it (`linkspan check`, or POST …/test), or disable it and enable it"
        }
    }
}

/// What starts a run that `actor` asks for.
const fn trigger(actor: Actor) -> Trigger {
    match actor {
        Actor::Person(_) => Trigger::Manual,
        Actor::ApiKey(_) | Actor::System => Trigger::Api,
    }
}

/// Why a run was not started.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// As with every kept thing.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The activation cannot sync like that.
    #[error(transparent)]
    Unsuitable(#[from] Unsuitable),
    /// The settings cannot be had.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A run of the activation is active.
    #[error("a sync of workspace connector {0} is in progress; wait until it ends")]
    AlreadyInProgress(WorkspaceConnectorId),
    /// The activation may not run as it is.
    #[error(
        "workspace connector {id} is {status} and cannot sync; {}", mend(*status)
    )]
    NotReady {
        /// Which activation.
        id: WorkspaceConnectorId,
        /// As it is.
        status: Status,
    },
    /// The activation has no such stream.
    #[error(
        "there is no stream {0}; list the models of the workspace connector to see those there are"
    )]
    StreamNotFound(StreamName),
    /// The run is over.
    #[error("the run {0} is over; there is nothing to stop")]
    NotActive(SyncLogId),
    /// The run did not break off, or another one came after it.
    #[error(
        "the run {0} cannot go on: only the last run of a workspace connector does, if it ended in error within the last seven days; start a sync instead"
    )]
    NotResumable(SyncLogId),
    /// The store failed.
    #[error("could not start or stop a sync of workspace connector {id}")]
    Store {
        /// Of which activation.
        id: WorkspaceConnectorId,
        /// What went wrong.
        source: StoreError,
    },
}

impl From<Denied> for SyncError {
    fn from(denied: Denied) -> Self {
        Self::Record(denied.into())
    }
}

impl Problem for SyncError {
    fn code(&self) -> Code {
        match self {
            Self::Record(error) => error.code(),
            Self::Unsuitable(error) => error.code(),
            Self::Settings(error) => error.code(),
            Self::AlreadyInProgress(_) => Code::SyncAlreadyInProgress,
            Self::NotReady { .. } => Code::UnexpectedStatus,
            Self::StreamNotFound(_) => Code::StreamNotFound,
            Self::NotActive(_) => Code::SyncNotActive,
            Self::NotResumable(_) => Code::SyncNotResumable,
            Self::Store { source, .. } => store_code(source),
        }
    }

    fn pointer(&self) -> Option<String> {
        match self {
            Self::Record(error) => error.pointer(),
            Self::Unsuitable(error) => error.pointer(),
            Self::StreamNotFound(_) => Some("/data/attributes/streams".to_owned()),
            Self::Settings(_)
            | Self::AlreadyInProgress(_)
            | Self::NotReady { .. }
            | Self::NotActive(_)
            | Self::NotResumable(_)
            | Self::Store { .. } => None,
        }
    }
}

impl Syncs {
    /// The runs that `store` keeps and `queue` hands out.
    pub fn new(
        store: Arc<dyn SyncStore>,
        queue: Arc<dyn RunQueue>,
        activations: Arc<dyn Store<WorkspaceConnector>>,
        sources: Arc<Sources>,
        world: Arc<dyn World>,
    ) -> Self {
        let records = Records::new(Arc::clone(&store) as _, Arc::clone(&world));
        let activations = Records::new(activations, Arc::clone(&world));
        Self { store, queue, records, activations, sources, world }
    }

    /// The runs, for reading.
    pub const fn records(&self) -> &Records<SyncLog> {
        &self.records
    }

    /// Asks for a run of an activation. A worker takes it from there.
    #[tracing::instrument(skip_all, fields(%id), err(level = "debug"))]
    pub async fn start(
        &self,
        call: &Call,
        id: WorkspaceConnectorId,
        sync: StartSync,
    ) -> Result<SyncLog, SyncError> {
        let activation = self.activations.live(call, id, None).await?;
        let run = self.waiting(call, &activation, sync, trigger(call.caller.actor)).await?;
        let receipt = self.records.receipt(call, run.started(), &run);
        let started = self.store.start(&run, &receipt).await;
        self.offer(call, run, started).await
    }

    /// Asks for a run that goes on where another one broke off, with what that was asked for.
    #[tracing::instrument(skip_all, fields(%id), err(level = "debug"))]
    pub async fn resume(&self, call: &Call, id: SyncLogId) -> Result<SyncLog, SyncError> {
        call.caller.require(Permission::ConnectorManage)?;
        let broken = self.records.get(&call.caller, id).await?;
        let activation = self.activations.live(call, broken.workspace_connector_id, None).await?;
        match broken.status {
            RunStatus::Error => {}
            RunStatus::Success => return Err(SyncError::NotResumable(id)),
            RunStatus::Scheduled | RunStatus::InProgress => {
                return Err(SyncError::AlreadyInProgress(activation.id));
            }
        }
        if broken.completed_at.is_none_or(|it| self.world.now() - it > SyncLog::RESUMABLE) {
            return Err(SyncError::NotResumable(id));
        }
        let sync = StartSync { mode: Some(broken.mode), streams: broken.streams };
        let run = self.waiting(call, &activation, sync, Trigger::Resume).await?;
        let receipt = self.records.receipt(call, run.resumed(id), &run);
        match self.store.resume(&run, id, &receipt).await {
            Err(StoreError::Dangling) => Err(SyncError::NotResumable(id)),
            started => self.offer(call, run, started).await,
        }
    }

    /// A run that waits for a worker, if the activation may run like that.
    async fn waiting(
        &self,
        call: &Call,
        activation: &WorkspaceConnector,
        sync: StartSync,
        trigger: Trigger,
    ) -> Result<SyncLog, SyncError> {
        let mode = self.accept(call, activation, &sync).await?;
        let (id, now) = (SyncLogId::from_uuid(self.world.uuid()), self.world.now());
        let WorkspaceConnector { id: of, workspace_id, .. } = *activation;
        let waiting = SyncLog::waiting(id, of, workspace_id, trigger, mode, now);
        Ok(SyncLog { streams: sync.streams, ..waiting })
    }

    /// Hands out a run that was `started`, or says why it was not.
    async fn offer(
        &self,
        call: &Call,
        run: SyncLog,
        started: Result<(), StoreError>,
    ) -> Result<SyncLog, SyncError> {
        let id = run.workspace_connector_id;
        match started {
            Ok(()) => {
                self.queue.offer(run.id).await;
                Ok(run)
            }
            Err(StoreError::Taken) => Err(SyncError::AlreadyInProgress(id)),
            Err(StoreError::Stale) => Err(self.why_not(call, id).await?),
            Err(StoreError::ClaimLost) => Err(RecordError::ClaimLost.into()),
            Err(source) => Err(SyncError::Store { id, source }),
        }
    }

    /// Stops a run. One that waits ends at once; one at work stores the checkpoint at hand and ends in a few seconds.
    #[tracing::instrument(skip_all, fields(%id), err(level = "debug"))]
    pub async fn cancel(&self, call: &Call, id: SyncLogId) -> Result<SyncLog, SyncError> {
        call.caller.require(Permission::ConnectorManage)?;
        let run = self.records.get(&call.caller, id).await?;
        let activation = run.workspace_connector_id;
        self.activations.live(call, activation, None).await?;
        let details = json!({ "workspace_connector_id": activation });
        let receipt =
            self.records.receipt(call, Act { action: Action::SyncCancelled, details }, &run);
        let now = self.world.now();
        match self.store.cancel(id, &RunOutcome::cancelled(), &receipt, now).await {
            Ok(()) => Ok(self.records.get(&call.caller, id).await?),
            Err(StoreError::Stale) => Err(SyncError::NotActive(id)),
            Err(StoreError::ClaimLost) => Err(RecordError::ClaimLost.into()),
            Err(source) => Err(SyncError::Store { id: activation, source }),
        }
    }

    /// Passes if the activation may run like that, and answers what to read.
    async fn accept(
        &self,
        call: &Call,
        activation: &WorkspaceConnector,
        sync: &StartSync,
    ) -> Result<SyncMode, SyncError> {
        can_sync(&self.sources, &call.caller, activation)?;
        if !activation.status.may_run() {
            return Err(not_ready(activation));
        }
        let mode = mode(&self.sources, activation, sync.mode, &sync.streams).await?;
        self.look_for(activation, &sync.streams).await?;
        Ok(mode)
    }

    /// Passes unless the system says that one of `streams` does not exist.
    async fn look_for(
        &self,
        activation: &WorkspaceConnector,
        streams: &[StreamName],
    ) -> Result<(), SyncError> {
        if streams.is_empty() {
            return Ok(());
        }
        if activation.direction() == Direction::Output {
            let is_pushed = |it: &StreamName| activation.pushes().any(|push| push.0 == it);
            let absent = streams.iter().find(|it| !is_pushed(it));
            return absent.map_or(Ok(()), |it| Err(SyncError::StreamNotFound(it.clone())));
        }
        // A system that does not answer is for the run to report.
        let Ok(known) = self.sources.discover(activation, LOOKING).await? else { return Ok(()) };
        let absent =
            streams.iter().find(|it| !known.streams.iter().any(|known| known.name == **it));
        absent.map_or(Ok(()), |it| Err(SyncError::StreamNotFound(it.clone())))
    }

    /// Why the store refused a run that could start a moment ago.
    async fn why_not(&self, call: &Call, id: WorkspaceConnectorId) -> Result<SyncError, SyncError> {
        let activation = self.activations.live(call, id, None).await?;
        Ok(if activation.status.may_run() {
            SyncError::Store { id, source: StoreError::Stale }
        } else {
            not_ready(&activation)
        })
    }
}

fn not_ready(activation: &WorkspaceConnector) -> SyncError {
    let WorkspaceConnector { id, status, .. } = *activation;
    if status == Status::Processing {
        SyncError::AlreadyInProgress(id)
    } else {
        SyncError::NotReady { id, status }
    }
}

#[cfg(test)]
mod tests;
