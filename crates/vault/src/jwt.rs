//! JSON Web Tokens in their compact form (RFC 7515, RFC 7519): putting them together, taking them apart, and what they must say.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use linkspan_domain::{Secret, ports::TokenError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

/// How far clocks may be apart.
pub(crate) const LEEWAY: Duration = Duration::MINUTE;

/// No token of use is longer.
const MOST_BYTES: usize = 16 * 1024;

/// A token taken apart. Nothing of it counts before its signature was checked.
pub(crate) struct Compact<'a> {
    pub(crate) header: Header,
    /// What is signed: the header and the payload as they came.
    pub(crate) signed: &'a [u8],
    pub(crate) signature: Vec<u8>,
    payload: Vec<u8>,
}

/// What a token says of its signature.
#[derive(Deserialize)]
pub(crate) struct Header {
    pub(crate) alg: Algorithm,
    pub(crate) kid: Option<String>,
    /// What must be understood to use the token (RFC 7515 §4.1.11): nothing of that is.
    crit: Option<Value>,
}

/// The algorithms that are taken (RFC 7518 §3.1, RFC 8037 §3.1). `none` is not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Algorithm {
    #[serde(rename = "HS256")]
    Hs256,
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "PS256")]
    Ps256,
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// The claims that every token must have, or may (RFC 7519 §4.1).
#[derive(Deserialize)]
pub(crate) struct Registered {
    iss: String,
    pub(crate) sub: String,
    aud: Audience,
    exp: NumericDate,
    nbf: Option<NumericDate>,
    iat: Option<NumericDate>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Seconds since 1970, maybe with a fraction (RFC 7519 §2).
#[derive(Clone, Copy, Deserialize)]
struct NumericDate(f64);

/// The token that says `claims` under `header`, signed by `sign`.
pub(crate) fn signed<S: AsRef<[u8]>, E>(
    header: &Value,
    claims: &Value,
    sign: impl FnOnce(&[u8]) -> Result<S, E>,
) -> Result<Secret<String>, E> {
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let (header, claims) = (header.to_string(), claims.to_string());
    let signed = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
    let signature = sign(signed.as_bytes())?;
    Ok(Secret::new(format!("{signed}.{}", encode(signature.as_ref()))))
}

impl NumericDate {
    fn instant(self) -> Result<OffsetDateTime, TokenError> {
        let since = Duration::checked_seconds_f64(self.0);
        let instant = since.and_then(|it| OffsetDateTime::UNIX_EPOCH.checked_add(it));
        instant.ok_or(TokenError::Invalid("one of its instants is none"))
    }
}

impl<'a> Compact<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, TokenError> {
        let malformed = TokenError::Invalid("it is not three parts in base64");
        if text.len() > MOST_BYTES {
            return Err(TokenError::Invalid("it is too long"));
        }
        let Some((signed, signature)) = text.rsplit_once('.') else { return Err(malformed) };
        let Some((header, payload)) = signed.split_once('.') else { return Err(malformed) };
        let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part);
        let (Ok(header), Ok(payload), Ok(signature)) =
            (decode(header), decode(payload), decode(signature))
        else {
            return Err(malformed);
        };
        let header: Header = serde_json::from_slice(&header).map_err(|_| {
            TokenError::Invalid(
                "its header cannot be read, or names an algorithm that is not taken",
            )
        })?;
        if header.crit.is_some() {
            return Err(TokenError::Invalid("its header asks for an extension"));
        }
        Ok(Self { header, signed: signed.as_bytes(), signature, payload })
    }

    /// Some of what it says. To be asked once the signature was checked.
    pub(crate) fn claims<T: DeserializeOwned>(&self) -> Result<T, TokenError> {
        serde_json::from_slice(&self.payload)
            .map_err(|_| TokenError::Invalid("one of its claims is missing or cannot be read"))
    }
}

impl Registered {
    /// Whether it says that it is from `issuer`.
    pub(crate) fn is_from(&self, issuer: &str) -> bool {
        self.iss == issuer
    }

    /// Passes if the token is from `issuer` for `audience`, and holds at `now`. Answers when it stops to.
    pub(crate) fn accept(
        &self,
        issuer: &str,
        audience: &str,
        now: OffsetDateTime,
    ) -> Result<OffsetDateTime, TokenError> {
        if !self.is_from(issuer) {
            return Err(TokenError::Invalid("it is from another issuer"));
        }
        let is_ours = match &self.aud {
            Audience::One(it) => it == audience,
            Audience::Many(all) => all.iter().any(|it| it == audience),
        };
        if !is_ours {
            return Err(TokenError::Invalid("it is for another audience"));
        }
        let end = self.exp.instant()?.saturating_add(LEEWAY);
        if now >= end {
            return Err(TokenError::Invalid("it has expired"));
        }
        for from in [self.nbf, self.iat].into_iter().flatten() {
            if from.instant()? > now.saturating_add(LEEWAY) {
                return Err(TokenError::Invalid("it does not hold yet"));
            }
        }
        Ok(end)
    }

    /// How long it is good for, if it says from when on.
    pub(crate) fn lifetime(&self) -> Result<Option<Duration>, TokenError> {
        let Some(from) = self.iat else { return Ok(None) };
        Ok(Some(self.exp.instant()? - from.instant()?))
    }
}
