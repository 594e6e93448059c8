//! Working off runs, several at a time.

use std::{sync::Arc, time::Duration};

use linkspan_domain::{
    SyncLog, SyncLogId,
    ports::{RunQueue, StoreError},
};
use tokio::{
    select,
    sync::Semaphore,
    task::{JoinError, JoinSet},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use crate::{Ended, Engine, Stop};

/// Takes runs from a queue and works them off, until it is told to stop.
pub struct Worker {
    engine: Engine,
    queue: Arc<dyn RunQueue>,
    settings: WorkerSettings,
}

/// How a worker works.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// Its name, in the leases of its runs. Best unique: it helps to find who holds a run.
    pub name: String,
    /// How many runs at a time.
    pub slots: usize,
    /// How long it waits before it looks for work again, if it hears of none.
    pub poll: Duration,
}

impl WorkerSettings {
    /// Four runs at a time, and a look twice a second.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), slots: 4, poll: Duration::from_millis(500) }
    }
}

impl Worker {
    /// A worker that has `engine` do the work that `queue` hands out.
    pub fn new(engine: Engine, queue: Arc<dyn RunQueue>, settings: WorkerSettings) -> Self {
        Self { engine, queue, settings }
    }

    /// Works off `run` and no other, as soon as nobody else holds it. Ends with it, or with `shutdown`.
    pub async fn run_only(&self, run: SyncLogId, shutdown: &CancellationToken) {
        let stop = Stop { drain: shutdown.child_token(), cancel: CancellationToken::new() };
        while !shutdown.is_cancelled() {
            match self.engine.claim(&self.settings.name, Some(run)).await {
                Ok(Some(run)) => {
                    work(&self.engine, run, &stop).await;
                    return;
                }
                Ok(None) => {}
                Err(error) => unclaimed(&error),
            }
            shutdown.run_until_cancelled(sleep(self.settings.poll)).await;
        }
    }

    /// Works until `shutdown`; then every run at work stores the checkpoint at hand and is given back.
    pub async fn run(&self, shutdown: &CancellationToken) {
        let slots = Arc::new(Semaphore::new(self.settings.slots));
        let mut runs = JoinSet::new();
        let stop = Stop { drain: shutdown.child_token(), cancel: CancellationToken::new() };
        let free = || Arc::clone(&slots).acquire_owned();
        while let Some(Ok(slot)) = shutdown.run_until_cancelled(free()).await {
            // Those that have ended.
            while let Some(ended) = runs.try_join_next() {
                mind(ended);
            }
            match self.next().await {
                Ok(Some(run)) => {
                    let (engine, stop) = (self.engine.clone(), stop.clone());
                    let queue = Arc::clone(&self.queue);
                    runs.spawn(async move {
                        // Taken along: it is free when the run has ended.
                        let _slot = slot;
                        let id = run.id;
                        match work(&engine, run, &stop).await {
                            Ended::Finished(_) => queue.done(id).await,
                            Ended::Released | Ended::Lost => queue.give_back(id).await,
                        }
                    });
                    continue;
                }
                Ok(None) => {}
                Err(error) => unclaimed(&error),
            }
            drop(slot);
            select! {
                () = shutdown.cancelled() => {}
                () = self.queue.offered() => {}
                () = sleep(self.settings.poll) => {}
            }
        }
        while let Some(ended) = runs.join_next().await {
            mind(ended);
        }
    }

    async fn next(&self) -> Result<Option<SyncLog>, StoreError> {
        let now = self.engine.world.now();
        self.queue.next(&self.settings.name, now, now + self.engine.limits.lease).await
    }
}

fn unclaimed(error: &StoreError) {
    tracing::warn!(error = error as &dyn std::error::Error, "no run could be claimed");
}

/// A run that ended in a panic is claimed again when its lease runs out.
fn mind(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(error = &error as &dyn std::error::Error, "work on a run ended in a panic");
    }
}

async fn work(engine: &Engine, run: SyncLog, stop: &Stop) -> Ended {
    let id = run.id;
    let ended = engine.run(run, stop).await;
    tracing::info!(run = %id, ?ended, "a run left this worker");
    ended
}
