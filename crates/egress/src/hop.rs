//! One request of an exchange, and the request that a redirect makes of it.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_LENGTH, LOCATION, RANGE},
};
use linkspan_domain::ports::{OutboundBody, OutboundError, OutboundRequest};
use url::Url;

/// Headers that only the client sets: they frame the message or steer the connection.
const OWN: &[&str] = &[
    "connection",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers that another origin may see.
///
/// A list of what is harmless, since nobody can list all the names that credentials travel under.
const HARMLESS: &[&str] = &[
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-encoding",
    "content-language",
    "content-type",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
    "traceparent",
    "tracestate",
    "user-agent",
];

/// Headers that describe a body and go when it goes.
const OF_THE_BODY: &[&str] = &[
    "content-digest",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-type",
    "digest",
];

/// One request of an exchange.
pub(crate) struct Hop {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    body: Payload,
}

enum Payload {
    Empty,
    Bytes(Bytes),
    Stream(BoxStream<'static, Result<Bytes, OutboundError>>),
    /// A stream that was sent and is gone.
    Spent,
}

/// A redirect asked for a body that cannot be sent twice.
#[derive(Debug, thiserror::Error)]
#[error("a redirect ({0}) asks for the request body again, and a streamed body is sent only once")]
struct BodySpent(StatusCode);

impl Hop {
    /// The first request of an exchange.
    pub(crate) fn first(request: OutboundRequest) -> Result<Self, OutboundError> {
        let OutboundRequest { method, url, mut headers, body, limits: _, redirects: _ } = request;
        if method == Method::CONNECT {
            return Err(OutboundError::InvalidUrl("the method CONNECT opens a tunnel"));
        }
        remove_all(&mut headers, OWN);
        let body = match body {
            OutboundBody::Empty => Payload::Empty,
            OutboundBody::Bytes(bytes) => Payload::Bytes(bytes),
            OutboundBody::Stream(stream) => Payload::Stream(stream),
        };
        if !matches!(body, Payload::Stream(_)) {
            // Only of a stream can the caller know the length better than the client.
            headers.remove(CONTENT_LENGTH);
        }
        if !headers.contains_key(ACCEPT_ENCODING) {
            // A part of a compressed body cannot be decompressed.
            let coding = if headers.contains_key(RANGE) { "identity" } else { "gzip" };
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(coding));
        }
        Ok(Self { method, url, headers, body })
    }

    /// The host as the URL names it.
    pub(crate) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The body to send now. A stream is handed out once.
    pub(crate) fn body(&mut self) -> Option<reqwest::Body> {
        match &mut self.body {
            Payload::Empty | Payload::Spent => None,
            Payload::Bytes(bytes) => Some(bytes.clone().into()),
            Payload::Stream(_) => match std::mem::replace(&mut self.body, Payload::Spent) {
                Payload::Stream(stream) => Some(reqwest::Body::wrap_stream(stream)),
                _ => None,
            },
        }
    }

    /// Where an answer with `status` and `headers` redirects to, if it does.
    pub(crate) fn target(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Option<Url>, OutboundError> {
        let redirects = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
        let Some(location) = headers.get(LOCATION).filter(|_| redirects) else {
            return Ok(None);
        };
        let target =
            std::str::from_utf8(location.as_bytes()).ok().and_then(|it| self.url.join(it).ok());
        let Some(target) = target else {
            return Err(OutboundError::InvalidUrl("a redirect leads to something that is no URL"));
        };
        if self.url.scheme() == "https" && target.scheme() == "http" {
            return Err(OutboundError::InvalidUrl("a redirect leads from https to http"));
        }
        Ok(Some(target))
    }

    /// The request that a redirect with `status` to `target` makes of this one, as the Fetch standard has it
    /// ("HTTP-redirect fetch"), with more headers dropped across origins.
    pub(crate) fn redirected(
        mut self,
        status: StatusCode,
        target: Url,
    ) -> Result<Self, OutboundError> {
        let becomes_get = match status {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            StatusCode::SEE_OTHER => !matches!(self.method, Method::GET | Method::HEAD),
            _ => false,
        };
        if becomes_get {
            self.method = Method::GET;
            self.body = Payload::Empty;
            remove_all(&mut self.headers, OF_THE_BODY);
        }
        if let Payload::Spent = self.body {
            let source = Box::new(BodySpent(status));
            return Err(OutboundError::Broken { host: self.host().to_owned(), source });
        }
        if self.url.origin() != target.origin() {
            // What is dropped here stays dropped, also when a later redirect leads back.
            self.headers = harmless(&self.headers);
        }
        self.url = target;
        Ok(self)
    }
}

fn remove_all(headers: &mut HeaderMap, names: &[&str]) {
    for name in names {
        headers.remove(*name);
    }
}

fn harmless(headers: &HeaderMap) -> HeaderMap {
    headers
        .iter()
        .filter(|(name, value)| HARMLESS.contains(&name.as_str()) && !value.is_sensitive())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(method: Method, body: OutboundBody) -> Hop {
        let url = Url::parse("https://a.test/start?token=1").unwrap();
        let mut request = OutboundRequest::new(method, url);
        request.body = body;
        request.headers.insert("content-type", HeaderValue::from_static("text/csv"));
        request.headers.insert("accept", HeaderValue::from_static("text/html"));
        Hop::first(request).unwrap()
    }

    fn location(value: &[u8]) -> HeaderMap {
        HeaderMap::from_iter([(LOCATION, HeaderValue::from_bytes(value).unwrap())])
    }

    #[test]
    fn a_redirect_from_https_to_http_is_refused() {
        let hop = hop(Method::GET, OutboundBody::Empty);
        for target in ["http://a.test/", "http://b.test/", "HTTP:\\\\a.test", "ht\ttp://a.test/"] {
            let target = hop.target(StatusCode::FOUND, &location(target.as_bytes()));
            assert!(matches!(target, Err(OutboundError::InvalidUrl(_))), "{target:?}");
        }
        let target = hop.target(StatusCode::FOUND, &location(b"//b.test/x")).unwrap();
        assert_eq!(target, Some(Url::parse("https://b.test/x").unwrap()));
    }

    #[test]
    fn only_a_redirect_status_with_a_location_redirects() {
        let hop = hop(Method::GET, OutboundBody::Empty);
        for status in [200, 201, 300, 304, 305, 306, 404] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(hop.target(status, &location(b"/next")).unwrap(), None, "{status}");
        }
        assert_eq!(hop.target(StatusCode::FOUND, &HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn a_location_that_is_no_url_is_an_error() {
        let hop = hop(Method::GET, OutboundBody::Empty);
        for target in [&b"http://"[..], b"http://[::1", b"https://a.test:99999/", b"/\xff\xfe"] {
            let target = hop.target(StatusCode::FOUND, &location(target));
            assert!(matches!(target, Err(OutboundError::InvalidUrl(_))), "{target:?}");
        }
    }

    #[test]
    fn redirects_change_the_method_as_fetch_does() {
        let table = [
            (301, Method::POST, Method::GET),
            (302, Method::POST, Method::GET),
            (303, Method::POST, Method::GET),
            (307, Method::POST, Method::POST),
            (308, Method::POST, Method::POST),
            (301, Method::PUT, Method::PUT),
            (302, Method::DELETE, Method::DELETE),
            (303, Method::PUT, Method::GET),
            (303, Method::HEAD, Method::HEAD),
            (301, Method::HEAD, Method::HEAD),
            (308, Method::PATCH, Method::PATCH),
        ];
        for (status, method, expected) in table {
            let hop = hop(method.clone(), OutboundBody::Bytes(Bytes::from_static(b"x")));
            let target = Url::parse("https://a.test/next").unwrap();
            let mut next = hop.redirected(StatusCode::from_u16(status).unwrap(), target).unwrap();
            assert_eq!(next.method, expected, "{status} {method}");
            let kept = expected == method;
            assert_eq!(next.body().is_some(), kept, "{status} {method}");
            assert_eq!(next.headers.contains_key("content-type"), kept, "{status} {method}");
            assert!(next.headers.contains_key("accept"));
        }
    }

    #[test]
    fn a_streamed_body_is_not_sent_twice() {
        for (status, follows) in [(303, true), (301, true), (307, false), (308, false)] {
            let stream = Box::pin(futures_util::stream::empty());
            let mut hop = hop(Method::POST, OutboundBody::Stream(stream));
            assert!(hop.body().is_some());
            let target = Url::parse("https://a.test/next").unwrap();
            let next = hop.redirected(StatusCode::from_u16(status).unwrap(), target);
            assert_eq!(next.is_ok(), follows, "{status}");
        }
    }

    #[test]
    fn headers_that_frame_the_message_are_the_clients() {
        let mut request = OutboundRequest::new(Method::GET, Url::parse("http://a.test").unwrap());
        for name in OWN.iter().chain([&"content-length"]) {
            request.headers.insert(*name, HeaderValue::from_static("1"));
        }
        let hop = Hop::first(request).unwrap();
        let names: Vec<_> = hop.headers.keys().collect();
        assert_eq!(names, ["accept-encoding"]);
    }

    #[test]
    fn a_part_of_a_body_is_asked_for_uncompressed() {
        let mut request = OutboundRequest::new(Method::GET, Url::parse("http://a.test").unwrap());
        request.headers.insert(RANGE, HeaderValue::from_static("bytes=0-9"));
        assert_eq!(Hop::first(request).unwrap().headers[ACCEPT_ENCODING], "identity");
    }
}
