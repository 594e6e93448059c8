//! Our own keys for tokens: HS256 over secrets of the operator.

use std::{collections::BTreeSet, fmt, mem};

use linkspan_domain::{
    Permission, PersonId, Secret, WorkspaceId,
    ports::{TokenClaims, TokenError, TokenGrant, TokenSigner, TokenSubject},
};
use ring::{digest, hmac};
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;

use crate::jwt::{self, Compact, Registered};

/// Keys that sign and check tokens: the current one, and previous ones for what was signed before.
///
/// Whoever has the secret can make tokens for anybody, so that a product may vouch for its own users.
pub struct TokenKeys {
    current: TokenKey,
    previous: Vec<TokenKey>,
    /// Who the tokens that are signed are from, and for.
    issuer: String,
    /// Others whose tokens are taken.
    others: Vec<String>,
}

struct TokenKey {
    id: String,
    key: hmac::Key,
}

/// A text that cannot be a secret to sign tokens with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a secret for tokens has at least 32 bytes, and no comma; take the output of `openssl rand -base64 48`"
)]
pub struct InvalidTokenSecret;

/// What our tokens say beyond what all do.
#[derive(Deserialize)]
struct Own {
    permissions: Option<BTreeSet<Permission>>,
    workspace: Option<WorkspaceId>,
}

impl TokenKeys {
    /// As long as the hash (RFC 7518 §3.2).
    const LEAST_BYTES: usize = 32;

    /// Keys out of a secret and previous ones, separated by commas. `issuer` is who tokens are from, and for.
    pub fn new(
        secret: &Secret<String>,
        previous: Option<&Secret<String>>,
        issuer: String,
    ) -> Result<Self, InvalidTokenSecret> {
        if secret.expose().contains(',') {
            return Err(InvalidTokenSecret);
        }
        let previous = previous.map(|it| it.expose().as_str()).unwrap_or_default();
        let previous = previous.split(',').map(str::trim).filter(|it| !it.is_empty());
        Ok(Self {
            current: TokenKey::new(secret.expose())?,
            previous: previous.map(TokenKey::new).collect::<Result<_, _>>()?,
            issuer,
            others: Vec::new(),
        })
    }

    /// Signs as `issuer` from now on. Tokens of whom it was before are taken as well.
    #[must_use]
    pub fn signing_as(mut self, issuer: String) -> Self {
        self.others.push(mem::replace(&mut self.issuer, issuer));
        self
    }

    /// What `token` says, if one of these keys signed it and it holds at `now`.
    pub(crate) fn check(
        &self,
        token: &Compact<'_>,
        now: OffsetDateTime,
    ) -> Result<TokenClaims, TokenError> {
        let named = |key: &&TokenKey| token.header.kid.as_ref().is_none_or(|it| *it == key.id);
        let mut keys = std::iter::once(&self.current).chain(&self.previous).filter(named);
        if !keys.any(|it| hmac::verify(&it.key, token.signed, &token.signature).is_ok()) {
            return Err(TokenError::Invalid("none of our keys signed it"));
        }
        let registered: Registered = token.claims()?;
        let mut issuers = std::iter::once(&self.issuer).chain(&self.others);
        let issuer = issuers.find(|it| registered.is_from(it)).unwrap_or(&self.issuer);
        let expires_at = registered.accept(issuer, issuer, now)?;
        let lifetime = registered.lifetime()?;
        let lifetime = lifetime.ok_or(TokenError::Invalid("it does not say when it was issued"))?;
        if lifetime > TokenGrant::LONGEST {
            return Err(TokenError::Invalid("it is good for longer than a day"));
        }
        let person: PersonId =
            registered.sub.parse().map_err(|_| TokenError::Invalid("its subject is no person"))?;
        let Own { permissions, workspace } = token.claims()?;
        Ok(TokenClaims {
            subject: TokenSubject::Person(person),
            expires_at,
            permissions,
            workspace,
        })
    }
}

impl TokenSigner for TokenKeys {
    fn sign(&self, grant: &TokenGrant) -> Result<Secret<String>, TokenError> {
        let TokenGrant { id, person, issued_at, expires_at } = grant;
        let TokenKey { id: kid, key } = &self.current;
        let header = json!({ "alg": "HS256", "typ": "JWT", "kid": kid });
        let claims = json!({
            "iss": self.issuer,
            "aud": self.issuer,
            "sub": person,
            "jti": id,
            "iat": issued_at.unix_timestamp(),
            "nbf": issued_at.unix_timestamp(),
            "exp": expires_at.unix_timestamp(),
        });
        jwt::signed(&header, &claims, |signed| Ok(hmac::sign(key, signed)))
    }
}

impl TokenKey {
    fn new(secret: &str) -> Result<Self, InvalidTokenSecret> {
        if secret.len() < TokenKeys::LEAST_BYTES {
            return Err(InvalidTokenSecret);
        }
        let named =
            digest::digest(&digest::SHA256, format!("linkspan token key {secret}").as_bytes());
        let [a, b, c, d, ..] = *named.as_ref() else { return Err(InvalidTokenSecret) };
        let id = format!("{a:02x}{b:02x}{c:02x}{d:02x}");
        Ok(Self { id, key: hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()) })
    }
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKeys").field("current", &self.current.id).finish_non_exhaustive()
    }
}
