//! Requests over HTTP, with failures in our words.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, DATE, RETRY_AFTER},
};
use linkspan_domain::ports::{
    Limits, Outbound, OutboundBody, OutboundError, OutboundRequest, OutboundResponse,
};
use serde::{Serialize, de::DeserializeOwned};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use url::Url;

use crate::{Failure, Paces};

/// The way out over HTTP, under the egress policy. Cheap to clone.
#[derive(Clone)]
pub struct Http {
    outbound: Arc<dyn Outbound>,
    limits: Limits,
    paces: Paces,
}

impl Http {
    /// Sends through `outbound`; requests cost at most `limits` unless they say otherwise.
    pub fn new(outbound: Arc<dyn Outbound>, limits: Limits) -> Self {
        Self::paced(outbound, limits, Paces::default())
    }

    /// As [`new`](Self::new), at this pace.
    pub(crate) fn paced(outbound: Arc<dyn Outbound>, limits: Limits, paces: Paces) -> Self {
        Self { outbound, limits, paces }
    }

    /// An empty request under the usual limits, to be filled and sent.
    pub fn request(&self, method: Method, url: Url) -> OutboundRequest {
        OutboundRequest { limits: self.limits, ..OutboundRequest::new(method, url) }
    }

    /// Sends `request` and answers with whatever status comes back.
    ///
    /// It keeps to what the system said of how many requests it takes, together with all other uses of the account.
    pub async fn exchange(&self, request: OutboundRequest) -> Result<OutboundResponse, Failure> {
        let host = request.url.host_str().unwrap_or_default().to_owned();
        self.paces.wait(&host).await?;
        let response = self.outbound.send(request).await.map_err(failure)?;
        self.paces.learn(&host, response.status, &response.headers);
        Ok(response)
    }

    /// Sends `request`; a status other than 2xx is a failure.
    pub async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, Failure> {
        Self::successful(self.exchange(request).await?)
    }

    /// The same answer, unless its status is another than 2xx.
    pub fn successful(response: OutboundResponse) -> Result<OutboundResponse, Failure> {
        expect_success(response.status, &response.headers, response.url.host_str())?;
        Ok(response)
    }

    /// Sends `request` and reads a JSON answer.
    pub async fn json<T: DeserializeOwned>(
        &self,
        mut request: OutboundRequest,
    ) -> Result<T, Failure> {
        request.headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        let body = self.bytes(request).await?;
        serde_json::from_slice(&body).map_err(|error| Failure::Malformed {
            what: "the answer of the system".to_owned(),
            line: u64::try_from(error.line()).ok(),
            reason: "it is not the JSON that was expected".to_owned(),
        })
    }

    /// Sends `request` and reads the whole answer.
    pub async fn bytes(&self, request: OutboundRequest) -> Result<Bytes, Failure> {
        self.send(request).await?.bytes().await.map_err(failure)
    }

    /// Gets a JSON answer from `url`.
    pub async fn get_json<T: DeserializeOwned>(&self, url: Url) -> Result<T, Failure> {
        self.json(self.request(Method::GET, url)).await
    }

    /// Posts `body` as JSON to `url` and reads a JSON answer.
    pub async fn post_json<T: DeserializeOwned>(
        &self,
        url: Url,
        body: &(impl Serialize + Sync),
    ) -> Result<T, Failure> {
        let mut request = self.request(Method::POST, url);
        set_json(&mut request, body)?;
        self.json(request).await
    }
}

/// Makes `body` the JSON body of `request`.
pub(crate) fn set_json(
    request: &mut OutboundRequest,
    body: &impl Serialize,
) -> Result<(), Failure> {
    let body = serde_json::to_vec(body).map_err(|error| Failure::Defect {
        doing: "write a request",
        source: Some(error.into()),
    })?;
    request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request.body = OutboundBody::Bytes(body.into());
    Ok(())
}

/// Says in our words why an exchange failed.
impl From<OutboundError> for Failure {
    fn from(error: OutboundError) -> Self {
        failure(error)
    }
}

fn failure(error: OutboundError) -> Failure {
    match error {
        OutboundError::Refused { .. }
        | OutboundError::InvalidUrl(_)
        | OutboundError::TooManyRedirects { .. } => Failure::Refused(error.to_string()),
        OutboundError::TooLarge { limit } => {
            Failure::TooLarge { what: "the answer".to_owned(), limit }
        }
        OutboundError::Unreachable { ref host, .. }
        | OutboundError::TimedOut { ref host, .. }
        | OutboundError::Broken { ref host, .. } => Failure::unavailable(host.clone(), error),
    }
}

/// A status other than 2xx as a failure; `host` is who answered.
fn expect_success(
    status: StatusCode,
    headers: &HeaderMap,
    host: Option<&str>,
) -> Result<(), Failure> {
    let host = host.unwrap_or("the system").to_owned();
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Failure::Unauthorized),
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            Err(Failure::NotFound(format!("what was asked of {host}")))
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            Err(Failure::Refused(format!("{host} does not take that much at once (413)")))
        }
        StatusCode::TOO_MANY_REQUESTS => {
            Err(Failure::RateLimited { retry_after: retry_after(headers) })
        }
        StatusCode::SERVICE_UNAVAILABLE if headers.contains_key(RETRY_AFTER) => {
            Err(Failure::RateLimited { retry_after: retry_after(headers) })
        }
        status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
            Err(Failure::unavailable(host, format!("it answered {}", status.as_u16())))
        }
        status => Err(Failure::Refused(format!(
            "{host} refused the request with status {}",
            status.as_u16()
        ))),
    }
}

/// `Retry-After` in seconds, or as a date measured against the answer's own `Date` (RFC 9110, 10.2.3).
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let after = text(headers, RETRY_AFTER.as_str())?;
    if let Ok(seconds) = after.parse() {
        return Some(Duration::from_secs(seconds));
    }
    (date(after)? - date(text(headers, DATE.as_str())?)?).try_into().ok()
}

/// The text of a header.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// A point in time, as headers have it.
pub(crate) fn date(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc2822).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, StatusCode};

    use super::{Failure, expect_success, retry_after};

    #[test]
    fn each_refusal_has_its_own_failure() {
        let of = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            expect_success(status, &HeaderMap::new(), Some("a.example")).unwrap_err().code()
        };
        for (status, code) in [
            (401, "source.unauthorized"),
            (403, "source.unauthorized"),
            (404, "source.not_found"),
            (422, "source.refused"),
            (429, "source.rate_limited"),
            (500, "source.unavailable"),
            (503, "source.unavailable"),
        ] {
            assert_eq!(of(status), code, "{status}");
        }
    }

    #[test]
    fn a_wait_is_read_in_seconds_or_as_a_date() {
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers), None);
        headers.insert("retry-after", "7".parse().unwrap());
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(7)));
        headers.insert("retry-after", "Wed, 21 Oct 2026 07:28:30 GMT".parse().unwrap());
        headers.insert("date", "Wed, 21 Oct 2026 07:28:00 GMT".parse().unwrap());
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(30)));
        headers.insert("retry-after", "soon".parse().unwrap());
        assert_eq!(retry_after(&headers), None);
    }

    #[test]
    fn success_is_no_failure() {
        let sent: Result<(), Failure> =
            expect_success(StatusCode::ACCEPTED, &HeaderMap::new(), None);
        assert!(sent.is_ok());
    }
}
