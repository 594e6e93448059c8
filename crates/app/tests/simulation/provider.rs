//! A server that rotates refresh tokens, and revokes all of a family when one is used that was spent.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use linkspan_domain::{
    AuthorizationServer, ClientOrigin, ClientProof, GivenProof, Grant, GrantHolder, HeldGrant,
    Issuer, OauthClient, PendingAuthorization, Secret, UnfitProof,
    ports::{
        AuthorizationAsk, AuthorizationServers, Discovery, OauthError, OauthTarget, OutboundError,
        TokenAsk, TokenReply, TokenRight, World,
    },
};
use linkspan_testkit::Random;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use url::Url;

use super::{
    pace::{Pace, step},
    story::{Deaths, Plan},
    world::Clock,
};

/// What the server makes of a spent token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    /// It revokes the family at once (RFC 9700 §4.14.2).
    Strict,
    /// It answers anew until the successor was used, for clients that did not get the answer.
    Tolerant,
    /// It answers anew for [`GRACE`], as many do, and revokes the family after that.
    Graceful,
}

/// How long the token just rotated out may be used again.
pub(crate) const GRACE: Duration = Duration::seconds(60);

/// The server, as one process reaches it.
pub(crate) struct Provider {
    model: Model,
    deaths: Deaths,
    pace: Arc<dyn Pace>,
    clock: Arc<Clock>,
    pub(crate) book: Arc<Mutex<Book>>,
}

/// What the server knows.
pub(crate) struct Book {
    random: Random,
    pub(crate) families: Vec<Family>,
    /// Tokens that were used though they were spent, and could not be used again.
    pub(crate) double_spent: u64,
    /// Tokens that it handed out for a refresh.
    pub(crate) refreshed: u64,
    /// Answers that it gave and that never arrived.
    pub(crate) lost_replies: u64,
    /// Requests that it turned away or never saw.
    pub(crate) failures: u64,
    /// Grants that it was told are not needed any more.
    pub(crate) revoked: u64,
}

/// All tokens that come from one consent.
pub(crate) struct Family {
    pub(crate) is_alive: bool,
    rotates: bool,
    current: u64,
    /// The token before, as long as the current one was not used, and when it was first spent.
    spent: Option<(u64, OffsetDateTime)>,
    /// An answer was lost, and nobody has got another one since.
    pub(crate) is_recovering: bool,
    pub(crate) fate: Fate,
}

/// How far a grant is, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// A person agreed, and nobody came with the code yet.
    Offered,
    /// The code is spent, and nothing is written down of that.
    Unheard,
    /// What it brought is sealed into its authorization.
    Answered,
    /// It is the grant of an activation.
    Connected,
    /// Another grant took its place.
    Replaced,
}

impl Book {
    /// What became of the family of `grant`.
    pub(crate) fn note(&mut self, grant: &Grant, fate: Fate) {
        let (family, _) = read(&grant.access_token);
        self.families[family].fate = fate;
    }

    fn revoke(&mut self, grant: &Grant) {
        let (family, _) = read(&grant.access_token);
        self.families[family].is_alive = false;
        self.revoked += 1;
    }
}

/// How long an access token lives.
pub(crate) const LIFE: Duration = Duration::hours(1);

impl Provider {
    pub(crate) fn new(plan: &Plan, pace: Arc<dyn Pace>, clock: Arc<Clock>) -> Self {
        let book = Book {
            random: Random::from_seed(plan.seed + 1),
            families: Vec::new(),
            double_spent: 0,
            refreshed: 0,
            lost_replies: 0,
            failures: 0,
            revoked: 0,
        };
        let (model, deaths) = (plan.model, plan.deaths);
        Self { model, deaths, pace, clock, book: Arc::new(Mutex::new(book)) }
    }

    /// The same server, as another process reaches it.
    pub(crate) fn reached_at(&self, pace: Arc<dyn Pace>) -> Self {
        let (clock, book) = (Arc::clone(&self.clock), Arc::clone(&self.book));
        Self { model: self.model, deaths: self.deaths, pace, clock, book }
    }

    /// A person agrees, and comes back with this.
    pub(crate) fn code(&self) -> Secret<String> {
        let family = self.found(Fate::Offered);
        Secret::new(family.to_string())
    }

    /// A new family. One in eight keeps its refresh token for good.
    fn found(&self, fate: Fate) -> usize {
        let mut book = self.book.lock().unwrap();
        let number = book.families.len();
        book.families.push(Family {
            is_alive: fate == Fate::Connected,
            rotates: !number.is_multiple_of(8),
            current: 0,
            spent: None,
            is_recovering: false,
            fate,
        });
        number
    }

    /// What a person agreed to, exchanged already.
    pub(crate) fn agree(&self) -> HeldGrant {
        let family = self.found(Fate::Connected);
        let server = server();
        let grant = Grant {
            issuer: server.issuer.clone(),
            access_token: secret(family, 0),
            refresh_token: Some(secret(family, 0)),
            expires_at: Some(self.clock.now() + LIFE),
            scopes: BTreeSet::new(),
            resource: None,
        };
        HeldGrant { grant, client: client(&server), server, holder: GrantHolder::Person }
    }

    /// What the server makes of `token`, which must be of one of these families, and work if it is of the last. Who had it in
    /// hand when a person connected anew may hold one of those before.
    pub(crate) fn weigh(&self, token: &Secret<String>, families: &[usize]) -> Weight {
        let book = self.book.lock().unwrap();
        let (of, serial) = read(token);
        let is_known = families.contains(&of) && serial <= book.families[of].current;
        match (families.last() == Some(&of), book.families[of].is_alive) {
            _ if !is_known => Weight::Broken,
            (true, false) => Weight::Revoked,
            _ => Weight::Good,
        }
    }

    fn spend(&self, token: &Secret<String>) -> (u16, Value) {
        let (family, serial) = read(token);
        let now = self.clock.now();
        let mut book = self.book.lock().unwrap();
        let it = &mut book.families[family];
        let is_good = serial == it.current
            || it.spent.is_some_and(|(spent, at)| {
                spent == serial
                    && match self.model {
                        Model::Strict => false,
                        Model::Tolerant => true,
                        Model::Graceful => now < at + GRACE,
                    }
            });
        if !it.is_alive || !is_good {
            book.double_spent += u64::from(book.families[family].is_alive);
            book.families[family].is_alive = false;
            return refused();
        }
        let mut reply = json!({ "access_token": secret(family, it.current).expose() });
        if it.rotates {
            // The first use counts, however often it is used again.
            it.spent = it.spent.filter(|(spent, _)| *spent == serial).or(Some((serial, now)));
            it.current += 1;
            let next = secret(family, it.current);
            reply = json!({ "access_token": next.expose(), "refresh_token": next.expose() });
        }
        book.refreshed += 1;
        (200, reply)
    }

    /// Whoever comes with a code twice loses what it brought (RFC 6749 §4.1.2).
    fn exchange(&self, code: &Secret<String>) -> (u16, Value) {
        let family: usize = code.expose().parse().unwrap();
        let mut book = self.book.lock().unwrap();
        if book.families[family].fate != Fate::Offered {
            book.double_spent += 1;
            book.families[family].is_alive = false;
            return refused();
        }
        (book.families[family].is_alive, book.families[family].fate) = (true, Fate::Unheard);
        let token = secret(family, 0);
        (200, json!({ "access_token": token.expose(), "refresh_token": token.expose() }))
    }

    /// The answer that somebody waited for is lost, and so is whoever did.
    pub(crate) fn lose_answer(&self, family: usize) {
        self.book.lock().unwrap().families[family].is_recovering = true;
    }

    /// Somebody got another answer.
    pub(crate) fn recovered(&self, family: usize) {
        self.book.lock().unwrap().families[family].is_recovering = false;
    }

    /// Whether nothing else is to befall whoever asks for `family`.
    pub(crate) fn is_spared(&self, family: usize) -> bool {
        self.deaths == Deaths::OneAtATime
            && self.book.lock().unwrap().families[family].is_recovering
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

/// What the server makes of a token that somebody was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// It works.
    Good,
    /// The server has revoked it.
    Revoked,
    /// It is none that the server gave for this.
    Broken,
}

#[async_trait]
impl AuthorizationServers for Provider {
    async fn ask(&self, ask: &TokenAsk<'_>) -> Result<TokenReply, OauthError> {
        step(&*self.pace, "ask: on its way").await;
        let (family, is_spared) = match ask.by {
            TokenRight::Refresh(token) => {
                let (family, _) = read(token);
                (family, self.is_spared(family))
            }
            TokenRight::Code { code, .. } => (code.expose().parse().unwrap(), false),
            TokenRight::ClientCredentials => alone(),
        };
        if !is_spared && self.happens(50) {
            return Err(self.no_answer());
        }
        if !is_spared && self.happens(50) {
            return Ok(TokenReply {
                status: 503,
                body: Secret::new(Vec::new()),
                retry_after: None,
            });
        }
        let (status, body) = match ask.by {
            TokenRight::Code { code, .. } => self.exchange(code),
            TokenRight::Refresh(token) => self.spend(token),
            TokenRight::ClientCredentials => alone(),
        };
        self.pace.at_risk(status == 200);
        step(&*self.pace, "ask: answered").await;
        if self.model != Model::Strict && status == 200 && !is_spared && self.happens(50) {
            self.pace.at_risk(false);
            self.lose_answer(family);
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
        let before = match ask.by {
            TokenRight::Refresh(before) => Some(before.clone()),
            _ => None,
        };
        Ok(Grant {
            issuer,
            access_token: token("access_token").unwrap(),
            refresh_token: token("refresh_token").or(before),
            expires_at: Some(now + LIFE),
            scopes: ask.scopes.clone(),
            resource: None,
        })
    }

    async fn discover(&self, _: &OauthTarget) -> Result<Discovery, OauthError> {
        step(&*self.pace, "discover").await;
        Ok(Discovery { server: server(), resource: None, scopes: BTreeSet::new() })
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
        _: &Url,
        _: &BTreeSet<String>,
    ) -> Result<OauthClient, OauthError> {
        step(&*self.pace, "register").await;
        Ok(client(server))
    }

    async fn renew(
        &self,
        _: &OauthClient,
        _: &Url,
        _: &BTreeSet<String>,
    ) -> Result<OauthClient, OauthError> {
        Err(OauthError::Unconfigured("no client runs out in the simulation"))
    }

    async fn unregister(&self, _: &OauthClient) -> Result<(), OauthError> {
        Err(OauthError::Unconfigured("no client is removed in the simulation"))
    }

    fn begin(
        &self,
        ask: AuthorizationAsk,
        state: &Secret<String>,
    ) -> Result<(Url, PendingAuthorization), OauthError> {
        let mut url: Url = "https://issuer.example/authorize".parse().unwrap();
        url.query_pairs_mut().append_pair("state", state.expose());
        let pending = PendingAuthorization {
            server: ask.server,
            client: ask.client,
            verifier: Secret::new("verifier".to_owned()),
            redirect_uri: ask.redirect_uri,
            resource: ask.resource,
            scopes: ask.scopes,
            return_to: ask.return_to,
            url: Secret::new(url.to_string()),
        };
        Ok((url, pending))
    }

    async fn revoke(
        &self,
        _: &AuthorizationServer,
        _: &OauthClient,
        grant: &Grant,
    ) -> Result<(), OauthError> {
        step(&*self.pace, "revoke: on its way").await;
        self.book.lock().unwrap().revoke(grant);
        step(&*self.pace, "revoke: answered").await;
        Ok(())
    }
}

fn refused() -> (u16, Value) {
    (400, json!({ "error": "invalid_grant" }))
}

fn alone() -> ! {
    panic!("nobody asks for themselves in the simulation")
}

fn secret(family: usize, serial: u64) -> Secret<String> {
    Secret::new(format!("{family}.{serial}"))
}

/// Of which family a token is, and which of it.
pub(crate) fn read(token: &Secret<String>) -> (usize, u64) {
    let (family, serial) = token.expose().split_once('.').unwrap();
    (family.parse().unwrap(), serial.parse().unwrap())
}

fn client(server: &AuthorizationServer) -> OauthClient {
    OauthClient {
        issuer: server.issuer.clone(),
        origin: ClientOrigin::Preregistered,
        client_id: "linkspan".to_owned(),
        proof: ClientProof::None,
        secret_expires_at: None,
        redirect_uri: None,
        registration_uri: None,
        registration_token: None,
    }
}

fn server() -> AuthorizationServer {
    AuthorizationServer {
        issuer: Issuer::new("https://issuer.example".to_owned()),
        names_itself: true,
        authorization_endpoint: None,
        token_endpoint: "https://issuer.example/token".parse().unwrap(),
        registration_endpoint: Some("https://issuer.example/register".parse().unwrap()),
        revocation_endpoint: None,
        authentications: Vec::new(),
        scopes: None,
        challenge_methods: None,
        sends_issuer: false,
        reads_client_documents: false,
    }
}
