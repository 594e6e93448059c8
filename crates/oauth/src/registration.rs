//! Registering with an authorization server, and keeping it up (RFC 7591, RFC 7592).

use std::collections::BTreeSet;

use http::{HeaderMap, HeaderValue, Method, header};
use linkspan_domain::{
    AuthorizationServer, ClientAuthentication, ClientMetadata, ClientOrigin, ClientProof, Issuer,
    OauthClient, Secret, is_private_transport, ports::OauthError,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use url::Url;

use crate::{
    failure::refusal,
    metadata::endpoint,
    wire::{Answered, JSON, Message, Wire, host},
    words::secrets_of,
};

/// What the server knows of us (RFC 7591 §3.2.1), as far as we use it.
#[derive(Deserialize)]
struct Registered {
    client_id: String,
    #[serde(default)]
    client_secret: Option<Secret<String>>,
    #[serde(default)]
    client_secret_expires_at: Option<i64>,
    #[serde(default)]
    token_endpoint_auth_method: Option<String>,
    #[serde(default)]
    redirect_uris: Option<Vec<String>>,
    #[serde(default)]
    registration_client_uri: Option<String>,
    #[serde(default)]
    registration_access_token: Option<Secret<String>>,
}

/// What we want to be from now on (RFC 7592 §2.2).
#[derive(Serialize)]
struct Update<'c> {
    client_id: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'c str>,
    #[serde(flatten)]
    metadata: ClientMetadata,
}

/// Registers us with `server`.
pub(crate) async fn register(
    wire: &Wire,
    server: &AuthorizationServer,
    redirect_uri: &Url,
    scopes: &BTreeSet<String>,
) -> Result<OauthClient, OauthError> {
    let nowhere = || OauthError::Unsupported {
        host: host(&server.token_endpoint),
        what: "dynamic client registration; register a client there by hand and enter its client id",
    };
    let place = server.registration_endpoint.as_ref().ok_or_else(nowhere)?;
    comes_back_safely(redirect_uri)?;
    // With a secret if the server gives any: nobody else can use what was granted to us then.
    let wanted = server.secret_authentication().unwrap_or(ClientAuthentication::None);
    server.takes(wanted)?;
    let metadata = ClientMetadata::registration(redirect_uri, wanted, scopes);
    let answered = wire.send(place, json(Method::POST, &metadata, None)).await?;
    if matches!(answered.status.as_u16(), 404 | 405 | 501) {
        return Err(nowhere());
    }
    let registered = read(&server.issuer, &answered, &[])?;
    registered.client(&server.issuer, wanted, redirect_uri, &answered.host)
}

/// Tells the server what we are now, and learns what it has for us. A server that does not let us change anything is read.
pub(crate) async fn renew(
    wire: &Wire,
    client: &OauthClient,
    redirect_uri: &Url,
    scopes: &BTreeSet<String>,
) -> Result<OauthClient, OauthError> {
    let (place, token) = upkeep(client)?;
    comes_back_safely(redirect_uri)?;
    let update = Update {
        client_id: &client.client_id,
        client_secret: client.proof.secret().map(|it| it.expose().as_str()),
        metadata: ClientMetadata::registration(redirect_uri, client.proof.way(), scopes),
    };
    let mut answered = wire.send(place, json(Method::PUT, &update, Some(token))).await?;
    if matches!(answered.status.as_u16(), 405 | 501) {
        answered = wire.send(place, bare(Method::GET, token)).await?;
    }
    let mut registered = read(&client.issuer, &answered, &secrets_of(client))?;
    if registered.client_id != client.client_id {
        let what = "answers with the registration of another client";
        return Err(OauthError::Unsound { host: answered.host, what });
    }
    // What the answer leaves out is as it was.
    registered.client_secret = registered.client_secret.or_else(|| client.proof.secret().cloned());
    let renewed =
        registered.client(&client.issuer, client.proof.way(), redirect_uri, &answered.host)?;
    Ok(OauthClient {
        registration_uri: renewed.registration_uri.or_else(|| client.registration_uri.clone()),
        registration_token: renewed
            .registration_token
            .or_else(|| client.registration_token.clone()),
        ..renewed
    })
}

/// Removes our registration.
pub(crate) async fn unregister(wire: &Wire, client: &OauthClient) -> Result<(), OauthError> {
    let (place, token) = upkeep(client)?;
    let answered = wire.send(place, bare(Method::DELETE, token)).await?;
    if answered.status.is_success() {
        return Ok(());
    }
    Err(refused(&client.issuer, &answered, &secrets_of(client)))
}

fn upkeep(client: &OauthClient) -> Result<(&Url, &Secret<String>), OauthError> {
    client.registration_uri.as_ref().zip(client.registration_token.as_ref()).ok_or_else(|| {
        let host =
            client.issuer.as_str().parse::<Url>().map_or_else(|_| String::new(), |it| host(&it));
        OauthError::Unsupported {
            host,
            what: "way to change or remove this registration (RFC 7592)",
        }
    })
}

/// A code travels with the person: where they come back to, nobody may listen (RFC 9700 §4.1, §2.6).
pub(crate) fn comes_back_safely(redirect_uri: &Url) -> Result<(), OauthError> {
    let safe = is_private_transport(redirect_uri) && redirect_uri.fragment().is_none();
    safe.then_some(()).ok_or_else(|| OauthError::Unsound {
        host: host(redirect_uri),
        what: "would have people come back over http; set the public URL of this server to https",
    })
}

fn json(method: Method, content: &impl Serialize, token: Option<&Secret<String>>) -> Message {
    let mut headers = HeaderMap::from_iter([(header::ACCEPT, JSON), (header::CONTENT_TYPE, JSON)]);
    headers.extend(token.and_then(bearer).map(|it| (header::AUTHORIZATION, it)));
    Message { method, headers, body: serde_json::to_vec(content).unwrap_or_default() }
}

fn bare(method: Method, token: &Secret<String>) -> Message {
    let mut headers = HeaderMap::from_iter([(header::ACCEPT, JSON)]);
    headers.extend(bearer(token).map(|it| (header::AUTHORIZATION, it)));
    Message { method, headers, body: Vec::new() }
}

fn bearer(token: &Secret<String>) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn read(issuer: &Issuer, answered: &Answered, secrets: &[&str]) -> Result<Registered, OauthError> {
    if !answered.status.is_success() {
        return Err(refused(issuer, answered, secrets));
    }
    answered.json().ok_or_else(|| OauthError::Unsound {
        host: answered.host.clone(),
        what: "answers the registration with something that is none",
    })
}

fn refused(issuer: &Issuer, answered: &Answered, secrets: &[&str]) -> OauthError {
    if answered.is_busy() {
        return answered.busy(issuer);
    }
    let status = answered.status.as_u16();
    let body: Option<Value> = answered.json();
    match refusal(issuer, status, body.as_ref(), answered.retry_after(), secrets) {
        // Of a registration that is gone, its token is (RFC 7592 §2.1): the client is what is invalid.
        OauthError::Refused { code, said, .. } if status == 401 || code == "invalid_token" => {
            OauthError::InvalidClient { issuer: issuer.clone(), said }
        }
        other => other,
    }
}

impl Registered {
    fn client(
        self,
        issuer: &Issuer,
        wanted: ClientAuthentication,
        redirect_uri: &Url,
        host: &str,
    ) -> Result<OauthClient, OauthError> {
        let unsound = |what| OauthError::Unsound { host: host.to_owned(), what };
        let is_name = |it: &str| !it.is_empty() && it.chars().all(|it| matches!(it, ' '..='~'));
        if !is_name(&self.client_id) {
            return Err(unsound("registers us under a name that no client can have"));
        }
        let elsewhere =
            |them: Vec<String>| them.iter().all(|it| it.as_str() != redirect_uri.as_str());
        if self.redirect_uris.is_some_and(elsewhere) {
            return Err(unsound("registers us with another redirect URI"));
        }
        let given = match self.token_endpoint_auth_method.as_deref() {
            None => wanted,
            Some(method) => method.parse().map_err(|_| {
                unsound("registers us with a way to say who we are that we do not know")
            })?,
        };
        let proof = match (given, self.client_secret) {
            (ClientAuthentication::PrivateKeyJwt, _) => {
                return Err(unsound("registers us as a client that has a private key"));
            }
            (ClientAuthentication::ClientSecretBasic, Some(secret)) => {
                ClientProof::SecretBasic(secret)
            }
            (ClientAuthentication::ClientSecretPost, Some(secret)) => {
                ClientProof::SecretPost(secret)
            }
            // Who got no secret has none to show, whatever the answer says.
            (ClientAuthentication::None, _) | (_, None) => ClientProof::None,
        };
        Ok(OauthClient {
            issuer: issuer.clone(),
            origin: ClientOrigin::Dynamic,
            client_id: self.client_id,
            proof,
            // Zero means never (RFC 7591 §3.2.1).
            secret_expires_at: self
                .client_secret_expires_at
                .filter(|it| *it != 0)
                .and_then(|it| OffsetDateTime::from_unix_timestamp(it).ok()),
            redirect_uri: Some(redirect_uri.clone()),
            // The client is good without it.
            registration_uri: self.registration_client_uri.and_then(|it| endpoint(&it, host).ok()),
            registration_token: self.registration_access_token,
        })
    }
}
