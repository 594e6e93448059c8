//! Going on from exchanges whose process died: what they brought is kept, and the code is spent.

use std::time::Duration as Pause;

use linkspan_domain::{
    Call, Code, HeldGrant, Problem,
    ports::{AnsweredAuthorization, Purpose, StoreError},
};
use time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{ConnectError, Connecting};

/// How often they are looked for.
const TICK: Pause = Pause::from_secs(15);

/// How long whoever took an authorization may be at it yet: they ask for 30 seconds at most.
pub(in crate::grants) const AT_WORK: Duration = Duration::minutes(1);

/// How long the key of what does not open is waited for.
const PATIENCE: Duration = Duration::days(1);

/// How many are looked up at once.
const BATCH: u64 = 100;

impl Connecting {
    /// Connects what exchanges brought whose process died, until `shutdown`. Any number of processes may do so.
    pub async fn run(&self, shutdown: &CancellationToken) {
        while !shutdown.is_cancelled() {
            if let Err(error) = self.resume().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "interrupted authorizations could not be looked up"
                );
            }
            shutdown.run_until_cancelled(sleep(TICK)).await;
        }
    }

    /// Goes on from those that nobody is at.
    pub(super) async fn resume(&self) -> Result<(), StoreError> {
        let now = self.world.now();
        for answered in self.stores.authorizations.unsettled(now - AT_WORK, BATCH).await? {
            let id = answered.workspace_connector_id;
            let error = match self.go_on(&answered).await {
                // Somebody else was at the activation: the next look shows what is left to do.
                Ok(()) | Err(ConnectError::Store(StoreError::Stale)) => continue,
                Err(error) => error,
            };
            tracing::warn!(
                workspace_connector = %id, error = &error as &dyn std::error::Error,
                "an interrupted authorization could not be gone on from"
            );
            if matches!(error, ConnectError::Safe(_)) && answered.taken_at + PATIENCE <= now {
                // Nobody brought the key. Others wait behind it.
                self.stores.authorizations.give_up(answered.id).await?;
            }
        }
        Ok(())
    }

    async fn go_on(&self, answered: &AnsweredAuthorization) -> Result<(), ConnectError> {
        let AnsweredAuthorization { id, workspace_connector_id: of, taken_at, .. } = *answered;
        let held: HeldGrant = self.safe.open(Purpose::Authorization, id, &answered.grant)?;
        let call = Call::of_system(
            answered.organization_id,
            answered.workspace_id,
            self.world.uuid().simple().to_string(),
        );
        let activation = match self.activations.live(&call, of, None).await {
            Ok(activation) => activation,
            // It is gone, and its grant is taken back: see `disconnecting`.
            Err(gone) if gone.code() == Code::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if !self.is_settled(Some(id)).await? {
            self.connect(&call, activation, &held, taken_at).await?;
        }
        Ok(())
    }
}
