//! The way to authorization servers: one request, no redirects, small answers, little time.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{ACCEPT, DATE, RETRY_AFTER},
};
use linkspan_domain::{
    Challenge, Issuer, is_private_transport,
    ports::{
        ASK_LASTS, Limits, OauthError, Outbound, OutboundBody, OutboundRequest, OutboundResponse,
        Redirects,
    },
};
use serde::de::DeserializeOwned;
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use url::Url;

/// What an exchange with an authorization server may cost.
const LIMITS: Limits = Limits { body_bytes: 256 * 1024, total: Duration::from_secs(20) };

// Whoever holds the lease of a grant counts on it.
const _: () = assert!(LIMITS.total.as_secs() < ASK_LASTS.whole_seconds().unsigned_abs());

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The way out.
pub(crate) struct Wire {
    outbound: Arc<dyn Outbound>,
}

/// What came back.
pub(crate) struct Answered {
    pub(crate) host: String,
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What is sent.
pub(crate) struct Message {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(outbound: Arc<dyn Outbound>) -> Self {
        Self { outbound }
    }

    /// Sends `message` to `url` once.
    ///
    /// A redirect is unsound: what was sent may be a secret, and what comes back would be somebody else's word.
    pub(crate) async fn send(&self, url: &Url, message: Message) -> Result<Answered, OauthError> {
        let answered = self.exchange(url, message).await?;
        if answered.status.is_redirection() {
            let what = "answers with a redirect, which is never followed";
            return Err(OauthError::Unsound { host: answered.host, what });
        }
        Ok(answered)
    }

    /// The document at `url`, if there is one. Whoever is too busy to say is an error.
    pub(crate) async fn document<T: DeserializeOwned>(
        &self,
        url: &Url,
    ) -> Result<Option<T>, OauthError> {
        let answered = self.exchange(url, Message::get(JSON)).await?;
        if answered.is_busy() {
            return Err(answered.busy(&origin(url)));
        }
        // What is found at the end of a redirect is not at this URL.
        Ok(if answered.status == StatusCode::OK { answered.json() } else { None })
    }

    /// The challenge that the resource at `url` gives to whoever comes without a token.
    pub(crate) async fn challenge(&self, url: &Url) -> Result<Option<String>, OauthError> {
        let wanted = HeaderValue::from_static("application/json, text/event-stream");
        // Only the head is of interest, and the body of an event stream never ends.
        let response = self.head(url, Message::get(wanted)).await?;
        let header = Challenge::header(&response.headers);
        Ok(header.filter(|_| response.status == StatusCode::UNAUTHORIZED))
    }

    async fn exchange(&self, url: &Url, message: Message) -> Result<Answered, OauthError> {
        let response = self.head(url, message).await?;
        let host = host(url);
        let (status, headers) = (response.status, response.headers.clone());
        match response.bytes().await {
            Ok(body) => Ok(Answered { host, status, headers, body }),
            Err(source) => Err(OauthError::NoAnswer { host, source }),
        }
    }

    async fn head(&self, url: &Url, message: Message) -> Result<OutboundResponse, OauthError> {
        let host = host(url);
        if !is_private_transport(url) {
            return Err(OauthError::Unsound { host, what: "is not reached over https" });
        }
        let body = match message.body {
            body if body.is_empty() => OutboundBody::Empty,
            body => OutboundBody::Bytes(body.into()),
        };
        let request = OutboundRequest {
            headers: message.headers,
            body,
            limits: LIMITS,
            redirects: Redirects::HandBack,
            ..OutboundRequest::new(message.method, url.clone())
        };
        let sent = self.outbound.send(request).await;
        let response =
            sent.map_err(|source| OauthError::NoAnswer { host: host.clone(), source })?;
        if response.url != *url {
            return Err(OauthError::Unsound { host, what: "was asked, and another URL answered" });
        }
        Ok(response)
    }
}

impl Message {
    pub(crate) fn get(accept: HeaderValue) -> Self {
        Self {
            method: Method::GET,
            headers: HeaderMap::from_iter([(ACCEPT, accept)]),
            body: vec![],
        }
    }
}

impl Answered {
    /// The body as JSON, if it is some and has this form.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Option<T> {
        object(&self.body)
    }

    pub(crate) fn is_busy(&self) -> bool {
        is_busy(self.status.as_u16())
    }

    /// What being busy means, said of `issuer`.
    pub(crate) fn busy(&self, issuer: &Issuer) -> OauthError {
        let (issuer, status) = (issuer.clone(), self.status.as_u16());
        OauthError::Busy { issuer, status, code: None, retry_after: self.retry_after() }
    }

    /// `Retry-After` in seconds, or as a date measured against the answer's own `Date` (RFC 9110 §10.2.3).
    pub(crate) fn retry_after(&self) -> Option<u64> {
        let text = |name: HeaderName| self.headers.get(name)?.to_str().ok();
        let after: &str = text(RETRY_AFTER)?.trim();
        if let Ok(seconds) = after.parse() {
            return Some(seconds);
        }
        let date = |text: &str| OffsetDateTime::parse(text.trim(), &Rfc2822).ok();
        (date(after)? - date(text(DATE)?)?).whole_seconds().try_into().ok()
    }
}

/// What the JSON object in `body` says, if it is one: a list would be taken for its fields in their order.
pub(crate) fn object<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let is_object = body.trim_ascii_start().first() == Some(&b'{');
    is_object.then(|| serde_json::from_slice(body).ok())?
}

/// Whether a status says that the same request may succeed later: the server is down, or was asked too often.
pub(crate) const fn is_busy(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..)
}

pub(crate) fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// The issuer at the origin of `url`, for where nothing names one.
pub(crate) fn origin(url: &Url) -> Issuer {
    Issuer::new(url.origin().ascii_serialization())
}
