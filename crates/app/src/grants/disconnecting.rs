//! Taking back what is not needed any more at providers: grants of activations that are gone, what was in flight, the clients
//! that were registered for them, and those that others took the places of. The provider is told (RFC 7009, RFC 7592), whatever
//! it makes of it.
//!
//! A grant that another takes the place of is not taken back; docs/adr/0018 says why.

use std::sync::Arc;

use linkspan_domain::{
    Act, Action, AuditEventId, Call, HeldGrant, Issuer, JournaledReply, OauthClient, Receipt,
    Secret, WorkspaceConnector, WorkspaceConnectorId,
    ports::{
        AuthorizationServers, AuthorizationStore, GrantStore, Left, Leftover, Leftovers,
        OauthError, Owner, Purpose, Sealed, StoreError, Vault, World,
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
    servers: Arc<dyn AuthorizationServers>,
    safe: Safe,
    world: Arc<dyn World>,
}

/// Why a provider was not told.
#[derive(Debug, thiserror::Error)]
enum Untold {
    #[error(transparent)]
    Safe(#[from] SafeError),
    #[error(transparent)]
    Server(#[from] OauthError),
}

/// A grant that was left, if it opens.
type Opened = Result<HeldGrant, SafeError>;

/// How often activations are looked for that are gone.
const TICK: std::time::Duration = std::time::Duration::from_secs(15);

/// How many are looked up at once.
const BATCH: u64 = 100;

/// How long authorizations are remembered after they ended.
const REMEMBERED: Duration = Duration::days(1);

/// How long whoever tells a provider has for it, and how soon one that is not up to it is told again.
const LEASE: Duration = Duration::minutes(10);

/// How often a provider that is not up to it is told: within an hour.
const TRIES: u32 = 6;

impl Disconnector {
    /// Revokes what `grants` keeps.
    pub fn new(
        grants: Arc<dyn GrantStore>,
        authorizations: Arc<dyn AuthorizationStore>,
        servers: Arc<dyn AuthorizationServers>,
        vault: Arc<dyn Vault>,
        world: Arc<dyn World>,
    ) -> Self {
        Self { grants, authorizations, servers, safe: Safe::new(vault), world }
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

    /// Forgets authorizations that ended long ago, and takes back what was left behind. Begins with nothing more once there is a
    /// `shutdown`: what is begun is told and noted.
    pub async fn tidy(&self, shutdown: &CancellationToken) -> Result<(), StoreError> {
        self.authorizations.sweep(self.world.now(), REMEMBERED).await?;
        for id in self.grants.abandoned(BATCH).await? {
            self.grants.set_aside(id).await?;
        }
        for _ in 0..BATCH {
            if shutdown.is_cancelled() {
                return Ok(());
            }
            let now = self.world.now();
            let Some(left) = self.grants.take_left(now, now + LEASE).await? else { break };
            match Box::pin(self.clear(&left)).await {
                // It took so long that somebody else did it.
                Ok(()) | Err(StoreError::Stale) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Tells providers that nothing an activation left is needed any more: the clients last, since it takes them to take the
    /// grants back. What is not told is taken up again when the lease is over, by whoever comes first.
    async fn clear(&self, left: &Leftovers) -> Result<(), StoreError> {
        let is_client = |it: &&Leftover| matches!(it.left, Left::Client { .. });
        let (clients, grants): (Vec<_>, Vec<_>) = left.things.iter().partition(is_client);
        let mut are_told = true;
        for thing in grants {
            are_told &= self.take_back(left, thing).await?;
        }
        if !are_told {
            return Ok(());
        }
        for thing in clients {
            self.remove(left, thing).await?;
        }
        Ok(())
    }

    /// Tells the provider that a grant is not needed any more, with all that was kept of it. Answers whether that is done with.
    async fn take_back(&self, left: &Leftovers, thing: &Leftover) -> Result<bool, StoreError> {
        let grants = self.opened(left.owner.workspace_connector_id, &thing.left);
        let issuer = match (&thing.left, grants.first()) {
            (Left::Grant { issuer, .. } | Left::Client { issuer, .. }, _) => Some(issuer.clone()),
            (Left::Answer { .. }, Some(Ok(held))) => Some(held.grant.issuer.clone()),
            (Left::Answer { .. }, _) => None,
        };
        let told = self.revoke(grants).await;
        if is_put_off(thing, &told) {
            return Ok(false);
        }
        let actions = [Action::GrantRevoked, Action::GrantRevocationFailed];
        let act = outcome(issuer.as_ref(), told, actions);
        self.grants.told(thing.id, Some(&self.receipt(left.owner, act))).await?;
        Ok(true)
    }

    /// Has the provider revoke `grants`, newest first. What comes of the newest is what counts: those before it are mostly spent,
    /// and a provider may say so.
    async fn revoke(&self, grants: Vec<Opened>) -> Result<(), Untold> {
        let mut revoked: Vec<Secret<String>> = Vec::new();
        let mut newest = None;
        for held in grants {
            let told = match held {
                Ok(HeldGrant { grant, server, client, .. }) => {
                    let token = grant.refresh_token.as_ref().unwrap_or(&grant.access_token);
                    if revoked.contains(token) {
                        continue;
                    }
                    revoked.push(token.clone());
                    self.servers.revoke(&server, &client, &grant).await.map_err(Untold::from)
                }
                Err(error) => Err(error.into()),
            };
            newest.get_or_insert(told);
        }
        newest.unwrap_or(Ok(()))
    }

    /// Has the provider remove a client that we registered. Each activation registers a client of its own with a server: nobody
    /// else uses it.
    async fn remove(&self, left: &Leftovers, thing: &Leftover) -> Result<(), StoreError> {
        let Left::Client { issuer, client } = &thing.left else { return Ok(()) };
        let of = left.owner.workspace_connector_id;
        let told = match self.client(of, issuer, client) {
            Ok(client) if !client.is_removable() => return self.grants.told(thing.id, None).await,
            Ok(client) if self.is_used(of, &client).await? => {
                return self.grants.put_back(thing.id, self.world.now() + LEASE).await;
            }
            Ok(client) => self.servers.unregister(&client).await.map_err(Untold::from),
            Err(error) => Err(error.into()),
        };
        if is_put_off(thing, &told) {
            return Ok(());
        }
        let receipt = self.receipt(left.owner, removal(issuer, told));
        self.grants.told(thing.id, Some(&receipt)).await
    }

    /// Whether the activation has a grant of `client` yet, or something that may be one: as long as that is so, it is needed.
    async fn is_used(
        &self,
        of: WorkspaceConnectorId,
        client: &OauthClient,
    ) -> Result<bool, StoreError> {
        let answered = self.authorizations.unsettled(self.world.now(), BATCH).await?;
        let is_full = answered.len() as u64 == BATCH;
        if is_full || answered.iter().any(|it| it.workspace_connector_id == of) {
            return Ok(true);
        }
        let Some(kept) = self.grants.grant(of).await? else { return Ok(false) };
        let held = self.safe.open::<HeldGrant>(Purpose::Grant, of.uuid(), &kept.grant);
        Ok(held.map_or(true, |it| is_same(&it.client, client)))
    }

    /// What there is of a grant, newest first.
    fn opened(&self, of: WorkspaceConnectorId, left: &Left) -> Vec<Opened> {
        match left {
            Left::Answer { authorization_id, grant } => {
                vec![self.safe.open(Purpose::Authorization, *authorization_id, grant)]
            }
            Left::Grant { held, previous, reply, .. } => {
                let open = |it: &Sealed| self.safe.open(Purpose::Grant, of.uuid(), it);
                let replied = reply.as_ref().and_then(|it| self.replied(of, it).transpose());
                let before = previous.as_ref().map(open);
                replied.into_iter().chain([open(held)]).chain(before).collect()
            }
            Left::Client { .. } => Vec::new(),
        }
    }

    /// What the server granted in a reply that nobody came to read, if it did.
    fn replied(
        &self,
        of: WorkspaceConnectorId,
        reply: &Sealed,
    ) -> Result<Option<HeldGrant>, SafeError> {
        let reply: JournaledReply = self.safe.open(Purpose::Grant, of.uuid(), reply)?;
        Ok(reply.granted(&*self.servers))
    }

    fn client(
        &self,
        of: WorkspaceConnectorId,
        issuer: &Issuer,
        client: &Sealed,
    ) -> Result<OauthClient, SafeError> {
        self.safe.open(Purpose::ClientRegistration, OauthClient::row(of, issuer), client)
    }

    fn receipt(&self, owner: Owner, act: Act) -> Receipt {
        let call = Call::of_system(
            owner.organization_id,
            owner.workspace_id,
            self.world.uuid().simple().to_string(),
        );
        let (of, event) =
            (owner.workspace_connector_id, AuditEventId::from_uuid(self.world.uuid()));
        // By its identifier: it may be purged by now.
        call.receipt_of::<WorkspaceConnector>(act, of, event, self.world.now())
    }
}

/// Whether a provider is told again later.
fn is_put_off(thing: &Leftover, told: &Result<(), Untold>) -> bool {
    let may_pass = match told {
        Err(Untold::Server(error)) => error.is_transient(),
        // Another process may have the key.
        Err(Untold::Safe(SafeError::KeyUnknown { .. })) => true,
        _ => false,
    };
    may_pass && thing.tries < TRIES
}

/// What the audit trail says of telling `issuer` that a client is not needed any more.
fn removal(issuer: &Issuer, told: Result<(), Untold>) -> Act {
    let actions = [Action::ClientUnregistered, Action::ClientUnregistrationFailed];
    outcome(Some(issuer), told, actions)
}

/// The first of the actions where `issuer` was told, else the second.
fn outcome(issuer: Option<&Issuer>, told: Result<(), Untold>, [done, failed]: [Action; 2]) -> Act {
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
