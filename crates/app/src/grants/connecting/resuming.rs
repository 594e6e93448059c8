//! Going on from exchanges whose process died: what they brought is kept, and the code is spent.

use std::time::Duration as Pause;

use linkspan_domain::{
    Call, Caller, Code, HeldGrant, Problem, Visible,
    ports::{AnsweredAuthorization, Purpose, StoreError},
};
use time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{ConnectError, Connecting};

/// How often they are looked for.
const TICK: Pause = Pause::from_secs(15);

/// How long whoever took an authorization may be at it yet: they ask for 30 seconds at most.
const AT_WORK: Duration = Duration::minutes(1);

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
        for answered in self.unsettled().await? {
            let id = answered.workspace_connector_id;
            match self.go_on(&answered).await {
                // Somebody else was at the activation: the next look shows what is left to do.
                Ok(()) | Err(ConnectError::Store(StoreError::Stale)) => {}
                Err(error) => tracing::warn!(
                    workspace_connector = %id, error = &error as &dyn std::error::Error,
                    "an interrupted authorization could not be gone on from"
                ),
            }
        }
        Ok(())
    }

    async fn unsettled(&self) -> Result<Vec<AnsweredAuthorization>, StoreError> {
        self.stores.authorizations.unsettled(self.world.now() - AT_WORK, BATCH).await
    }

    async fn go_on(&self, answered: &AnsweredAuthorization) -> Result<(), ConnectError> {
        let AnsweredAuthorization { id, workspace_connector_id: of, taken_at, .. } = *answered;
        let held: HeldGrant = self.safe.open(Purpose::Authorization, id, &answered.grant)?;
        let call = Call {
            caller: Caller::system(answered.organization_id, Visible::only(answered.workspace_id)),
            ip_address: None,
            trace_id: self.world.uuid().simple().to_string(),
            claim: None,
        };
        let activation = match self.activations.live(&call, of, None).await {
            Ok(activation) => activation,
            Err(gone) if gone.code() == Code::NotFound => return self.give_back(id, &held).await,
            Err(error) => return Err(error.into()),
        };
        // Who connected it before the activation was read has settled this; who does so from here on makes it stale.
        if self.unsettled().await.map_err(ConnectError::Store)?.contains(answered) {
            self.connect(&call, activation, &held, taken_at).await?;
        }
        Ok(())
    }

    /// The activation is gone: what was granted for it is taken back.
    async fn give_back(&self, id: Uuid, held: &HeldGrant) -> Result<(), ConnectError> {
        if let Err(error) = self.servers.revoke(&held.server, &held.client, &held.grant).await {
            tracing::warn!(
                authorization = %id, error = &error as &dyn std::error::Error,
                "a grant of an activation that is gone could not be revoked"
            );
        }
        self.stores.authorizations.forget_answer(id).await.map_err(ConnectError::Store)
    }
}
