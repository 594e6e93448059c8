//! Sending a person to agree (RFC 6749 §4.1.1, RFC 7636).

use linkspan_domain::{
    AuthorizationServer, PendingAuthorization, Secret,
    ports::{AuthorizationAsk, OauthError},
};
use oauth2::{
    AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, RedirectUrl, Scope, basic::BasicClient,
};
use url::Url;

use crate::{registration::comes_back_safely, wire::host};

/// Where the person goes, and what is remembered.
pub(crate) fn begin(
    ask: AuthorizationAsk,
    state: &Secret<String>,
) -> Result<(Url, PendingAuthorization), OauthError> {
    let AuthorizationAsk { server, client, redirect_uri, resource, scopes, return_to } = ask;
    let unsupported = |what| OauthError::Unsupported { host: host(&server.token_endpoint), what };
    let Some(endpoint) = server.authorization_endpoint.clone() else {
        return Err(unsupported("authorization endpoint"));
    };
    if server.challenge_methods.as_ref().is_some_and(|it| !it.contains("S256")) {
        return Err(unsupported("PKCE with S256"));
    }
    server.takes(client.proof.way())?;
    comes_back_safely(&redirect_uri)?;
    let scopes = server.with_offline_access(scopes);
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let requester = BasicClient::new(ClientId::new(client.client_id.clone()))
        .set_auth_uri(AuthUrl::from_url(endpoint))
        .set_redirect_uri(RedirectUrl::from_url(redirect_uri.clone()));
    let mut request = requester
        .authorize_url(|| CsrfToken::new(state.expose().clone()))
        .set_pkce_challenge(challenge)
        .add_scopes(scopes.iter().cloned().map(Scope::new));
    if let Some(resource) = &resource {
        request = request.add_extra_param("resource", resource.clone());
    }
    if scopes.contains(AuthorizationServer::OFFLINE_ACCESS) {
        // Without the person's consent a server passes over the scope (OpenID Connect Core 1.0 §11).
        request = request.add_extra_param("prompt", "consent");
    }
    let url = request.url().0;
    let verifier = Secret::new(verifier.into_secret());
    let pending = PendingAuthorization {
        server,
        client,
        verifier,
        redirect_uri,
        resource,
        scopes,
        return_to,
        url: Secret::new(url.to_string()),
    };
    Ok((url, pending))
}
