//! Telling a server that tokens are not needed any more (RFC 7009).

use linkspan_domain::{
    AuthorizationServer, Grant, OauthClient, Secret,
    ports::{ClientSigner, OauthError},
};
use serde_json::Value;
use url::Url;

use crate::{
    failure::refusal,
    form::authenticated,
    wire::{Message, Wire, host},
    words::secrets_of,
};

/// Revokes both tokens of `grant`, the one that lives longer first. The second is tried whatever becomes of the first.
pub(crate) async fn revoke(
    wire: &Wire,
    signer: &dyn ClientSigner,
    server: &AuthorizationServer,
    client: &OauthClient,
    grant: &Grant,
) -> Result<(), OauthError> {
    let Some(place) = &server.revocation_endpoint else {
        let host = host(&server.token_endpoint);
        return Err(OauthError::Unsupported { host, what: "revocation of tokens (RFC 7009)" });
    };
    let one = async |token: &Secret<String>, hint| {
        let fields = [("token", token.expose().as_str()), ("token_type_hint", hint)];
        one(wire, place, client, token, authenticated(signer, server, client, fields)?).await
    };
    let refresh = match &grant.refresh_token {
        Some(token) => one(token, "refresh_token").await,
        None => Ok(()),
    };
    let access = one(&grant.access_token, "access_token").await;
    refresh.and(access)
}

async fn one(
    wire: &Wire,
    place: &Url,
    client: &OauthClient,
    token: &Secret<String>,
    message: Message,
) -> Result<(), OauthError> {
    let answered = wire.send(place, message).await?;
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
