//! The way out: every HTTP request to a host that a user or a provider named.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream::BoxStream};
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use super::Cause;

/// Sends HTTP requests under the egress policy.
///
/// # Contract
///
/// - A host that resolves to an address outside the policy is refused before a byte is sent, on the
///   first URL and on each redirect; the address that was checked is the address that is dialled.
/// - Credentials (`authorization`, `cookie`, `proxy-authorization`) do not survive a redirect to another origin.
/// - A body larger than [`Limits::body_bytes`], counted after decompression, ends in [`OutboundError::TooLarge`].
/// - Neither an error nor its source repeats a query string, a credential or a body.
#[async_trait]
pub trait Outbound: Send + Sync {
    /// Sends `request` and answers as soon as the head of the response is there.
    async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError>;
}

/// One request to send.
pub struct OutboundRequest {
    /// The method.
    pub method: Method,
    /// An absolute `http` or `https` URL.
    pub url: Url,
    /// Headers to send, on top of those the client sets itself.
    pub headers: HeaderMap,
    /// The body, if any.
    pub body: OutboundBody,
    /// What to put up with.
    pub limits: Limits,
    /// What is done about an answer that redirects.
    pub redirects: Redirects,
}

/// What is done about an answer that redirects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redirects {
    /// The request goes on to where it leads.
    #[default]
    Follow,
    /// It is the answer: nothing is sent anywhere else.
    HandBack,
}

/// What a request carries.
#[derive(Default)]
pub enum OutboundBody {
    /// Nothing.
    #[default]
    Empty,
    /// Bytes that are already here.
    Bytes(Bytes),
    /// Bytes that arrive while they are sent.
    Stream(BoxStream<'static, Result<Bytes, OutboundError>>),
}

/// What one exchange may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of decompressed response body that are read.
    pub body_bytes: u64,
    /// How long the whole exchange may last, body included.
    pub total: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body_bytes: 16 * 1024 * 1024, total: Duration::from_secs(30) }
    }
}

/// The head of a response, and its body as it arrives.
pub struct OutboundResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The URL that answered, after redirects.
    pub url: Url,
    /// The decompressed body, cut off by the limits of the request.
    pub body: BoxStream<'static, Result<Bytes, OutboundError>>,
}

impl OutboundRequest {
    /// A request without headers or body, under the default limits.
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: OutboundBody::Empty,
            limits: Limits::default(),
            redirects: Redirects::default(),
        }
    }
}

impl OutboundResponse {
    /// The whole body. The limits of the request bound it.
    pub async fn bytes(mut self) -> Result<Bytes, OutboundError> {
        let mut whole = BytesMut::new();
        while let Some(chunk) = self.body.next().await {
            whole.extend_from_slice(&chunk?);
        }
        Ok(whole.freeze())
    }
}

impl fmt::Debug for OutboundRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither headers nor query: both may carry credentials.
        write!(f, "{} {}{}", self.method, self.url.origin().ascii_serialization(), self.url.path())
    }
}

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The policy does not let requests go there.
    #[error(
        "requests to {host} are refused by the egress policy ({reason}); an operator can allow its network with LINKSPAN_EGRESS_ALLOW"
    )]
    Refused {
        /// The host as the URL names it.
        host: String,
        /// Which rule refused it.
        reason: &'static str,
    },
    /// The URL cannot be requested at all.
    #[error("the URL cannot be requested: {0}")]
    InvalidUrl(&'static str),
    /// The name does not resolve, or nothing answers there.
    #[error("{host} could not be reached")]
    Unreachable {
        /// The host as the URL names it.
        host: String,
        /// What the network said.
        #[source]
        source: Cause,
    },
    /// The exchange lasted longer than [`Limits::total`].
    #[error("{host} did not finish its answer within {seconds} s")]
    TimedOut {
        /// The host as the URL names it.
        host: String,
        /// The limit, in seconds.
        seconds: u64,
    },
    /// The response is larger than [`Limits::body_bytes`].
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// More redirects than the client follows.
    #[error("more than {limit} redirects")]
    TooManyRedirects {
        /// The limit.
        limit: usize,
    },
    /// The connection broke, or what arrived is not HTTP.
    #[error("the exchange with {host} broke off")]
    Broken {
        /// The host as the URL names it.
        host: String,
        /// What the network said.
        #[source]
        source: Cause,
    },
}
