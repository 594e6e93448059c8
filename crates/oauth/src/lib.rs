//! Talking to authorization servers: OAuth 2.1 as a client, for connected systems and for MCP servers alike.
//!
//! 1. PKCE with S256 goes with every authorization; a server that advertises other methods alone is refused, and so is one that
//!    guards a protected resource and is silent about it.
//! 2. Metadata counts only for the issuer, and for the resource, that it was asked for. Texts are compared as they are.
//! 3. `resource` is sent wherever a resource is known: to authorize, for tokens, to refresh.
//! 4. Every request goes through `Outbound`, over https or to this very machine, with bounds of size and time, and follows no redirect.
//! 5. What the token endpoint said can be kept before it is read.
//! 6. Only `invalid_grant`, in its own words or a known dialect of them, ends a grant; servers that are busy say nothing about it.
//! 7. Who is let in with too little asks for more, with all that was asked for before, and not for ever.
//! 8. A private key signs for one request and one issuer, and only where the server takes that.
//! 9. Texts of servers are short when they are repeated, hold no control characters, and none of our secrets.

mod authorize;
mod discovery;
mod failure;
mod form;
mod metadata;
mod protected_resource;
mod registration;
mod revocation;
mod step_up;
mod token;
mod wire;
mod words;

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use linkspan_domain::{
    AuthorizationServer, GivenProof, Grant, OauthClient, PendingAuthorization, Secret, UnfitProof,
    ports::{
        AuthorizationAsk, AuthorizationServers, ClientSigner, Discovery, OauthError, OauthTarget,
        Outbound, TokenAsk, TokenReply,
    },
};
use time::OffsetDateTime;
use url::Url;

pub use step_up::{NeverEnough, StepUp};

use crate::wire::Wire;

/// The authorization servers of the internet, reached through an [`Outbound`].
pub struct WebAuthorizationServers {
    wire: Wire,
    signer: Arc<dyn ClientSigner>,
}

impl WebAuthorizationServers {
    /// Reaches them through `outbound`. Where we are known by a private key, `signer` signs.
    pub fn new(outbound: Arc<dyn Outbound>, signer: Arc<dyn ClientSigner>) -> Self {
        Self { wire: Wire::new(outbound), signer }
    }
}

#[async_trait]
impl AuthorizationServers for WebAuthorizationServers {
    async fn discover(&self, target: &OauthTarget) -> Result<Discovery, OauthError> {
        discovery::discover(&self.wire, target).await
    }

    fn preregistered(
        &self,
        server: &AuthorizationServer,
        client_id: String,
        given: GivenProof,
    ) -> Result<OauthClient, UnfitProof> {
        if let GivenProof::PrivateKey(key) = &given {
            self.signer.check(key)?;
        }
        OauthClient::preregistered(server, client_id, given)
    }

    async fn register(
        &self,
        server: &AuthorizationServer,
        redirect_uri: &Url,
        scopes: &BTreeSet<String>,
    ) -> Result<OauthClient, OauthError> {
        registration::register(&self.wire, server, redirect_uri, scopes).await
    }

    async fn renew(
        &self,
        client: &OauthClient,
        redirect_uri: &Url,
        scopes: &BTreeSet<String>,
    ) -> Result<OauthClient, OauthError> {
        registration::renew(&self.wire, client, redirect_uri, scopes).await
    }

    async fn unregister(&self, client: &OauthClient) -> Result<(), OauthError> {
        registration::unregister(&self.wire, client).await
    }

    fn begin(
        &self,
        ask: AuthorizationAsk,
        state: &Secret<String>,
    ) -> Result<(Url, PendingAuthorization), OauthError> {
        authorize::begin(ask, state)
    }

    async fn ask(&self, ask: &TokenAsk<'_>) -> Result<TokenReply, OauthError> {
        token::ask(&self.wire, &*self.signer, ask).await
    }

    fn read(
        &self,
        ask: &TokenAsk<'_>,
        reply: &TokenReply,
        now: OffsetDateTime,
    ) -> Result<Grant, OauthError> {
        token::read(ask, reply, now)
    }

    async fn revoke(
        &self,
        server: &AuthorizationServer,
        client: &OauthClient,
        grant: &Grant,
    ) -> Result<(), OauthError> {
        revocation::revoke(&self.wire, &*self.signer, server, client, grant).await
    }
}
