//! What we are to a provider: the client that was given, the one that is kept, the document about us, else one that we
//! register. One for each activation and issuer: another server never sees it.

use std::collections::BTreeSet;

use linkspan_domain::{AuthorizationServer, OauthClient, WorkspaceConnectorId, ports::Purpose};
use url::Url;

use super::{Authorize, ConnectError, Connecting, GivenClient};
use crate::grants::SafeError;

impl Connecting {
    /// What we are to `server`, for the activation `id`.
    pub(super) async fn client(
        &self,
        id: WorkspaceConnectorId,
        server: &AuthorizationServer,
        authorize: &Authorize,
        redirect_uri: &Url,
        scopes: &BTreeSet<String>,
    ) -> Result<OauthClient, ConnectError> {
        if let Some(GivenClient { id: client_id, secret }) = &authorize.client {
            let client = OauthClient::preregistered(server, client_id.clone(), secret.clone());
            self.keep_client(id, &client).await?;
            return Ok(client);
        }
        let kept = self.kept_client(id, server).await?;
        if let Some(kept) = kept.as_ref().filter(|it| it.is_valid(self.world.now())) {
            if authorize.scopes.is_empty() || kept.registration_uri.is_none() {
                return Ok(kept.clone());
            }
            // Some servers hold a client to the scopes that it was registered for. One that does not renew it may not be one.
            let Ok(client) = self.servers.renew(kept, redirect_uri, scopes).await else {
                return Ok(kept.clone());
            };
            self.keep_client(id, &client).await?;
            return Ok(client);
        }
        if let Some(document) = self.addresses.client_document()
            && server.reads_client_documents
        {
            return Ok(OauthClient::by_document(server, &document));
        }
        let renewed = match kept.filter(|it| it.registration_uri.is_some()) {
            Some(kept) => self.servers.renew(&kept, redirect_uri, scopes).await.ok(),
            None => None,
        };
        let client = match renewed {
            Some(client) => client,
            None if server.registration_endpoint.is_none() => {
                return Err(ConnectError::NoClient { issuer: server.issuer.clone() });
            }
            None => {
                let registered = self.servers.register(server, redirect_uri, scopes).await;
                registered.map_err(ConnectError::Server)?
            }
        };
        self.keep_client(id, &client).await?;
        Ok(client)
    }

    async fn kept_client(
        &self,
        id: WorkspaceConnectorId,
        server: &AuthorizationServer,
    ) -> Result<Option<OauthClient>, ConnectError> {
        let found = self.stores.clients.client(id, &server.issuer).await;
        let Some(sealed) = found.map_err(ConnectError::Store)? else { return Ok(None) };
        let row = OauthClient::row(id, &server.issuer);
        match self.safe.open(Purpose::ClientRegistration, row, &sealed) {
            // Connecting anew is what makes up for a key that is lost.
            Err(SafeError::KeyUnknown { key_id, .. }) => {
                tracing::warn!(workspace_connector = %id, %key_id, "a client of a lost key is replaced");
                Ok(None)
            }
            opened => Ok(Some(opened?)),
        }
    }

    async fn keep_client(
        &self,
        id: WorkspaceConnectorId,
        client: &OauthClient,
    ) -> Result<(), ConnectError> {
        let row = OauthClient::row(id, &client.issuer);
        let sealed = self.safe.seal(Purpose::ClientRegistration, row, client)?;
        let kept = self.stores.clients.keep_client(id, &client.issuer, &sealed).await;
        kept.map_err(ConnectError::Store)
    }
}
