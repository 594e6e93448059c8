//! Taking grants of disconnected activations back: the provider is told (RFC 7009), whatever it makes of it.

use std::sync::Arc;

use linkspan_domain::{
    Act, Action, AuditEventId, Call, Caller, HeldGrant, Visible, WorkspaceConnector,
    WorkspaceConnectorId,
    ports::{
        AuthorizationServers, AuthorizationStore, GrantStore, KeptGrant, Purpose, Store,
        StoreError, Vault, World,
    },
};
use serde_json::json;
use time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::safe::Safe;

/// Revokes the grants of activations that were disconnected, by whomever and however. Any number of processes may have one.
pub struct Disconnector {
    grants: Arc<dyn GrantStore>,
    authorizations: Arc<dyn AuthorizationStore>,
    activations: Arc<dyn Store<WorkspaceConnector>>,
    servers: Arc<dyn AuthorizationServers>,
    safe: Safe,
    world: Arc<dyn World>,
}

/// How often activations are looked for that were disconnected.
const TICK: std::time::Duration = std::time::Duration::from_secs(15);

/// How many are looked up at once.
const BATCH: u64 = 100;

/// How long authorizations are remembered after they ended.
const REMEMBERED: Duration = Duration::days(1);

impl Disconnector {
    /// Revokes what `grants` keeps.
    pub fn new(
        grants: Arc<dyn GrantStore>,
        authorizations: Arc<dyn AuthorizationStore>,
        activations: Arc<dyn Store<WorkspaceConnector>>,
        servers: Arc<dyn AuthorizationServers>,
        vault: Arc<dyn Vault>,
        world: Arc<dyn World>,
    ) -> Self {
        Self { grants, authorizations, activations, servers, safe: Safe::new(vault), world }
    }

    /// Revokes and forgets until `shutdown`.
    pub async fn run(&self, shutdown: &CancellationToken) {
        while !shutdown.is_cancelled() {
            if let Err(error) = self.tidy().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "grants of disconnected activations could not be revoked"
                );
            }
            shutdown.run_until_cancelled(sleep(TICK)).await;
        }
    }

    /// Revokes what belongs to activations that are gone, and forgets authorizations that ended long ago.
    pub async fn tidy(&self) -> Result<(), StoreError> {
        for of in self.grants.abandoned(BATCH).await? {
            self.revoke(of).await?;
        }
        self.authorizations.sweep(self.world.now(), REMEMBERED).await.map(drop)
    }

    /// Takes the grant of an activation away and tells the provider, once: what comes of it is in the audit trail.
    async fn revoke(&self, of: WorkspaceConnectorId) -> Result<(), StoreError> {
        let Some(removed) = self.grants.remove(of).await? else { return Ok(()) };
        let told = self.tell(&removed).await;
        let (action, reason) = match told {
            Ok(()) => (Action::GrantRevoked, None),
            Err(reason) => (Action::GrantRevocationFailed, Some(reason)),
        };
        let visible = Visible::only(removed.workspace_id);
        let Some(activation) = self.activations.find(&visible, of).await? else { return Ok(()) };
        let call = Call {
            caller: Caller::system(removed.organization_id, visible),
            ip_address: None,
            trace_id: self.world.uuid().simple().to_string(),
            claim: None,
        };
        let act = Act { action, details: json!({ "issuer": removed.issuer, "reason": reason }) };
        let event = AuditEventId::from_uuid(self.world.uuid());
        let receipt = call.receipt(act, &activation, event, self.world.now());
        self.activations.write(&[], &receipt).await
    }

    async fn tell(&self, removed: &KeptGrant) -> Result<(), String> {
        let row = removed.workspace_connector_id.uuid();
        let held: HeldGrant = self
            .safe
            .open(Purpose::Grant, row, &removed.grant)
            .map_err(|error| error.to_string())?;
        let HeldGrant { grant, server, client, .. } = &held;
        self.servers.revoke(server, client, grant).await.map_err(|error| error.to_string())
    }
}
