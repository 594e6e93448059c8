//! The API as the commands see it, over HTTP.

mod events;

use std::{
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures_util::TryStreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use linkspan_api::WORKSPACE_HEADER;
use linkspan_domain::{
    Secret,
    ports::{Limits, Outbound, OutboundBody, OutboundError, OutboundRequest, OutboundResponse},
};
use serde_json::{Value, json};
use tokio::fs::File;
use tokio_util::io::ReaderStream;
use url::Url;

pub(crate) use events::{Event, Events};

use super::exit::{Exit, Failed, Outlook};

/// How long an upload may take: as long as servers wait for one.
const UPLOAD_LASTS: Duration = Duration::from_mins(10);
/// How long a run may be followed without coming back.
const FOLLOWING_LASTS: Duration = Duration::from_hours(24);
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Speaks JSON:API to a Linkspan server.
pub(crate) struct Client {
    base: Url,
    key: Secret<String>,
    outbound: Arc<dyn Outbound>,
    /// The workspace to act in, as a person named it.
    workspace: Option<HeaderValue>,
    /// The one that the server acted in, by identifier.
    acting: OnceLock<String>,
}

/// Says in which workspace a call acts, on its way there and back.
const WORKSPACE: HeaderName = HeaderName::from_static(WORKSPACE_HEADER);

/// A thing as it was read, with the tag that says which state of it that was.
pub(crate) struct Seen {
    /// The resource.
    pub(crate) thing: Value,
    path: String,
    tag: Option<HeaderValue>,
}

/// Longer than the server waits for a connected system: it is the one to say what is slow.
const PATIENCE: Duration = Duration::from_secs(90);

impl Client {
    /// A client of the server at `base`.
    pub(crate) fn new(base: Url, key: Secret<String>, outbound: Arc<dyn Outbound>) -> Self {
        Self { base, key, outbound, workspace: None, acting: OnceLock::new() }
    }

    /// Acts in the workspace that is called like that, or has that identifier.
    pub(crate) fn acting_in(self, workspace: Option<&str>) -> Result<Self, Failed> {
        let workspace = workspace.map(HeaderValue::try_from).transpose();
        let workspace = workspace
            .map_err(|_| Failed::usage("--workspace has characters that no workspace has"))?;
        Ok(Self { workspace, ..self })
    }

    /// The identifier of the workspace that it acts in, once the server has answered.
    pub(crate) fn acting(&self) -> Option<&str> {
        self.acting.get().map(String::as_str)
    }

    /// Where the server is, without a slash at the end.
    pub(crate) fn base(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Reads `path`.
    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failed> {
        let mut url = self.url(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(Method::GET, url, None).await
    }

    /// Reads `path`, where there may be nothing.
    pub(crate) async fn find(&self, path: &str) -> Result<Option<Value>, Failed> {
        match self.send(Method::GET, self.url(path)?, None).await {
            Ok(found) => Ok(Some(found)),
            Err(failed) if failed.code.as_deref() == Some("resource.not_found") => Ok(None),
            Err(failed) => Err(failed),
        }
    }

    /// Whether the link to `path` works yet.
    pub(crate) async fn is_open(&self, path: &str) -> Result<bool, Failed> {
        let mut request = OutboundRequest::new(Method::GET, self.url(path)?);
        request.limits.total = PATIENCE;
        let response = self.outbound.send(request).await.map_err(|it| unreachable_server(&it))?;
        Ok(!matches!(response.status, StatusCode::NOT_FOUND | StatusCode::GONE))
    }

    /// Posts a document to `path`.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failed> {
        self.send(Method::POST, self.url(path)?, Some(body)).await
    }

    /// Reads every page of the list at `path`.
    pub(crate) async fn list(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<Value>, Failed> {
        let mut page = self.get(path, query).await?;
        let mut all = Vec::new();
        loop {
            if let Value::Array(data) = page["data"].take() {
                all.extend(data);
            }
            let Some(next) = page["links"]["next"].as_str().map(str::to_owned) else {
                return Ok(all);
            };
            page = self.get(&next, &[]).await?;
        }
    }

    /// Reads the thing at `path`, to change it.
    pub(crate) async fn see(&self, path: &str) -> Result<Seen, Failed> {
        let mut request = OutboundRequest::new(Method::GET, self.url(path)?);
        request.headers = self.headers()?;
        request.limits.total = PATIENCE;
        let response = self.outbound.send(request).await.map_err(|it| unreachable_server(&it))?;
        let tag = response.headers.get(header::ETAG).cloned();
        let thing = self.read(response).await?["data"].take();
        Ok(Seen { thing, path: path.to_owned(), tag })
    }

    /// Changes the attributes of a thing, unless somebody else did so since it was seen.
    pub(crate) async fn change(&self, seen: &Seen, attributes: &Value) -> Result<Value, Failed> {
        let body = json!({ "data": {
            "type": seen.thing["type"], "id": seen.thing["id"], "attributes": attributes,
        } });
        self.write(Method::PATCH, seen, OutboundBody::Bytes(body.to_string().into())).await
    }

    /// Deletes a thing, unless somebody else changed it since it was seen.
    pub(crate) async fn delete(&self, seen: &Seen) -> Result<(), Failed> {
        self.write(Method::DELETE, seen, OutboundBody::default()).await.map(drop)
    }

    async fn write(
        &self,
        method: Method,
        seen: &Seen,
        body: OutboundBody,
    ) -> Result<Value, Failed> {
        let mut request = OutboundRequest::new(method, self.url(&seen.path)?);
        request.headers = self.headers()?;
        request.headers.extend(seen.tag.clone().map(|it| (header::IF_MATCH, it)));
        request.limits.total = PATIENCE;
        request.body = body;
        self.exchange(request).await
    }

    /// Follows what happens at `path`.
    pub(crate) async fn follow(&self, path: &str) -> Result<Events, Failed> {
        let mut request = OutboundRequest::new(Method::GET, self.url(path)?);
        request.headers = self.headers()?;
        request.headers.append(header::ACCEPT, EVENTS);
        // It lasts as long as it lasts.
        request.limits = Limits { body_bytes: u64::MAX, total: FOLLOWING_LASTS };
        let response = self.outbound.send(request).await.map_err(|it| unreachable_server(&it))?;
        if response.status.is_success() {
            return Ok(Events::new(response.body));
        }
        Err(self
            .read(response)
            .await
            .err()
            .unwrap_or_else(|| Failed::usage("it cannot be followed")))
    }

    /// Uploads the file at `path`.
    pub(crate) async fn upload(&self, path: &Path) -> Result<Value, Failed> {
        let unreadable =
            |error| Failed::usage(format!("{} cannot be read: {error}", path.display()));
        let file = File::open(path).await.map_err(unreadable)?;
        let pieces = ReaderStream::new(file).map_err(|error| OutboundError::Broken {
            host: "the server".to_owned(),
            source: error.into(),
        });
        let mut url = self.url("/v1/files")?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        url.query_pairs_mut().append_pair("name", &name);
        let mut request = OutboundRequest::new(Method::POST, url);
        request.headers = self.headers()?;
        request.headers.insert(header::CONTENT_TYPE, BYTES);
        request.body = OutboundBody::Stream(Box::pin(pieces));
        request.limits.total = UPLOAD_LASTS;
        self.exchange(request).await
    }

    fn url(&self, path: &str) -> Result<Url, Failed> {
        self.base.join(path).map_err(|_| Failed::usage(format!("{path} is not a path")))
    }

    async fn send(&self, method: Method, url: Url, body: Option<&Value>) -> Result<Value, Failed> {
        let mut request = OutboundRequest::new(method, url);
        request.headers = self.headers()?;
        request.limits.total = PATIENCE;
        if let Some(body) = body {
            request.body = OutboundBody::Bytes(body.to_string().into());
        }
        self.exchange(request).await
    }

    async fn exchange(&self, request: OutboundRequest) -> Result<Value, Failed> {
        let response = self.outbound.send(request).await.map_err(|it| unreachable_server(&it))?;
        self.read(response).await
    }

    async fn read(&self, response: OutboundResponse) -> Result<Value, Failed> {
        let status = response.status;
        if let Some(acting) = response.headers.get(WORKSPACE).and_then(|it| it.to_str().ok()) {
            self.acting.get_or_init(|| acting.to_owned());
        }
        let bytes = response.bytes().await.map_err(|it| unreachable_server(&it))?;
        if status.is_success() && bytes.is_empty() {
            return Ok(Value::Null);
        }
        let document: Value = serde_json::from_slice(&bytes).map_err(|_| {
            let says = format!(
                "{} does not answer as a Linkspan server does ({status}); check LINKSPAN_URL",
                self.base
            );
            // A proxy says so while the server behind it is away.
            if status.is_server_error() { Failed::away(says) } else { Failed::usage(says) }
        })?;
        if status.is_success() { Ok(document) } else { Err(refused(&document)) }
    }

    fn headers(&self) -> Result<HeaderMap, Failed> {
        const JSON_API: HeaderValue = HeaderValue::from_static("application/vnd.api+json");
        let bearer = format!("Bearer {}", self.key.expose());
        let mut bearer = HeaderValue::try_from(bearer).map_err(|_| {
            Failed::usage("LINKSPAN_API_KEY has characters that neither a key nor a token has")
        })?;
        bearer.set_sensitive(true);
        let headers = [
            (header::AUTHORIZATION, bearer),
            (header::CONTENT_TYPE, JSON_API),
            (header::ACCEPT, JSON_API),
        ];
        let workspace = self.workspace.clone().map(|it| (WORKSPACE, it));
        Ok(headers.into_iter().chain(workspace).collect())
    }
}

fn unreachable_server(error: &OutboundError) -> Failed {
    let says = format!("the Linkspan server: {error}");
    match error {
        OutboundError::Unreachable { .. }
        | OutboundError::TimedOut { .. }
        | OutboundError::Broken { .. } => Failed::away(says),
        _ => Failed::usage(says),
    }
}

/// The text of an attribute; nothing where it has none.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What the server said, for a person.
fn refused(document: &Value) -> Failed {
    let error = &document["errors"][0];
    if error["source"]["header"].as_str().is_some_and(|it| WORKSPACE == *it.to_lowercase()) {
        return Failed::usage(
            "there is no such workspace, or the key has no part in it; check --workspace or LINKSPAN_WORKSPACE",
        );
    }
    let code = error["code"].as_str().unwrap_or_default();
    let exit = match code {
        "source.refused"
        | "source.unavailable"
        | "workspace_connector.need_reconnect"
        | "credential.check_failed" => Exit::Source,
        "platform.internal" | "platform.unavailable" => Exit::Internal,
        _ => Exit::Usage,
    };
    let said = error["detail"].as_str().or_else(|| error["title"].as_str());
    let said = said.unwrap_or("the server refused without saying why");
    let place =
        error["source"]["pointer"].as_str().or_else(|| error["source"]["parameter"].as_str());
    let place = place.map(|it| format!(" (at {it})")).unwrap_or_default();
    let message = format!("{said}{place} [{code}]");
    let outlook = match error["meta"]["retryable"] {
        Value::Bool(true) => Outlook::Passing,
        _ => Outlook::Lasting,
    };
    Failed { exit, message, code: Some(code.to_owned()), outlook }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_where_and_under_which_code() {
        let failed = refused(&json!({ "errors": [{
            "code": "resource.name_taken", "title": "Taken", "detail": "that name is taken",
            "source": { "pointer": "/data/attributes/name" },
        }] }));
        assert_eq!(failed.exit, Exit::Usage);
        assert_eq!(
            failed.message,
            "that name is taken (at /data/attributes/name) [resource.name_taken]"
        );
    }

    #[test]
    fn a_system_that_does_not_answer_has_an_exit_code_of_its_own() {
        let failed =
            refused(&json!({ "errors": [{ "code": "source.unavailable", "title": "x" }] }));
        assert_eq!(failed.exit, Exit::Source);
        assert_eq!(failed.outlook, Outlook::Lasting);
    }

    #[test]
    fn what_may_work_in_a_while_is_told_from_what_will_not() {
        let busy = refused(&json!({ "errors": [{
            "code": "platform.unavailable", "title": "x", "meta": { "retryable": true },
        }] }));
        assert_eq!(busy.outlook, Outlook::Passing);
        let slow = OutboundError::TimedOut { host: "h".to_owned(), seconds: 1 };
        assert_eq!(unreachable_server(&slow).outlook, Outlook::Passing);
        let wrong = OutboundError::InvalidUrl("x");
        assert_eq!(unreachable_server(&wrong).outlook, Outlook::Lasting);
    }
}
