//! The door that every request comes through and every answer leaves by.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use linkspan_domain::Code;
use metrics::{counter, histogram};
use poem::{Endpoint, Request, Response};
use poem_openapi::OperationId;
use tracing::Instrument;

use crate::{
    App,
    context::{Context, WORKSPACE_HEADER},
    etag,
    media_type::{Accepted, JSON, JSON_API},
    pages::Pages,
    problem::{Failure, foreign, internal},
    routes::Routes,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names each request, sees to what the client accepts, to limits, failures and metrics.
pub(crate) struct Door<E> {
    pub(crate) app: Arc<App>,
    pub(crate) pages: Arc<Pages>,
    pub(crate) routes: Routes,
    pub(crate) inner: E,
}

impl<E: Endpoint<Output = Response>> Endpoint for Door<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let began = Instant::now();
        let trace_id = trace_id(request.headers())
            .unwrap_or_else(|| self.app.world.uuid().simple().to_string());
        let accepted = Accepted::of(request.headers());
        let method = request.method().clone();
        let context = Arc::new(Context::new(
            Arc::clone(&self.app),
            Arc::clone(&self.pages),
            trace_id,
            accepted,
            method.clone(),
        ));
        let span = tracing::debug_span!("request", trace_id = %context.trace_id, %method);
        let (response, operation) = self.respond(request, &context).instrument(span).await;
        measure(&method, operation, response.status().as_u16(), began.elapsed());
        Ok(dress(response, &context))
    }
}

impl<E: Endpoint<Output = Response>> Door<E> {
    async fn respond(
        &self,
        mut request: Request,
        context: &Arc<Context>,
    ) -> (Response, &'static str) {
        let is_api = request.uri().path().starts_with("/v1/");
        if let Err(failure) = self.admit(&request, context, is_api) {
            return (failure.render(context.accepted.errors, &context.trace_id), "none");
        }
        let path = request.uri().path().to_owned();
        let deadline = self.deadline(request.method(), &path);
        request.extensions_mut().insert(Arc::clone(context));
        if is_stream(&path) {
            // What is compressed waits until there is enough of it.
            request.headers_mut().remove(header::ACCEPT_ENCODING);
        }
        let work = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        let (failure, operation) = match tokio::time::timeout(deadline, work).await {
            Ok(Ok(Ok(mut response))) => {
                let operation = response.data::<OperationId>().map_or("none", |it| it.0);
                if is_api {
                    speak(&mut response, context.accepted);
                }
                return (response, operation);
            }
            Ok(Ok(Err(error))) => {
                let operation = error.data::<OperationId>().map_or("none", |it| it.0);
                if error.is_from_response() {
                    return (error.into_response(), operation);
                }
                context.release().await;
                let failure = error.downcast_ref::<Failure>().cloned();
                (context.located(failure.unwrap_or_else(|| foreign(&error))), operation)
            }
            Ok(Err(_)) => {
                tracing::error!("a request ended in a panic");
                context.release().await;
                (internal(), "none")
            }
            // Whether it had its effect is not known, so its idempotency key stays claimed until the claim runs out.
            Err(_) => {
                let detail = format!(
                    "the request took longer than the {} s it may take",
                    deadline.as_secs()
                );
                (Failure::new(Code::TimedOut, detail), "none")
            }
        };
        let failure = match failure.code {
            Code::MethodNotAllowed => failure.allowing(self.routes.methods(&path)),
            _ => failure,
        };
        (failure.render(context.accepted.errors, &context.trace_id), operation)
    }

    fn admit(&self, request: &Request, context: &Context, is_api: bool) -> Result<(), Failure> {
        let headers = request.headers();
        let head = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
        let target = request.uri().path_and_query().map_or(0, |it| it.as_str().len());
        if target + head.sum::<usize>() > self.app.limits.head_bytes {
            return Err(Failure::new(
                Code::TooLarge,
                "the target and the headers of the request are too long",
            ));
        }
        let is_document = is_api && !is_stream(request.uri().path());
        if is_document && context.accepted.documents.is_none() {
            let detail =
                "answers are application/vnd.api+json without parameters, or application/json";
            return Err(Failure::new(Code::NotAcceptable, detail).in_header("Accept"));
        }
        Ok(())
    }

    /// How long a request may take: longer where a connected system has to answer, or much has to arrive or be read.
    fn deadline(&self, method: &Method, path: &str) -> Duration {
        let limits = self.app.limits;
        let mut parts = path.rsplit('/');
        let last = parts.next();
        if parts.next() == Some("rollback") {
            return limits.source;
        }
        match last {
            Some(
                "test" | "models" | "syncs" | "audit-chain" | "authorize" | "access" | "callback"
                | "rotate",
            ) => limits.source,
            Some("files") if method == Method::POST => limits.upload,
            _ => limits.request,
        }
    }
}

/// Whether what is at `path` is sent as it happens.
fn is_stream(path: &str) -> bool {
    path.starts_with("/v1/") && path.ends_with("/events")
}

/// Sends a document as the client wants it.
fn speak(response: &mut Response, accepted: Accepted) {
    let is_document = response.content_type() == Some(JSON_API);
    if is_document && accepted.documents == Some(JSON) {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    }
}

/// The headers that every answer has.
fn dress(mut response: Response, context: &Context) -> Response {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&context.trace_id) {
        headers.insert(REQUEST_ID, id);
    }
    let workspace = context.workspace().map(|it| HeaderValue::try_from(it.to_string()));
    if let Some(Ok(workspace)) = workspace {
        headers.insert(WORKSPACE_HEADER, workspace);
    }
    headers.insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
    let encoding = headers.get(header::CONTENT_ENCODING).and_then(|it| it.to_str().ok());
    if let Some(tag) = encoding.and_then(|it| etag::compressed(headers.get(header::ETAG)?, it)) {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// The client's own name for the request: its trace (W3C Trace Context), else its `X-Request-Id`.
fn trace_id(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
    let trace = text("traceparent").and_then(|it| it.split('-').nth(1)).filter(|it| {
        let is_hex = it.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
        it.len() == 32 && is_hex && it.bytes().any(|it| it != b'0')
    });
    let own = || {
        let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"-_.:".contains(&it);
        text("x-request-id").filter(|it| (1..=128).contains(&it.len()) && it.bytes().all(is_plain))
    };
    trace.or_else(own).map(str::to_owned)
}

fn measure(method: &Method, operation: &'static str, status: u16, lasted: Duration) {
    let method = match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    };
    let status = status.to_string();
    counter!("linkspan_http_requests_total", "operation" => operation, "method" => method, "status" => status)
        .increment(1);
    histogram!("linkspan_http_request_duration_seconds", "operation" => operation)
        .record(lasted.as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &'static str, value: &'static str) -> Option<String> {
        let headers = [(HeaderName::from_static(name), HeaderValue::from_static(value))];
        trace_id(&headers.into_iter().collect())
    }

    #[test]
    fn a_request_keeps_the_name_its_client_gave_it() {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(id("traceparent", trace).unwrap(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(
            id("traceparent", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"),
            None
        );
        assert_eq!(id("x-request-id", "order-7").unwrap(), "order-7");
        assert_eq!(id("x-request-id", "a b"), None);
    }
}
