//! The token endpoint (RFC 6749 §4.1.3, §4.4, §6).

use std::collections::BTreeSet;

use linkspan_domain::{
    Grant, Secret,
    ports::{ClientSigner, OauthError, TokenAsk, TokenReply, TokenRight},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use crate::{
    failure::refusal,
    form::authenticated,
    wire::{Message, Wire, host, is_busy, object},
    words::secrets_of,
};

/// A successful answer (RFC 6749 §5.1), with the liberties that servers take.
#[derive(Deserialize)]
struct Granted {
    access_token: Secret<String>,
    // Required, and left out all the same: whoever refused such an answer would lose the refresh token that came with it.
    #[serde(default)]
    token_type: Option<String>,
    #[serde(default)]
    expires_in: Option<Seconds>,
    #[serde(default)]
    refresh_token: Option<Secret<String>>,
    #[serde(default)]
    scope: Option<Scopes>,
}

/// A number, or a number as text. Whatever else it is says nothing, and is no reason to lose the tokens.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Text(String),
    Other(IgnoredAny),
}

/// A text with blanks, or a list. Whatever else it is says nothing, and is no reason to lose the tokens.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scopes {
    Text(String),
    List(BTreeSet<String>),
    Other(IgnoredAny),
}

/// Asks once, and answers what came back.
pub(crate) async fn ask(
    wire: &Wire,
    signer: &dyn ClientSigner,
    ask: &TokenAsk<'_>,
) -> Result<TokenReply, OauthError> {
    ask.server.takes(ask.client.proof.way())?;
    let answered = wire.send(&ask.server.token_endpoint, request(signer, ask)?).await?;
    Ok(TokenReply {
        status: answered.status.as_u16(),
        retry_after: answered.retry_after(),
        body: Secret::new(answered.body.into()),
    })
}

fn request(signer: &dyn ClientSigner, ask: &TokenAsk<'_>) -> Result<Message, OauthError> {
    let scope = ask.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    let mut fields = match ask.by {
        TokenRight::Code { code, pending } => vec![
            ("grant_type", "authorization_code"),
            ("code", code.expose().as_str()),
            ("redirect_uri", pending.redirect_uri.as_str()),
            ("code_verifier", pending.verifier.expose().as_str()),
        ],
        // Without a scope it is for all that was granted (RFC 6749 §6).
        TokenRight::Refresh(token) => {
            vec![("grant_type", "refresh_token"), ("refresh_token", token.expose().as_str())]
        }
        TokenRight::ClientCredentials => vec![("grant_type", "client_credentials")],
    };
    if matches!(ask.by, TokenRight::ClientCredentials) && !scope.is_empty() {
        fields.push(("scope", &scope));
    }
    fields.extend(ask.resource.map(|it| ("resource", it)));
    authenticated(signer, ask.server, ask.client, fields)
}

/// What `reply` grants.
pub(crate) fn read(
    ask: &TokenAsk<'_>,
    reply: &TokenReply,
    now: OffsetDateTime,
) -> Result<Grant, OauthError> {
    let TokenReply { status, body, retry_after } = reply;
    let (status, retry_after) = (*status, *retry_after);
    let issuer = &ask.server.issuer;
    if is_busy(status) {
        let issuer = issuer.clone();
        return Err(OauthError::Busy { issuer, status, code: None, retry_after });
    }
    let refused = !(200..300).contains(&status);
    // Some say 200 of a refusal.
    let said: Option<Refused> = object(body.expose());
    if refused || said.as_ref().is_some_and(Refused::is_one) {
        let said = said.map(Refused::into_value);
        let secrets = secrets(ask);
        return Err(refusal(issuer, status, said.as_ref(), retry_after, &secrets));
    }
    let unsound = |what| OauthError::Unsound { host: host(&ask.server.token_endpoint), what };
    let granted: Granted = object(body.expose())
        .ok_or_else(|| unsound("answers the token request with something that is no token"))?;
    granted.into_grant(ask, now).map_err(unsound)
}

/// The part of an answer that says no. Nothing else of it is read, so that no token lies about in a JSON tree.
#[derive(Deserialize)]
struct Refused {
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    error_description: Option<Value>,
}

impl Refused {
    fn is_one(&self) -> bool {
        self.error.as_ref().is_some_and(|it| !it.is_null())
    }

    fn into_value(self) -> Value {
        serde_json::json!({ "error": self.error, "error_description": self.error_description })
    }
}

/// Whatever was sent that a server might repeat.
fn secrets<'a>(ask: &TokenAsk<'a>) -> Vec<&'a str> {
    let mut secrets = secrets_of(ask.client);
    match ask.by {
        TokenRight::Code { code, pending } => {
            secrets.extend([code.expose().as_str(), pending.verifier.expose().as_str()]);
        }
        TokenRight::Refresh(token) => secrets.push(token.expose()),
        TokenRight::ClientCredentials => {}
    }
    secrets
}

impl Granted {
    fn into_grant(self, ask: &TokenAsk<'_>, now: OffsetDateTime) -> Result<Grant, &'static str> {
        let named = self.token_type.filter(|it| !it.is_empty());
        if named.is_some_and(|it| !it.eq_ignore_ascii_case("bearer")) {
            return Err("hands out tokens of another type than Bearer");
        }
        if self.access_token.expose().is_empty() {
            return Err("hands out an empty access token");
        }
        let earlier = match ask.by {
            TokenRight::Refresh(token) => Some(token.clone()),
            TokenRight::Code { .. } | TokenRight::ClientCredentials => None,
        };
        let next = self.refresh_token.filter(|it| !it.expose().is_empty());
        Ok(Grant {
            issuer: ask.server.issuer.clone(),
            access_token: self.access_token,
            refresh_token: next.or(earlier),
            expires_at: self.expires_in.and_then(|it| it.after(now)),
            scopes: fit(self.scope.and_then(|it| it.split(ask.scopes)), ask.scopes),
            resource: ask.resource.map(str::to_owned),
        })
    }
}

impl Seconds {
    /// So long after `now`. None: it is no number, or beyond every calendar.
    fn after(self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let seconds = match self {
            Self::Number(number) => number,
            Self::Text(text) => text.trim().parse().ok()?,
            Self::Other(_) => return None,
        };
        let duration = Duration::checked_seconds_f64(seconds)?;
        now.checked_add(Duration::seconds(duration.whole_seconds()))
    }
}

impl Scopes {
    /// One by one. Some servers put commas between them, where `asked` shows that a comma is no part of a scope. None: it does
    /// not say.
    fn split(self, asked: &BTreeSet<String>) -> Option<BTreeSet<String>> {
        let text = match self {
            Self::List(scopes) => return Some(scopes),
            Self::Text(text) => text,
            Self::Other(_) => return None,
        };
        let commas = !text.contains(' ') && !asked.iter().any(|it| it.contains(','));
        let separates = |it: char| it.is_whitespace() || (commas && it == ',');
        Some(text.split(separates).filter(|it| !it.is_empty()).map(str::to_owned).collect())
    }
}

/// What was `granted`, else what was `asked` for, as far as it is fit to be kept: no scope has control characters (RFC 6749
/// §3.3), and no database has a place for some of them.
fn fit(granted: Option<BTreeSet<String>>, asked: &BTreeSet<String>) -> BTreeSet<String> {
    let scopes = granted.unwrap_or_else(|| asked.clone());
    scopes.into_iter().filter(|it| !it.contains(char::is_control)).collect()
}
