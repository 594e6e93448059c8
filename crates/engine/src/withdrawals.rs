//! Withdrawing entities whose target, mapping or activation is gone.

use std::{sync::Arc, time::Duration};

use linkspan_domain::ports::World;
use linkspan_sdk::EntityStore;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Deletes entities that nothing stands for any more. Any number of processes may have one.
pub struct Withdrawals {
    /// Keeps the entities.
    pub entities: Arc<dyn EntityStore>,
    /// Tells the time.
    pub world: Arc<dyn World>,
}

/// How often it is looked whether there are any.
const TICK: Duration = Duration::from_secs(1);

impl Withdrawals {
    /// Works until `shutdown`.
    pub async fn run(&self, shutdown: &CancellationToken) {
        while !shutdown.is_cancelled() {
            match self.entities.withdraw(self.world.now()).await {
                // There may be more.
                Ok(Some(_)) => continue,
                Ok(None) => {}
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "entities that nothing stands for could not be withdrawn"
                ),
            }
            shutdown.run_until_cancelled(sleep(TICK)).await;
        }
    }
}
