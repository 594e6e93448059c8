//! Any system that speaks HTTP.

use std::{collections::BTreeMap, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use linkspan_domain::{
    AuthorizationFlow, Category,
    ports::{OutboundBody, OutboundRequest},
};
use linkspan_sdk::{CheckOutcome, Command, CommandEntry, ConnectorType, Cx, Failure, command};
use schemars::JsonSchema;
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::auth::Auth;

pub(crate) struct Http;

impl ConnectorType for Http {
    const KEY: &'static str = "http";
    const TITLE: &'static str = "HTTP request";
    const VERSION: Version = Version::new(1, 0, 0);
    const CATEGORY: Category = Category::Core;
    const TAGS: &'static [&'static str] = &["rest", "api", "request"];
    type Settings = Settings;
    type Shared = ();

    fn commands() -> Vec<CommandEntry<Self>> {
        vec![command::<Request>()]
    }

    fn accept(settings: &Settings) -> Result<(), Failure> {
        let url = &settings.base_url;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Failure::setting("base_url", "must begin with http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            let says = "must not contain credentials; use the setting `auth` for them";
            return Err(Failure::setting("base_url", says));
        }
        Ok(())
    }

    fn accept_flow(settings: &Settings, flow: AuthorizationFlow) -> Result<(), Failure> {
        settings.auth.accept(flow)
    }

    async fn check(cx: &Cx<Self>) -> Result<CheckOutcome, Failure> {
        let Settings { base_url, auth, test_path } = &cx.settings;
        let url = match test_path {
            Some(path) => below(base_url, path)
                .ok_or_else(|| Failure::setting("test_path", "is not a path below `base_url`"))?,
            None => base_url.clone(),
        };
        let make = || Ok(cx.http.request(Method::GET, url.clone()));
        let response = linkspan_sdk::Http::successful(auth.exchange(cx, make).await?)?;
        let found = format!("answered with status {}", response.status.as_u16());
        // A page that anybody may see shows nothing of credentials, whether they went along or not.
        Ok(match test_path {
            Some(_) if auth.is_given(cx) => CheckOutcome::ok(found),
            Some(_) => CheckOutcome::reached(format!("{found}; no credentials went along")),
            None => CheckOutcome::reached(format!(
                "{found}; only a `test_path` tells whether it takes the credentials"
            )),
        })
    }
}

/// Sends requests to a system over HTTP.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The URL that the paths of requests are below.
    base_url: Url,
    /// How requests are authenticated.
    #[serde(default)]
    auth: Auth,
    /// A path below `base_url` that answers with success only when the credentials are good. Without it, a check shows no more
    /// than that something answers.
    test_path: Option<String>,
}

/// Sends one request and answers with whatever comes back.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Request {
    /// The method.
    #[serde(default)]
    method: Verb,
    /// The path below `base_url`.
    path: Option<String>,
    /// An absolute URL, instead of `path`. The credentials of the settings go along only if it is on the host of `base_url`.
    url: Option<Url>,
    /// Parameters of the query, on top of those in the path or the URL.
    #[serde(default)]
    query: BTreeMap<String, String>,
    /// Headers to send.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// The body: a text is sent as it is, anything else as JSON.
    body: Option<Value>,
    /// How long the exchange may take, in milliseconds; 30 seconds unless given.
    #[schemars(range(min = 1, max = 300_000))]
    timeout_ms: Option<u64>,
}

/// The method of a request.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Verb {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

/// What came back.
#[derive(Serialize, JsonSchema)]
struct Response {
    /// The status.
    status: u16,
    /// The headers, by their names in lower case; those that came several times are joined by a comma.
    headers: BTreeMap<String, String>,
    /// The body: parsed if it is JSON, a text otherwise, null if there is none.
    body: Value,
}

impl Command for Request {
    type Of = Http;
    type Output = Response;
    const NAME: &'static str = "request";

    async fn run(self, cx: &Cx<Http>) -> Result<Response, Failure> {
        let Settings { base_url, auth, .. } = &cx.settings;
        let make = || self.prepare(cx);
        let response = if make()?.url.origin() == base_url.origin() {
            auth.exchange(cx, make).await?
        } else {
            cx.http.exchange(make()?).await?
        };
        let (status, headers) = (response.status.as_u16(), response.headers.clone());
        let body = response.bytes().await?;
        let is_json = headers
            .get(header::CONTENT_TYPE)
            .and_then(|it| it.to_str().ok())
            .is_some_and(|it| it.contains("json"));
        let text = || Value::from(String::from_utf8_lossy(&body));
        let body = match serde_json::from_slice(&body) {
            _ if body.is_empty() => Value::Null,
            Ok(value) if is_json => value,
            _ => text(),
        };
        Ok(Response { status, headers: joined(&headers), body })
    }
}

impl Request {
    /// The request, without credentials.
    fn prepare(&self, cx: &Cx<Http>) -> Result<OutboundRequest, Failure> {
        let base_url = &cx.settings.base_url;
        let url = match (&self.path, &self.url) {
            (Some(_), Some(_)) => return Err(parameter("url", "cannot be given beside `path`")),
            (Some(path), None) => below(base_url, path)
                .ok_or_else(|| parameter("path", "does not lead to a place below `base_url`"))?,
            (None, Some(url)) => url.clone(),
            (None, None) => base_url.clone(),
        };
        let mut request = cx.http.request(self.method.into(), url);
        if !self.query.is_empty() {
            request.url.query_pairs_mut().extend_pairs(&self.query);
        }
        match &self.body {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => request.body = OutboundBody::Bytes(text.clone().into()),
            Some(json) => {
                request.body = OutboundBody::Bytes(json.to_string().into());
                let value = HeaderValue::from_static("application/json");
                request.headers.insert(header::CONTENT_TYPE, value);
            }
        }
        add_headers(&mut request.headers, &self.headers)?;
        if let Some(millis) = self.timeout_ms {
            request.limits.total = Duration::from_millis(millis);
        }
        Ok(request)
    }
}

/// `path` below `base`, keeping the path of `base`. None when it leads anywhere else.
fn below(base: &Url, path: &str) -> Option<Url> {
    let mut folder = base.clone();
    folder.set_query(None);
    folder.set_fragment(None);
    if !folder.path().ends_with('/') {
        folder.set_path(&format!("{}/", base.path()));
    }
    // Without `./`, a path such as `a:b` would read as a URL of its own.
    let url = folder.join(&format!("./{}", path.trim_start_matches('/'))).ok()?;
    let is_below = url.origin() == base.origin() && url.path().starts_with(folder.path());
    is_below.then_some(url)
}

/// Headers that belong to the connection, not to the caller.
const OWN: [HeaderName; 5] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
];

fn add_headers(headers: &mut HeaderMap, given: &BTreeMap<String, String>) -> Result<(), Failure> {
    for (name, value) in given {
        let name = HeaderName::try_from(name)
            .map_err(|_| parameter("headers", "has a name that is not that of a header"))?;
        if OWN.contains(&name) {
            return Err(parameter("headers", format!("must not set `{name}`")));
        }
        let value = HeaderValue::try_from(value).map_err(|_| {
            parameter("headers", format!("has a value for `{name}` that a header cannot carry"))
        })?;
        headers.insert(name, value);
    }
    Ok(())
}

fn parameter(field: &str, reason: impl Into<String>) -> Failure {
    Failure::Invalid { what: "parameters".into(), field: field.to_owned(), reason: reason.into() }
}

fn joined(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut all = BTreeMap::<String, String>::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        all.entry(name.to_string())
            .and_modify(|it| {
                it.push_str(", ");
                it.push_str(&value);
            })
            .or_insert_with(|| value.clone().into_owned());
    }
    all
}

impl From<Verb> for Method {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Get => Self::GET,
            Verb::Head => Self::HEAD,
            Verb::Post => Self::POST,
            Verb::Put => Self::PUT,
            Verb::Patch => Self::PATCH,
            Verb::Delete => Self::DELETE,
            Verb::Options => Self::OPTIONS,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use linkspan_domain::Proof;
    use linkspan_sdk::{Definition, Environment, OpenHosts, conformance};
    use linkspan_testkit::{Answer, Answers, SeenRequest};
    use serde_json::json;
    use url::Url;

    use super::{Failure, Http, Value, below};

    fn settings() -> Value {
        json!({
            "base_url": "https://api.example.com/v2",
            "auth": { "type": "bearer", "token": "s3cr3t-token" },
            "test_path": "me",
        })
    }

    async fn request(parameters: Value, answer: Answer) -> (Result<Value, Failure>, SeenRequest) {
        let answers = Arc::new(Answers::always(answer));
        let environment = Environment::new(answers.clone(), Arc::new(OpenHosts));
        let http = Definition::of::<Http>();
        let ran = http.run_command("request", settings(), parameters, environment).await;
        (ran, answers.seen().remove(0))
    }

    #[tokio::test]
    async fn a_request_goes_below_the_base_with_its_credentials() {
        let parameters = json!({
            "method": "POST", "path": "/users", "query": { "q": "ä b" },
            "headers": { "X-Trace": "1" }, "body": { "name": "Ada" },
        });
        let answer = Answer::of(201, r#"{"id":7}"#).with_header("content-type", "application/json");
        let (ran, seen) = request(parameters, answer).await;
        assert_eq!(seen.method, "POST");
        assert_eq!(seen.url.as_str(), "https://api.example.com/v2/users?q=%C3%A4+b");
        assert_eq!(seen.headers["authorization"], "Bearer s3cr3t-token");
        assert_eq!(seen.headers["content-type"], "application/json");
        assert_eq!(seen.headers["x-trace"], "1");
        assert_eq!(seen.body, r#"{"name":"Ada"}"#);
        let headers = json!({ "content-type": "application/json" });
        let expect = json!({ "status": 201, "headers": headers, "body": { "id": 7 } });
        assert_eq!(ran.unwrap(), expect);
    }

    #[tokio::test]
    async fn credentials_do_not_go_to_another_host() {
        let parameters = json!({ "url": "https://elsewhere.example.com/" });
        let (_, seen) = request(parameters, Answer::of(200, "hello")).await;
        assert!(!seen.headers.contains_key("authorization"));
    }

    #[tokio::test]
    async fn a_refusal_is_an_answer_too() {
        let (ran, _) = request(json!({}), Answer::of(422, "no such field")).await;
        assert_eq!(ran.unwrap(), json!({ "status": 422, "headers": {}, "body": "no such field" }));
    }

    #[tokio::test]
    async fn headers_of_the_connection_are_not_the_callers() {
        let answers = Arc::new(Answers::always(Answer::of(200, "")));
        let environment = Environment::new(answers.clone(), Arc::new(OpenHosts));
        let parameters = json!({ "headers": { "Host": "internal" } });
        let http = Definition::of::<Http>();
        let ran = http.run_command("request", settings(), parameters, environment).await;
        assert_eq!(ran.unwrap_err().to_string(), "parameters: `headers` must not set `host`");
        assert!(answers.seen().is_empty());
    }

    #[test]
    fn a_path_stays_below_its_base() {
        let base = Url::parse("https://a.example/v2").unwrap();
        for (path, expect) in [
            ("users", Some("https://a.example/v2/users")),
            ("/users?x=1", Some("https://a.example/v2/users?x=1")),
            ("//evil.example/x", Some("https://a.example/v2/evil.example/x")),
            ("a:b", Some("https://a.example/v2/a:b")),
            ("../v1/users", None),
            ("%2e%2e/%2e%2e/x", None),
            ("\\..\\..\\x", None),
        ] {
            let url = below(&base, path);
            assert_eq!(url.as_ref().map(Url::as_str), expect, "{path}");
        }
    }

    #[tokio::test]
    async fn only_a_test_path_and_credentials_together_prove_any() {
        let proof = async |without: Option<&str>| {
            let mut settings = settings();
            without.and_then(|it| settings.as_object_mut().unwrap().remove(it));
            let answers = Arc::new(Answers::always(Answer::of(200, "welcome, whoever you are")));
            let environment = Environment::new(answers, Arc::new(OpenHosts));
            Definition::of::<Http>().check(settings, environment).await.unwrap().proof
        };
        assert_eq!(proof(None).await, Proof::Credentials);
        for without in ["test_path", "auth"] {
            assert_eq!(proof(Some(without)).await, Proof::Reach, "without `{without}`");
        }
    }

    #[tokio::test]
    async fn settings_are_taken_as_they_should() {
        for (answer, fits) in [
            (Answer::of(200, ""), true),
            (Answer::of(401, "s3cr3t-token is wrong"), false),
            (Answer::of(500, ""), false),
            (Answer::Refused, false),
            (Answer::Unreachable, false),
        ] {
            let answers = Arc::new(Answers::always(answer));
            let environment = Environment::new(answers, Arc::new(OpenHosts));
            let definition = Definition::of::<Http>();
            if fits {
                let subject = conformance::Subject {
                    definition,
                    environment,
                    settings: settings(),
                    refused: vec![
                        json!({ "base_url": "ftp://a.example" }),
                        json!({ "base_url": "https://u:s3cr3t@a.example" }),
                    ],
                    cursors: Vec::new(),
                };
                assert_eq!(conformance::of_check(&subject).await, [""; 0]);
            } else {
                let failure = definition.check(settings(), environment).await.unwrap_err();
                assert!(!format!("{failure:?} {failure}").contains("s3cr3t"));
            }
        }
    }
}
