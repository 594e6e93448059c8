//! Records and events posted to a web address, signed as Standard Webhooks says.

use std::{
    ops::Range,
    time::{Duration, SystemTime},
};

use arrow_array::RecordBatch;
use arrow_json::{ArrayWriter, WriterBuilder, writer::JsonArray};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use linkspan_domain::{
    AuthorizationFlow, Category, FieldKind, Secret, StreamName, ports::OutboundBody,
};
use linkspan_sdk::{
    Change, CheckOutcome, Command, CommandEntry, ConnectorType, Cx, Failure, Http, Intake, Push,
    RecordVersion, Sink, SinkEntry, WriteMode, WriteRequest, command, field_kind, sink,
};
use schemars::JsonSchema;
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use url::Url;
use uuid::Uuid;

use crate::{auth::Auth, fingerprint::Fingerprint, signature::SigningKey};

pub(crate) struct Webhook;

impl ConnectorType for Webhook {
    const KEY: &'static str = "webhook";
    const TITLE: &'static str = "Webhook";
    const VERSION: Version = Version::new(1, 0, 0);
    const CATEGORY: Category = Category::Notification;
    const TAGS: &'static [&'static str] = &["http", "event", "destination"];
    const DOCS_URL: Option<&'static str> = Some("https://www.standardwebhooks.com/");
    type Settings = Settings;
    type Shared = ();

    fn commands() -> Vec<CommandEntry<Self>> {
        vec![command::<Send>()]
    }

    fn sink() -> Option<SinkEntry<Self>> {
        Some(sink::<Self>())
    }

    fn accept(settings: &Settings) -> Result<(), Failure> {
        let url = &settings.url;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Failure::setting("url", "must begin with http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            let says = "must not contain credentials; use the setting `auth` for them";
            return Err(Failure::setting("url", says));
        }
        settings.keys().map(drop)
    }

    fn accept_flow(settings: &Settings, flow: AuthorizationFlow) -> Result<(), Failure> {
        settings.auth.accept(flow)
    }

    fn place(settings: &Settings) -> Option<Value> {
        Some(json!({ "url": settings.url }))
    }

    async fn check(cx: &Cx<Self>) -> Result<CheckOutcome, Failure> {
        let Settings { url, auth, .. } = &cx.settings;
        let make = || Ok(cx.http.request(Method::HEAD, url.clone()));
        let status = auth.exchange(cx, make).await?.status;
        let refuses = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        if refuses && auth.is_given(cx) {
            return Err(Failure::Unauthorized);
        }
        let found = format!("the receiver answers, with status {}", status.as_u16());
        // What no credentials went along with, or was taken for no request at all, shows nothing of them.
        Ok(if status.is_success() && auth.is_given(cx) {
            CheckOutcome::ok(found)
        } else {
            CheckOutcome::reached(format!("{found}; only a message tells whether it takes them"))
        })
    }
}

/// Posts records and events to a web address, signed as Standard Webhooks says.
///
/// Each message has the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`. A message that is not taken
/// is sent again after 1, 5, 30 and 120 seconds, under the same `webhook-id`. Records come as messages of the types
/// `records.upserted` and `records.removed`; a run that broke off may send some of them twice, so receivers go by the key.
/// In pushes, a message of the same changes has the same `webhook-id` whenever it is sent, and `generations` has for each
/// record the number of the generation in which it changed: what a receiver has with a higher one is newer, and stays.
///
/// A message that is answered with 400, 413, 415 or 422 is sent again in halves, until the record that is refused stands
/// alone and is kept aside. Any other 4xx but 408 and 429 stops the push.
///
/// Where the connector authorizes by OAuth, each message carries the access token of the activation's grant. One that is
/// answered with 401 is sent once more, with another token; if that is not taken either, the activation needs a reconnect.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where messages are posted to.
    url: Url,
    /// What messages are signed with: `whsec_` and then 24 to 64 bytes in base64.
    secret: Secret,
    /// The secret before that. While it is given, messages carry the signatures of both.
    previous_secret: Option<Secret>,
    /// How requests are authenticated, beside the signature.
    #[serde(default)]
    auth: Auth,
    /// How many records one message has at most.
    #[serde(default = "one_hundred")]
    #[schemars(range(min = 1, max = 10_000))]
    records_per_message: usize,
}

const fn one_hundred() -> usize {
    100
}

impl Settings {
    /// The keys to sign with, the current one first.
    fn keys(&self) -> Result<Vec<SigningKey>, Failure> {
        let parse = |field: &str, secret: &Secret| {
            SigningKey::parse(secret).map_err(|error| Failure::setting(field, error.to_string()))
        };
        let mut keys = vec![parse("secret", &self.secret)?];
        if let Some(previous) = self.previous_secret.as_ref().filter(|it| !it.expose().is_empty()) {
            keys.push(parse("previous_secret", previous)?);
        }
        Ok(keys)
    }
}

/// Posts one message, or one that was posted before once more.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Send {
    /// What happened: names with dots between them, such as `invoice.paid`.
    #[schemars(length(min = 1, max = 255))]
    event_type: String,
    /// What it happened to.
    data: Value,
    /// The `webhook-id` of a message that is sent again, so that receivers know it. Without it, the message gets one.
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    id: Option<String>,
}

/// The message was taken.
#[derive(Serialize, JsonSchema)]
struct Sent {
    /// Its `webhook-id`; with it, the message can be sent again.
    id: String,
    /// What the receiver answered.
    status: u16,
    /// How often it was posted until then.
    attempts: usize,
}

impl Command for Send {
    type Of = Webhook;
    type Output = Sent;
    const NAME: &'static str = "send";

    async fn run(self, cx: &Cx<Webhook>) -> Result<Sent, Failure> {
        let id = self.id.unwrap_or_else(new_id);
        match post(cx, id, &self.event_type, self.data).await? {
            Answered::Taken(sent) => Ok(sent),
            Answered::Refused(status) => Err(refused("message", status)),
        }
    }
}

impl Sink for Webhook {
    const MODES: &'static [WriteMode] = &[WriteMode::Upsert];

    async fn write(
        cx: &Cx<Self>,
        request: WriteRequest,
        intake: &mut Intake,
    ) -> Result<(), Failure> {
        let stream = &request.stream.name;
        while let Some(change) = intake.next().await? {
            let event_type = match change {
                Change::Put(_) => "records.upserted",
                Change::Remove(_) => "records.removed",
            };
            let records = change.records();
            let step = cx.settings.records_per_message;
            for from in (0..records.num_rows()).step_by(step) {
                let rows = from..records.num_rows().min(from + step);
                let versions = intake.versions();
                let told = Told { push: request.push, stream, event_type, records, versions };
                for (row, status) in told.send(cx, rows).await? {
                    intake.refuse(row, refused("record", status))?;
                }
            }
            intake.confirm();
        }
        Ok(())
    }
}

/// A change on its way.
struct Told<'c> {
    push: Option<Push>,
    stream: &'c StreamName,
    event_type: &'c str,
    records: &'c RecordBatch,
    /// As many as there are records, or none.
    versions: &'c [RecordVersion],
}

impl Told<'_> {
    /// Sends some records, and answers those that are refused, each with the status.
    async fn send(
        &self,
        cx: &Cx<Webhook>,
        rows: Range<usize>,
    ) -> Result<Vec<(usize, StatusCode)>, Failure> {
        let (mut refused, mut todo) = (Vec::new(), vec![rows]);
        while let Some(rows) = todo.pop() {
            let records = self.records.slice(rows.start, rows.len());
            let mut data = data(self.stream, &records)?;
            let mut id = new_id();
            if let (Some(push), Some(versions)) = (self.push, self.versions.get(rows.clone())) {
                let generations: Vec<_> = versions.iter().map(|it| it.generation).collect();
                data["generations"] = json!(generations);
                id = self.id(push, versions);
            }
            let answered = post(cx, id, self.event_type, data).await?;
            let Answered::Refused(status) = answered else { continue };
            // The message fails as a whole: halve it until the culprit is alone.
            if rows.len() == 1 {
                refused.push((rows.start, status));
            } else {
                let middle = rows.start.midpoint(rows.end);
                todo.extend([middle..rows.end, rows.start..middle]);
            }
        }
        Ok(refused)
    }

    /// The `webhook-id` of a message of `versions`: whoever pushes them again sends the same message.
    fn id(&self, push: Push, versions: &[RecordVersion]) -> String {
        let Self { stream, event_type, .. } = self;
        let place = format!("{} {event_type} {stream}", push.activation);
        let mut fingerprint = Fingerprint::within(&place);
        for version in versions {
            fingerprint.add(version);
        }
        message_id(u128::from_be_bytes(fingerprint.bytes()))
    }
}

/// What became of a message.
enum Answered {
    Taken(Sent),
    /// The receiver takes messages, but not this one.
    Refused(StatusCode),
}

impl Answered {
    fn of(id: String, status: StatusCode, attempts: usize) -> Self {
        if REFUSING.contains(&status) {
            Self::Refused(status)
        } else {
            Self::Taken(Sent { id, status: status.as_u16(), attempts })
        }
    }
}

/// What receivers answer to what they do not take for what it says.
const REFUSING: [StatusCode; 4] = [
    StatusCode::BAD_REQUEST,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    StatusCode::UNPROCESSABLE_ENTITY,
];

fn refused(what: &str, status: StatusCode) -> Failure {
    let status = status.as_u16();
    Failure::Refused(format!(
        "the receiver refused the {what} with status {status}; its log may say why"
    ))
}

fn new_id() -> String {
    message_id(Uuid::new_v4().as_u128())
}

fn message_id(number: u128) -> String {
    format!("msg_{number:032x}")
}

/// Records as a message tells of them.
fn data(stream: &StreamName, records: &RecordBatch) -> Result<Value, Failure> {
    let defect = |error| Failure::Defect { doing: "write records as JSON", source: Some(error) };
    let builder = WriterBuilder::new().with_explicit_nulls(true);
    let mut writer: ArrayWriter<Vec<u8>> = builder.build::<_, JsonArray>(Vec::new());
    writer.write(records).map_err(|error| defect(error.into()))?;
    writer.finish().map_err(|error| defect(error.into()))?;
    let rows = serde_json::from_slice(&writer.into_inner());
    let mut rows: Vec<Map<String, Value>> = rows.map_err(|error| defect(error.into()))?;
    // JSON travels as text.
    let schema = records.schema();
    let fields = schema.fields().iter();
    for field in fields.filter(|it| field_kind(it) == FieldKind::Json) {
        for value in rows.iter_mut().filter_map(|it| it.get_mut(field.name())) {
            if let Some(inner) = value.as_str().and_then(|it| serde_json::from_str(it).ok()) {
                *value = inner;
            }
        }
    }
    Ok(json!({ "stream": stream, "records": rows }))
}

/// How long to wait before each attempt but the first.
const LADDER: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
];

/// Posts a message until it is taken or refused.
async fn post(
    cx: &Cx<Webhook>,
    id: String,
    event_type: &str,
    data: Value,
) -> Result<Answered, Failure> {
    let at = OffsetDateTime::from(SystemTime::now());
    let at = at.format(&Rfc3339).map_err(|error| Failure::Defect {
        doing: "write down a time",
        source: Some(error.into()),
    })?;
    let body = json!({ "type": event_type, "timestamp": at, "data": data }).to_string();
    let keys = cx.settings.keys()?;
    let mut attempts = 1;
    for wait in LADDER {
        let failed = match attempt(cx, &id, &body, &keys).await {
            Ok(status) => return Ok(Answered::of(id, status, attempts)),
            Err(failed) if failed.is_retryable() => failed,
            Err(failed) => return Err(failed),
        };
        let asked = match failed {
            Failure::RateLimited { retry_after } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        let longest = LADDER[LADDER.len() - 1];
        tokio::time::sleep(asked.clamp(wait, longest)).await;
        attempts += 1;
    }
    let status = attempt(cx, &id, &body, &keys).await?;
    Ok(Answered::of(id, status, attempts))
}

/// Posts a message once, signed anew: receivers refuse what is old. Answers the status of one that is taken or refused.
async fn attempt(
    cx: &Cx<Webhook>,
    id: &str,
    body: &str,
    keys: &[SigningKey],
) -> Result<StatusCode, Failure> {
    let Settings { url, auth, .. } = &cx.settings;
    let make = || {
        let mut request = cx.http.request(Method::POST, url.clone());
        request.headers = headers(id, seconds(), body, keys)?;
        request.body = OutboundBody::Bytes(body.to_owned().into());
        Ok(request)
    };
    let response = auth.exchange(cx, make).await?;
    let status = response.status;
    if REFUSING.contains(&status) {
        return Ok(status);
    }
    match Http::successful(response) {
        Ok(_) => Ok(status),
        Err(Failure::NotFound(_)) => {
            Err(Failure::Refused("nothing takes messages at that address; check `url`".to_owned()))
        }
        Err(Failure::Refused(_)) => Err(Failure::Refused(format!(
            "the receiver takes no messages in this way, and answered {}; check `url`",
            status.as_u16()
        ))),
        Err(failure) => Err(failure),
    }
}

fn headers(id: &str, at: u64, body: &str, keys: &[SigningKey]) -> Result<HeaderMap, Failure> {
    let signatures = keys.iter().map(|it| it.sign(id, at, body.as_bytes()));
    let signatures = signatures.collect::<Vec<_>>().join(" ");
    let value = |text: String| {
        HeaderValue::try_from(text).map_err(|_| Failure::Invalid {
            what: "parameters".into(),
            field: "id".to_owned(),
            reason: "has a character that no header can have".to_owned(),
        })
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("webhook-id", value(id.to_owned())?);
    headers.insert("webhook-timestamp", value(at.to_string())?);
    headers.insert("webhook-signature", value(signatures)?);
    Ok(headers)
}

/// Seconds since 1970.
fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map(|it| it.as_secs()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
