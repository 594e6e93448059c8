//! A made-up internet: what is not on it is 404.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use linkspan_domain::{
    AuthConfig, AuthorizationFlow, AuthorizationServer, ClientKey, ClientProof, GivenProof, Issuer,
    OauthClient, Secret,
    ports::{
        AuthorizationAsk, ClientSigner, Limits, OauthTarget, Outbound, OutboundBody, OutboundError,
        OutboundRequest, OutboundResponse, Redirects,
    },
};
use linkspan_oauth::WebAuthorizationServers;
use linkspan_testkit::RealTime;
use linkspan_vault::ClientKeys;
use serde_json::{Value, json};
use url::Url;

pub(crate) const RESOURCE: &str = "https://files.test/mcp";
pub(crate) const ISSUER: &str = "https://login.test";
pub(crate) const BACK: &str = "https://link.test/v1/oauth/callback";

/// Pages by method and URL, and what was asked of them.
#[derive(Default)]
pub(crate) struct Site {
    pages: Mutex<Vec<(String, Page)>>,
    seen: Mutex<Vec<Seen>>,
}

/// What a page answers.
#[derive(Clone, Default)]
pub(crate) struct Page {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// The URL that answers in its place.
    moved: Option<Url>,
}

/// A request as it left.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) limits: Limits,
    pub(crate) redirects: Redirects,
}

impl Page {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self { status, body: body.to_string().into_bytes(), ..Self::default() }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn answered_by(self, url: &str) -> Self {
        Self { moved: Some(url.parse().unwrap()), ..self }
    }
}

impl Seen {
    /// The fields of the form that was sent.
    pub(crate) fn form(&self) -> Vec<(String, String)> {
        let mut fields: Vec<_> = url::form_urlencoded::parse(&self.body).into_owned().collect();
        fields.sort();
        fields
    }

    pub(crate) fn field(&self, name: &str) -> Option<String> {
        self.form().into_iter().find(|(it, _)| it == name).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn authorization(&self) -> Option<&str> {
        self.headers.get("authorization").map(|it| it.to_str().unwrap())
    }
}

impl Site {
    /// A page at `place`, such as `GET https://a.test/`; one that was there is gone.
    pub(crate) fn put(&self, place: &str, page: Page) -> &Self {
        let mut pages = self.pages.lock().unwrap();
        pages.retain(|(it, _)| it != place);
        pages.push((place.to_owned(), page));
        self
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Every request so far, in the words of [`put`](Self::put).
    pub(crate) fn asked(&self) -> Vec<String> {
        self.seen().iter().map(|it| format!("{} {}", it.method, it.url)).collect()
    }

    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("nothing was asked")
    }
}

#[async_trait]
impl Outbound for Site {
    async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        let OutboundRequest { method, url, headers, body, limits, redirects } = request;
        let body = match body {
            OutboundBody::Bytes(bytes) => bytes.to_vec(),
            OutboundBody::Empty => Vec::new(),
            OutboundBody::Stream(_) => panic!("nothing here is a stream"),
        };
        let place = format!("{method} {url}");
        let seen = Seen { method, url: url.clone(), headers, body, limits, redirects };
        self.seen.lock().unwrap().push(seen);
        let pages = self.pages.lock().unwrap();
        let page = pages.iter().find(|(it, _)| *it == place);
        let page = page.map_or_else(|| Page::status(404), |(_, page)| page.clone());
        let headers = page.headers.iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        });
        let whole = stream::iter([Ok(Bytes::from(page.body))]).boxed();
        Ok(OutboundResponse {
            status: StatusCode::from_u16(page.status).unwrap(),
            headers: headers.collect(),
            url: page.moved.unwrap_or(url),
            body: whole,
        })
    }
}

/// The client, and the internet that it sees.
pub(crate) fn client_on(site: &Arc<Site>) -> WebAuthorizationServers {
    WebAuthorizationServers::new(Arc::clone(site) as Arc<dyn Outbound>, signer())
}

/// What signs for clients that are known by a key.
pub(crate) fn signer() -> Arc<dyn ClientSigner> {
    Arc::new(ClientKeys::new(Arc::new(RealTime)))
}

/// An internet with a resource, and with the server that guards it.
pub(crate) fn guarded() -> Arc<Site> {
    let site = Site::default();
    site.put(
        "GET https://files.test/.well-known/oauth-protected-resource/mcp",
        Page::json(200, &resource_metadata()),
    );
    site.put(
        "GET https://login.test/.well-known/oauth-authorization-server",
        Page::json(200, &server_metadata()),
    );
    Arc::new(site)
}

pub(crate) fn resource_metadata() -> Value {
    json!({
        "resource": RESOURCE,
        "authorization_servers": [ISSUER],
        "scopes_supported": ["files:read"],
    })
}

pub(crate) fn server_metadata() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://login.test/authorize",
        "token_endpoint": "https://login.test/token",
        "registration_endpoint": "https://login.test/register",
        "revocation_endpoint": "https://login.test/revoke",
        "token_endpoint_auth_methods_supported":
            ["none", "private_key_jwt", "client_secret_post", "client_secret_basic"],
        "code_challenge_methods_supported": ["plain", "S256"],
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": true,
    })
}

/// A resource that is asked who guards it.
pub(crate) fn target() -> OauthTarget {
    OauthTarget {
        flow: AuthorizationFlow::OauthDcr,
        config: AuthConfig::default(),
        resource: Some(url(RESOURCE)),
        challenge: None,
    }
}

pub(crate) fn server() -> AuthorizationServer {
    AuthorizationServer {
        issuer: Issuer::new(ISSUER.to_owned()),
        names_itself: true,
        authorization_endpoint: Some(url("https://login.test/authorize")),
        token_endpoint: url("https://login.test/token"),
        registration_endpoint: Some(url("https://login.test/register")),
        revocation_endpoint: Some(url("https://login.test/revoke")),
        authentications: vec![],
        scopes: None,
        challenge_methods: Some(set(&["S256"])),
        sends_issuer: false,
        reads_client_documents: false,
    }
}

pub(crate) fn confidential() -> OauthClient {
    with(ClientProof::SecretBasic(secret("client-s3cret")))
}

pub(crate) fn with(proof: ClientProof) -> OauthClient {
    let client = OauthClient::preregistered(&server(), "us".to_owned(), GivenProof::None);
    OauthClient { proof, ..client.unwrap() }
}

/// A key that clients have.
pub(crate) fn key(pem: &str, id: Option<&str>) -> ClientKey {
    ClientKey { pem: secret(pem), id: id.map(str::to_owned) }
}

pub(crate) fn authorization() -> AuthorizationAsk {
    AuthorizationAsk {
        server: server(),
        client: confidential(),
        redirect_uri: url(BACK),
        resource: Some(RESOURCE.to_owned()),
        scopes: set(&["files:read"]),
        return_to: None,
    }
}

pub(crate) fn url(text: &str) -> Url {
    text.parse().unwrap()
}

pub(crate) fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

pub(crate) fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|&it| it.to_owned()).collect()
}

/// The value of a parameter of `url`.
pub(crate) fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(it, _)| it == name).map(|(_, value)| value.into_owned())
}
