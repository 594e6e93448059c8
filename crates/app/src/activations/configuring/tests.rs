//! Tests of the settings of activations: secrets among them, and keys that are lost.

use linkspan_domain::{Problem, Role, Status, StreamSettings, WorkspaceConnector, ports::KeyId};
use serde_json::{Map, Value, json};

use crate::{
    ActivationPatch, NewActivation,
    activations::tests::{config, stage, update},
    fixtures::{
        KEY, LOST_KEY, OLD_KEY, PLANTED, activation, call, code, connector, id, object,
        sealed_with, sources,
    },
};

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
