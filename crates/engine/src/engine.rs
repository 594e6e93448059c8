//! Working off one run.

use std::{sync::Arc, time::Duration};

use linkspan_domain::{
    AuditEventId, RunEnd, RunOutcome, SyncLog, SyncLogId,
    ports::{DiagnosticStore, StoreError, SyncStore, World},
};
use linkspan_sdk::{BatchLimits, EntityStore, HeldRun, RecordStore};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    Connections, Models, Progress, RunEvent, SyncError,
    heartbeat::Heartbeat,
    run::{Halt, Report, Run, Signals},
};

/// Works off runs: reads what they ask for, and keeps it.
#[derive(Clone)]
pub struct Engine {
    /// Keeps the runs.
    pub syncs: Arc<dyn SyncStore>,
    /// Keeps the records.
    pub records: Arc<dyn RecordStore>,
    /// Keeps what mappings make of the records.
    pub entities: Arc<dyn EntityStore>,
    /// What mappings make of the records.
    pub models: Arc<Models>,
    /// Keeps what runs notice.
    pub diagnostics: Arc<dyn DiagnosticStore>,
    /// Opens activations.
    pub connections: Arc<dyn Connections>,
    /// Tells the time.
    pub world: Arc<dyn World>,
    /// Hears of what happens.
    pub progress: Arc<dyn Progress>,
    /// How much at a time, and how long.
    pub limits: EngineLimits,
}

/// How much the engine takes at a time, and what it puts up with.
#[derive(Clone, Copy, Debug)]
pub struct EngineLimits {
    /// How long a worker may be silent before another takes its run over.
    pub lease: time::Duration,
    /// The size of the batches that sources are asked for.
    pub batch: BatchLimits,
    /// The most rows of a checkpoint, give or take a batch.
    pub checkpoint_rows: usize,
    /// The most bytes of a checkpoint, give or take a batch.
    pub checkpoint_bytes: usize,
    /// How long rows wait for a checkpoint at most.
    pub checkpoint_age: Duration,
    /// How many reads of a run go on side by side: streams, and parts of streams.
    pub reads: usize,
    /// Into how many parts a large stream is split at most.
    pub parts: usize,
    /// How long a source may keep silent before it counts as unavailable.
    pub stall: Duration,
    /// How many workers in a row may die over a run before it is given up.
    pub crashes: u32,
    /// How often a stream that broke off is tried again within a run.
    pub retries: u32,
    /// How long to wait before the first such try. It doubles with each.
    pub retry_wait: Duration,
    /// How many records that cannot be stored are put up with even where they are most of what was read.
    pub quarantine_few: u64,
    /// How many records that cannot be stored are put up with unless they are most.
    pub quarantine_floor: u64,
    /// Beyond the floor: how many out of a hundred that were read.
    pub quarantine_percent: u64,
}

impl Default for EngineLimits {
    fn default() -> Self {
        Self {
            lease: time::Duration::seconds(60),
            // A handful of them is on its way at any time.
            batch: BatchLimits { rows: 2_500, bytes: 2 * 1024 * 1024 },
            checkpoint_rows: 25_000,
            checkpoint_bytes: 8 * 1024 * 1024,
            checkpoint_age: Duration::from_secs(5),
            reads: 2,
            parts: 8,
            // A database may sort for minutes before its first row.
            stall: Duration::from_mins(15),
            crashes: 5,
            retries: 3,
            retry_wait: Duration::from_secs(1),
            quarantine_few: 10,
            quarantine_floor: 100,
            quarantine_percent: 10,
        }
    }
}

/// How to stop a run from outside.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Cancelled to end the run for good: it counts as cancelled by a person.
    pub cancel: CancellationToken,
    /// Cancelled to give the run back, for another worker to go on with.
    pub drain: CancellationToken,
}

/// What became of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// It is over.
    Finished(RunOutcome),
    /// It was given back after a checkpoint, and waits for another worker.
    Released,
    /// Another worker has it, or will have: the store could not be told how it ended.
    Lost,
}

impl Engine {
    /// Claims the oldest run that waits or whose worker is silent. With `only`, that run or none.
    pub async fn claim(
        &self,
        worker: &str,
        only: Option<SyncLogId>,
    ) -> Result<Option<SyncLog>, StoreError> {
        let now = self.world.now();
        self.syncs.claim(worker, only, now, now + self.limits.lease).await
    }

    /// Works off `run`, which has just been claimed.
    pub async fn run(&self, run: SyncLog, stop: &Stop) -> Ended {
        if run.crashes >= self.limits.crashes {
            let error = SyncError::Crashed(run.crashes);
            let outcome = self.failed(&run, &Report::default(), &error).await;
            return self.finish(&run, outcome).await;
        }
        let held = HeldRun { id: run.id, fence: run.fence };
        let cancel = stop.cancel.child_token();
        let lost = CancellationToken::new();
        let heartbeat = Heartbeat::start(
            Arc::clone(&self.syncs),
            Arc::clone(&self.world),
            held,
            self.limits.lease,
            lost.clone(),
            cancel.clone(),
        );
        let signals = Signals { cancel, drain: stop.drain.clone(), lost };
        let work = Run::new(self, &run, held, &signals);
        let worked = work.all().await;
        let done = work.into_report();
        heartbeat.stop().await;
        match worked {
            Ok(()) => self.finish(&run, succeeded(&run, &done)).await,
            Err(Halt::Failed(error)) => {
                let outcome = self.failed(&run, &done, &error).await;
                self.finish(&run, outcome).await
            }
            Err(Halt::Cancelled) => {
                let outcome = self.failed(&run, &done, &SyncError::Cancelled).await;
                self.finish(&run, outcome).await
            }
            Err(Halt::Drained) => self.release(held).await,
            Err(Halt::Lost) => Ended::Lost,
        }
    }

    async fn failed(&self, run: &SyncLog, done: &Report, error: &SyncError) -> RunOutcome {
        tracing::warn!(
            run = %run.id, activation = %run.workspace_connector_id, code = error.name(),
            error = error as &dyn std::error::Error, "a run failed"
        );
        let earlier = self.syncs.failures(run.workspace_connector_id).await.unwrap_or_default();
        let again = RunEnd::of_failure(&earlier, self.world.now());
        let end = match error.end(again) {
            // What stops one stream of several, for good or not, says little about the activation.
            RunEnd::Broken if done.streams_finished > 0 => again,
            end => end,
        };
        let counts = run.counts.plus(done.counts);
        RunOutcome { end, counts, error: Some((error.name(), error.to_string())) }
    }

    async fn finish(&self, run: &SyncLog, outcome: RunOutcome) -> Ended {
        let event = AuditEventId::from_uuid(self.world.uuid());
        let mut wait = self.limits.retry_wait;
        for _ in 0..=self.limits.retries {
            let now = self.world.now();
            match self.syncs.finish(run.id, run.fence, &outcome, event, now).await {
                Ok(()) => {
                    let (code, message) = outcome.error.clone().unzip();
                    let (status, counts) = (outcome.status(), outcome.counts);
                    let event = RunEvent::Ended { status, counts, code, message };
                    self.progress.report(run.id, &event);
                    return Ended::Finished(outcome);
                }
                Err(StoreError::Stale) => return Ended::Lost,
                Err(error) => tracing::warn!(
                    run = %run.id, error = &error as &dyn std::error::Error,
                    "the end of a run could not be stored"
                ),
            }
            sleep(wait).await;
            wait *= 2;
        }
        Ended::Lost
    }

    async fn release(&self, held: HeldRun) -> Ended {
        match self.syncs.release(held.id, held.fence).await {
            Ok(()) => Ended::Released,
            Err(error) => {
                // Then it is free when its lease runs out.
                tracing::warn!(
                    run = %held.id, error = &error as &dyn std::error::Error,
                    "a run could not be given back"
                );
                Ended::Lost
            }
        }
    }
}

fn succeeded(run: &SyncLog, done: &Report) -> RunOutcome {
    RunOutcome {
        end: RunEnd::of_success(done.losses, done.streams_finished),
        counts: run.counts.plus(done.counts),
        error: None,
    }
}
