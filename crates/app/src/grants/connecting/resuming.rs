//! Going on from exchanges whose process died: what they brought is kept, and the code is spent.

use std::time::Duration as Pause;

use linkspan_domain::{
    AuditEventId, Call, Code, HeldGrant, Problem, WorkspaceConnector,
    ports::{AnsweredAuthorization, Purpose, StoreError},
};
use time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{ConnectError, Connecting};
use crate::grants::disconnecting::revocation;

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
        let until = self.world.now() - AT_WORK;
        for answered in self.stores.authorizations.unsettled(until, BATCH).await? {
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
            Err(gone) if gone.code() == Code::NotFound => {
                return self.give_back(&call, answered, &held).await;
            }
            Err(error) => return Err(error.into()),
        };
        if !self.is_settled(Some(id)).await? {
            self.connect(&call, activation, &held, taken_at).await?;
        }
        Ok(())
    }

    /// The activation is gone: what was granted for it is taken back, best effort, and the audit trail says so.
    async fn give_back(
        &self,
        call: &Call,
        answered: &AnsweredAuthorization,
        held: &HeldGrant,
    ) -> Result<(), ConnectError> {
        let AnsweredAuthorization { id, workspace_connector_id: of, .. } = *answered;
        // First, or whoever restores the activation meanwhile gets a grant that was taken back.
        self.stores.authorizations.forget_answer(id).await.map_err(ConnectError::Store)?;
        let told = self.servers.revoke(&held.server, &held.client, &held.grant).await;
        let act = revocation(&held.grant.issuer, told);
        let event = AuditEventId::from_uuid(self.world.uuid());
        let receipt = call.receipt_of::<WorkspaceConnector>(act, of, event, self.world.now());
        let noted = self.activation_store.write(&[], &receipt).await;
        noted.map_err(ConnectError::Store)
    }
}
