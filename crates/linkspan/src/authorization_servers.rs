//! The way to authorization servers, in a program that is built without one.

use std::collections::BTreeSet;

use async_trait::async_trait;
use linkspan_domain::{
    AuthorizationServer, Grant, OauthClient, PendingAuthorization, Secret,
    ports::{
        AuthorizationAsk, AuthorizationServers, Discovery, OauthError, OauthTarget, TokenAsk,
        TokenReply,
    },
};
use time::OffsetDateTime;
use url::Url;

/// Says of everything that this program is built without it.
pub(crate) struct NoAuthorizationServers;

fn absent() -> OauthError {
    OauthError::Unsupported { host: "this program".to_owned(), what: "OAuth" }
}

#[async_trait]
impl AuthorizationServers for NoAuthorizationServers {
    async fn discover(&self, _: &OauthTarget) -> Result<Discovery, OauthError> {
        Err(absent())
    }

    async fn register(
        &self,
        _: &AuthorizationServer,
        _: &Url,
        _: &BTreeSet<String>,
    ) -> Result<OauthClient, OauthError> {
        Err(absent())
    }

    async fn renew(
        &self,
        _: &OauthClient,
        _: &Url,
        _: &BTreeSet<String>,
    ) -> Result<OauthClient, OauthError> {
        Err(absent())
    }

    async fn unregister(&self, _: &OauthClient) -> Result<(), OauthError> {
        Err(absent())
    }

    fn begin(
        &self,
        _: AuthorizationAsk,
        _: &Secret<String>,
    ) -> Result<(Url, PendingAuthorization), OauthError> {
        Err(absent())
    }

    async fn ask(&self, _: &TokenAsk<'_>) -> Result<TokenReply, OauthError> {
        Err(absent())
    }

    fn read(
        &self,
        _: &TokenAsk<'_>,
        _: &TokenReply,
        _: OffsetDateTime,
    ) -> Result<Grant, OauthError> {
        Err(absent())
    }

    async fn revoke(
        &self,
        _: &AuthorizationServer,
        _: &OauthClient,
        _: &Grant,
    ) -> Result<(), OauthError> {
        Err(absent())
    }
}
