//! Wiping secrets that others took the place of, once their overlap is over.

use std::{sync::Arc, time::Duration};

use linkspan_domain::{
    Act, Action, AuditEventId, Call, CredentialEvent,
    ports::{Change, CredentialStore, ExpiredCredential, StoreError, World},
};
use serde_json::json;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Revokes versions of credentials whose overlap is over. Any number of processes may have one: a version is revoked once.
pub struct CredentialExpiry {
    /// Keeps the versions.
    pub credentials: Arc<dyn CredentialStore>,
    /// Tells the time.
    pub world: Arc<dyn World>,
}

/// How often it is looked whether there are any. Nobody goes back to them anyway.
const TICK: Duration = Duration::from_secs(10);

/// How many are looked up at once.
const BATCH: u32 = 100;

impl CredentialExpiry {
    /// Works until `shutdown`.
    pub async fn run(&self, shutdown: &CancellationToken) {
        while !shutdown.is_cancelled() {
            if let Err(error) = self.tick().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "secrets whose overlap is over could not be wiped"
                );
            }
            shutdown.run_until_cancelled(sleep(TICK)).await;
        }
    }

    /// Revokes those that there are now.
    async fn tick(&self) -> Result<(), StoreError> {
        loop {
            let expired = self.credentials.expired(self.world.now(), BATCH).await?;
            let is_all = expired.len() < BATCH as usize;
            for it in expired {
                self.revoke(it).await?;
            }
            if is_all {
                return Ok(());
            }
        }
    }

    async fn revoke(&self, expired: ExpiredCredential) -> Result<(), StoreError> {
        let ExpiredCredential { mut version, organization_id } = expired;
        let now = self.world.now();
        if version.apply(CredentialEvent::Revoked { at: now }).is_err() {
            return Ok(());
        }
        let details = json!({
            "workspace_connector_id": version.workspace_connector_id,
            "number": version.number,
            "because": "its overlap is over",
        });
        let call = Call::of_system(
            organization_id,
            version.workspace_id,
            self.world.uuid().simple().to_string(),
        );
        let id = AuditEventId::from_uuid(self.world.uuid());
        let act = Act { action: Action::CredentialRevoked, details };
        let receipt = call.receipt(act, &version, id, now);
        match self.credentials.write(&[Change::Update(version)], &receipt).await {
            // Somebody else was faster.
            Err(StoreError::Stale) => Ok(()),
            done => done,
        }
    }
}

#[cfg(test)]
mod tests {
    use linkspan_domain::{CredentialState, Overlap, Role};
    use serde_json::json;

    use super::*;
    use crate::{
        OnFailure, Rotation, Turnover,
        activations::tests::stage,
        fixtures::{activation, call, connector, id, object, world},
    };

    /// The states of two versions once it was looked for those that are over, the first superseded with this overlap.
    async fn after(overlap: i64) -> Vec<CredentialState> {
        let stage = stage(connector(|_| {}), vec![activation(|_| {})]);
        let rotation = Rotation {
            config: object(json!({ "password": "fresh-planted" })),
            on_failure: OnFailure::Refuse,
            turnover: Turnover { reason: None, overlap: Overlap::try_from(overlap).unwrap() },
        };
        stage.activations.rotate(&call(Role::Designer), id(30), None, rotation).await.unwrap();
        // The clock stands still: let the overlap have begun a minute ago.
        for it in stage.ledger.versions.lock().unwrap().iter_mut() {
            if let linkspan_domain::CredentialPhase::Inactive { expires_at, .. } = &mut it.phase {
                *expires_at -= time::Duration::MINUTE;
            }
        }
        let credentials = Arc::clone(&stage.ledger) as Arc<dyn CredentialStore>;
        CredentialExpiry { credentials, world: world() }.tick().await.unwrap();
        stage.ledger.all().iter().map(|it| it.phase.state()).collect()
    }

    #[tokio::test]
    async fn what_overlaps_no_longer_is_wiped_and_nothing_else() {
        use CredentialState::{Active, Inactive, Revoked};
        assert_eq!(after(60).await, [Revoked, Active]);
        assert_eq!(after(61).await, [Inactive, Active]);
    }
}
