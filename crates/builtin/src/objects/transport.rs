//! The way out for OpenDAL: it opens no connection of its own.

use futures_util::stream;
use http::{Request, Response, header};
use linkspan_domain::ports::{Limits, OutboundBody, OutboundRequest};
use linkspan_sdk::{Failure, Http};
use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport};
use url::Url;

/// Sends what OpenDAL wants to send through the port, under the egress policy and at the pace that the system asks for.
pub(super) struct Guarded {
    pub(super) http: Http,
    pub(super) limits: Limits,
}

impl HttpTransport for Guarded {
    /// The answer comes as a whole: it is one page of a listing, or one piece of an object.
    async fn fetch(&self, request: Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        let request = self.outbound(request)?;
        let response = self.http.exchange(request).await.map_err(error)?;
        let (status, mut headers) = (response.status, response.headers.clone());
        let body = response.bytes().await.map_err(|it| error(it.into()))?;
        // It told how long the body was on its way.
        headers.insert(header::CONTENT_LENGTH, body.len().into());
        let length = body.len() as u64;
        let body = HttpBody::new(stream::iter([Ok(Buffer::from(body))]), Some(length));
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

impl Guarded {
    fn outbound(&self, request: Request<Buffer>) -> opendal::Result<OutboundRequest> {
        let (mut parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string()).map_err(|_| unaddressable())?;
        // A URL resolves the names `.` and `..`, which an object may have: another one would be fetched.
        if (url.path(), url.query()) != (parts.uri.path(), parts.uri.query()) {
            return Err(unaddressable());
        }
        // The client sets it, by the URL.
        parts.headers.remove(header::HOST);
        let mut outbound = OutboundRequest::new(parts.method, url);
        outbound.headers = parts.headers;
        outbound.limits = self.limits;
        if !body.is_empty() {
            outbound.body = OutboundBody::Bytes(body.to_bytes());
        }
        Ok(outbound)
    }
}

fn unaddressable() -> Error {
    let says = "no URL leads to an object that has `.` or `..` as a part of its name";
    error(Failure::Refused(says.to_owned()))
}

/// Why an exchange failed, for OpenDAL, which tries again if that may help. Where the system said how long to wait, that is
/// longer than OpenDAL would.
fn error(failure: Failure) -> Error {
    let may_pass = matches!(failure, Failure::Unavailable { .. });
    let says = "the exchange failed";
    Error::new(ErrorKind::Unexpected, says).set_source(failure).with_temporary(may_pass)
}
