//! Taking runs, and working on them.

use std::{sync::Arc, time::Duration};

use linkspan_domain::{
    RunOutcome, SyncLog, SyncLogId, WorkspaceConnector,
    ports::{Store, StoreError, SyncStore, World},
};
use linkspan_sdk::{Environment, RecordStore};
use tokio::sync::broadcast;

use crate::{Openings, Progress, progress::Announcer};

/// Works on runs: reads what they ask for, and keeps it.
pub struct Engine {
    pub(crate) ports: EnginePorts,
    pub(crate) environment: Environment,
    pub(crate) announcer: Announcer,
}

/// What the engine works with.
#[derive(Clone)]
pub struct EnginePorts {
    /// Keeps the runs.
    pub syncs: Arc<dyn SyncStore>,
    /// Keeps the records.
    pub records: Arc<dyn RecordStore>,
    /// Keeps the activations.
    pub activations: Arc<dyn Store<WorkspaceConnector>>,
    /// Opens the activations.
    pub openings: Arc<dyn Openings>,
    /// Tells the time.
    pub world: Arc<dyn World>,
}

/// What became of a run that was worked on.
#[derive(Clone, Debug, PartialEq)]
pub enum Ran {
    /// It ended, and its log says how.
    Ended(RunOutcome),
    /// It was put back at a checkpoint, for another worker to go on with.
    Released,
    /// Another worker has it, or it is gone. Nothing more was written for it.
    Lost,
}

/// How long a claim lasts without being extended.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

impl Engine {
    /// An engine that lends connectors `environment`.
    pub fn new(ports: EnginePorts, environment: Environment) -> Self {
        Self { ports, environment, announcer: Announcer::new() }
    }

    /// What happens in runs of this engine, from now on.
    pub fn progress(&self) -> broadcast::Receiver<Progress> {
        self.announcer.listen()
    }

    /// Takes the oldest run that waits or that its worker left. With `only`, that run or none.
    pub async fn claim(
        &self,
        worker: &str,
        only: Option<SyncLogId>,
    ) -> Result<Option<SyncLog>, StoreError> {
        let now = self.ports.world.now();
        self.ports.syncs.claim(worker, only, now, now + LEASE).await
    }
}
