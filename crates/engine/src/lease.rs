//! Holding a run: extending its lease, and noticing when it is to stop.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use linkspan_domain::{
    Status, SyncLog, Visible,
    ports::StoreError,
};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{EnginePorts, failure::RunFailure};

/// How long a claim lasts without being extended.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// How often it is extended: one or two answers may fail to come.
const BEAT: Duration = Duration::from_secs(10);

/// How long an extension may take.
const PATIENCE: Duration = Duration::from_secs(8);

/// How often a write is tried that the store did not answer, and the first pause; each pause is twice the one before.
const ATTEMPTS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Whether a run goes on. Clones are about the same run.
#[derive(Clone, Debug)]
pub(crate) struct Leash {
    /// Another worker may have the run: nothing more may be done for it.
    lost: CancellationToken,
    /// The run is to stop at the next checkpoint, or is lost.
    halt: CancellationToken,
    is_cancelled: Arc<AtomicBool>,
}

/// Why a run stopped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// Another worker has it, or it is gone.
    Lost,
    /// Its activation was switched off.
    Cancelled,
    /// The worker shuts down.
    Shutdown,
}

impl Leash {
    pub(crate) fn new() -> Self {
        let lost = CancellationToken::new();
        let halt = lost.child_token();
        Self { lost, halt, is_cancelled: Arc::default() }
    }

    /// Is cancelled when the run is to stop.
    pub(crate) const fn halting(&self) -> &CancellationToken {
        &self.halt
    }

    /// Why the run is to stop, if it is.
    pub(crate) fn halt(&self) -> Option<Halt> {
        if self.lost.is_cancelled() {
            Some(Halt::Lost)
        } else if !self.halt.is_cancelled() {
            None
        } else if self.is_cancelled.load(Ordering::Acquire) {
            Some(Halt::Cancelled)
        } else {
            Some(Halt::Shutdown)
        }
    }

    fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Release);
        self.halt.cancel();
    }

    /// Writes something for the run, again while the store does not answer; not once the run is lost.
    pub(crate) async fn insist<T, F>(&self, mut write: impl FnMut() -> F) -> Result<T, RunFailure>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut pause = FIRST_PAUSE;
        for left in (0..ATTEMPTS).rev() {
            match self.lost.run_until_cancelled(write()).await {
                Some(Ok(done)) => return Ok(done),
                None => return Err(RunFailure::Halted),
                Some(Err(StoreError::Stale)) => {
                    self.lost.cancel();
                    return Err(RunFailure::Halted);
                }
                Some(Err(error @ StoreError::Unavailable(_))) if left > 0 => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        left,
                        "the store did not answer; trying again"
                    );
                }
                Some(Err(error)) => return Err(RunFailure::Store(error)),
            }
            self.lost.run_until_cancelled(sleep(pause)).await;
            pause *= 2;
        }
        Err(RunFailure::Halted)
    }
}

/// Keeps the lease of `run` alive, in the background, until the answer is dropped.
pub(crate) fn hold(
    ports: EnginePorts,
    run: &SyncLog,
    leash: Leash,
    shutdown: CancellationToken,
) -> AbortOnDropHandle<()> {
    let holder = Holder { ports, run: run.clone(), leash };
    AbortOnDropHandle::new(tokio::spawn(holder.hold(shutdown)))
}

struct Holder {
    ports: EnginePorts,
    run: SyncLog,
    leash: Leash,
}

impl Holder {
    async fn hold(self, shutdown: CancellationToken) {
        let mut until = Instant::now() + LEASE;
        let mut beat = interval_at(Instant::now() + BEAT, BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled(), if !self.leash.halt.is_cancelled() => {
                    self.leash.halt.cancel();
                }
                _ = beat.tick() => {
                    if !self.beat(&mut until).await {
                        return self.leash.lost.cancel();
                    }
                }
            }
        }
    }

    /// Extends the lease. False when the run is lost.
    async fn beat(&self, until: &mut Instant) -> bool {
        let (asked, now) = (Instant::now(), self.ports.world.now());
        let extend = self.ports.syncs.extend(self.run.id, self.run.fence, now + LEASE);
        match timeout(PATIENCE, extend).await {
            Ok(Ok(())) => {
                *until = asked + LEASE;
                self.look().await;
                !self.leash.lost.is_cancelled()
            }
            Ok(Err(StoreError::Stale)) => false,
            Ok(Err(_)) | Err(_) => Instant::now() + BEAT < *until,
        }
    }

    /// Stops the run if its activation was switched off meanwhile.
    async fn look(&self) {
        let tenancy = Visible::only(self.run.workspace_id);
        let find = self.ports.activations.find(&tenancy, self.run.workspace_connector_id);
        let Ok(Ok(Some(activation))) = timeout(PATIENCE, find).await else { return };
        let is_off = matches!(activation.status, Status::Disabled | Status::Suspended);
        if is_off || activation.deleted_at.is_some() {
            self.leash.cancel();
        }
    }
}
