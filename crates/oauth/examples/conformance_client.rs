//! What the conformance suite of MCP runs: this crate's OAuth under the streamable HTTP of `rmcp`.
//!
//! `cargo xtask suite mcp-auth` runs it. The suite appends the URL of its server, and says more in the environment.

use std::{collections::HashMap, error::Error, sync::Arc, time::SystemTime};

use http::{Method, header::LOCATION};
use linkspan_domain::{
    AuthConfig, AuthorizationFlow, AuthorizationServer, ClientKey, GivenProof, Issuer, OauthClient,
    Secret,
    ports::{
        AuthorizationAsk, AuthorizationServers, Discovery, OauthTarget, Outbound, OutboundRequest,
        Redirects, TokenAsk, TokenRight,
    },
};
use linkspan_egress::{EgressPolicy, GuardedClient};
use linkspan_oauth::{StepUp, WebAuthorizationServers};
use linkspan_testkit::RealTime;
use linkspan_vault::ClientKeys;
use rmcp::{
    ServiceError,
    model::{CallToolRequestParams, ProtocolVersion},
    service::{ClientLifecycleMode, ClientServiceExt},
    transport::{
        StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use serde::Deserialize;
use url::Url;

type Failure = Box<dyn Error>;

/// The document that the suite takes for our identifier.
const DOCUMENT: &str = "https://conformance-test.local/client-metadata.json";
/// Where people would come back to. Nobody listens: the redirect is read, not followed.
const BACK: &str = "http://127.0.0.1:7777/callback";

/// What the suite says beside the URL.
#[derive(Default, Deserialize)]
struct Context {
    client_id: Option<String>,
    client_secret: Option<Secret<String>>,
    private_key_pem: Option<Secret<String>>,
}

impl Context {
    /// What proves that we are the client that it names.
    fn proof(&self) -> GivenProof {
        match (&self.client_secret, &self.private_key_pem) {
            (_, Some(pem)) => GivenProof::PrivateKey(ClientKey { pem: pem.clone(), id: None }),
            (Some(secret), None) => GivenProof::Secret(secret.clone()),
            (None, None) => GivenProof::None,
        }
    }
}

/// How a visit ended.
enum Visit {
    Done,
    Challenged(String),
}

struct Visitor {
    resource: Url,
    outbound: Arc<dyn Outbound>,
    oauth: WebAuthorizationServers,
    lifecycle: ClientLifecycleMode,
    by_itself: bool,
    context: Context,
    clients: HashMap<Issuer, OauthClient>,
    step_up: StepUp,
    token: Option<Secret<String>>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_other| "another TLS provider is installed")?;
    let resource = std::env::args().nth(1).ok_or("the URL of the server is missing")?;
    let mut visitor = Visitor::new(resource.parse()?)?;
    while let Visit::Challenged(challenge) = visitor.visit().await? {
        visitor.authorize(challenge).await?;
    }
    Ok(())
}

/// What the suite says in the environment.
#[expect(clippy::disallowed_methods, reason = "the suite speaks through the environment")]
fn said(name: &str) -> Option<String> {
    std::env::var(format!("MCP_CONFORMANCE_{name}")).ok()
}

impl Visitor {
    fn new(resource: Url) -> Result<Self, Failure> {
        let loopback = EgressPolicy::new(vec!["127.0.0.0/8".parse()?, "::1/128".parse()?]);
        let outbound: Arc<dyn Outbound> = Arc::new(GuardedClient::new(loopback)?);
        let lifecycle = match said("PROTOCOL_VERSION").as_deref() {
            Some("2026-07-28") => ClientLifecycleMode::Discover {
                preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            },
            _ => ClientLifecycleMode::Initialize,
        };
        let context = said("CONTEXT").map(|it| serde_json::from_str(&it)).transpose()?;
        Ok(Self {
            resource,
            oauth: WebAuthorizationServers::new(
                Arc::clone(&outbound),
                Arc::new(ClientKeys::new(Arc::new(RealTime))),
            ),
            outbound,
            lifecycle,
            by_itself: said("SCENARIO").is_some_and(|it| it.starts_with("auth/client-credentials")),
            context: context.unwrap_or_default(),
            clients: HashMap::new(),
            step_up: StepUp::default(),
            token: None,
        })
    }

    /// Lists the tools of the server, and calls the first.
    async fn visit(&self) -> Result<Visit, Failure> {
        let mut config = StreamableHttpClientTransportConfig::with_uri(self.resource.as_str());
        if let Some(token) = &self.token {
            config = config.auth_header(token.expose());
        }
        let transport = StreamableHttpClientTransport::from_config(config);
        let service = match ().serve_with_lifecycle(transport, self.lifecycle.clone()).await {
            Ok(service) => service,
            Err(failure) => {
                let challenge = failure.auth_challenge().map(str::to_owned);
                return challenge.map(Visit::Challenged).ok_or_else(|| failure.into());
            }
        };
        let answered = async {
            if let Some(tool) = service.list_all_tools().await?.into_iter().next() {
                service.call_tool(CallToolRequestParams::new(tool.name)).await?;
            }
            Ok::<(), ServiceError>(())
        };
        let answered = answered.await;
        let _ = service.cancel().await;
        match answered {
            Ok(()) => Ok(Visit::Done),
            Err(failure) => {
                let challenge = failure.auth_challenge().map(str::to_owned);
                challenge.map(Visit::Challenged).ok_or_else(|| failure.into())
            }
        }
    }

    /// Gets a token that is good for what `challenge` asks, and for all that was asked for before.
    async fn authorize(&mut self, challenge: String) -> Result<(), Failure> {
        let target = OauthTarget {
            flow: AuthorizationFlow::OauthCimd,
            config: AuthConfig::default(),
            resource: Some(self.resource.clone()),
            challenge: Some(challenge),
        };
        let Discovery { server, resource, scopes } = self.oauth.discover(&target).await?;
        self.step_up.ask(scopes)?;
        let client = self.client(&server).await?;
        let token = if self.by_itself {
            self.token(&server, &client, TokenRight::ClientCredentials, resource.as_deref()).await?
        } else {
            self.agreed(server, client, resource).await?
        };
        self.token = Some(token);
        Ok(())
    }

    /// What we are to `server`: registered by hand, else by our document, else by ourselves, once.
    async fn client(&mut self, server: &AuthorizationServer) -> Result<OauthClient, Failure> {
        if let Some(client) = self.clients.get(&server.issuer) {
            return Ok(client.clone());
        }
        let client = match &self.context.client_id {
            Some(id) => self.oauth.preregistered(server, id.clone(), self.context.proof())?,
            None if server.reads_client_documents => {
                OauthClient::by_document(server, &DOCUMENT.parse()?)
            }
            None => self.oauth.register(server, &BACK.parse()?, self.step_up.asked_for()).await?,
        };
        self.clients.insert(server.issuer.clone(), client.clone());
        Ok(client)
    }

    async fn agreed(
        &self,
        server: AuthorizationServer,
        client: OauthClient,
        resource: Option<String>,
    ) -> Result<Secret<String>, Failure> {
        let ask = AuthorizationAsk {
            server,
            client,
            redirect_uri: BACK.parse()?,
            resource,
            scopes: self.step_up.asked_for().clone(),
            return_to: None,
        };
        let state = oauth2::CsrfToken::new_random().into_secret();
        let (agree, pending) = self.oauth.begin(ask, &Secret::new(state.clone()))?;
        let back = self.agree(agree).await?;
        let said = |name: &str| {
            back.query_pairs().find(|(it, _)| it == name).map(|(_, value)| value.into_owned())
        };
        if said("state") != Some(state) {
            return Err("the redirect is none of ours".into());
        }
        pending.check_issuer(said("iss").as_deref())?;
        let code = Secret::new(said("code").ok_or("there is no code")?);
        let by = TokenRight::Code { code: &code, pending: &pending };
        self.token(&pending.server, &pending.client, by, pending.resource.as_deref()).await
    }

    /// Agrees as a person would, whose browser then comes back.
    async fn agree(&self, agree: Url) -> Result<Url, Failure> {
        let request = OutboundRequest {
            redirects: Redirects::HandBack,
            ..OutboundRequest::new(Method::GET, agree)
        };
        let answer = self.outbound.send(request).await?;
        let back =
            answer.headers.get(LOCATION).ok_or("the server does not send the person back")?;
        Ok(back.to_str()?.parse()?)
    }

    async fn token(
        &self,
        server: &AuthorizationServer,
        client: &OauthClient,
        by: TokenRight<'_>,
        resource: Option<&str>,
    ) -> Result<Secret<String>, Failure> {
        let ask = TokenAsk { server, client, by, resource, scopes: self.step_up.asked_for() };
        let reply = self.oauth.ask(&ask).await?;
        Ok(self.oauth.read(&ask, &reply, SystemTime::now().into())?.access_token)
    }
}
