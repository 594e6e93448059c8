//! An authorization server that says what it is told to, for the tests of grants.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use linkspan_domain::{
    AuthorizationServer, ClientOrigin, ClientProof, GivenProof, Grant, GrantHolder, HeldGrant,
    Issuer, OauthClient, PendingAuthorization, Secret, Status, UnfitProof, WorkspaceConnector,
    WorkspaceConnectorId,
    ports::{
        AuthorizationAsk, AuthorizationServers, Change, Discovery, GrantStore, InPlaceOf,
        OauthClientStore, OauthError, OauthTarget, OutboundError, Purpose, Sealed, Store, TokenAsk,
        TokenReply, TokenRight, World,
    },
};
use linkspan_testkit::{MemoryGrants, fixtures::receipt};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

use super::{
    AccessTokens, Addresses, Connecting, Disconnector, GrantStores, Refresher, safe::Safe,
};
use crate::fixtures::{NOW, activation, empty, id, key, organization, sources, vault};

/// What the server says next.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    /// AccessTokens that end in these, and live for an hour.
    Tokens(&'static str),
    /// An access token alone.
    AccessOnly(&'static str),
    /// An error of RFC 6749 §5.2.
    Error(&'static str),
    /// 429, and how long to wait.
    Busy(u64),
    /// Nothing.
    NoAnswer,
}

/// The server, and what it was asked.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) says: Mutex<VecDeque<Say>>,
    /// What it says to being told that a grant is not needed any more. Nothing is left: that it is well.
    pub(crate) revokes: Mutex<VecDeque<Say>>,
    /// By what right, and by which client, tokens were asked for.
    pub(crate) asked: Mutex<Vec<(String, String)>>,
    pub(crate) registered: Mutex<u32>,
    /// The scopes of each registration, and of each that was renewed.
    pub(crate) told: Mutex<Vec<BTreeSet<String>>>,
    pub(crate) revoked: Mutex<Vec<String>>,
    pub(crate) unregistered: Mutex<Vec<String>>,
    pub(crate) server: Mutex<Option<AuthorizationServer>>,
    /// How long each answer takes.
    pub(crate) takes: Mutex<std::time::Duration>,
}

impl Fake {
    pub(crate) fn saying(says: impl IntoIterator<Item = Say>) -> Arc<Self> {
        Arc::new(Self { says: Mutex::new(says.into_iter().collect()), ..Self::default() })
    }

    async fn take_time(&self) {
        let takes = *self.takes.lock().unwrap();
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|it| it.0.clone()).collect()
    }

    pub(crate) fn told(&self) -> Vec<BTreeSet<String>> {
        self.told.lock().unwrap().clone()
    }

    pub(crate) fn asked_by(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|it| it.1.clone()).collect()
    }
}

#[async_trait]
impl AuthorizationServers for Fake {
    async fn discover(&self, target: &OauthTarget) -> Result<Discovery, OauthError> {
        let server = self.server.lock().unwrap().clone().unwrap_or_else(server);
        let config = target.config.oauth_config.iter();
        let scopes = config.flat_map(|it| it.scopes.iter().cloned()).collect();
        Ok(Discovery { server, resource: None, scopes })
    }

    fn preregistered(
        &self,
        server: &AuthorizationServer,
        client_id: String,
        given: GivenProof,
    ) -> Result<OauthClient, UnfitProof> {
        OauthClient::preregistered(server, client_id, given)
    }

    async fn register(
        &self,
        server: &AuthorizationServer,
        redirect_uri: &Url,
        scopes: &BTreeSet<String>,
    ) -> Result<OauthClient, OauthError> {
        self.told.lock().unwrap().push(scopes.clone());
        let number = {
            let mut registered = self.registered.lock().unwrap();
            *registered += 1;
            *registered
        };
        self.take_time().await;
        Ok(OauthClient {
            issuer: server.issuer.clone(),
            client_id: format!("registered-{number}"),
            registration_uri: Some("https://issuer.example/register/us".parse().unwrap()),
            registration_token: Some(key("registration-token")),
            redirect_uri: Some(redirect_uri.clone()),
            ..client()
        })
    }

    async fn renew(
        &self,
        client: &OauthClient,
        redirect_uri: &Url,
        scopes: &BTreeSet<String>,
    ) -> Result<OauthClient, OauthError> {
        self.told.lock().unwrap().push(scopes.clone());
        if client.client_id == "unknown" {
            return Err(OauthError::InvalidClient { issuer: client.issuer.clone(), said: None });
        }
        let redirect_uri = Some(redirect_uri.clone());
        Ok(OauthClient { secret_expires_at: None, redirect_uri, ..client.clone() })
    }

    async fn unregister(&self, client: &OauthClient) -> Result<(), OauthError> {
        self.unregistered.lock().unwrap().push(client.client_id.clone());
        if client.client_id == "unknown" {
            return Err(OauthError::InvalidClient { issuer: client.issuer.clone(), said: None });
        }
        Ok(())
    }

    fn begin(
        &self,
        ask: AuthorizationAsk,
        state: &Secret<String>,
    ) -> Result<(Url, PendingAuthorization), OauthError> {
        let scopes: Vec<_> = ask.scopes.iter().map(String::as_str).collect();
        let mut url: Url = "https://issuer.example/authorize".parse().unwrap();
        url.query_pairs_mut()
            .append_pair("client_id", &ask.client.client_id)
            .append_pair("scope", &scopes.join(" "))
            .append_pair("state", state.expose());
        let pending = PendingAuthorization {
            server: ask.server,
            client: ask.client,
            verifier: key("verifier"),
            redirect_uri: ask.redirect_uri,
            resource: ask.resource,
            scopes: ask.scopes,
            return_to: ask.return_to,
            url: Secret::new(url.to_string()),
        };
        Ok((url, pending))
    }

    async fn ask(&self, ask: &TokenAsk<'_>) -> Result<TokenReply, OauthError> {
        let by = match ask.by {
            TokenRight::Code { code, .. } => format!("code {}", code.expose()),
            TokenRight::Refresh(token) => token.expose().clone(),
            TokenRight::ClientCredentials => "client credentials".to_owned(),
        };
        self.asked.lock().unwrap().push((by, ask.client.client_id.clone()));
        self.take_time().await;
        let (status, body) = match self.says.lock().unwrap().pop_front() {
            Some(Say::Tokens(end)) => {
                let (access, refresh) = (format!("access-{end}"), format!("refresh-{end}"));
                (200, json!({ "access_token": access, "refresh_token": refresh }))
            }
            Some(Say::AccessOnly(end)) => (200, json!({ "access_token": format!("access-{end}") })),
            Some(Say::Error(error)) => (400, json!({ "error": error })),
            Some(Say::Busy(seconds)) => {
                let issuer = ask.server.issuer.clone();
                let (status, retry_after) = (429, Some(seconds));
                return Err(OauthError::Busy { issuer, status, code: None, retry_after });
            }
            Some(Say::NoAnswer) => return Err(silent()),
            None => panic!("the server was asked once too often"),
        };
        Ok(TokenReply {
            status,
            body: Secret::new(body.to_string().into_bytes()),
            retry_after: None,
        })
    }

    fn read(
        &self,
        ask: &TokenAsk<'_>,
        reply: &TokenReply,
        now: OffsetDateTime,
    ) -> Result<Grant, OauthError> {
        let body: Value = serde_json::from_slice(reply.body.expose()).unwrap();
        let issuer = ask.server.issuer.clone();
        match body["error"].as_str() {
            Some("invalid_grant") => return Err(OauthError::InvalidGrant { issuer, said: None }),
            Some("invalid_client") => return Err(OauthError::InvalidClient { issuer, said: None }),
            Some("temporarily_unavailable") => {
                let code = Some("temporarily_unavailable".to_owned());
                return Err(OauthError::Busy { issuer, status: 400, code, retry_after: None });
            }
            Some(code) => {
                return Err(OauthError::Refused { issuer, code: code.to_owned(), said: None });
            }
            None => {}
        }
        let token = |name: &str| body[name].as_str().map(key);
        let before = match ask.by {
            TokenRight::Refresh(token) => Some(token.clone()),
            TokenRight::Code { .. } | TokenRight::ClientCredentials => None,
        };
        Ok(Grant {
            issuer,
            access_token: token("access_token").unwrap(),
            refresh_token: token("refresh_token").or(before),
            expires_at: Some(now + Duration::HOUR),
            scopes: ask.scopes.clone(),
            resource: None,
        })
    }

    async fn revoke(
        &self,
        _: &AuthorizationServer,
        client: &OauthClient,
        grant: &Grant,
    ) -> Result<(), OauthError> {
        let token = grant.refresh_token.as_ref().unwrap_or(&grant.access_token);
        self.revoked.lock().unwrap().push(token.expose().clone());
        match self.revokes.lock().unwrap().pop_front() {
            Some(Say::NoAnswer) => Err(silent()),
            Some(Say::Error(code)) => {
                let issuer = client.issuer.clone();
                Err(OauthError::Refused { issuer, code: code.to_owned(), said: None })
            }
            _ => Ok(()),
        }
    }
}

/// Nobody answered.
fn silent() -> OauthError {
    let host = "issuer.example".to_owned();
    let source = OutboundError::TimedOut { host: host.clone(), seconds: 30 };
    OauthError::NoAnswer { host, source }
}

pub(crate) fn server() -> AuthorizationServer {
    AuthorizationServer {
        issuer: Issuer::new("https://issuer.example".to_owned()),
        names_itself: true,
        authorization_endpoint: Some("https://issuer.example/authorize".parse().unwrap()),
        token_endpoint: "https://issuer.example/token".parse().unwrap(),
        registration_endpoint: Some("https://issuer.example/register".parse().unwrap()),
        revocation_endpoint: Some("https://issuer.example/revoke".parse().unwrap()),
        authentications: Vec::new(),
        scopes: None,
        challenge_methods: None,
        sends_issuer: true,
        reads_client_documents: false,
    }
}

pub(crate) fn client() -> OauthClient {
    OauthClient {
        issuer: server().issuer,
        origin: ClientOrigin::Dynamic,
        client_id: "first".to_owned(),
        proof: ClientProof::None,
        secret_expires_at: None,
        redirect_uri: None,
        registration_uri: None,
        registration_token: None,
    }
}

/// A grant whose tokens end in `end`, which lives for an hour from `given`.
pub(crate) fn held(end: &str, given: OffsetDateTime) -> HeldGrant {
    HeldGrant {
        grant: Grant {
            issuer: server().issuer,
            access_token: Secret::new(format!("access-{end}")),
            refresh_token: Some(Secret::new(format!("refresh-{end}"))),
            expires_at: Some(given + Duration::HOUR),
            scopes: BTreeSet::from(["read".to_owned()]),
            resource: None,
        },
        server: server(),
        client: client(),
        holder: GrantHolder::Person,
    }
}

/// A clock that stands where it is put.
pub(crate) struct Clock(Mutex<(OffsetDateTime, u128)>);

impl Clock {
    pub(crate) fn at(now: OffsetDateTime) -> Arc<Self> {
        Arc::new(Self(Mutex::new((now, 9_000))))
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.0.lock().unwrap().0 += time;
    }
}

impl World for Clock {
    fn now(&self) -> OffsetDateTime {
        self.0.lock().unwrap().0
    }

    fn uuid(&self) -> Uuid {
        let mut it = self.0.lock().unwrap();
        it.1 += 1;
        Uuid::from_u128(it.1)
    }
}

/// An activation with a grant, in memory.
pub(crate) struct Bench {
    pub(crate) store: Arc<MemoryGrants>,
    pub(crate) fake: Arc<Fake>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) of: WorkspaceConnectorId,
}

impl Bench {
    /// With the grant of [`held`] `0`, given at [`NOW`].
    pub(crate) async fn new(says: impl IntoIterator<Item = Say>) -> Self {
        Self::with(held("0", NOW), says).await
    }

    pub(crate) async fn with(held: HeldGrant, says: impl IntoIterator<Item = Say>) -> Self {
        let store = Arc::new(MemoryGrants::of(organization()));
        let of = id(30);
        store.add(activation(|it| it.installed_capabilities = Some(json!({ "of": "it" }))));
        let bench = Self { store, fake: Fake::saying(says), clock: Clock::at(NOW), of };
        bench.connect(&held).await;
        bench
    }

    pub(crate) async fn connect(&self, held: &HeldGrant) {
        let grant = Safe::new(vault()).new_grant(self.of, held, self.clock.now()).unwrap();
        let activation = self.activation().await;
        self.store.connect(&grant, &activation, &receipt(1, None)).await.unwrap();
    }

    pub(crate) fn refresher(&self) -> Refresher {
        self.refresher_at(Some("https://linkspan.example/v1/oauth/callback".parse().unwrap()))
    }

    /// Of a platform that people come back to there.
    pub(crate) fn refresher_at(&self, redirect_uri: Option<Url>) -> Refresher {
        Refresher::new(
            Arc::clone(&self.store) as _,
            Arc::clone(&self.store) as _,
            Arc::clone(&self.store) as _,
            Arc::clone(&self.fake) as _,
            vault(),
            Arc::clone(&self.clock) as _,
            redirect_uri,
        )
    }

    pub(crate) async fn activation(&self) -> WorkspaceConnector {
        let visible = linkspan_domain::Visible::only(crate::fixtures::own_workspace());
        Store::find(&*self.store, &visible, self.of).await.unwrap().unwrap()
    }

    /// A client of the activation, as it is kept.
    pub(crate) fn sealed(&self, client: &OauthClient) -> Sealed {
        let row = OauthClient::row(self.of, &client.issuer);
        Safe::new(vault()).seal(Purpose::ClientRegistration, row, client).unwrap()
    }

    pub(crate) async fn keep_client(
        &self,
        issuer: &Issuer,
        client: &Sealed,
        in_place_of: InPlaceOf<'_>,
    ) {
        let kept = receipt(3, None);
        self.store.keep_client(self.of, issuer, client, in_place_of, &kept).await.unwrap();
    }

    pub(crate) async fn delete(&self) {
        let mut activation = self.activation().await;
        activation.deleted_at = Some(self.clock.now());
        self.store.add(activation);
    }

    /// Deleted, and purged before anybody looked.
    pub(crate) async fn purge(&self) {
        self.delete().await;
        let purge = [Change::Purge(self.activation().await)];
        self.store.write(&purge, &receipt(2, None)).await.unwrap();
    }

    /// Tells the server what is not needed any more, once.
    pub(crate) async fn tidy(&self) {
        let disconnector = Disconnector::new(
            Arc::clone(&self.store) as _,
            Arc::clone(&self.store) as _,
            Arc::clone(&self.fake) as _,
            vault(),
            Arc::clone(&self.clock) as _,
        );
        disconnector.tidy(&CancellationToken::new()).await.unwrap();
    }

    /// What the server was told is not needed any more.
    pub(crate) fn revoked(&self) -> Vec<String> {
        self.fake.revoked.lock().unwrap().clone()
    }

    /// Which clients the server was told to remove.
    pub(crate) fn unregistered(&self) -> Vec<String> {
        self.fake.unregistered.lock().unwrap().clone()
    }

    pub(crate) async fn status(&self) -> Status {
        self.activation().await.status
    }

    /// What the audit trail says was done last.
    pub(crate) fn last_act(&self) -> String {
        self.store.receipts().last().unwrap().audit.action.clone()
    }
}

/// Connects, where there is nothing to connect.
pub(crate) async fn nothing_to_connect() -> Connecting {
    let bench = Bench::new([]).await;
    let stores = GrantStores {
        grants: Arc::clone(&bench.store) as _,
        clients: Arc::clone(&bench.store) as _,
        authorizations: Arc::clone(&bench.store) as _,
    };
    Connecting::new(
        stores,
        empty(),
        empty(),
        Arc::clone(&bench.fake) as _,
        vault(),
        sources(),
        AccessTokens::new(bench.refresher()),
        |_| Ok(key("state")),
        Addresses::default(),
        Arc::clone(&bench.clock) as _,
    )
}
