//! What arrives at a webhook, and what becomes of its answers.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use arrow_array::{ArrayRef, Int64Array};
use async_trait::async_trait;
use linkspan_domain::{Fence, StreamField, StreamSpec, SyncLogId, WorkspaceConnectorId};
use linkspan_sdk::{
    ChangeKind, Definition, Environment, HeldRun, OpenHosts, Push, Refusal, TokenRefusal,
    TokenSource, arrow_schema, conformance,
};
use linkspan_testkit::{Answer, Answers, SeenRequest};

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn settings() -> Value {
    json!({ "url": "https://hooks.example.com/in", "secret": SECRET })
}

fn environment(answers: &Arc<Answers>) -> Environment {
    Environment::new(Arc::clone(answers) as Arc<_>, Arc::new(OpenHosts))
}

async fn send(answers: &Arc<Answers>, parameters: Value) -> Result<Value, Failure> {
    let webhook = Definition::of::<Webhook>();
    webhook.run_command("send", settings(), parameters, environment(answers)).await
}

fn header<'r>(seen: &'r SeenRequest, name: &str) -> &'r str {
    seen.headers[name].to_str().unwrap()
}

/// Whether a receiver with `secret` would take it.
fn is_signed(seen: &SeenRequest, secret: &str) -> bool {
    let key = SigningKey::parse(&Secret::new(secret.to_owned())).unwrap();
    let at = header(seen, "webhook-timestamp").parse().unwrap();
    let expected = key.sign(header(seen, "webhook-id"), at, &seen.body);
    header(seen, "webhook-signature").split(' ').any(|it| it == expected)
}

#[tokio::test]
async fn the_type_keeps_the_contract() {
    let answers = Arc::new(Answers::always(Answer::of(405, "")));
    let with = |field: &str, value: Value| {
        let mut settings = settings();
        settings[field] = value;
        settings
    };
    let subject = conformance::Subject {
        definition: Definition::of::<Webhook>(),
        environment: environment(&answers),
        settings: settings(),
        refused: vec![
            with("url", json!("ftp://hooks.example.com")),
            with("url", json!("https://a:pl4nted@hooks.example.com")),
            with("secret", json!("hunter2-hunter2-hunter2-hunter2")),
            with("previous_secret", json!("whsec_c2hvcnQ=")),
            with("records_per_message", json!(0)),
        ],
        cursors: Vec::new(),
    };
    assert_eq!(conformance::of_check(&subject).await, [""; 0]);
}

#[tokio::test]
async fn whoever_plays_the_messages_has_the_records() {
    let answers = Arc::new(Answers::always(Answer::of(204, "")));
    let mut settings = settings();
    settings["records_per_message"] = json!(1);
    let subject = conformance::Subject {
        definition: Definition::of::<Webhook>(),
        environment: environment(&answers),
        settings,
        refused: Vec::new(),
        cursors: Vec::new(),
    };
    let held = async || {
        let mut held = BTreeMap::new();
        for seen in answers.seen() {
            assert!(is_signed(&seen, SECRET));
            let message: Value = serde_json::from_slice(&seen.body).unwrap();
            assert_eq!(message["data"]["stream"], "crm.people");
            for record in message["data"]["records"].as_array().unwrap() {
                let id = record["id"].as_i64().unwrap();
                match message["type"].as_str().unwrap() {
                    "records.removed" => drop(held.remove(&id)),
                    _ => drop(held.insert(id, record["name"].as_str().map(str::to_owned))),
                }
            }
        }
        held.into_iter().collect()
    };
    let target = "crm.people".parse().unwrap();
    assert_eq!(conformance::of_sink(&subject, &target, held).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_not_taken_is_sent_again_under_its_id() {
    let limited = Answer::of(429, "").with_header("retry-after", "20");
    let answers = [Answer::Unreachable, Answer::of(503, ""), limited, Answer::of(200, "taken")];
    let answers = Arc::new(Answers::sequence(answers));
    let began = tokio::time::Instant::now();
    let sent = send(&answers, json!({ "event_type": "a.b", "data": { "x": 1 } })).await.unwrap();
    assert_eq!((&sent["status"], &sent["attempts"]), (&json!(200), &json!(4)));
    assert_eq!(began.elapsed().as_secs(), 1 + 5 + 30);
    let seen = answers.seen();
    assert!(seen.iter().all(|it| is_signed(it, SECRET)));
    assert!(seen.iter().all(|it| header(it, "webhook-id") == sent["id"].as_str().unwrap()));
    let message: Value = serde_json::from_slice(&seen[0].body).unwrap();
    assert_eq!((&message["type"], &message["data"]), (&json!("a.b"), &json!({ "x": 1 })));

    let again = json!({ "event_type": "a.b", "data": {}, "id": sent["id"] });
    assert_eq!(send(&answers, again).await.unwrap()["id"], sent["id"], "it can be played again");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_never_answers_is_given_up_and_one_that_refuses_is_not_asked_again() {
    let answers = Arc::new(Answers::always(Answer::of(500, "")));
    let failed = send(&answers, json!({ "event_type": "a", "data": 1 })).await.unwrap_err();
    assert!(failed.is_retryable(), "{failed:?}");
    assert_eq!(answers.seen().len(), 1 + LADDER.len());
    for status in [400, 401, 404, 410] {
        let answers = Arc::new(Answers::always(Answer::of(status, "")));
        let failed = send(&answers, json!({ "event_type": "a", "data": 1 })).await.unwrap_err();
        assert!(!failed.is_retryable(), "{status}: {failed:?}");
        assert_eq!(answers.seen().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_record_that_is_refused_stands_alone_and_the_others_are_sent() {
    // All three, the first, the other two, the second, the third.
    let statuses = [422, 200, 413, 400, 200];
    let answers = Arc::new(Answers::sequence(statuses.map(|it| Answer::of(it, ""))));
    let (refused, sent) = push(&answers).await;
    let refused = refused.unwrap();
    assert_eq!(refused.len(), 1);
    assert_eq!((refused[0].change, refused[0].row), (1, 1));
    assert!(refused[0].reason.contains("400"), "{}", refused[0].reason);
    assert_eq!(sent[0]["data"]["generations"], json!([7, 8, 9]));
    assert_eq!(sent[3]["data"]["generations"], json!([8]));
    for status in [401, 403, 404, 405, 410] {
        let answers = Arc::new(Answers::always(Answer::of(status, "")));
        let failed = push(&answers).await.0.unwrap_err();
        assert!(!failed.is_retryable(), "{status}: {failed:?}");
        assert_eq!(answers.seen().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn what_is_pushed_again_is_sent_under_the_same_id() {
    let ids = async |three: &Three, answers: Arc<Answers>| {
        push_of(three, &answers).await.0.unwrap();
        answers.seen().iter().map(|it| header(it, "webhook-id").to_owned()).collect::<Vec<_>>()
    };
    let taken = || Arc::new(Answers::always(Answer::of(200, "")));
    let first = ids(&Three::default(), taken()).await;
    assert_eq!(first.len(), 1);
    assert_eq!(ids(&Three::default(), taken()).await, first);

    let mut seen: HashSet<_> = first.iter().cloned().collect();
    for (what, three) in [
        ("activation", Three { activation: 2, ..Three::default() }),
        ("stream", Three { stream: "crm.staff", ..Three::default() }),
        ("event", Three { change: Change::Remove, ..Three::default() }),
        ("beginning", Three { begun: 2, ..Three::default() }),
        ("generation", Three { generations: [7, 8, 10], ..Three::default() }),
        ("key", Three { keys: ["a", "b", "d"], ..Three::default() }),
        ("cut of the keys", Three { keys: ["a", "bc", ""], ..Three::default() }),
    ] {
        let others = ids(&three, taken()).await;
        assert_eq!(others.len(), 1, "{what}");
        assert!(others.into_iter().all(|it| seen.insert(it)), "another {what}, another message");
    }

    // All three, the first, the other two, the second, the third.
    let refusing = || {
        let statuses = [422, 200, 413, 400, 200];
        Arc::new(Answers::sequence(statuses.map(|it| Answer::of(it, ""))))
    };
    let halved = ids(&Three::default(), refusing()).await;
    assert_eq!(halved[0], first[0]);
    assert_eq!(halved.iter().collect::<HashSet<_>>().len(), 5, "{halved:?}");
    assert_eq!(ids(&Three::default(), refusing()).await, halved);
}

/// Three records that are pushed.
struct Three {
    activation: u128,
    stream: &'static str,
    change: fn(RecordBatch) -> Change,
    begun: i64,
    generations: [i64; 3],
    keys: [&'static str; 3],
}

impl Default for Three {
    fn default() -> Self {
        Self {
            activation: 1,
            stream: "crm.people",
            change: Change::Put,
            begun: 1,
            generations: [7, 8, 9],
            keys: ["a", "b", "c"],
        }
    }
}

/// Pushes three records. Answers what was refused, and the messages.
async fn push(answers: &Arc<Answers>) -> (Result<Vec<Refusal>, Failure>, Vec<Value>) {
    push_of(&Three::default(), answers).await
}

async fn push_of(
    three: &Three,
    answers: &Arc<Answers>,
) -> (Result<Vec<Refusal>, Failure>, Vec<Value>) {
    let field = StreamField { name: "id".to_owned(), kind: FieldKind::Integer, nullable: false };
    let stream = StreamSpec {
        name: three.stream.parse().unwrap(),
        fields: vec![field],
        primary_key: vec!["id".to_owned()],
        cursor_candidates: Vec::new(),
        supports_incremental: false,
    };
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let records = RecordBatch::try_new(arrow_schema(&stream), vec![ids]).unwrap();
    let run = HeldRun { id: SyncLogId::from_uuid(Uuid::nil()), fence: Fence(1) };
    let activation = WorkspaceConnectorId::from_uuid(Uuid::from_u128(three.activation));
    let push = Push { activation, run };
    let request = WriteRequest { stream, mode: WriteMode::Upsert, push: Some(push) };
    let webhook = Definition::of::<Webhook>();
    let mut writer = webhook.write(settings(), request, environment(answers));
    let change = (three.change)(records);
    let kind = match change {
        Change::Put(_) => ChangeKind::Updated,
        Change::Remove(_) => ChangeKind::Deleted,
    };
    let version = |(key, generation): (&str, i64)| {
        let (key, begun) = (key.to_owned(), three.begun);
        RecordVersion { key, kind, begun, generation }
    };
    let versions = three.keys.into_iter().zip(three.generations).map(version).collect();
    writer.push(change, versions).await.unwrap();
    let refused = writer.finish().await;
    let seen = answers.seen();
    let sent = seen.iter().map(|it| serde_json::from_slice(&it.body).unwrap());
    (refused, sent.collect())
}

#[tokio::test]
async fn while_a_secret_is_rotated_receivers_with_either_are_content() {
    let answers = Arc::new(Answers::always(Answer::of(200, "")));
    let mut settings = settings();
    let next = "whsec_bmV4dCBzZWNyZXQgb2YgdGhlIHdlYmhvb2s=";
    settings["secret"] = json!(next);
    settings["previous_secret"] = json!(SECRET);
    let parameters = json!({ "event_type": "a", "data": null });
    let webhook = Definition::of::<Webhook>();
    webhook.run_command("send", settings, parameters, environment(&answers)).await.unwrap();
    let seen = answers.seen();
    assert!(is_signed(&seen[0], next) && is_signed(&seen[0], SECRET));
}

/// A grant whose tokens end in how often another was asked for.
#[derive(Default)]
struct Tokens(AtomicU32);

#[async_trait]
impl TokenSource for Tokens {
    async fn bearer(&self) -> Result<Secret, Failure> {
        Ok(Secret::new(format!("t0ken-{}", self.0.load(Ordering::Relaxed))))
    }

    async fn another(&self, _: &Secret) -> Result<Secret, Failure> {
        self.0.fetch_add(1, Ordering::Relaxed);
        self.bearer().await
    }

    async fn refused(&self, host: &str, refusal: TokenRefusal) -> Failure {
        Failure::NeedReconnect(format!("{host}: {refusal:?}"))
    }
}

/// Sends a message with a grant. Answers what came of it, and the credentials that went along.
async fn send_granted(
    answers: impl IntoIterator<Item = Answer>,
) -> (Result<Value, Failure>, Vec<String>) {
    let answers = Arc::new(Answers::sequence(answers));
    let environment = Environment {
        flow: AuthorizationFlow::Redirect,
        tokens: Some(Arc::new(Tokens::default())),
        ..environment(&answers)
    };
    let parameters = json!({ "event_type": "a", "data": 1 });
    let webhook = Definition::of::<Webhook>();
    let sent = webhook.run_command("send", settings(), parameters, environment).await;
    assert!(answers.seen().iter().all(|it| is_signed(it, SECRET)), "as without a grant");
    (sent, answers.seen().iter().map(|it| header(it, "authorization").to_owned()).collect())
}

#[tokio::test(start_paused = true)]
async fn a_message_carries_the_token_of_the_grant_and_is_sent_with_another_once() {
    let of = |status: u16| Answer::of(status, "");
    let (sent, carried) = send_granted([of(503), of(401), of(200)]).await;
    assert_eq!(sent.unwrap()["attempts"], 2, "one with another token is the same attempt");
    assert_eq!(carried, ["Bearer t0ken-0", "Bearer t0ken-0", "Bearer t0ken-1"]);

    let (sent, carried) = send_granted([of(401), of(401), of(200)]).await;
    let failed = sent.unwrap_err();
    assert_eq!(failed.code(), "source.need_reconnect");
    assert_eq!(failed.to_string(), "hooks.example.com: Invalid");
    assert_eq!(carried.len(), 2);

    let lacks = r#"Bearer error="insufficient_scope", scope="orders:write""#;
    let answer = of(403).with_header("www-authenticate", lacks);
    let failed = send_granted([answer]).await.0.unwrap_err();
    assert_eq!(failed.code(), "source.need_reconnect");
    assert!(failed.to_string().contains("orders:write"), "{failed}");
}

#[tokio::test]
async fn a_connector_that_needs_a_grant_sends_nothing_without_one() {
    let answers = Arc::new(Answers::always(Answer::of(200, "")));
    let environment = Environment { flow: AuthorizationFlow::OauthDcr, ..environment(&answers) };
    let webhook = Definition::of::<Webhook>();
    let failed = webhook.check(settings(), environment).await.unwrap_err();
    assert_eq!(failed.code(), "source.need_reconnect");
    assert!(answers.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_sent_again_has_another_digest() {
    let answers = Arc::new(Answers::sequence([Answer::of(503, ""), Answer::of(200, "")]));
    let mut settings = settings();
    settings["auth"] = json!({ "type": "wsse", "username": "customer001", "password": "s3cret" });
    let environment = Environment { flow: AuthorizationFlow::Wsse, ..environment(&answers) };
    let parameters = json!({ "event_type": "a", "data": 1 });
    let webhook = Definition::of::<Webhook>();
    webhook.run_command("send", settings, parameters, environment).await.unwrap();
    let seen = answers.seen();
    let digests: HashSet<_> = seen.iter().map(|it| header(it, "x-wsse")).collect();
    assert_eq!((seen.len(), digests.len()), (2, 2));
}

#[tokio::test]
async fn a_check_fails_where_the_credentials_are_refused_and_there_are_some() {
    let check = async |settings: Value, status: u16| {
        let answers = Arc::new(Answers::always(Answer::of(status, "")));
        let checked = Definition::of::<Webhook>().check(settings, environment(&answers)).await;
        checked.map_err(|it| it.code())
    };
    let mut with_key = settings();
    with_key["auth"] = json!({ "type": "api_key", "header": "X-Key", "value": "s3cr3t" });
    for status in [401, 403] {
        assert!(check(settings(), status).await.is_ok(), "it may want a signature");
        assert_eq!(check(with_key.clone(), status).await.unwrap_err(), "source.unauthorized");
    }
    assert!(check(with_key, 405).await.is_ok());
}
