//! A type that does what it is told, erased.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use arrow_array::{Int64Array, RecordBatch};
use async_trait::async_trait;
use futures_util::StreamExt;
use linkspan_domain::{
    AuthorizationFlow, Category, FieldKind, StreamField, StreamSpec,
    ports::{Outbound, OutboundError, OutboundRequest, OutboundResponse},
};
use schemars::JsonSchema;
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Definition, Environment, Failure, ReadRequest};
use crate::{
    Batch, BatchSink, CheckOutcome, Command, CommandEntry, ConnectorType, Cx, Discovered,
    OpenHosts, Source, SourceEntry, arrow_schema, command, source,
};

struct Counter;

/// Counts.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// How far.
    upto: i64,
    /// What happens then.
    #[serde(default)]
    then: Then,
}

#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Then {
    #[default]
    End,
    Fail,
    Panic,
    Hang,
}

#[derive(Default)]
struct Shared {
    checks: AtomicUsize,
}

impl ConnectorType for Counter {
    const KEY: &'static str = "counter";
    const TITLE: &'static str = "Counter";
    const VERSION: Version = Version::new(1, 2, 3);
    const CATEGORY: Category = Category::Test;
    const ALIASES: &'static [&'static str] = &["abacus"];
    type Settings = Settings;
    type Shared = Shared;

    fn commands() -> Vec<CommandEntry<Self>> {
        vec![command::<Add>()]
    }

    fn source() -> Option<SourceEntry<Self>> {
        Some(source::<Self>())
    }

    fn accept(settings: &Settings) -> Result<(), Failure> {
        if settings.upto < 0 {
            return Err(Failure::setting("upto", "must not be negative"));
        }
        Ok(())
    }

    fn accept_flow(_: &Settings, flow: AuthorizationFlow) -> Result<(), Failure> {
        match flow {
            AuthorizationFlow::Wsse => Err(Failure::setting("username", "is required")),
            _ => Ok(()),
        }
    }

    async fn check(cx: &Cx<Self>) -> Result<CheckOutcome, Failure> {
        let before = cx.shared.checks.fetch_add(1, Ordering::Relaxed);
        Ok(CheckOutcome::ok(format!("check {}", before + 1)))
    }
}

fn spec() -> StreamSpec {
    let field = StreamField { name: "n".to_owned(), kind: FieldKind::Integer, nullable: false };
    StreamSpec {
        name: "numbers".parse().unwrap(),
        fields: vec![field],
        primary_key: Vec::new(),
        cursor_candidates: Vec::new(),
        supports_incremental: false,
    }
}

impl Source for Counter {
    async fn discover(_: &Cx<Self>) -> Result<Discovered, Failure> {
        Ok(vec![spec()].into())
    }

    async fn read(cx: &Cx<Self>, _: ReadRequest, out: &mut BatchSink) -> Result<(), Failure> {
        for n in 0..cx.settings.upto {
            let column = Arc::new(Int64Array::from(vec![n]));
            let records = RecordBatch::try_new(arrow_schema(&spec()), vec![column]).unwrap();
            out.send(Batch::new(records, None)).await?;
        }
        match cx.settings.then {
            Then::End => Ok(()),
            Then::Fail => Err(Failure::Unauthorized),
            Then::Panic => panic!("no more numbers"),
            Then::Hang => pending().await,
        }
    }
}

/// Adds two numbers.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Add {
    /// One.
    one: i64,
    /// The other.
    other: i64,
}

/// The sum.
#[derive(Serialize, JsonSchema)]
struct Sum {
    /// The sum.
    sum: i64,
}

impl Command for Add {
    type Of = Counter;
    type Output = Sum;
    const NAME: &'static str = "add";

    async fn run(self, _: &Cx<Counter>) -> Result<Sum, Failure> {
        Ok(Sum { sum: self.one + self.other })
    }
}

struct Nowhere;

#[async_trait]
impl Outbound for Nowhere {
    async fn send(&self, _: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        Err(OutboundError::InvalidUrl("there is no way out"))
    }
}

fn environment() -> Environment {
    Environment::new(Arc::new(Nowhere), Arc::new(OpenHosts))
}

/// How many batches come, and how it ends.
async fn read(settings: serde_json::Value) -> (usize, Option<Failure>) {
    let request = ReadRequest::full("numbers".parse().unwrap());
    let mut read = Definition::of::<Counter>().read(settings, request, environment());
    let mut batches = 0;
    while let Some(batch) = read.next().await {
        match batch {
            Ok(_) => batches += 1,
            Err(failure) => return (batches, Some(failure)),
        }
    }
    (batches, None)
}

#[test]
fn a_type_says_what_it_is() {
    let manifest = Definition::of::<Counter>().manifest;
    assert_eq!(manifest.key.as_str(), "counter");
    assert_eq!(manifest.aliases[0].as_str(), "abacus");
    assert_eq!(manifest.description, "Counts.");
    assert_eq!(manifest.commands[0].summary, "Adds two numbers.");
    let capabilities: Vec<_> = manifest.capabilities.iter().map(ToString::to_string).collect();
    assert_eq!(capabilities, ["check", "discover", "read", "command"]);
}

#[tokio::test]
async fn a_failure_comes_after_what_was_read_before_it() {
    assert!(matches!(read(json!({ "upto": 5 })).await, (5, None)));
    let failed = read(json!({ "upto": 5, "then": "fail" })).await;
    assert!(matches!(failed, (5, Some(Failure::Unauthorized))));
    let panicked = read(json!({ "upto": 5, "then": "panic" })).await;
    assert!(matches!(panicked, (5, Some(Failure::Defect { .. }))));
    assert!(matches!(read(json!({})).await, (0, Some(Failure::Invalid { .. }))));
    assert!(matches!(read(json!({ "upto": -1 })).await, (0, Some(Failure::Invalid { .. }))));
}

#[tokio::test]
async fn a_read_that_hangs_can_be_cancelled() {
    let environment = environment();
    let cancel = environment.cancel.clone();
    let settings = json!({ "upto": 1, "then": "hang" });
    let request = ReadRequest::full("numbers".parse().unwrap());
    let mut read = Definition::of::<Counter>().read(settings, request, environment);
    assert!(matches!(read.next().await, Some(Ok(_))));
    cancel.cancel();
    assert!(matches!(read.next().await, Some(Err(Failure::Cancelled))));
    assert!(read.next().await.is_none());
}

#[tokio::test]
async fn dropping_a_read_does_not_cancel_its_siblings() {
    let environment = environment();
    let request = ReadRequest::full("numbers".parse().unwrap());
    let counter = Definition::of::<Counter>();
    drop(counter.read(json!({ "upto": 9 }), request, environment.clone()));
    assert!(!environment.cancel.is_cancelled());
}

#[tokio::test]
async fn clones_share_what_the_type_shares() {
    let counter = Definition::of::<Counter>();
    let other = counter.clone();
    counter.check(json!({ "upto": 1 }), environment()).await.unwrap();
    let outcome = other.check(json!({ "upto": 1 }), environment()).await.unwrap();
    assert_eq!(outcome.message, "check 2");
}

#[tokio::test]
async fn a_command_takes_what_fits_and_nothing_else() {
    let counter = Definition::of::<Counter>();
    let run = |name: &'static str, parameters| {
        let counter = counter.clone();
        async move { counter.run_command(name, json!({ "upto": 1 }), parameters, environment()).await }
    };
    let sum = run("add", json!({ "one": 1, "other": 2 })).await.unwrap();
    assert_eq!(sum, json!({ "sum": 3 }));
    let failure = run("add", json!({ "one": 1 })).await.unwrap_err();
    assert_eq!(failure.to_string(), "parameters: `other` is required");
    let failure = run("add", json!({})).await.unwrap_err();
    assert_eq!(failure.to_string(), "parameters: `one` is required; `other` is required");
    assert!(matches!(run("sub", json!({})).await, Err(Failure::NotFound(_))));
}

#[test]
fn faults_are_listed_without_trying_the_settings() {
    let counter = Definition::of::<Counter>();
    let faults = |settings| {
        let faults = counter.faults(&settings, AuthorizationFlow::None).into_iter();
        faults.map(|it| format!("{} {}", it.pointer, it.message)).collect::<Vec<_>>()
    };
    assert_eq!(faults(json!({ "upto": 1 })), [""; 0]);
    assert_eq!(faults(json!({ "upto": -1 })), ["/upto must not be negative"]);
    assert_eq!(faults(json!({ "x": 1 })), ["/upto is required", "/x is not a known field"]);
}

#[tokio::test]
async fn settings_that_do_not_go_with_how_the_connector_authorizes_are_faults_and_do_not_run() {
    let (counter, settings) = (Definition::of::<Counter>(), json!({ "upto": 1 }));
    let faults = counter.faults(&settings, AuthorizationFlow::Wsse);
    assert_eq!(faults[0].pointer, "/username");
    let environment = Environment { flow: AuthorizationFlow::Wsse, ..environment() };
    let failure = counter.check(settings, environment).await.unwrap_err();
    assert_eq!(failure.to_string(), "settings: `username` is required");
}
