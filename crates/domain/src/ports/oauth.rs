//! Talking to authorization servers.

use std::collections::BTreeSet;

use async_trait::async_trait;
use time::{Duration, OffsetDateTime};
use url::Url;

use super::OutboundError;
use crate::{
    AuthConfig, AuthorizationFlow, AuthorizationServer, GivenProof, Grant, Issuer, OauthClient,
    OauthGrantType, PendingAuthorization, Secret, UnfitProof,
};

/// Speaks OAuth 2.1 to authorization servers, and knows no activation, no store and no vault.
///
/// # Contract
///
/// - Every request goes through [`Outbound`](super::Outbound), redirects refused, under limits of its own.
/// - Neither an error nor its source repeats a token, a secret, a code or a query string.
/// - [`ask`](Self::ask) sends once. It never tries again by itself: whoever asks knows whether a token was spent.
/// - [`ask`](Self::ask) ends within [`ASK_LASTS`], with an answer or without.
#[async_trait]
pub trait AuthorizationServers: Send + Sync {
    /// Who guards `target`, and what to ask them for.
    ///
    /// A server that guards a protected resource, and does not say which PKCE methods it knows, is refused (MCP,
    /// "Authorization Code Protection").
    async fn discover(&self, target: &OauthTarget) -> Result<Discovery, OauthError>;

    /// What we are to `server` if somebody registered us there by hand: a proof that can be given, and that the server takes.
    fn preregistered(
        &self,
        server: &AuthorizationServer,
        client_id: String,
        given: GivenProof,
    ) -> Result<OauthClient, UnfitProof>;

    /// Registers us with `server` (RFC 7591).
    async fn register(
        &self,
        server: &AuthorizationServer,
        redirect_uri: &Url,
        scopes: &BTreeSet<String>,
    ) -> Result<OauthClient, OauthError>;

    /// Brings a registration up to date, and so its secret (RFC 7592 §2.2). Answers what it is then.
    ///
    /// A registration that the server does not know any more is [`OauthError::InvalidClient`].
    async fn renew(
        &self,
        client: &OauthClient,
        redirect_uri: &Url,
        scopes: &BTreeSet<String>,
    ) -> Result<OauthClient, OauthError>;

    /// Removes a registration (RFC 7592 §2.3).
    async fn unregister(&self, client: &OauthClient) -> Result<(), OauthError>;

    /// Where a person agrees, and what has to be remembered until they come back. `state` is made by the caller.
    ///
    /// Where the server says which scopes it knows, `offline_access` is asked for if it is among them, and only then.
    fn begin(
        &self,
        ask: AuthorizationAsk,
        state: &Secret<String>,
    ) -> Result<(Url, PendingAuthorization), OauthError>;

    /// Asks the token endpoint once, and answers what it said, whatever that is.
    async fn ask(&self, ask: &TokenAsk<'_>) -> Result<TokenReply, OauthError>;

    /// What `reply` grants. `ask` says what holds where the reply is silent: the scopes, and the refresh token (RFC 6749 §6).
    fn read(
        &self,
        ask: &TokenAsk<'_>,
        reply: &TokenReply,
        now: OffsetDateTime,
    ) -> Result<Grant, OauthError>;

    /// Tells the server that the tokens of `grant` are not needed any more (RFC 7009).
    async fn revoke(
        &self,
        server: &AuthorizationServer,
        client: &OauthClient,
        grant: &Grant,
    ) -> Result<(), OauthError>;
}

/// How long asking the token endpoint lasts at most. Whoever holds a lease asks only while it lasts longer.
pub const ASK_LASTS: Duration = Duration::seconds(30);

/// What is to be opened: the connector's own words about it.
#[derive(Clone, Debug, PartialEq)]
pub struct OauthTarget {
    /// How the connector says that it is authorized.
    pub flow: AuthorizationFlow,
    /// Where the connector says that authorization happens, its placeholders filled in.
    pub config: AuthConfig,
    /// The protected resource, where it says itself who guards it (RFC 9728).
    pub resource: Option<Url>,
    /// The challenge that the resource answered with, if it was asked already (RFC 9728 §5.1).
    pub challenge: Option<String>,
}

impl OauthTarget {
    /// Whether no person is asked.
    pub fn is_client_alone(&self) -> bool {
        let config = self.config.oauth_config.as_ref();
        config.is_some_and(|it| it.grant_type == OauthGrantType::ClientCredentials)
    }
}

/// What was found out about how a target is opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Discovery {
    /// Who guards it.
    pub server: AuthorizationServer,
    /// What it is called there (RFC 8707), if it is a protected resource.
    pub resource: Option<String>,
    /// What to ask for: what the challenge asks for, else what the connector says, else what the resource says. Empty: the
    /// server decides.
    pub scopes: BTreeSet<String>,
}

/// What a person is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthorizationAsk {
    /// By whom.
    pub server: AuthorizationServer,
    /// What we are there.
    pub client: OauthClient,
    /// Where they come back to.
    pub redirect_uri: Url,
    /// For which resource (RFC 8707).
    pub resource: Option<String>,
    /// What for.
    pub scopes: BTreeSet<String>,
    /// Where they go in the end.
    pub return_to: Option<Url>,
}

/// What the token endpoint is asked for.
#[derive(Clone, Copy, Debug)]
pub struct TokenAsk<'a> {
    /// Which server.
    pub server: &'a AuthorizationServer,
    /// Who asks.
    pub client: &'a OauthClient,
    /// By what right.
    pub by: TokenRight<'a>,
    /// For which resource (RFC 8707).
    pub resource: Option<&'a str>,
    /// What was asked for, or granted before.
    pub scopes: &'a BTreeSet<String>,
}

/// By what right tokens are asked for.
#[derive(Clone, Copy, Debug)]
pub enum TokenRight<'a> {
    /// A person agreed (RFC 6749 §4.1.3).
    Code {
        /// What came back with them.
        code: &'a Secret<String>,
        /// What was remembered.
        pending: &'a PendingAuthorization,
    },
    /// An earlier grant (RFC 6749 §6).
    Refresh(&'a Secret<String>),
    /// Our own (RFC 6749 §4.4).
    ClientCredentials,
}

/// What the token endpoint said, as it said it: kept sealed before anybody reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenReply {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Secret<Vec<u8>>,
    /// How long it asks to be left alone, in seconds.
    pub retry_after: Option<u64>,
}

/// Why an authorization server did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum OauthError {
    /// The refresh token, the code or the agreement behind it is not good any more (`invalid_grant`).
    #[error("{issuer} does not accept the authorization any more{}", in_words(said))]
    InvalidGrant {
        /// Who says so.
        issuer: Issuer,
        /// In its own words.
        said: Option<String>,
    },
    /// It does not know us, or not any more (`invalid_client`).
    #[error("{issuer} does not accept the client{}", in_words(said))]
    InvalidClient {
        /// Who says so.
        issuer: Issuer,
        /// In its own words.
        said: Option<String>,
    },
    /// It refuses for another reason that asking again does not change.
    #[error("{issuer} refused: {code}{}", in_words(said))]
    Refused {
        /// Who says so.
        issuer: Issuer,
        /// The code of the error.
        code: String,
        /// In its own words.
        said: Option<String>,
    },
    /// It is not up to it now (5xx, 429, or a code that says so); the same request may succeed later.
    #[error("{issuer} is not up to it at the moment (HTTP {status}{})", in_words(code))]
    Busy {
        /// Who.
        issuer: Issuer,
        /// The status.
        status: u16,
        /// The code of the error, where that says so: `temporarily_unavailable`.
        code: Option<String>,
        /// How long it asks to be left alone, in seconds.
        retry_after: Option<u64>,
    },
    /// There was no answer. [`OutboundError`] says whether the request may have arrived.
    #[error("the authorization server at {host} did not answer{}", refusal(source))]
    NoAnswer {
        /// The host.
        host: String,
        /// What happened.
        source: OutboundError,
    },
    /// What it says about itself, or what it answered, breaks the rules that protect us.
    #[error("{host} {what}")]
    Unsound {
        /// Which host.
        host: String,
        /// What it did: `answers with metadata of another issuer`.
        what: &'static str,
    },
    /// It cannot what we need.
    #[error("{host} offers no {what}")]
    Unsupported {
        /// Which host.
        host: String,
        /// What: `dynamic client registration`.
        what: &'static str,
    },
    /// The client cannot prove there who it is. Nothing was sent.
    #[error(transparent)]
    Unfit(#[from] UnfitProof),
    /// The connector does not say where to authorize.
    #[error("the connector does not say where to authorize: {0}")]
    Unconfigured(&'static str),
}

#[expect(clippy::ref_option, reason = "thiserror passes a reference to the field")]
fn in_words(text: &Option<String>) -> String {
    text.as_ref().map_or_else(String::new, |it| format!(": {it}"))
}

/// What an operator has to know of, as it does not pass.
fn refusal(source: &OutboundError) -> String {
    match source {
        OutboundError::Refused { .. } => format!(": {source}"),
        _ => String::new(),
    }
}

impl OauthError {
    /// The code with which the server refused (RFC 6749 §5.2), if it did.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::InvalidGrant { .. } => Some("invalid_grant"),
            Self::InvalidClient { .. } => Some("invalid_client"),
            Self::Refused { code, .. } => Some(code),
            Self::Busy { code, .. } => code.as_deref(),
            Self::NoAnswer { .. }
            | Self::Unsound { .. }
            | Self::Unsupported { .. }
            | Self::Unfit(_)
            | Self::Unconfigured(_) => None,
        }
    }

    /// Whether the server heard of it and said no, or what comes to the same: that it does not do such things.
    pub const fn is_refusal(&self) -> bool {
        !self.is_transient() && !matches!(self, Self::Unconfigured(_) | Self::Unfit(_))
    }

    /// Whether the same request may succeed later. Such failures say nothing about the grant.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::NoAnswer { .. })
    }
}
