//! Taking runs, and working on them.

use std::{error::Error, sync::Arc};

use linkspan_domain::{
    Fence, RunEnd, RunOutcome, SyncLog, SyncLogId, Visible, WorkspaceConnector,
    ports::{Store, StoreError, SyncStore, World},
};
use linkspan_sdk::{Environment, RecordStore};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::{
    Opened, Openings, Progress, Stage,
    chunk::ChunkLimits,
    failure::RunFailure,
    lease::{Halt, LEASE, Leash, hold},
    load::Work,
    outcome::{self, Meaning, end_by_history, masked, meaning},
    plan::plans,
    progress::Announcer,
};

/// Works on runs: reads what they ask for, and keeps it.
pub struct Engine {
    pub(crate) ports: EnginePorts,
    pub(crate) environment: Environment,
    pub(crate) announcer: Announcer,
    pub(crate) chunk_limits: ChunkLimits,
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
    /// Another worker has it, or will have it when the lease runs out. Nothing more was written for it.
    Lost,
}

/// The activation of a run, ready to be read.
struct Subject {
    activation: WorkspaceConnector,
    opened: Opened,
}

impl Engine {
    /// An engine that lends connectors `environment`.
    pub fn new(ports: EnginePorts, environment: Environment) -> Self {
        let (announcer, chunk_limits) = (Announcer::new(), ChunkLimits::default());
        Self { ports, environment, announcer, chunk_limits }
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

    /// Works on a run that was just claimed, to its end. It stops early
    ///
    /// - at the next checkpoint when `shutdown` is cancelled, and puts the run back;
    /// - at the next checkpoint when the activation is switched off or disconnected, and ends the run as cancelled;
    /// - at once, and without a trace, when another worker took the run over.
    ///
    /// Streams are read one after the other. One that fails leaves those before it as they are, and those behind it are still
    /// tried unless they would fare no better.
    ///
    /// Must be called within a Tokio runtime.
    #[tracing::instrument(skip_all, fields(run = %claimed.id, activation = %claimed.workspace_connector_id))]
    pub async fn run(&self, claimed: &SyncLog, shutdown: &CancellationToken) -> Ran {
        let leash = Leash::new();
        // Held until the end of the run is written.
        let _holding = hold(self.ports.clone(), claimed, leash.clone(), shutdown.clone());
        tracing::info!(mode = ?claimed.mode, fence = claimed.fence.0, "run begins");
        let ran = match self.work(claimed, &leash).await {
            Some(outcome) => self.end(claimed, &leash, outcome).await,
            None => self.stop(claimed, &leash).await,
        };
        match &ran {
            Ran::Ended(outcome) => {
                tracing::info!(end = ?outcome.end, counts = ?outcome.counts, "run ended");
            }
            Ran::Released => tracing::info!("run was put back"),
            Ran::Lost => tracing::warn!("run was lost to another worker"),
        }
        ran
    }

    /// Ends a run that brought its worker down.
    pub(crate) async fn give_up(&self, claimed: &SyncLog) -> Ran {
        let failure = RunFailure::Panicked;
        let end = self.meaning(claimed, &failure).await;
        let outcome = outcome::failed(end, claimed.counts, &failure, failure.to_string());
        self.end(claimed, &Leash::new(), outcome).await
    }

    /// Answers how the run ended; `None` if it is to be left.
    async fn work(&self, run: &SyncLog, leash: &Leash) -> Option<RunOutcome> {
        let subject = match self.subject(run, leash).await {
            Ok(subject) => subject,
            Err(failure) => return self.judge(run, leash, &[failure], run.counts, None).await,
        };
        let Subject { activation, opened } = &subject;
        let mut work = Work { engine: self, run, opened, leash, counts: run.counts };
        let discovering =
            opened.definition.discover(opened.settings.clone(), work.environment());
        let specs = match discovering.await {
            Ok(specs) => specs,
            Err(failure) => {
                let failures = [RunFailure::Discover(failure)];
                return self.judge(run, leash, &failures, run.counts, Some(&subject)).await;
            }
        };
        let plans = plans(run, activation, &specs);
        let streams = plans.len();
        let mut failures = Vec::new();
        for plan in plans {
            let loaded = match plan {
                Ok(plan) if self.is_done(run, &plan.stream).await => Ok(()),
                Ok(plan) => work.load(&plan).await,
                Err(failure) => Err(failure),
            };
            if let Err(failure) = loaded {
                let is_common = failure.is_common();
                failures.push(failure);
                if is_common {
                    break;
                }
            }
        }
        let counts = work.counts;
        if failures.is_empty() {
            return Some(outcome::succeeded(counts, streams));
        }
        self.judge(run, leash, &failures, counts, Some(&subject)).await
    }

    async fn subject(&self, run: &SyncLog, leash: &Leash) -> Result<Subject, RunFailure> {
        let tenancy = Visible::only(run.workspace_id);
        let activations = &self.ports.activations;
        let found =
            leash.insist(|| activations.find(&tenancy, run.workspace_connector_id)).await?;
        let activation =
            found.filter(|it| it.deleted_at.is_none()).ok_or(RunFailure::Disconnected)?;
        let opened = self.ports.openings.open(&activation).map_err(RunFailure::Open)?;
        Ok(Subject { activation, opened })
    }

    /// Whether this run finished `stream` already, before another worker left it. Only one run of an activation is active, so
    /// whatever finished since it began is its own.
    async fn is_done(&self, run: &SyncLog, stream: &linkspan_domain::StreamName) -> bool {
        let Some(began) = run.started_at.filter(|_| run.fence > FIRST_FENCE) else { return false };
        let state = self.ports.syncs.stream(run.workspace_connector_id, stream).await;
        // A stream that is read twice is no worse for it.
        let synced_at = state.ok().flatten().and_then(|it| it.synced_at);
        synced_at.is_some_and(|at| at > began)
    }

    /// What `failures` make of the run; `None` if they are but the echo of its being stopped.
    async fn judge(
        &self,
        run: &SyncLog,
        leash: &Leash,
        failures: &[RunFailure],
        counts: linkspan_domain::RunCounts,
        subject: Option<&Subject>,
    ) -> Option<RunOutcome> {
        let halted = [RunFailure::Halted];
        let failures = match leash.halt() {
            Some(Halt::Lost | Halt::Shutdown) => return None,
            Some(Halt::Cancelled) => &halted,
            None => failures,
        };
        // One that all streams share says more than one that struck the first of them.
        let worst = failures.iter().find(|it| it.is_common()).or(failures.first())?;
        tracing::warn!(error = worst as &dyn Error, "run fails");
        let mut text = worst.to_string();
        if failures.len() > 1 {
            text = format!("{text} (and {} more streams failed)", failures.len() - 1);
        }
        if let Some(Subject { activation, opened }) = subject {
            text = masked(text, activation, &opened.settings);
        }
        let end = self.meaning(run, worst).await;
        Some(outcome::failed(end, counts, worst, text))
    }

    async fn meaning(&self, run: &SyncLog, failure: &RunFailure) -> RunEnd {
        match meaning(failure) {
            Meaning::Certain(end) => end,
            Meaning::DependsOnHistory => {
                let now = self.ports.world.now();
                end_by_history(&*self.ports.syncs, run, now).await.unwrap_or(RunEnd::Failed)
            }
        }
    }

    async fn end(&self, run: &SyncLog, leash: &Leash, outcome: RunOutcome) -> Ran {
        let (syncs, now) = (&self.ports.syncs, self.ports.world.now());
        match leash.insist(|| syncs.finish(run.id, run.fence, &outcome, now)).await {
            Ok(()) => {
                self.announcer.tell(Progress {
                    run: run.id,
                    activation: run.workspace_connector_id,
                    counts: outcome.counts,
                    stage: Stage::Ended(outcome.status()),
                });
                Ran::Ended(outcome)
            }
            Err(failure) => {
                // The lease runs out, and whoever takes the run goes on from the last checkpoint.
                tracing::error!(error = &failure as &dyn Error, "the end of a run cannot be kept");
                Ran::Lost
            }
        }
    }

    /// Leaves a run. If it is still held, any worker may take it at once.
    async fn stop(&self, run: &SyncLog, leash: &Leash) -> Ran {
        let (syncs, now) = (&self.ports.syncs, self.ports.world.now());
        match leash.insist(|| syncs.extend(run.id, run.fence, now)).await {
            Ok(()) => Ran::Released,
            Err(_) => Ran::Lost,
        }
    }
}

/// The token of a run that nobody held before.
const FIRST_FENCE: Fence = Fence(1);
