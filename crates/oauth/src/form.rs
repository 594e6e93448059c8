//! Forms in which a client says who it is (RFC 6749 §2.3.1, RFC 7523 §2.2).

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderValue, Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use linkspan_domain::{
    AuthorizationServer, ClientProof, OauthClient, Secret, UnfitProof,
    ports::{ClientSigner, OauthError},
};
use url::form_urlencoded::{Serializer, byte_serialize};

use crate::wire::{JSON, Message};

/// How a form says that a JSON Web Token says who the client is (RFC 7523 §2.2).
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// `fields` as a POST from `client` to `server`, which says who it is in its own way. What it proves itself with is made for
/// this one request.
pub(crate) fn authenticated<'f>(
    signer: &dyn ClientSigner,
    server: &AuthorizationServer,
    client: &'f OauthClient,
    fields: impl IntoIterator<Item = (&'f str, &'f str)>,
) -> Result<Message, OauthError> {
    let mut form = Serializer::new(String::new());
    form.extend_pairs(fields);
    let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
    let mut headers = HeaderMap::from_iter([(ACCEPT, JSON), (CONTENT_TYPE, form_type)]);
    if !matches!(client.proof, ClientProof::SecretBasic(_)) {
        form.append_pair("client_id", &client.client_id);
    }
    match &client.proof {
        ClientProof::None => {}
        ClientProof::SecretBasic(secret) => {
            headers.extend(basic(&client.client_id, secret).map(|it| (AUTHORIZATION, it)));
        }
        ClientProof::SecretPost(secret) => {
            form.append_pair("client_secret", secret.expose());
        }
        ClientProof::PrivateKey(key) => {
            let assertion = signer.assertion(key, &client.client_id, audience(server));
            let assertion = assertion.map_err(UnfitProof::Key)?;
            form.append_pair("client_assertion_type", ASSERTION);
            form.append_pair("client_assertion", assertion.expose());
        }
    }
    Ok(Message { method: Method::POST, headers, body: form.finish().into_bytes() })
}

/// Whom an assertion is for: the issuer, and nobody else, at whatever endpoint.
///
/// RFC 7523 §3 and OpenID Connect Core 1.0 §9 have the token endpoint there. But a server may say in its metadata that the token
/// endpoint of another is its own, and would be sent assertions that the other takes; draft-ietf-oauth-rfc7523bis therefore has
/// the issuer as the only audience. `oidc-provider` takes both, and the conformance suite of MCP the issuer alone. Where the
/// issuer is not known, an operator wrote the endpoint down, or it is the default one of the resource's own origin
/// (`metadata::of_origin`): in neither case did a server name it that may have meant another's.
fn audience(server: &AuthorizationServer) -> &str {
    if server.names_itself { server.issuer.as_str() } else { server.token_endpoint.as_str() }
}

/// Identifier and secret are encoded each by itself, so that a colon in either is none (RFC 6749 §2.3.1).
fn basic(id: &str, secret: &Secret<String>) -> Option<HeaderValue> {
    let id: String = byte_serialize(id.as_bytes()).collect();
    let secret: String = byte_serialize(secret.expose().as_bytes()).collect();
    let value = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let mut value = HeaderValue::from_str(&value).ok()?;
    value.set_sensitive(true);
    Some(value)
}
