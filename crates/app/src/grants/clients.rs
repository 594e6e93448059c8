//! What we are to authorization servers: one client for each activation and issuer, whoever needs it and however many do at once.

use std::{collections::BTreeSet, sync::Arc};

use linkspan_domain::{
    Act, Action, AuditEventId, AuthorizationServer, Call, Issuer, OauthClient, Receipt,
    WorkspaceConnector, WorkspaceConnectorId,
    ports::{
        AuthorizationServers, InPlaceOf, OauthClientStore, OauthError, Purpose, Sealed, StoreError,
        World,
    },
};
use serde_json::json;
use url::Url;

use super::{
    SafeError,
    connecting::{AT_WORK, PENDING},
    safe::Safe,
};

/// Finds clients, registers them and keeps them up.
pub(super) struct Clients {
    store: Arc<dyn OauthClientStore>,
    servers: Arc<dyn AuthorizationServers>,
    safe: Safe,
    world: Arc<dyn World>,
}

/// What is kept for an activation and an issuer.
#[derive(Clone)]
pub(super) struct Found {
    sealed: Option<Sealed>,
    /// The client, if there is one and it opens.
    pub(super) client: Result<Option<OauthClient>, SafeError>,
}

/// For whom a client is registered, and with what.
pub(super) struct Registration<'a> {
    pub(super) call: &'a Call,
    pub(super) of: WorkspaceConnectorId,
    pub(super) redirect_uri: &'a Url,
    pub(super) scopes: &'a BTreeSet<String>,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error(transparent)]
    Server(#[from] OauthError),
    #[error("the client of the activation could not be read or written")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Safe(#[from] SafeError),
}

/// How often a client is written before it is left to others, who write it all the time.
const WRITINGS: usize = 5;

impl Clients {
    pub(super) const fn new(
        store: Arc<dyn OauthClientStore>,
        servers: Arc<dyn AuthorizationServers>,
        safe: Safe,
        world: Arc<dyn World>,
    ) -> Self {
        Self { store, servers, safe, world }
    }

    /// What is kept for an activation and an issuer.
    pub(super) async fn find(
        &self,
        of: WorkspaceConnectorId,
        issuer: &Issuer,
    ) -> Result<Found, ClientError> {
        let sealed = self.store.client(of, issuer).await?;
        let row = OauthClient::row(of, issuer);
        let open = |it: &Sealed| self.safe.open(Purpose::ClientRegistration, row, it);
        let client = sealed.as_ref().map(open).transpose();
        Ok(Found { sealed, client })
    }

    /// Keeps what somebody registered, in the place of any other.
    pub(super) async fn give(
        &self,
        call: &Call,
        of: WorkspaceConnectorId,
        client: &OauthClient,
    ) -> Result<(), ClientError> {
        for _ in 0..WRITINGS {
            let found = self.find(of, &client.issuer).await?;
            if matches!(&found.client, Ok(Some(kept)) if kept == client) {
                return Ok(());
            }
            match self.write(call, of, client, &found, Action::ClientGiven).await {
                Err(ClientError::Store(StoreError::Stale)) => {}
                done => return done,
            }
        }
        Err(StoreError::Stale.into())
    }

    /// Registers with `server` and keeps that in the place of `found`, unless somebody else was faster: then theirs is the client.
    pub(super) async fn register(
        &self,
        by: &Registration<'_>,
        found: &Found,
        server: &AuthorizationServer,
    ) -> Result<OauthClient, ClientError> {
        let client = self.servers.register(server, by.redirect_uri, by.scopes).await?;
        self.keep(by, found, client, Action::ClientRegistered).await
    }

    /// Brings the registration of `client` up to date, and keeps that as [`register`](Self::register) does. Where another is
    /// kept by now, that one stays: the grant itself holds the renewed one.
    pub(super) async fn renew(
        &self,
        by: &Registration<'_>,
        found: &Found,
        client: &OauthClient,
    ) -> Result<OauthClient, ClientError> {
        let client = self.servers.renew(client, by.redirect_uri, by.scopes).await?;
        match &found.client {
            Ok(Some(kept)) if kept.client_id != client.client_id || *kept == client => Ok(client),
            _ => self.keep(by, found, client, Action::ClientRenewed).await,
        }
    }

    async fn keep(
        &self,
        by: &Registration<'_>,
        found: &Found,
        client: OauthClient,
        action: Action,
    ) -> Result<OauthClient, ClientError> {
        let mut found = found.clone();
        for _ in 0..WRITINGS {
            match self.write(by.call, by.of, &client, &found, action).await {
                Err(ClientError::Store(StoreError::Stale)) => {}
                // The activation is purged.
                Err(error @ ClientError::Store(StoreError::Dangling)) => {
                    self.discard(by.of, &client).await;
                    return Err(error);
                }
                done => return done.map(|()| client),
            }
            let now = self.find(by.of, &client.issuer).await?;
            match &now.client {
                Ok(Some(theirs)) if now.client != found.client => {
                    let is_other = theirs.client_id != client.client_id;
                    if is_other && action == Action::ClientRenewed {
                        // A grant may be of it, and holds it itself.
                        return Ok(client);
                    }
                    if is_other {
                        self.discard(by.of, &client).await;
                    }
                    return Ok(theirs.clone());
                }
                // It is the same, sealed with another key, or gone.
                _ => found = now,
            }
        }
        Err(StoreError::Stale.into())
    }

    async fn write(
        &self,
        call: &Call,
        of: WorkspaceConnectorId,
        client: &OauthClient,
        instead_of: &Found,
        action: Action,
    ) -> Result<(), ClientError> {
        let OauthClient { issuer, client_id, .. } = client;
        let row = OauthClient::row(of, issuer);
        let sealed = self.safe.seal(Purpose::ClientRegistration, row, client)?;
        let in_place_of = match (&instead_of.sealed, &instead_of.client) {
            (None, _) => InPlaceOf::Nobody,
            (Some(found), Ok(Some(it))) if it.client_id == *client_id => InPlaceOf::Itself(found),
            (Some(found), _) => InPlaceOf::Another(found, self.world.now() + PENDING + AT_WORK),
        };
        let act = Act { action, details: json!({ "issuer": issuer, "client_id": client_id }) };
        let receipt = self.receipt(call, of, act);
        Ok(self.store.keep_client(of, issuer, &sealed, in_place_of, &receipt).await?)
    }

    fn receipt(&self, call: &Call, of: WorkspaceConnectorId, act: Act) -> Receipt {
        // What answers the call is yet to come.
        let call = Call { claim: None, ..call.clone() };
        let event = AuditEventId::from_uuid(self.world.uuid());
        call.receipt_of::<WorkspaceConnector>(act, of, event, self.world.now())
    }

    /// Removes a registration that nobody uses, best effort.
    async fn discard(&self, of: WorkspaceConnectorId, client: &OauthClient) {
        if !client.is_removable() {
            return;
        }
        if let Err(error) = self.servers.unregister(client).await {
            tracing::warn!(
                workspace_connector = %of, issuer = %client.issuer, client_id = client.client_id,
                error = &error as &dyn std::error::Error,
                "a client that was registered and is not used could not be removed at the provider"
            );
        }
    }
}
