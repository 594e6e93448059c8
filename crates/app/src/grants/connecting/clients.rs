//! What we are to a provider: the client that was given, the one that is kept, the document about us, else one that we
//! register. One for each activation and issuer: another server never sees it.
//!
//! A client that was given is kept once it brought a grant: whoever tries a wrong one takes nothing away.

use std::collections::BTreeSet;

use linkspan_domain::{
    AuthorizationServer, Call, ClientOrigin, OauthClient, WorkspaceConnectorId,
    ports::{OauthError, StoreError},
};
use url::Url;

use super::{Authorize, ConnectError, Connecting, GivenClient};
use crate::grants::{
    SafeError,
    clients::{ClientError, Registration},
};

impl Connecting {
    /// What we are to `server`, for the activation `of`.
    pub(super) async fn client(
        &self,
        call: &Call,
        of: WorkspaceConnectorId,
        server: &AuthorizationServer,
        authorize: &Authorize,
        redirect_uri: &Url,
        scopes: &BTreeSet<String>,
    ) -> Result<OauthClient, ConnectError> {
        if let Some(GivenClient { id: client_id, proof }) = &authorize.client {
            return Ok(self.servers.preregistered(server, client_id.clone(), proof.clone())?);
        }
        let found = self.clients.find(of, &server.issuer).await?;
        let kept = match &found.client {
            // Connecting anew is what makes up for a key that is lost.
            Err(SafeError::KeyUnknown { key_id, .. }) => {
                tracing::warn!(workspace_connector = %of, %key_id, "a client of a lost key is replaced");
                None
            }
            opened => opened.clone()?,
        };
        let by = Registration { call, of, redirect_uri, scopes };
        // The address of this platform may be another one since.
        let comes_back =
            |it: &OauthClient| it.redirect_uri.as_ref().is_none_or(|it| it == redirect_uri);
        let is_current = |it: &&OauthClient| it.is_valid(self.world.now()) && comes_back(it);
        let mut is_forgotten = false;
        if let Some(kept) = kept.as_ref().filter(is_current) {
            if kept.registration_uri.is_none() {
                return Ok(kept.clone());
            }
            // Some servers hold a client to the scopes that it was registered for, and some have forgotten it: a person would see
            // that on a page of theirs, and nobody else.
            match self.clients.renew(&by, &found, kept).await {
                Err(ClientError::Server(OauthError::InvalidClient { .. })) => is_forgotten = true,
                // One that does not renew it may know it all the same.
                Err(ClientError::Server(_)) => return Ok(kept.clone()),
                done => return Ok(done?),
            }
        }
        if let Some(document) = self.addresses.client_document()
            && server.reads_client_documents
        {
            return Ok(OauthClient::by_document(server, &document));
        }
        if let Some(kept) = kept.filter(|it| it.registration_uri.is_some() && !is_forgotten) {
            match self.clients.renew(&by, &found, &kept).await {
                // The server does not know it any more, or renews nothing.
                Err(ClientError::Server(error)) if error.is_refusal() => {}
                done => return Ok(done?),
            }
        }
        if server.registration_endpoint.is_none() {
            return Err(ConnectError::NoClient { issuer: server.issuer.clone() });
        }
        Ok(self.clients.register(&by, &found, server).await?)
    }

    /// Keeps `client`, with which the activation `of` was just granted something, if somebody gave it.
    pub(super) async fn keep_given(
        &self,
        call: &Call,
        of: WorkspaceConnectorId,
        client: &OauthClient,
    ) -> Result<(), ConnectError> {
        if client.origin != ClientOrigin::Preregistered {
            return Ok(());
        }
        let kept = self.clients.give(call, of, client).await;
        kept.map_err(|error| match error {
            // The activation is purged, which the next look at it shows.
            ClientError::Store(StoreError::Dangling) => ConnectError::Store(StoreError::Stale),
            error => error.into(),
        })
    }
}
