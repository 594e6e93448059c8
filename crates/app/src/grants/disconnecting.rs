//! Taking grants back of activations that are disconnected or purged, and the clients that were registered for them: the provider
//! is told (RFC 7009, RFC 7592), whatever it makes of it.
//!
//! A grant that another takes the place of is not taken back; docs/adr/0018 says why.

use std::{fmt::Display, sync::Arc};

use linkspan_domain::{
    Act, Action, AuditEventId, Call, HeldGrant, Issuer, OauthClient, OrganizationId,
    WorkspaceConnector, WorkspaceConnectorId, WorkspaceId,
    ports::{
        AuthorizationServers, AuthorizationStore, GrantStore, Leftovers, OauthError, Purpose,
        Sealed, Store, StoreError, Vault, World,
    },
};
use serde_json::json;
use time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{SafeError, safe::Safe};

/// Tells providers what activations that are gone do not need any more, whoever disconnected or purged them, and however. Any
/// number of processes may have one.
pub struct Disconnector {
    grants: Arc<dyn GrantStore>,
    authorizations: Arc<dyn AuthorizationStore>,
    activations: Arc<dyn Store<WorkspaceConnector>>,
    servers: Arc<dyn AuthorizationServers>,
    safe: Safe,
    world: Arc<dyn World>,
}

/// An activation that is gone, and where it was.
#[derive(Clone, Copy)]
struct Gone {
    id: WorkspaceConnectorId,
    workspace: WorkspaceId,
    organization: OrganizationId,
}

/// Why a provider was not told.
#[derive(Debug, thiserror::Error)]
enum Untold {
    #[error(transparent)]
    Safe(#[from] SafeError),
    #[error(transparent)]
    Server(#[from] OauthError),
}

/// How often activations are looked for that are gone.
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
            if let Err(error) = self.tidy(shutdown).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "providers could not be told of activations that are gone"
                );
            }
            shutdown.run_until_cancelled(sleep(TICK)).await;
        }
    }

    /// Forgets authorizations that ended long ago, and revokes what belongs to activations that are gone. Begins with none once
    /// there is a `shutdown`: what is begun is told and noted.
    pub async fn tidy(&self, shutdown: &CancellationToken) -> Result<(), StoreError> {
        self.authorizations.sweep(self.world.now(), REMEMBERED).await?;
        for id in self.grants.abandoned(BATCH).await? {
            if shutdown.is_cancelled() {
                return Ok(());
            }
            if let Some(removed) = self.grants.remove(id).await? {
                let (workspace, organization) = (removed.workspace_id, removed.organization_id);
                let gone = Gone { id, workspace, organization };
                let held = self.open(id, &removed.grant);
                self.revoke(gone, &removed.issuer, held.as_ref()).await?;
            }
        }
        for _ in 0..BATCH {
            if shutdown.is_cancelled() {
                return Ok(());
            }
            let Some(left) = self.grants.take_left().await? else { break };
            self.clear(&left).await?;
        }
        Ok(())
    }

    /// Tells providers that nothing a purged activation had with them is needed any more: the grant first, since it takes the
    /// client to revoke it.
    async fn clear(&self, left: &Leftovers) -> Result<(), StoreError> {
        let id = left.workspace_connector_id;
        let gone = Gone { id, workspace: left.workspace_id, organization: left.organization_id };
        let mut clients = Vec::new();
        for (issuer, sealed) in &left.clients {
            let row = OauthClient::row(id, issuer);
            match self.safe.open::<OauthClient>(Purpose::ClientRegistration, row, sealed) {
                Ok(client) => clients.push(client),
                Err(error) => self.note_client(gone, issuer, Err(error.into())).await?,
            }
        }
        if let Some((issuer, sealed)) = &left.grant {
            let held = self.open(id, sealed);
            self.revoke(gone, issuer, held.as_ref()).await?;
            // Another client may have taken the place of this one since. As it is kept, a client is newer.
            if let Ok(HeldGrant { client, .. }) = held
                && !clients.iter().any(|it| is_same(it, &client))
            {
                clients.push(client);
            }
        }
        // Each activation registers a client of its own with a server: nobody else uses it.
        for client in clients.iter().filter(|it| it.is_removable()) {
            let told = self.servers.unregister(client).await.map_err(Untold::from);
            self.note_client(gone, &client.issuer, told).await?;
        }
        Ok(())
    }

    /// Tells the provider that a grant that is not kept any more is not needed: once, and what comes of it is in the audit trail.
    async fn revoke(
        &self,
        gone: Gone,
        issuer: &Issuer,
        held: Result<&HeldGrant, &SafeError>,
    ) -> Result<(), StoreError> {
        let told = match held {
            Ok(HeldGrant { grant, server, client, .. }) => {
                self.servers.revoke(server, client, grant).await.map_err(Untold::from)
            }
            Err(error) => Err(error.clone().into()),
        };
        self.note(gone, revocation(issuer, told)).await
    }

    async fn note_client(
        &self,
        gone: Gone,
        issuer: &Issuer,
        told: Result<(), Untold>,
    ) -> Result<(), StoreError> {
        let actions = [Action::ClientUnregistered, Action::ClientUnregistrationFailed];
        self.note(gone, outcome(issuer, told, actions)).await
    }

    async fn note(&self, gone: Gone, act: Act) -> Result<(), StoreError> {
        let call = Call::of_system(
            gone.organization,
            gone.workspace,
            self.world.uuid().simple().to_string(),
        );
        let event = AuditEventId::from_uuid(self.world.uuid());
        // By its identifier: it may be purged by now.
        let receipt = call.receipt_of::<WorkspaceConnector>(act, gone.id, event, self.world.now());
        self.activations.write(&[], &receipt).await
    }

    fn open(&self, of: WorkspaceConnectorId, grant: &Sealed) -> Result<HeldGrant, SafeError> {
        self.safe.open(Purpose::Grant, of.uuid(), grant)
    }
}

/// What the audit trail says of telling `issuer` that a grant is not needed any more.
pub(super) fn revocation(issuer: &Issuer, told: Result<(), impl Display>) -> Act {
    outcome(issuer, told, [Action::GrantRevoked, Action::GrantRevocationFailed])
}

/// The first of the actions where `issuer` was told, else the second.
fn outcome(issuer: &Issuer, told: Result<(), impl Display>, [done, failed]: [Action; 2]) -> Act {
    let (action, reason) = match told {
        Ok(()) => (done, None),
        Err(error) => (failed, Some(error.to_string())),
    };
    Act { action, details: json!({ "issuer": issuer, "reason": reason }) }
}

fn is_same(one: &OauthClient, other: &OauthClient) -> bool {
    one.issuer == other.issuer && one.client_id == other.client_id
}

#[cfg(test)]
mod tests;
