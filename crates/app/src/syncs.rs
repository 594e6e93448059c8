//! Runs of syncs: starting them, and what became of them.

use std::{sync::Arc, time::Duration};

use linkspan_domain::{
    Act, Call, Capability, Code, Denied, Permission, Problem, RunOutcome, Status, StreamName,
    SyncLog, SyncLogId, SyncMode, Trigger, WorkspaceConnector, WorkspaceConnectorId,
    ports::{RunQueue, Store, StoreError, SyncStore, World},
};
use serde_json::json;

use crate::{RecordError, Records, SettingsError, Sources, records::store_code, sources::may_run};

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
    /// What starts it.
    pub trigger: Trigger,
}

/// Why a run was not started.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// As with every kept thing.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The settings cannot be had.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A run of the activation is active.
    #[error("a sync of workspace connector {0} is in progress; wait until it ends")]
    AlreadyInProgress(WorkspaceConnectorId),
    /// The activation may not run as it is.
    #[error(
        "workspace connector {id} is {status} and cannot sync; mend what the last run failed on and test it, or set its status to enabled"
    )]
    NotReady {
        /// Which activation.
        id: WorkspaceConnectorId,
        /// As it is.
        status: Status,
    },
    /// The type has no records to read.
    #[error("connectors of this type have no records to read")]
    Unsupported,
    /// An incremental sync has nothing to tell new records by.
    #[error(
        "an incremental sync needs a cursor_column in the streams of workspace connector {0}; set one, or sync in full"
    )]
    CursorRequired(WorkspaceConnectorId),
    /// The activation has no such stream.
    #[error(
        "there is no stream {0}; list the models of the workspace connector to see those there are"
    )]
    StreamNotFound(StreamName),
    /// The run is over.
    #[error("the run {0} is over; there is nothing to stop")]
    NotActive(SyncLogId),
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
            Self::Settings(error) => error.code(),
            Self::AlreadyInProgress(_) => Code::SyncAlreadyInProgress,
            Self::NotReady { .. } => Code::UnexpectedStatus,
            Self::Unsupported => Code::TypeUnsupported,
            Self::CursorRequired(_) => Code::CursorRequired,
            Self::StreamNotFound(_) => Code::StreamNotFound,
            Self::NotActive(_) => Code::SyncNotActive,
            Self::Store { source, .. } => store_code(source),
        }
    }

    fn pointer(&self) -> Option<String> {
        match self {
            Self::Record(error) => error.pointer(),
            Self::CursorRequired(_) => Some("/data/attributes/mode".to_owned()),
            Self::StreamNotFound(_) => Some("/data/attributes/streams".to_owned()),
            Self::Settings(_)
            | Self::AlreadyInProgress(_)
            | Self::NotReady { .. }
            | Self::Unsupported
            | Self::NotActive(_)
            | Self::Store { .. } => None,
        }
    }
}

/// How long a caller who names streams waits to hear whether they exist.
const LOOKING: Duration = Duration::from_secs(10);

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
        let mode = self.accept(call, &activation, &sync).await?;
        let now = self.world.now();
        let id_of_run = SyncLogId::from_uuid(self.world.uuid());
        let waiting =
            SyncLog::waiting(id_of_run, id, activation.workspace_id, sync.trigger, mode, now);
        let run = SyncLog { streams: sync.streams, ..waiting };
        let receipt = self.records.receipt(call, run.started(), &run);
        match self.store.start(&run, &receipt).await {
            Ok(()) => {
                self.queue.offer(id_of_run).await;
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
        let receipt = self.records.receipt(call, Act { action: "sync.cancelled", details }, &run);
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
        let definition = self.sources.settings().definition(&activation.connector_type)?;
        may_run(&call.caller, definition)?;
        if !definition.manifest.can(needed(activation)) {
            return Err(SyncError::Unsupported);
        }
        if !activation.status.may_run() {
            return Err(not_ready(activation));
        }
        if activation.pushes().next().is_some() {
            let pushed = |it: &&StreamName| activation.pushes().any(|push| push.0 == *it);
            let absent = sync.streams.iter().find(|it| !pushed(it));
            return match absent {
                Some(absent) => Err(SyncError::StreamNotFound(absent.clone())),
                // It goes on where the last one ended, or begins anew.
                None => Ok(sync.mode.unwrap_or(SyncMode::Incremental)),
            };
        }
        let has_cursor = self.has_cursor(activation, &sync.streams).await?;
        let mode = match sync.mode {
            Some(SyncMode::Incremental) if !has_cursor => {
                return Err(SyncError::CursorRequired(activation.id));
            }
            Some(mode) => mode,
            None if has_cursor => SyncMode::Incremental,
            None => SyncMode::Full,
        };
        self.look_for(activation, &sync.streams).await?;
        Ok(mode)
    }

    /// Whether it is known what tells new records from old ones, in each of `streams` or, without any, in all.
    async fn has_cursor(
        &self,
        activation: &WorkspaceConnector,
        streams: &[StreamName],
    ) -> Result<bool, SyncError> {
        let known = |it: &StreamName| {
            activation.stream_settings(it).is_some_and(|it| it.cursor_column.is_some())
        };
        let mut settings = activation.streams.iter();
        if !streams.is_empty() {
            return Ok(streams.iter().all(known));
        }
        if settings.clone().all(|it| it.cursor_column.is_none()) {
            return Ok(false);
        }
        if settings.any(|it| it.stream.is_none() && it.cursor_column.is_some()) {
            return Ok(activation.streams.iter().all(|it| it.cursor_column.is_some()));
        }
        // Only some streams are spoken of. If the system does not say which others there are, the run will.
        let all = self.sources.discover(activation, LOOKING).await?;
        Ok(all.map_or(true, |all| all.iter().all(|it| known(&it.name))))
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
        // A system that does not answer is for the run to report.
        let Ok(known) = self.sources.discover(activation, LOOKING).await? else { return Ok(()) };
        let absent = streams.iter().find(|it| !known.iter().any(|known| known.name == **it));
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

/// What the type of an activation must be capable of for a run.
pub(crate) fn needed(activation: &WorkspaceConnector) -> Capability {
    match activation.pushes().next() {
        Some(_) => Capability::Write,
        None => Capability::Read,
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
