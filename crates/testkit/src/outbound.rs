//! A way out that leads nowhere: answers are scripted, requests are kept.

use std::{
    collections::VecDeque,
    io,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use linkspan_domain::ports::{
    Outbound, OutboundBody, OutboundError, OutboundRequest, OutboundResponse,
};
use url::Url;

/// An [`Outbound`] that gives scripted answers, one per request and the last one again and again.
///
/// It keeps the contract of the port where a connector can notice: a body larger than the limit of
/// the request ends in [`OutboundError::TooLarge`], and bodies arrive in pieces.
pub struct Answers {
    answers: Mutex<VecDeque<Answer>>,
    seen: Mutex<Vec<SeenRequest>>,
}

/// One scripted answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A response.
    Response {
        /// Its status.
        status: StatusCode,
        /// Its headers.
        headers: HeaderMap,
        /// Its body, decompressed.
        body: Bytes,
    },
    /// A response whose body breaks off after these bytes.
    BreaksOff(Bytes),
    /// The policy refuses the request.
    Refused,
    /// Nothing answers.
    Unreachable,
    /// Nothing ever comes.
    Silence,
}

/// A request as it would have left.
#[derive(Clone, Debug)]
pub struct SeenRequest {
    /// The method.
    pub method: Method,
    /// The URL.
    pub url: Url,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// How many bytes of a body arrive at a time.
const PIECE: usize = 1000;

impl Answer {
    /// A response with `status` and `body`.
    ///
    /// # Panics
    ///
    /// When `status` is none.
    pub fn of(status: u16, body: impl Into<Bytes>) -> Self {
        let Ok(status) = StatusCode::from_u16(status) else { panic!("no HTTP status: {status}") };
        Self::Response { status, headers: HeaderMap::new(), body: body.into() }
    }

    /// The same response with one header more; other answers have none.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &'static str) -> Self {
        if let Self::Response { headers, .. } = &mut self {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        self
    }
}

impl Answers {
    /// These answers, in this order; the last is given again and again.
    pub fn sequence(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self { answers: Mutex::new(answers.into_iter().collect()), seen: Mutex::default() }
    }

    /// The same answer to everything.
    pub fn always(answer: Answer) -> Self {
        Self::sequence([answer])
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<SeenRequest> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn next(&self) -> Option<Answer> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
    }
}

#[async_trait]
impl Outbound for Answers {
    async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        let OutboundRequest { method, url, headers, body, limits, redirects: _ } = request;
        let body = match body {
            OutboundBody::Empty => Bytes::new(),
            OutboundBody::Bytes(bytes) => bytes,
            OutboundBody::Stream(mut pieces) => {
                let mut whole = Vec::new();
                while let Some(piece) = pieces.next().await {
                    whole.extend_from_slice(&piece?);
                }
                whole.into()
            }
        };
        let host = url.host_str().unwrap_or_default().to_owned();
        let seen = SeenRequest { method, url: url.clone(), headers, body };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        let (status, headers, body, end) = match self.next() {
            None | Some(Answer::Unreachable) => {
                let source = io::Error::from(io::ErrorKind::ConnectionRefused).into();
                return Err(OutboundError::Unreachable { host, source });
            }
            Some(Answer::Refused) => {
                return Err(OutboundError::Refused { host, reason: "scripted" });
            }
            Some(Answer::Silence) => std::future::pending().await,
            Some(Answer::Response { status, headers, body }) => (status, headers, body, None),
            Some(Answer::BreaksOff(body)) => {
                let source = io::Error::from(io::ErrorKind::UnexpectedEof).into();
                let end = OutboundError::Broken { host, source };
                (StatusCode::OK, HeaderMap::new(), body, Some(end))
            }
        };
        let limit = limits.body_bytes;
        let allowed = body.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
        let end = if allowed < body.len() { Some(OutboundError::TooLarge { limit }) } else { end };
        let pieces: Vec<_> = body[..allowed].chunks(PIECE).map(Bytes::copy_from_slice).collect();
        let body = stream::iter(pieces.into_iter().map(Ok).chain(end.map(Err))).boxed();
        Ok(OutboundResponse { status, headers, url, body })
    }
}
