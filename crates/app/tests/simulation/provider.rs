//! A server that rotates refresh tokens, and revokes all of a family when one is used that was spent.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use linkspan_domain::{
    AuthorizationServer, ClientAuthentication, ClientOrigin, Grant, GrantHolder, HeldGrant, Issuer,
    OauthClient, PendingAuthorization, Secret,
    ports::{
        AuthorizationAsk, AuthorizationServers, Discovery, OauthError, OauthTarget, OutboundError,
        TokenAsk, TokenReply, TokenRight, World,
    },
};
use linkspan_testkit::Random;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use url::Url;

use super::stage::{Clock, Steps};

/// What the server makes of a spent token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    /// It revokes the family at once (RFC 9700 §4.14.2).
    Strict,
    /// It answers anew until the successor was used, for clients that did not get the answer.
    Tolerant,
}

/// The server.
pub(crate) struct Provider {
    pub(crate) model: Model,
    pub(crate) steps: Steps,
    pub(crate) clock: Arc<Clock>,
    pub(crate) book: Mutex<Book>,
}

/// What the server knows.
pub(crate) struct Book {
    pub(crate) random: Random,
    families: Vec<Family>,
    /// Tokens that were used though they were spent, and could not be used again.
    pub(crate) double_spent: u64,
    /// Tokens that it handed out for a refresh.
    pub(crate) refreshed: u64,
    /// Answers that it gave and that never arrived.
    pub(crate) lost_replies: u64,
    /// Requests that it turned away or never saw.
    pub(crate) failures: u64,
}

struct Family {
    is_alive: bool,
    rotates: bool,
    current: u64,
    /// The token before, as long as the current one was not used.
    spent: Option<u64>,
}

/// How long an access token lives.
pub(crate) const LIFE: Duration = Duration::hours(1);

impl Provider {
    pub(crate) fn new(model: Model, steps: Steps, clock: Arc<Clock>, seed: u64) -> Self {
        let book = Book {
            random: Random::from_seed(seed),
            families: Vec::new(),
            double_spent: 0,
            refreshed: 0,
            lost_replies: 0,
            failures: 0,
        };
        Self { model, steps, clock, book: Mutex::new(book) }
    }

    /// A person agrees. One family in eight keeps its refresh token for good.
    pub(crate) fn agree(&self) -> HeldGrant {
        let mut book = self.book.lock().unwrap();
        let family = book.families.len();
        let rotates = !family.is_multiple_of(8);
        book.families.push(Family { is_alive: true, rotates, current: 0, spent: None });
        let server = server();
        let grant = Grant {
            issuer: server.issuer.clone(),
            access_token: secret(family, 0),
            refresh_token: Some(secret(family, 0)),
            expires_at: Some(self.clock.now() + LIFE),
            scopes: BTreeSet::new(),
            resource: None,
        };
        let client = OauthClient {
            issuer: server.issuer.clone(),
            origin: ClientOrigin::Preregistered,
            client_id: "linkspan".to_owned(),
            client_secret: None,
            authentication: ClientAuthentication::None,
            secret_expires_at: None,
            registration_uri: None,
            registration_token: None,
        };
        HeldGrant { grant, server, client, holder: GrantHolder::Person }
    }

    /// Whether `token` is of one of these families, and works if it is of the last. Who had it in hand when a person connected
    /// anew may hold one of those before.
    pub(crate) fn accepts(&self, token: &Secret<String>, families: &[usize]) -> bool {
        let book = self.book.lock().unwrap();
        let (of, serial) = read(token);
        let works = book.families[of].is_alive && serial <= book.families[of].current;
        families.contains(&of) && (works || families.last() != Some(&of))
    }

    fn spend(&self, token: &Secret<String>) -> (u16, Value) {
        let (family, serial) = read(token);
        let mut book = self.book.lock().unwrap();
        let it = &mut book.families[family];
        let is_good =
            serial == it.current || (self.model == Model::Tolerant && it.spent == Some(serial));
        if !it.is_alive || !is_good {
            book.double_spent += u64::from(book.families[family].is_alive);
            book.families[family].is_alive = false;
            return (400, json!({ "error": "invalid_grant" }));
        }
        let mut reply = json!({ "access_token": secret(family, it.current).expose() });
        if it.rotates {
            it.spent = Some(serial);
            it.current += 1;
            let next = secret(family, it.current);
            reply = json!({ "access_token": next.expose(), "refresh_token": next.expose() });
        }
        book.refreshed += 1;
        self.steps.change(|at| at.is_unsurvivable = true);
        (200, reply)
    }

    /// Whether something with a chance of one in `of` happens.
    fn happens(&self, of: usize) -> bool {
        self.book.lock().unwrap().random.below(of) == 0
    }

    fn no_answer(&self) -> OauthError {
        self.book.lock().unwrap().failures += 1;
        let source = OutboundError::TimedOut { host: "issuer.example".to_owned(), seconds: 30 };
        OauthError::NoAnswer { host: "issuer.example".to_owned(), source }
    }
}

#[async_trait]
impl AuthorizationServers for Provider {
    async fn ask(&self, ask: &TokenAsk<'_>) -> Result<TokenReply, OauthError> {
        let TokenRight::Refresh(token) = ask.by else { panic!("only refreshes are simulated") };
        self.steps.step("ask: on its way").await;
        if self.happens(50) {
            return Err(self.no_answer());
        }
        if self.happens(50) {
            return Ok(TokenReply {
                status: 503,
                body: Secret::new(Vec::new()),
                retry_after: None,
            });
        }
        let (status, body) = self.spend(token);
        self.steps.step("ask: answered").await;
        if self.model == Model::Tolerant && status == 200 && self.happens(50) {
            self.book.lock().unwrap().lost_replies += 1;
            return Err(self.no_answer());
        }
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
        let issuer = ask.server.issuer.clone();
        match reply.status {
            200 => {}
            503 => {
                self.book.lock().unwrap().failures += 1;
                let (status, retry_after) = (503, None);
                return Err(OauthError::Busy { issuer, status, code: None, retry_after });
            }
            _ => return Err(OauthError::InvalidGrant { issuer, said: None }),
        }
        let body: Value = serde_json::from_slice(reply.body.expose()).unwrap();
        let token = |name: &str| body[name].as_str().map(|it| Secret::new(it.to_owned()));
        let TokenRight::Refresh(before) = ask.by else { panic!("only refreshes are simulated") };
        Ok(Grant {
            issuer,
            access_token: token("access_token").unwrap(),
            refresh_token: token("refresh_token").or_else(|| Some(before.clone())),
            expires_at: Some(now + LIFE),
            scopes: ask.scopes.clone(),
            resource: None,
        })
    }

    async fn discover(&self, _: &OauthTarget) -> Result<Discovery, OauthError> {
        Err(OauthError::Unconfigured("nobody connects in the simulation"))
    }

    async fn register(
        &self,
        _: &AuthorizationServer,
        _: &Url,
        _: &BTreeSet<String>,
    ) -> Result<OauthClient, OauthError> {
        Err(OauthError::Unconfigured("nobody registers in the simulation"))
    }

    async fn renew(
        &self,
        _: &OauthClient,
        _: &Url,
        _: &BTreeSet<String>,
    ) -> Result<OauthClient, OauthError> {
        Err(OauthError::Unconfigured("nobody registers in the simulation"))
    }

    async fn unregister(&self, _: &OauthClient) -> Result<(), OauthError> {
        Err(OauthError::Unconfigured("nobody registers in the simulation"))
    }

    fn begin(
        &self,
        _: AuthorizationAsk,
        _: &Secret<String>,
    ) -> Result<(Url, PendingAuthorization), OauthError> {
        Err(OauthError::Unconfigured("nobody is sent anywhere in the simulation"))
    }

    async fn revoke(
        &self,
        _: &AuthorizationServer,
        _: &OauthClient,
        _: &Grant,
    ) -> Result<(), OauthError> {
        Err(OauthError::Unconfigured("nobody disconnects in the simulation"))
    }
}

fn secret(family: usize, serial: u64) -> Secret<String> {
    Secret::new(format!("{family}.{serial}"))
}

fn read(token: &Secret<String>) -> (usize, u64) {
    let (family, serial) = token.expose().split_once('.').unwrap();
    (family.parse().unwrap(), serial.parse().unwrap())
}

fn server() -> AuthorizationServer {
    AuthorizationServer {
        issuer: Issuer::new("https://issuer.example".to_owned()),
        authorization_endpoint: None,
        token_endpoint: "https://issuer.example/token".parse().unwrap(),
        registration_endpoint: None,
        revocation_endpoint: None,
        authentications: Vec::new(),
        scopes: None,
        challenge_methods: None,
        sends_issuer: false,
        reads_client_documents: false,
    }
}
