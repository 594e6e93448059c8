//! Telling a server that tokens are not needed any more (RFC 7009).

use linkspan_domain::{AuthorizationServer, Grant, OauthClient, Secret, ports::OauthError};
use serde_json::Value;
use url::Url;

use crate::{
    failure::refusal,
    form::authenticated,
    wire::{Wire, host},
    words::secrets_of,
};

/// Revokes both tokens of `grant`, the one that lives longer first. The second is tried whatever becomes of the first.
pub(crate) async fn revoke(
    wire: &Wire,
    server: &AuthorizationServer,
    client: &OauthClient,
    grant: &Grant,
) -> Result<(), OauthError> {
    let Some(place) = &server.revocation_endpoint else {
        let host = host(&server.token_endpoint);
        return Err(OauthError::Unsupported { host, what: "revocation of tokens (RFC 7009)" });
    };
    let refresh = match &grant.refresh_token {
        Some(token) => one(wire, place, client, token, "refresh_token").await,
        None => Ok(()),
    };
    let access = one(wire, place, client, &grant.access_token, "access_token").await;
    refresh.and(access)
}

async fn one(
    wire: &Wire,
    place: &Url,
    client: &OauthClient,
    token: &Secret<String>,
    hint: &str,
) -> Result<(), OauthError> {
    let fields = [("token", token.expose().as_str()), ("token_type_hint", hint)];
    let answered = wire.send(place, authenticated(client, fields)).await?;
    if answered.status.is_success() {
        return Ok(());
    }
    if answered.is_busy() {
        return Err(answered.busy(&client.issuer));
    }
    let mut secrets = secrets_of(client);
    secrets.push(token.expose());
    let status = answered.status.as_u16();
    let body: Option<Value> = answered.json();
    Err(refusal(&client.issuer, status, body.as_ref(), answered.retry_after(), &secrets))
}
