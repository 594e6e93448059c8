//! Keeping the lease of a run while it works.

use std::sync::Arc;

use linkspan_domain::ports::{Demand, StoreError, SyncStore, World};
use linkspan_sdk::HeldRun;
use time::Duration;
use tokio::time::sleep;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// How long it takes at most to hear that a run was cancelled.
const HEARING: std::time::Duration = std::time::Duration::from_secs(5);

/// The heartbeat of a run. Dropping it stops it.
pub(crate) struct Heartbeat {
    task: AbortOnDropHandle<()>,
    stop: CancellationToken,
}

impl Heartbeat {
    /// Keeps extending the lease of `run` by `lease`, until it is stopped. Cancels `lost` if another worker has it, and
    /// `cancel` if nobody wants it any more.
    pub(crate) fn start(
        syncs: Arc<dyn SyncStore>,
        world: Arc<dyn World>,
        run: HeldRun,
        lease: Duration,
        lost: CancellationToken,
        cancel: CancellationToken,
    ) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let pause = HEARING.min(lease.unsigned_abs() / 3);
        let task = tokio::spawn(async move {
            while stopped.run_until_cancelled(sleep(pause)).await.is_some() {
                match syncs.extend(run.id, run.fence, world.now() + lease).await {
                    Ok(Demand::Wanted) => {}
                    Ok(Demand::Unwanted) => cancel.cancel(),
                    Err(StoreError::Stale) => return lost.cancel(),
                    // Without the store nothing can be written for the run either: it will find out by itself.
                    Err(error) => tracing::warn!(
                        run = %run.id, error = &error as &dyn std::error::Error,
                        "the lease of a run could not be extended"
                    ),
                }
            }
        });
        Self { task: AbortOnDropHandle::new(task), stop }
    }

    /// Stops it, and returns when it has.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        // It ends by itself, in a panic at worst.
        let _ = self.task.await;
    }
}
