//! A CSV file at a URL.

use std::time::Duration;

use futures_util::StreamExt;
use http::Method;
use linkspan_domain::{AuthorizationFlow, Category, Secret, StreamName};
use linkspan_sdk::{
    BatchSink, CheckOutcome, ConnectorType, Cx, Discovered, Failure, Http, ReadRequest, Source,
    SourceEntry, source,
};
use schemars::JsonSchema;
use semver::Version;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{fs::File, io::AsyncWriteExt};
use url::Url;

use crate::{
    auth::Auth,
    delimited::{Format, Table, stream_name},
};

pub(crate) struct CsvUrl;

impl ConnectorType for CsvUrl {
    const KEY: &'static str = "csv_url";
    const TITLE: &'static str = "CSV at a URL";
    const VERSION: Version = Version::new(1, 0, 0);
    const CATEGORY: Category = Category::File;
    const TAGS: &'static [&'static str] = &["file", "download", "tsv", "delimited"];
    const IS_QUERYABLE: bool = true;
    type Settings = Settings;
    type Shared = ();

    fn source() -> Option<SourceEntry<Self>> {
        Some(source::<Self>())
    }

    fn accept(settings: &Settings) -> Result<(), Failure> {
        let url = settings.url()?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Failure::setting("url", "must begin with http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            let says = "must not contain credentials; use the setting `auth` for them";
            return Err(Failure::setting("url", says));
        }
        settings.format.accept()
    }

    fn accept_flow(settings: &Settings, flow: AuthorizationFlow) -> Result<(), Failure> {
        settings.auth.accept(flow)
    }

    fn place(settings: &Settings) -> Option<Value> {
        // Any part of a signed URL but the host may be the secret.
        let url = settings.url.as_ref().map(Url::as_str);
        let signed = settings.signed_url.as_ref().and_then(|_| settings.name().ok());
        Some(json!({ "url": url, "host": signed.as_ref().map(StreamName::as_str) }))
    }

    async fn check(cx: &Cx<Self>) -> Result<CheckOutcome, Failure> {
        fetch(cx, Extent::Beginning).await?.check().await
    }
}

/// Reads the records of a CSV file at a URL, of up to 50 MB unless the operator sets another limit.
///
/// The types of the columns are those that all rows fit. Blank lines are skipped, empty fields are
/// null. The file may be compressed with gzip. It is fetched as a whole each time; with a cursor, only the
/// rows at or after it are passed on.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where the file is. For a URL that is itself a secret, use `signed_url`.
    url: Option<Url>,
    /// Where the file is, when whoever has the URL has the file.
    signed_url: Option<Secret>,
    /// How the request is authenticated.
    #[serde(default)]
    auth: Auth,
    #[serde(flatten)]
    format: Format,
}

impl Settings {
    /// The name of the stream. A signed URL lends it nothing but the host: any part of the path may be the secret.
    fn name(&self) -> Result<StreamName, Failure> {
        let url = self.url()?;
        if self.signed_url.is_some() { host(&url) } else { name(&url) }
    }

    fn url(&self) -> Result<Url, Failure> {
        match (&self.url, &self.signed_url) {
            (Some(url), None) => Ok(url.clone()),
            (None, Some(url)) => {
                url.expose().parse().map_err(|_| Failure::setting("signed_url", "is not a URL"))
            }
            (None, None) => Err(Failure::setting("url", "is required, or `signed_url` instead")),
            (Some(_), Some(_)) => {
                Err(Failure::setting("signed_url", "cannot be given beside `url`"))
            }
        }
    }
}

impl Source for CsvUrl {
    async fn discover(cx: &Cx<Self>) -> Result<Discovered, Failure> {
        Ok(vec![fetch(cx, Extent::Whole).await?.spec().await?].into())
    }

    async fn read(cx: &Cx<Self>, request: ReadRequest, out: &mut BatchSink) -> Result<(), Failure> {
        if request.stream != cx.settings.name()? {
            return Err(Failure::NotFound(format!("stream `{}`", request.stream)));
        }
        fetch(cx, Extent::Whole).await?.read(request, out).await
    }
}

/// How much of a file is fetched.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Enough to see the first rows.
    Beginning,
    Whole,
}

/// How much is enough to see the first rows, compressed or not.
const BEGINNING: usize = 512 * 1024;

/// Fetches the file into the scratch folder: it is gone through twice, and does not have to fit into memory.
async fn fetch(cx: &Cx<CsvUrl>, extent: Extent) -> Result<Table, Failure> {
    let url = cx.settings.url()?;
    let (name, limit) = (cx.settings.name()?, cx.limits.download_bytes);
    let make = || {
        let mut request = cx.http.request(Method::GET, url.clone());
        request.limits.body_bytes = limit;
        request.limits.total = Duration::from_secs(cx.limits.download_secs);
        Ok(request)
    };
    let response = cx.settings.auth.exchange(cx, make).await?;
    let mut body = Http::successful(response)?.body;
    let unwritable = |error| Failure::unavailable("the scratch folder", error);
    let folder = cx.scratch.clone();
    let file = tokio::task::spawn_blocking(move || tempfile::tempfile_in(folder));
    let file = file.await.map_err(std::io::Error::other).and_then(|it| it).map_err(unwritable)?;
    let mut file = File::from_std(file);
    let mut fetched = 0;
    while let Some(piece) = body.next().await {
        let piece = piece?;
        file.write_all(&piece).await.map_err(unwritable)?;
        fetched += piece.len();
        if extent == Extent::Beginning && fetched >= BEGINNING {
            break;
        }
    }
    file.flush().await.map_err(unwritable)?;
    Table::new(name, file, limit, &cx.settings.format)
}

/// The name of the stream at `url`: that of the file, or of the host where the path names none.
fn name(url: &Url) -> Result<StreamName, Failure> {
    let last = url.path_segments().and_then(Iterator::last).unwrap_or_default();
    let last = percent_encoding::percent_decode_str(last).decode_utf8_lossy();
    if last.is_empty() { host(url) } else { stream_name(&last) }
}

fn host(url: &Url) -> Result<StreamName, Failure> {
    url.host_str().unwrap_or("file").parse().map_err(|_| Failure::setting("url", "has no host"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_compression::tokio::write::GzipEncoder;
    use futures_util::StreamExt;
    use linkspan_domain::CursorType;
    use linkspan_sdk::{CursorSpec, Definition, Environment, OpenHosts, conformance};
    use linkspan_testkit::{Answer, Answers};
    use serde_json::{Value, json};
    use tokio::io::AsyncWriteExt;
    use url::Url;

    use super::{CsvUrl, Failure, ReadRequest, Settings, name};

    fn environment(answer: Answer) -> (Environment, Arc<Answers>) {
        let answers = Arc::new(Answers::always(answer));
        (Environment::new(answers.clone(), Arc::new(OpenHosts)), answers)
    }

    fn settings() -> Value {
        json!({ "url": "https://files.example.com/people.csv" })
    }

    async fn rows(environment: Environment) -> Result<usize, Failure> {
        let request = ReadRequest::full("people".parse().unwrap());
        let mut read = Definition::of::<CsvUrl>().read(settings(), request, environment);
        let mut rows = 0;
        while let Some(batch) = read.next().await {
            rows += batch?.records.num_rows();
        }
        Ok(rows)
    }

    #[tokio::test]
    async fn what_goes_wrong_on_the_way_has_its_own_failure() {
        for (answer, code) in [
            (Answer::of(401, ""), "source.unauthorized"),
            (Answer::of(404, ""), "source.not_found"),
            (Answer::of(429, "").with_header("retry-after", "3"), "source.rate_limited"),
            (Answer::of(500, ""), "source.unavailable"),
            (Answer::Refused, "source.refused"),
            (Answer::Unreachable, "source.unavailable"),
            (Answer::BreaksOff("a\n1\n".into()), "source.unavailable"),
            (Answer::of(200, ""), "source.malformed"),
        ] {
            let (environment, _) = environment(answer.clone());
            assert_eq!(rows(environment).await.unwrap_err().code(), code, "{answer:?}");
        }
    }

    #[tokio::test]
    async fn the_limit_counts_what_is_sent_and_what_it_uncompresses_to() {
        let text = format!("a\n{}", "1\n".repeat(100_000));
        let mut gzip = GzipEncoder::new(Vec::new());
        gzip.write_all(text.as_bytes()).await.unwrap();
        gzip.shutdown().await.unwrap();
        let gzip = gzip.into_inner();
        assert!(gzip.len() < 2000);
        for (body, limit, fits) in [
            (text.clone().into_bytes(), 200_002, true),
            (text.clone().into_bytes(), 200_001, false),
            (gzip.clone(), 200_002, true),
            (gzip.clone(), 200_001, false),
        ] {
            let (mut environment, _) = environment(Answer::of(200, body));
            environment.limits.download_bytes = limit;
            match rows(environment).await {
                Ok(rows) => assert!(fits && rows == 100_000),
                Err(Failure::TooLarge { limit: said, .. }) => assert!(!fits && said == limit),
                Err(other) => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_check_fetches_the_beginning_and_says_who_it_is() {
        let body = format!("a,b\n{}", "1,2\n".repeat(1_000_000));
        let (environment, answers) = environment(Answer::of(200, body));
        let mut settings = settings();
        settings["auth"] = json!({ "type": "api_key", "header": "X-Key", "value": "s3cr3t" });
        let csv_url = Definition::of::<CsvUrl>();
        let outcome = csv_url.check(settings, environment).await.unwrap();
        assert_eq!(outcome.message, "found `people` with 2 columns");
        assert_eq!(answers.seen()[0].headers["x-key"], "s3cr3t");
    }

    #[test]
    fn a_stream_is_called_like_its_file() {
        for (url, expect) in [
            ("https://a.example/x/people.csv?token=1", "people"),
            ("https://a.example/people.csv.gz", "people"),
            ("https://a.example/Pe%20ople", "Pe ople"),
            ("https://a.example/v1.2/", "a.example"),
            ("https://a.example", "a.example"),
        ] {
            assert_eq!(name(&Url::parse(url).unwrap()).unwrap().as_str(), expect, "{url}");
        }
        let signed = json!({ "signed_url": "https://a.example/exports/t0k3n" });
        let signed: Settings = serde_json::from_value(signed).unwrap();
        assert_eq!(signed.name().unwrap().as_str(), "a.example", "the path may be the secret");
    }

    #[tokio::test]
    async fn the_type_keeps_the_contract() {
        let row = |at: i32| format!("{at},n{at}\n");
        let body = format!("id,name\n{}", (0..20).map(row).collect::<String>());
        let (environment, _) = environment(Answer::of(200, body));
        let cursor = CursorSpec { column: "id".to_owned(), cursor_type: CursorType::Int };
        let subject = conformance::Subject {
            definition: Definition::of::<CsvUrl>(),
            environment,
            settings: settings(),
            refused: vec![
                json!({}),
                json!({ "url": "ftp://a.example/people.csv" }),
                json!({ "url": "https://u:pa55word@a.example/people.csv" }),
                json!({ "signed_url": "n0t-a-url-s3cr3t" }),
                json!({ "url": "https://a.example/x.csv", "signed_url": "https://a.example/s3cr3t" }),
            ],
            cursors: vec![("people".parse().unwrap(), cursor)],
        };
        assert_eq!(conformance::of_check(&subject).await, [""; 0]);
        assert_eq!(conformance::of_source(&subject).await, [""; 0]);
    }
}
