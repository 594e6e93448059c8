//! Tests of testing connections.

use linkspan_domain::{
    Direction, ResourceType, Role, Status, StreamSettings, StreamSource,
    ports::{Change, StoreError},
};
use serde_json::{Map, Value, json};
use time::Duration;

use crate::{
    Draft, DraftOf,
    activations::tests::{stage, stage_over},
    fixtures::{
        PLANTED, activation, call, code, connector, id, keep_refusing, object, own_workspace,
    },
};

#[tokio::test]
async fn a_connection_that_fails_is_an_answer() {
    let stage = stage(connector(|_| {}), vec![activation(|_| {})]);
    let call = call(Role::Designer);
    let test = async |overrides: Value| {
        let test = stage.activations.test(&call, id(30), object(overrides)).await.unwrap();
        (test.ok, test.message, test.error)
    };
    assert_eq!(test(json!({})).await, (true, "hello ••••••••".to_owned(), None));
    let (ok, message, error) = test(json!({ "host": "down" })).await;
    assert_eq!((ok, error.as_deref()), (false, Some("source.unavailable")));
    assert!(message.contains("could not be reached"), "{message}");
    assert_eq!(
        test(json!({ "host": "rude" })).await,
        (false, "no to ••••••••".to_owned(), Some("source.refused".to_owned()))
    );
    assert_eq!(test(json!({ "port": "x" })).await.2.as_deref(), Some("source.invalid"));
    let unknown = test(json!({ "api_key": PLANTED })).await;
    assert_eq!(unknown.2.as_deref(), Some("workspace_connector.unknown_secret"));

    // All of it is history, none of it is kept as settings or repeats a secret.
    assert!(stage.kept.is_untouched());
    let tests = format!("{:?}", stage.tests.written.lock().unwrap());
    assert_eq!(stage.tests.written.lock().unwrap().len(), 5);
    assert!(!tests.contains(PLANTED), "{tests}");
    let (action, details) = stage.tests.act();
    assert_eq!(action, "workspace_connector.tested");
    assert_eq!(details["ok"], true);
}

#[tokio::test]
async fn a_check_that_passes_brings_back_what_was_broken_or_refused() {
    use Status::{Degraded, Disabled, Enabled, Error, NeedReconnect, Suspended, ToConfigure};

    let tested = async |host: &str, before: Status, overrides: Value| {
        let stored = activation(|it| {
            it.config.insert("host".to_owned(), json!(host));
            it.status = before;
        });
        let stage = stage(connector(|_| {}), vec![stored]);
        stage.activations.test(&call(Role::Designer), id(30), object(overrides)).await.unwrap();
        if stage.kept.is_untouched() {
            return before;
        }
        assert_eq!(stage.kept.act().1, json!({ "changed": ["status"] }));
        let Change::Update(it) = stage.kept.change() else { panic!() };
        it.status
    };
    for before in [Error, NeedReconnect] {
        assert_eq!(tested("shop", before, json!({})).await, Enabled);
        assert_eq!(tested("rude", before, json!({})).await, before, "it does not work");
        let others = json!({ "host": "shop" });
        assert_eq!(tested("rude", before, others).await, before, "that is not how it is kept");
        assert_eq!(tested("vague", before, json!({})).await, before, "it says nothing of secrets");
    }
    for before in [ToConfigure, Enabled, Disabled, Suspended, Degraded] {
        assert_eq!(tested("shop", before, json!({})).await, before);
    }
}

#[tokio::test]
async fn what_went_another_way_during_its_check_goes_on_so() {
    let stored = activation(|it| it.status = Status::NeedReconnect);
    let kept = keep_refusing(vec![stored], || StoreError::Stale);
    let stage = stage_over(connector(|_| {}), kept);
    let test = stage.activations.test(&call(Role::Designer), id(30), Map::new()).await.unwrap();
    assert!(test.ok);
}

#[tokio::test]
async fn where_records_are_written_nothing_needs_to_be_read() {
    let call = call(Role::Designer);
    let empty = || object(json!({ "host": "empty", "password": PLANTED }));
    let source = StreamSource { workspace_connector_id: id(31), stream: "orders".parse().unwrap() };
    let push = StreamSettings {
        stream: Some("orders".parse().unwrap()),
        source: Some(source),
        ..StreamSettings::default()
    };
    for (streams, direction, ok) in
        [(Vec::new(), Direction::Input, false), (vec![push], Direction::Output, true)]
    {
        let connector = connector(|it| it.entry.direction = direction);
        let stage = stage(connector, vec![activation(|it| it.streams = streams)]);
        let test = stage.activations.test(&call, id(30), empty()).await.unwrap();
        assert_eq!(test.ok, ok, "{}", test.message);
        let draft = Draft { of: DraftOf::Connector(id(20)), config: empty() };
        let test = stage.activations.test_draft(&call, draft).await.unwrap();
        assert_eq!(test.ok, ok, "{}", test.message);
    }
}

#[tokio::test(start_paused = true)]
async fn a_system_that_does_not_answer_fails_the_test_after_thirty_seconds() {
    let stage = stage(connector(|_| {}), vec![activation(|_| {})]);
    let slow = object(json!({ "host": "slow" }));
    let test = stage.activations.test(&call(Role::Designer), id(30), slow).await.unwrap();
    assert_eq!((test.ok, test.error.as_deref()), (false, Some("source.unavailable")));
    assert!(Duration::milliseconds(test.latency_ms) >= Duration::seconds(30));
}

#[tokio::test]
async fn a_draft_is_tried_without_being_kept() {
    let stage = stage(connector(|_| {}), Vec::new());
    let call = call(Role::Designer);
    let config = object(json!({ "host": "shop", "password": PLANTED }));
    for of in [DraftOf::Connector(id(20)), DraftOf::Type("phony".parse().unwrap())] {
        let draft = Draft { of, config: config.clone() };
        let test = stage.activations.test_draft(&call, draft).await.unwrap();
        assert_eq!((test.ok, test.workspace_connector_id), (true, None));
        assert_eq!(test.workspace_id, own_workspace());
    }
    assert!(stage.kept.is_untouched());
}

#[tokio::test]
async fn doubles_are_run_by_admins_only() {
    let stored = activation(|it| {
        it.connector_type = "double".parse().unwrap();
        it.config = Map::new();
        it.secrets = None;
    });
    let stage = stage(connector(|_| {}), vec![stored]);
    let test = async |role| code(stage.activations.test(&call(role), id(30), Map::new()).await);
    assert_eq!(test(Role::Designer).await, "permission.denied");
    assert_eq!(test(Role::Admin).await, "ok");
}

#[tokio::test]
async fn a_test_is_audited_as_a_test() {
    let stage = stage(connector(|_| {}), vec![activation(|_| {})]);
    stage.activations.test(&call(Role::Designer), id(30), Map::new()).await.unwrap();
    let written = stage.tests.written.lock().unwrap();
    assert_eq!(written[0].1.audit.resource_type, ResourceType::ConnectionTest);
}
