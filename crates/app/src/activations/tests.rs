//! Tests of activations: their life, their settings and their secrets.

use linkspan_domain::{
    AuthorizationFlow, Availability, Direction, Problem, ResourceType, Role, StreamSettings,
    StreamSource, WorkspaceConnector,
    ports::{Change, KeyId, StoreError},
};
use serde_json::{Map, Value, json};
use time::Duration;

use super::*;
use crate::{
    Patch,
    fixtures::{
        KEY, Kept, LOST_KEY, Ledger, MockRuns, NOW, OLD_KEY, PLANTED, activation, call, code,
        connector, empty, id, keep, keep_refusing, ledger, lower_workspace, myself, object,
        own_workspace, sealed_with, sources, world,
    },
};

/// Activations of `connector`, over stores that keep what they are given.
pub(crate) struct Stage {
    pub(crate) activations: Activations,
    pub(crate) kept: Kept<WorkspaceConnector>,
    tests: Kept<ConnectionTest>,
    pub(crate) ledger: Arc<Ledger>,
}

pub(crate) fn stage(connector: Connector, kept: Vec<WorkspaceConnector>) -> Stage {
    stage_over(connector, keep(kept))
}

pub(crate) fn stage_over(connector: Connector, kept: Kept<WorkspaceConnector>) -> Stage {
    let (tests, ledger) = (keep(Vec::new()), ledger(Arc::clone(&kept.store) as _));
    let stores = ActivationStores {
        activations: Arc::clone(&kept.store) as _,
        connectors: keep(vec![connector]).store,
        people: empty(),
        tests: Arc::clone(&tests.store) as _,
        credentials: Arc::clone(&ledger) as _,
        syncs: Arc::new(MockRuns::new()),
    };
    let activations = Activations::new(stores, sources(), world());
    Stage { activations, kept, tests, ledger }
}

async fn create(connector: Connector, config: Value) -> Result<WorkspaceConnector, String> {
    let stage = stage(connector, Vec::new());
    let new = NewActivation::of(id(20), object(config));
    let created = stage.activations.create(&call(Role::Designer), new).await;
    created.map_err(|error| {
        assert!(stage.kept.is_untouched());
        let pointer = error.pointer().unwrap_or_default();
        format!("{} {pointer}", error.code())
    })
}

async fn update(
    stored: WorkspaceConnector,
    role: Role,
    patch: ActivationPatch,
) -> Result<WorkspaceConnector, ActivationError> {
    stage(connector(|_| {}), vec![stored])
        .activations
        .update(&call(role), id(30), None, patch)
        .await
}

fn config(config: Value) -> ActivationPatch {
    ActivationPatch { config: Some(object(config)), ..ActivationPatch::default() }
}

fn switch(switch: Switch) -> ActivationPatch {
    ActivationPatch { switch: Some(switch), ..ActivationPatch::default() }
}

#[tokio::test]
async fn a_new_activation_is_the_callers_and_ready_when_nothing_is_missing() {
    let complete = json!({ "host": "shop", "password": PLANTED });
    let it = create(connector(|_| {}), complete).await.unwrap();
    assert_eq!(it.status, Status::Enabled);
    assert_eq!(it.name.as_str(), "Fake Shop");
    assert_eq!((it.workspace_id, it.person_id), (own_workspace(), Some(myself())));
    // The alias `phony` that the catalog uses.
    assert_eq!((it.connector_type.as_str(), it.connector_type_version.minor), ("fake", 2));
    assert_eq!(Value::Object(it.config), json!({ "host": "shop" }));
    assert_eq!(it.secrets.unwrap().pointers, ["/password".to_owned()].into());
}

#[tokio::test]
async fn what_is_missing_can_come_later_what_is_wrong_cannot() {
    let created = async |config| create(connector(|_| {}), config).await.map(|it| it.status);
    assert_eq!(created(json!({})).await, Ok(Status::ToConfigure));
    assert_eq!(created(json!({ "host": "shop" })).await, Ok(Status::ToConfigure));
    for (wrong, expected) in [
        (json!({ "host": 7 }), "workspace_connector.invalid_config /data/attributes/config/host"),
        (json!({ "hots": "x" }), "workspace_connector.invalid_config /data/attributes/config/hots"),
        (
            json!({ "api_token": PLANTED }),
            "workspace_connector.unknown_secret /data/attributes/config/api_token",
        ),
        (
            json!({ "password": "••••••••" }),
            "workspace_connector.invalid_config /data/attributes/config/password",
        ),
    ] {
        assert_eq!(created(wrong).await, Err(expected.to_owned()));
    }
}

#[tokio::test]
async fn what_needs_consent_is_not_ready_before_it() {
    let connector = connector(|it| it.entry.authorization_flow = AuthorizationFlow::OauthDcr);
    let it = create(connector, json!({ "host": "shop", "password": PLANTED })).await.unwrap();
    assert_eq!(it.status, Status::ToConfigure);
}

#[tokio::test]
async fn only_what_is_on_offer_and_installed_can_be_activated() {
    let of = async |change: fn(&mut Connector)| {
        let created = create(connector(change), json!({})).await;
        created.map_or_else(|code| code, |it| it.status.to_string())
    };
    assert_eq!(
        of(|it| it.entry.status = Availability::Maintenance).await,
        "connector.not_available /data/relationships/connector"
    );
    assert_eq!(
        of(|it| it.entry.connector_type = "absent".parse().unwrap()).await,
        "connector_type.not_installed "
    );
    assert_eq!(
        of(|it| it.deleted_at = Some(NOW)).await,
        "resource.dangling /data/relationships/connector"
    );
}

#[tokio::test]
async fn a_name_that_is_taken_is_said_to_be() {
    let stage = stage_over(connector(|_| {}), keep_refusing(Vec::new(), || StoreError::Taken));
    let new = NewActivation::of(id(20), object(json!({})));
    let error = stage.activations.create(&call(Role::Designer), new).await.unwrap_err();
    assert_eq!(error.code().to_string(), "resource.name_taken");
    assert_eq!(error.pointer().as_deref(), Some("/data/attributes/name"));
}

#[tokio::test]
async fn secrets_are_nowhere_but_in_the_sealed_blob() {
    let kept_secret = json!({ "host": "shop", "password": PLANTED });
    let fresh = stage(connector(|_| {}), Vec::new());
    let new = NewActivation::of(id(20), object(kept_secret.clone()));
    let it = fresh.activations.create(&call(Role::Designer), new).await.unwrap();
    assert!(!format!("{it:?}").contains(PLANTED));
    assert!(!format!("{:?}", fresh.kept.written.lock().unwrap()).contains(PLANTED));

    let changed = stage(connector(|_| {}), vec![activation(|_| {})]);
    let patch = config(json!({ "password": "another-planted" }));
    let it = changed.activations.update(&call(Role::Designer), id(30), None, patch).await.unwrap();
    assert!(!format!("{it:?}").contains("another-planted"));
    assert!(!format!("{:?}", changed.kept.written.lock().unwrap()).contains("another-planted"));
    assert_eq!(
        changed.kept.act(),
        ("workspace_connector.updated".to_owned(), json!({ "changed": ["secrets", "config"] }),)
    );

    let misplaced = json!({ "host": { "nested": PLANTED }, "port": PLANTED });
    let new = NewActivation::of(id(20), object(misplaced));
    let error = fresh.activations.create(&call(Role::Designer), new).await.err().unwrap();
    assert!(!format!("{error} {error:?}").contains(PLANTED), "{error:?}");
}

#[tokio::test]
async fn a_mask_keeps_the_secret_null_clears_it_and_a_value_replaces_it() {
    let after = async |patch: Value| {
        let it = update(activation(|_| {}), Role::Designer, config(patch)).await.unwrap();
        let sources = sources();
        let opened = sources.settings().open(&it).unwrap();
        let password = opened.secrets.get("/password").map(|it| it.expose().clone());
        (it.status, password)
    };
    let stored = Some(PLANTED.to_owned());
    assert_eq!(after(json!({ "host": "b" })).await, (Status::Enabled, stored.clone()));
    assert_eq!(
        after(json!({ "password": "••••••••", "port": 1 })).await,
        (Status::Enabled, stored)
    );
    assert_eq!(after(json!({ "password": null })).await, (Status::ToConfigure, None));
    assert_eq!(
        after(json!({ "password": "b-secret" })).await,
        (Status::Enabled, Some("b-secret".to_owned()))
    );
}

#[tokio::test]
async fn settings_that_stay_the_same_write_nothing() {
    let stage = stage(connector(|_| {}), vec![activation(|_| {})]);
    let patch = config(json!({ "host": "shop", "password": "••••••••" }));
    let it = stage.activations.update(&call(Role::Designer), id(30), None, patch).await.unwrap();
    assert_eq!(it, activation(|_| {}));
    assert!(stage.kept.is_untouched());
}

#[tokio::test]
async fn good_settings_mend_what_was_broken() {
    for (before, after) in [
        (Status::ToConfigure, Status::Enabled),
        (Status::NeedReconnect, Status::Enabled),
        (Status::Error, Status::Enabled),
        (Status::Disabled, Status::Disabled),
        (Status::Processing, Status::Processing),
    ] {
        let stored = activation(|it| it.status = before);
        let it = update(stored, Role::Designer, config(json!({ "host": "b" }))).await.unwrap();
        assert_eq!(it.status, after);
    }
}

#[tokio::test]
async fn other_streams_mend_what_was_broken_but_no_grant() {
    let lag = serde_json::from_value::<StreamSettings>(json!({ "lag": 5 })).unwrap();
    let same = ActivationPatch::default;
    let streams = ActivationPatch { streams: Some(vec![lag]), ..same() };
    let schemas = ActivationPatch { output_schemas: Some(vec!["public".to_owned()]), ..same() };
    let name = ActivationPatch { name: Some("New".parse().unwrap()), ..same() };
    for (before, patch, after) in [
        (Status::Error, &streams, Status::Enabled),
        (Status::Error, &schemas, Status::Enabled),
        (Status::Error, &name, Status::Error),
        (Status::NeedReconnect, &streams, Status::NeedReconnect),
        (Status::Degraded, &streams, Status::Degraded),
        (Status::ToConfigure, &streams, Status::ToConfigure),
    ] {
        let stage = stage(connector(|_| {}), vec![activation(|it| it.status = before)]);
        let call = call(Role::Designer);
        let it = stage.activations.update(&call, id(30), None, patch.clone()).await.unwrap();
        assert_eq!(it.status, after, "{before}");
        let changed = stage.kept.act().1["changed"].as_array().unwrap().contains(&json!("status"));
        assert_eq!(changed, before != after, "{before}");
    }
}

#[tokio::test]
async fn every_other_field_can_be_changed_and_emptied() {
    let stored = activation(|it| it.description = Some("old".to_owned()));
    let patch = ActivationPatch {
        name: Some("New".parse().unwrap()),
        description: Patch::Clear,
        labels: Some([("team".to_owned(), "a".to_owned())].into()),
        ..ActivationPatch::default()
    };
    let stage = stage(connector(|_| {}), vec![stored]);
    let expected = Some(Revision::from_number(4));
    let call = call(Role::Designer);
    let it = stage.activations.update(&call, id(30), expected, patch).await.unwrap();
    assert_eq!((it.name.as_str(), it.description, it.labels.len()), ("New", None, 1));
    assert_eq!(it.revision, Revision::from_number(5));
    assert_eq!(stage.kept.act().1, json!({ "changed": ["name", "description", "labels"] }));
}

#[tokio::test]
async fn stream_settings_that_contradict_themselves_are_refused() {
    let stream = |text: Value| serde_json::from_value::<StreamSettings>(text).unwrap();
    let pushed =
        json!({ "workspace_connector_id": "00000000-0000-0000-0000-000000000001", "stream": "b" });
    for streams in [
        vec![json!({ "cursor_type": "int" })],
        vec![json!({ "cursor_after": "1" })],
        vec![json!({ "cursor_column": "" })],
        vec![json!({ "cursor_column": "id", "cursor_type": "int", "cursor_after": "x" })],
        vec![json!({ "stream": "a" }), json!({ "stream": "a" })],
        vec![json!({ "source": pushed })],
        vec![json!({ "stream": "a", "source": pushed, "cursor_column": "id" })],
        vec![json!({ "stream": "a", "source": pushed }), json!({ "stream": "b" })],
    ] {
        let streams = streams.into_iter().map(stream).collect();
        let patch = ActivationPatch { streams: Some(streams), ..ActivationPatch::default() };
        let updated = update(activation(|_| {}), Role::Designer, patch).await;
        assert_eq!(code(updated), "resource.invalid");
    }
}

#[tokio::test]
async fn a_person_switches_it_off_and_on_and_an_admin_pauses_it() {
    use Status::{Degraded, Disabled, Enabled, NeedReconnect, Processing, Suspended, ToConfigure};

    let of = async |before: Status, to: Switch, role: Role| {
        let stored = activation(|it| it.status = before);
        let updated = update(stored, role, switch(to)).await;
        updated.map(|it| it.status).map_err(|error| error.code().to_string())
    };
    for (before, to, after) in [
        (Enabled, Switch::Off, Ok(Disabled)),
        (Disabled, Switch::On, Ok(Enabled)),
        (Processing, Switch::On, Ok(Processing)),
        (Degraded, Switch::On, Ok(Degraded)),
        (ToConfigure, Switch::On, Err("workspace_connector.unexpected_status")),
        (NeedReconnect, Switch::On, Err("workspace_connector.unexpected_status")),
        (Enabled, Switch::Suspended, Err("permission.denied")),
        (Suspended, Switch::On, Err("permission.denied")),
        (Suspended, Switch::Off, Err("permission.denied")),
    ] {
        let after = after.map_err(str::to_owned);
        assert_eq!(of(before, to, Role::Designer).await, after, "{before} {to:?}");
    }
    assert_eq!(of(Enabled, Switch::Suspended, Role::Admin).await, Ok(Suspended));
    assert_eq!(of(Suspended, Switch::On, Role::Admin).await, Ok(Enabled));
}

#[tokio::test]
async fn what_lacks_settings_is_not_enabled_by_switching_it_on() {
    let stored = activation(|it| {
        it.status = Status::Disabled;
        it.secrets = None;
    });
    let it = update(stored, Role::Designer, switch(Switch::On)).await.unwrap();
    assert_eq!(it.status, Status::ToConfigure);
}

#[tokio::test]
async fn deleting_switches_it_off_and_restoring_leaves_it_off() {
    let live = stage(connector(|_| {}), vec![activation(|_| {})]);
    live.activations.delete(&call(Role::Designer), id(30), None).await.unwrap();
    let Change::Update(deleted) = live.kept.change() else { panic!() };
    assert_eq!((deleted.status, deleted.deleted_at), (Status::Disabled, Some(NOW)));
    assert_eq!(live.kept.act().0, "workspace_connector.deleted");

    let gone = stage(connector(|_| {}), vec![deleted.clone()]);
    let it = gone.activations.restore(&call(Role::Designer), id(30), None).await.unwrap();
    assert_eq!((it.status, it.deleted_at), (Status::Disabled, None));

    let orphan = stage(connector(|it| it.deleted_at = Some(NOW)), vec![deleted]);
    let restored = orphan.activations.restore(&call(Role::Designer), id(30), None).await;
    assert_eq!(code(restored), "resource.dangling");
}

#[tokio::test]
async fn a_workspace_below_is_read_not_written() {
    let stage =
        stage(connector(|_| {}), vec![activation(|it| it.workspace_id = lower_workspace())]);
    let call = call(Role::Admin);
    let denied = "permission.denied";
    let (it, patch) = (&stage.activations, ActivationPatch::default());
    assert_eq!(code(it.update(&call, id(30), None, patch).await), denied);
    assert_eq!(code(it.delete(&call, id(30), None).await), denied);
    assert_eq!(code(it.test(&call, id(30), Map::new()).await), denied);
    assert_eq!(code(it.models(&call.caller, id(30)).await), "ok");
}

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
async fn discovery_shows_the_schemas_that_it_may() {
    let models = async |schemas: &[&str]| {
        let schemas = schemas.iter().map(|&it| it.to_owned()).collect();
        let stage = stage(connector(|_| {}), vec![activation(|it| it.output_schemas = schemas)]);
        let models = stage.activations.models(&call(Role::Analyst).caller, id(30)).await.unwrap();
        models.streams.into_iter().map(|it| it.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(models(&[]).await, ["public.orders", "audit.logins", "files"]);
    assert_eq!(models(&["public"]).await, ["public.orders", "files"]);
}

#[tokio::test]
async fn a_system_that_is_down_has_no_models_to_show() {
    let stored = activation(|it| {
        it.config.insert("host".to_owned(), json!("down"));
    });
    let stage = stage(connector(|_| {}), vec![stored]);
    let models = stage.activations.models(&call(Role::Analyst).caller, id(30)).await;
    assert_eq!(code(models), "source.unavailable");
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
async fn an_owner_who_is_not_there_is_refused() {
    let patch = ActivationPatch { person_id: Patch::Set(id(77)), ..ActivationPatch::default() };
    let error = update(activation(|_| {}), Role::Admin, patch.clone()).await.unwrap_err();
    assert_eq!(error.pointer().as_deref(), Some("/data/relationships/person"));
    let stored = activation(|it| it.person_id = Some(id(77)));
    assert_eq!(code(update(stored, Role::Designer, patch).await), "ok", "it was so before");
}

#[tokio::test]
async fn a_test_is_audited_as_a_test() {
    let stage = stage(connector(|_| {}), vec![activation(|_| {})]);
    stage.activations.test(&call(Role::Designer), id(30), Map::new()).await.unwrap();
    let written = stage.tests.written.lock().unwrap();
    assert_eq!(written[0].1.audit.resource_type, ResourceType::ConnectionTest);
}

/// The key that sealed the secrets of `it`.
fn key_of(it: &WorkspaceConnector) -> KeyId {
    it.secrets.as_ref().unwrap().blob.key_id().unwrap()
}

#[tokio::test]
async fn secrets_of_a_lost_key_are_given_anew_without_opening_the_old_ones() {
    let lost = || activation(|it| sealed_with(LOST_KEY, it));
    let anew = config(json!({ "password": "given-anew" }));
    let it = update(lost(), Role::Designer, anew).await.unwrap();
    assert_eq!((it.status, key_of(&it)), (Status::Enabled, KEY));
    let opened = sources().settings().open(&it).unwrap();
    assert_eq!(opened.secrets.get("/password").unwrap().expose(), "given-anew");

    let cleared = config(json!({ "password": null }));
    assert_eq!(update(lost(), Role::Designer, cleared).await.unwrap().secrets, None);

    for partly in [json!({ "host": "b" }), json!({ "host": "b", "password": "••••••••" })]
    {
        let error = update(lost(), Role::Designer, config(partly)).await.unwrap_err();
        assert_eq!(error.code().to_string(), "secrets.key_unknown");
        let said = error.to_string();
        assert!(said.contains("/password") && said.contains(&LOST_KEY.to_string()), "{said}");
    }
}

#[tokio::test]
async fn what_needs_no_secrets_works_without_their_key_and_what_does_says_so() {
    let lost = || activation(|it| sealed_with(LOST_KEY, it));
    let patch =
        ActivationPatch { name: Some("New".parse().unwrap()), ..ActivationPatch::default() };
    let it = update(lost(), Role::Designer, patch).await.unwrap();
    assert_eq!((it.name.as_str(), key_of(&it)), ("New", LOST_KEY));
    let stage = stage(connector(|_| {}), vec![lost()]);
    let tested = stage.activations.test(&call(Role::Designer), id(30), Map::new()).await;
    assert_eq!(code(tested), "secrets.key_unknown");
    let models = stage.activations.models(&call(Role::Designer).caller, id(30)).await;
    assert_eq!(code(models.map(drop)), "secrets.key_unknown");
    stage.activations.delete(&call(Role::Designer), id(30), None).await.unwrap();
}

#[tokio::test]
async fn whoever_writes_an_activation_seals_it_with_the_current_key() {
    let old = activation(|it| sealed_with(OLD_KEY, it));
    let patch =
        ActivationPatch { name: Some("New".parse().unwrap()), ..ActivationPatch::default() };
    let it = update(old, Role::Designer, patch).await.unwrap();
    assert_eq!(key_of(&it), KEY);
    let opened = sources().settings().open(&it).unwrap();
    assert_eq!(opened.secrets.get("/password").unwrap().expose(), PLANTED);
}

/// An activation as an import past the API may leave it.
fn in_the_clear(password: &str) -> WorkspaceConnector {
    activation(|it| {
        it.secrets = None;
        it.config = object(json!({ "host": "shop", "password": password }));
    })
}

#[tokio::test]
async fn what_an_import_left_in_the_clear_is_sealed_once() {
    let admin = call(Role::Admin);
    let dry = stage(connector(|_| {}), vec![in_the_clear(PLANTED)]);
    let found = dry.activations.encrypt(&admin, Encrypting::DryRun).await.unwrap();
    assert_eq!(found[0].fields, ["/password"]);
    assert_eq!(found[0].fate, Fate::WouldBeSealed);
    assert!(dry.kept.is_untouched() && !format!("{found:?}").contains(PLANTED));

    let stage = stage(connector(|_| {}), vec![in_the_clear(PLANTED)]);
    let found = stage.activations.encrypt(&admin, Encrypting::Now).await.unwrap();
    assert_eq!(found[0].fate, Fate::Sealed);
    let (act, details) = stage.kept.act();
    assert_eq!(act, "workspace_connector.secrets_sealed");
    assert_eq!(details, json!({ "fields": ["/password"] }));
    assert!(!format!("{:?}", stage.kept.written.lock().unwrap()).contains(PLANTED));
}

#[tokio::test]
async fn what_only_looks_like_a_secret_keeps_no_secret_from_being_sealed() {
    let mut stored = in_the_clear(PLANTED);
    stored.config.insert("api_token".to_owned(), json!("odd"));
    stored.config.insert("more".to_owned(), json!([{ "passphrase": { "of": "it" } }]));
    let stage = stage(connector(|_| {}), vec![stored]);
    let found = stage.activations.encrypt(&call(Role::Admin), Encrypting::Now).await.unwrap();
    let [left, sealed] = &found[..] else { panic!("{found:?}") };
    assert_eq!(left.fields, ["/api_token", "/more/0/passphrase"]);
    assert!(matches!(left.fate, Fate::Left(_)), "{left:?}");
    assert_eq!((&sealed.fields[..], &sealed.fate), (&["/password".to_owned()][..], &Fate::Sealed));
    let written = format!("{:?}", stage.kept.written.lock().unwrap());
    assert!(!written.contains(PLANTED), "{written}");
    assert!(written.contains("odd") && written.contains("of"), "nothing is lost: {written}");
}

#[tokio::test]
async fn what_is_sealed_or_cannot_be_is_left_alone() {
    let found = async |stored| {
        let stage = stage(connector(|_| {}), vec![stored]);
        let found = stage.activations.encrypt(&call(Role::Admin), Encrypting::Now).await.unwrap();
        assert!(stage.kept.is_untouched());
        found.into_iter().map(|it| (it.fields, it.fate)).collect::<Vec<_>>()
    };
    assert_eq!(found(activation(|_| {})).await, []);
    assert_eq!(found(activation(|it| sealed_with(LOST_KEY, it))).await, []);
    assert_eq!(found(activation(|it| it.connector_type = "absent".parse().unwrap())).await, []);
    for (stored, fields) in [
        (in_the_clear("••••••••"), "/password"),
        (
            activation(|it| {
                sealed_with(LOST_KEY, it);
                it.config.insert("password".to_owned(), json!("x"));
            }),
            "/password",
        ),
        (
            activation(|it| {
                it.config.insert("api_token".to_owned(), json!("x"));
            }),
            "/api_token",
        ),
    ] {
        let left = found(stored).await;
        assert!(matches!(&left[..], [(at, Fate::Left(_))] if at == &[fields]), "{left:?}");
    }
}
