//! Tokens of an identity provider (OpenID Connect Core 1.0): its keys are fetched, kept a while, and fetched again.

use std::sync::{Arc, PoisonError, RwLock};

use http::{HeaderValue, Method, StatusCode, header};
use linkspan_domain::{
    Email,
    ports::{
        Cause, Limits, Outbound, OutboundRequest, Redirects, TokenClaims, TokenError, TokenSubject,
    },
};
use serde::{Deserialize, de::DeserializeOwned};
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;
use url::{Host, Url};

use crate::{
    jwt::{Compact, Header, Registered},
    provider_key::{KeySet, ProviderKey},
};

/// Checks tokens of one identity provider.
pub struct IdentityProvider {
    issuer: String,
    audience: String,
    source: KeySource,
    outbound: Arc<dyn Outbound>,
    kept: RwLock<Arc<Kept>>,
    /// Held by whoever fetches.
    fetching: Mutex<()>,
}

/// Where the keys are.
enum KeySource {
    /// Here.
    Known(Url),
    /// Where the document here says (OpenID Connect Discovery 1.0 §4).
    Discovered(Url),
}

/// A setting of the provider that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProvider {
    /// Keys that come in clear are anybody's.
    #[error("the issuer and the place of its keys must be https URLs, without credentials")]
    Insecure,
    /// Without it, tokens that were made for others would be taken.
    #[error("set the audience that tokens for this installation have")]
    NoAudience,
}

/// The keys that are known.
#[derive(Default)]
struct Kept {
    keys: Vec<Arc<ProviderKey>>,
    fetched_at: Option<OffsetDateTime>,
    tried_at: Option<OffsetDateTime>,
}

const DISCOVERY: &str = ".well-known/openid-configuration";

/// For how long keys are used without looking for new ones.
const FRESH: Duration = Duration::HOUR;
/// For how long they are used when the provider does not answer.
const STALE: Duration = Duration::DAY;
/// How long to wait between two looks, whatever unknown keys tokens name.
const PAUSE: Duration = Duration::MINUTE;
/// How long to wait when the provider did not answer.
const RETRY: Duration = Duration::seconds(10);
const LIMITS: Limits = Limits { body_bytes: 1 << 20, total: std::time::Duration::from_secs(5) };

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: Url,
}

/// What tokens of a provider say of whom they stand for (OpenID Connect Core 1.0 §5.1).
#[derive(Deserialize)]
struct Profile {
    email: Option<String>,
    email_verified: Option<bool>,
}

impl IdentityProvider {
    /// The provider that calls itself `issuer`, for tokens whose audience is `audience`. Without `keys`, it says itself where
    /// they are.
    pub fn new(
        issuer: &str,
        audience: String,
        keys: Option<Url>,
        outbound: Arc<dyn Outbound>,
    ) -> Result<Self, InvalidProvider> {
        if audience.is_empty() {
            return Err(InvalidProvider::NoAudience);
        }
        // The text is what tokens have to say: a parsed URL may have a slash more.
        let parsed = issuer.parse::<Url>().map_err(|_| InvalidProvider::Insecure)?;
        secure(parsed)?;
        let source = if let Some(url) = keys {
            KeySource::Known(secure(url)?)
        } else {
            let place = format!("{}/{DISCOVERY}", issuer.trim_end_matches('/'));
            KeySource::Discovered(place.parse().map_err(|_| InvalidProvider::Insecure)?)
        };
        let (issuer, kept) = (issuer.to_owned(), RwLock::default());
        Ok(Self { issuer, audience, source, outbound, kept, fetching: Mutex::default() })
    }

    /// What `token` says, if the provider signed it for us and it holds at `now`.
    pub(crate) async fn check(
        &self,
        token: &Compact<'_>,
        now: OffsetDateTime,
    ) -> Result<TokenClaims, TokenError> {
        let keys = self.keys(&token.header, now).await?;
        let is_signed =
            keys.iter().any(|it| it.signed(token.header.alg, token.signed, &token.signature));
        if !is_signed {
            return Err(TokenError::Invalid("none of the keys of its issuer signed it"));
        }
        let expires_at = token.claims::<Registered>()?.accept(&self.issuer, &self.audience, now)?;
        let Profile { email, email_verified } = token.claims()?;
        let verified = email.filter(|_| email_verified == Some(true));
        let email: Option<Email> = verified.and_then(|it| it.parse().ok());
        let email = email.ok_or(TokenError::Invalid("it has no verified mail address"))?;
        Ok(TokenClaims {
            subject: TokenSubject::Email(email),
            expires_at,
            permissions: None,
            workspace: None,
        })
    }

    /// The keys that may have signed a token with `header`.
    async fn keys(
        &self,
        header: &Header,
        now: OffsetDateTime,
    ) -> Result<Vec<Arc<ProviderKey>>, TokenError> {
        let found = self.kept().fitting(header, now);
        if !found.is_empty() && self.kept().is_fresh(now) {
            return Ok(found);
        }
        let _fetching = match self.fetching.try_lock() {
            Ok(it) => it,
            // Who knows a key goes on with it meanwhile.
            Err(_) if !found.is_empty() => return Ok(found),
            Err(_) => self.fetching.lock().await,
        };
        // Somebody else may have fetched while this call waited.
        if self.kept().may_be_fetched(now) {
            self.fetch(now).await.or_else(|cause| {
                if self.kept().is_usable(now) {
                    Ok(())
                } else {
                    Err(TokenError::Unavailable(cause))
                }
            })?;
        }
        let kept = self.kept();
        let found = kept.fitting(header, now);
        match (found.is_empty(), kept.is_usable(now)) {
            (false, _) => Ok(found),
            (true, true) => Err(TokenError::Invalid("its issuer has no such key")),
            (true, false) => Err(TokenError::Unavailable("not tried again so soon".into())),
        }
    }

    async fn fetch(&self, now: OffsetDateTime) -> Result<(), Cause> {
        let fetched = self.fetch_keys().await;
        let before = self.kept();
        let (keys, fetched_at, outcome) = match fetched {
            Ok(keys) => (keys.into_iter().map(Arc::new).collect(), Some(now), Ok(())),
            Err(cause) => (before.keys.clone(), before.fetched_at, Err(cause)),
        };
        let kept = Arc::new(Kept { keys, fetched_at, tried_at: Some(now) });
        *self.kept.write().unwrap_or_else(PoisonError::into_inner) = kept;
        outcome
    }

    async fn fetch_keys(&self) -> Result<Vec<ProviderKey>, Cause> {
        let place = match &self.source {
            KeySource::Known(url) => url.clone(),
            KeySource::Discovered(url) => {
                let found: Discovery = self.get(url).await?;
                if found.issuer != self.issuer {
                    return Err("the discovery document is of another issuer".into());
                }
                secure(found.jwks_uri)?
            }
        };
        Ok(self.get::<KeySet>(&place).await?.into_keys())
    }

    async fn get<T: DeserializeOwned>(&self, url: &Url) -> Result<T, Cause> {
        let mut request = OutboundRequest::new(Method::GET, url.clone());
        request.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        request.limits = LIMITS;
        request.redirects = Redirects::HandBack;
        let response = self.outbound.send(request).await?;
        if response.status != StatusCode::OK {
            return Err(format!("{url} answers with {}", response.status).into());
        }
        Ok(serde_json::from_slice(&response.bytes().await?)?)
    }

    fn kept(&self) -> Arc<Kept> {
        Arc::clone(&self.kept.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Kept {
    fn age(&self, now: OffsetDateTime) -> Option<Duration> {
        self.fetched_at.map(|it| now - it)
    }

    fn is_fresh(&self, now: OffsetDateTime) -> bool {
        self.age(now).is_some_and(|it| it < FRESH)
    }

    fn is_usable(&self, now: OffsetDateTime) -> bool {
        self.age(now).is_some_and(|it| it < STALE)
    }

    fn may_be_fetched(&self, now: OffsetDateTime) -> bool {
        let has_failed = self.tried_at != self.fetched_at;
        let pause = if has_failed { RETRY } else { PAUSE };
        self.tried_at.is_none_or(|it| now - it >= pause)
    }

    fn fitting(&self, header: &Header, now: OffsetDateTime) -> Vec<Arc<ProviderKey>> {
        let usable = self.keys.iter().filter(|_| self.is_usable(now));
        usable.filter(|it| it.fits(header)).cloned().collect()
    }
}

/// `url`, if what comes from there comes from its host. On this machine itself, nobody is in between.
fn secure(url: Url) -> Result<Url, InvalidProvider> {
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let is_secure = url.scheme() == "https" || (url.scheme() == "http" && is_here);
    let is_plain = url.username().is_empty() && url.password().is_none() && url.has_host();
    if is_secure && is_plain { Ok(url) } else { Err(InvalidProvider::Insecure) }
}
