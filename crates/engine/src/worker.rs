//! Taking runs as they come.

use std::{error::Error, num::NonZeroUsize, sync::Arc, time::Duration};

use linkspan_domain::SyncLog;
use tokio::{
    sync::{Notify, Semaphore},
    task::JoinHandle,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::{Engine, Ran};

/// Takes runs and works on them, several at a time, until it is stopped. Dropping it stops it too, without waiting.
#[derive(Debug)]
pub struct Worker {
    serving: JoinHandle<()>,
    shutdown: DropGuard,
}

/// How a worker works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerSettings {
    /// What it is called in the logs of its runs. Best unique: it helps to find who holds a run.
    pub name: String,
    /// How many runs it works on at a time.
    pub slots: NonZeroUsize,
    /// How often it looks for runs that nobody rang for.
    pub poll: Duration,
}

/// Wakes a worker of the same process when a run was started, so that it need not wait for its next look. Clones are one bell.
#[derive(Clone, Debug, Default)]
pub struct Bell(Arc<Notify>);

/// How often a worker looks, unless told.
const POLL: Duration = Duration::from_millis(500);

/// How long it waits after a store that did not answer.
const REST: Duration = Duration::from_secs(2);

impl Bell {
    /// Says that there is a run to take. One that rings while nobody waits is heard later.
    pub fn ring(&self) {
        self.0.notify_one();
    }
}

impl WorkerSettings {
    /// Four runs at a time, a look each half second.
    pub fn named(name: impl Into<String>) -> Self {
        let slots = NonZeroUsize::MIN.saturating_add(3);
        Self { name: name.into(), slots, poll: POLL }
    }
}

impl Worker {
    /// Starts to take runs. Must be called within a Tokio runtime.
    pub fn start(engine: Arc<Engine>, settings: WorkerSettings, bell: Bell) -> Self {
        let shutdown = CancellationToken::new();
        let crew = Crew { engine, settings, bell, shutdown: shutdown.clone() };
        Self { serving: tokio::spawn(crew.serve()), shutdown: shutdown.drop_guard() }
    }

    /// Takes no more runs, lets those at work come to their next checkpoint, puts them back, and returns.
    pub async fn stop(self) {
        drop(self.shutdown);
        if let Err(error) = self.serving.await {
            tracing::error!(error = &error as &dyn Error, "the worker failed");
        }
    }
}

struct Crew {
    engine: Arc<Engine>,
    settings: WorkerSettings,
    bell: Bell,
    shutdown: CancellationToken,
}

impl Crew {
    async fn serve(self) {
        let slots = Arc::new(Semaphore::new(self.settings.slots.get()));
        let runs = TaskTracker::new();
        loop {
            let free = Arc::clone(&slots).acquire_owned();
            let Some(Ok(slot)) = self.shutdown.run_until_cancelled(free).await else { break };
            let claimed = self.engine.claim(&self.settings.name, None).await;
            let pause = match claimed {
                Ok(Some(run)) => {
                    let (engine, shutdown) = (Arc::clone(&self.engine), self.shutdown.clone());
                    runs.spawn(async move {
                        work(engine, run, shutdown).await;
                        drop(slot);
                    });
                    continue;
                }
                Ok(None) => self.settings.poll,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn Error, "cannot look for runs");
                    REST
                }
            };
            drop(slot);
            tokio::select! {
                () = self.shutdown.cancelled() => break,
                () = self.bell.0.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        runs.close();
        runs.wait().await;
    }
}

/// Works on one run. A defect that panics ends the run, not the worker.
async fn work(engine: Arc<Engine>, run: SyncLog, shutdown: CancellationToken) {
    let (worker, claimed) = (Arc::clone(&engine), run.clone());
    let running = tokio::spawn(async move { worker.run(&claimed, &shutdown).await });
    if let Err(error) = running.await {
        tracing::error!(error = &error as &dyn Error, run = %run.id, "a run panicked");
        if let Ran::Lost = engine.give_up(&run).await {
            tracing::error!(run = %run.id, "the end of a run that panicked cannot be kept");
        }
    }
}
