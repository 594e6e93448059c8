//! Keeping grants alive, whether anybody uses them or not.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use linkspan_domain::{
    WorkspaceConnectorId,
    ports::{GrantStore, StoreError, World},
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{AccessTokens, TokenError};

/// Refreshes grants when they are due. Any number of processes may have one: each grant is refreshed once.
pub struct Keeper {
    /// Refreshes them.
    pub tokens: AccessTokens,
    /// Knows which are due.
    pub grants: Arc<dyn GrantStore>,
    /// Tells the time.
    pub world: Arc<dyn World>,
}

/// How often grants are looked at. They are due five minutes before they end.
pub(super) const TICK: Duration = Duration::from_secs(5);

/// How soon they are looked at again where there were more than were looked up.
const BREATH: Duration = Duration::from_millis(50);

/// How many grants are looked up at once.
const BATCH: u64 = 1_000;

/// How many are refreshed at a time: enough for ten thousand a minute where a server takes half a second.
const AT_A_TIME: usize = 128;

impl Keeper {
    /// Refreshes grants until `shutdown`, and finishes those it is at.
    pub async fn run(&self, shutdown: &CancellationToken) {
        while !shutdown.is_cancelled() {
            let pause = match self.tick(shutdown).await {
                // There may be more.
                Ok(BATCH) => BREATH,
                Ok(_) => TICK,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "no grant could be looked up"
                    );
                    TICK
                }
            };
            shutdown.run_until_cancelled(sleep(pause)).await;
        }
    }

    /// Refreshes what is due, as far as one look shows it. Answers how many grants that were.
    async fn tick(&self, shutdown: &CancellationToken) -> Result<u64, StoreError> {
        let due = self.grants.due(self.world.now(), BATCH).await?;
        let found = due.len() as u64;
        stream::iter(due)
            .take_until(shutdown.cancelled())
            .for_each_concurrent(AT_A_TIME, |of| self.keep(of))
            .await;
        Ok(found)
    }

    async fn keep(&self, of: WorkspaceConnectorId) {
        match self.tokens.keep_alive(of).await {
            // The server's failures are told of where they happen.
            Ok(()) | Err(TokenError::Elsewhere { .. } | TokenError::Server { .. }) => {}
            Err(error) => tracing::warn!(
                workspace_connector = %of, error = &error as &dyn std::error::Error,
                "a grant could not be kept alive"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
