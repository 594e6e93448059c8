//! Tests of sealing what an import left in the clear.

use linkspan_domain::{CredentialPhase, CredentialTest, Role};

use super::*;
use crate::{
    activations::tests::{Stage, stage},
    fixtures::{LOST_KEY, PLANTED, activation, call, connector, id, object, sealed_with, sources},
};

/// An activation as an import past the API may leave it.
fn in_the_clear(password: &str) -> WorkspaceConnector {
    activation(|it| {
        it.secrets = None;
        it.config = object(json!({ "host": "shop", "password": password }));
    })
}

/// Seals what is in the clear.
async fn now(stage: &Stage) -> Encrypted {
    let all = [id(30)];
    stage.activations.encrypt(&call(Role::Admin), &all, Encrypting::Now).await.unwrap()
}

#[tokio::test]
async fn what_an_import_left_in_the_clear_is_sealed_once() {
    let admin = call(Role::Admin);
    let dry = stage(connector(|_| {}), vec![in_the_clear(PLANTED)]);
    let found = dry.activations.encrypt(&admin, &[id(30)], Encrypting::DryRun).await.unwrap().found;
    assert_eq!(found[0].fields, ["/password"]);
    assert_eq!(found[0].fate, Fate::WouldBeSealed);
    assert!(dry.kept.is_untouched() && !format!("{found:?}").contains(PLANTED));

    let stage = stage(connector(|_| {}), vec![in_the_clear(PLANTED)]);
    let found = stage.activations.encrypt(&admin, &[id(30)], Encrypting::Now).await.unwrap().found;
    assert_eq!(found[0].fate, Fate::Sealed);
    assert_eq!(*stage.ledger.acts.lock().unwrap(), ["workspace_connector.secrets_sealed"]);
    let versions = stage.ledger.all();
    let [version] = &versions[..] else { panic!("{versions:?}") };
    assert_eq!((version.number, &version.phase), (1, &CredentialPhase::Active));
    assert_eq!(version.test_status, CredentialTest::Skipped);
    assert!(!format!("{:?}", stage.kept.written.lock().unwrap()).contains(PLANTED));
}

#[tokio::test]
async fn what_only_looks_like_a_secret_keeps_no_secret_from_being_sealed() {
    let mut stored = in_the_clear(PLANTED);
    stored.config.insert("api_token".to_owned(), json!("odd"));
    stored.config.insert("more".to_owned(), json!([{ "passphrase": { "of": "it" } }]));
    let stage = stage(connector(|_| {}), vec![stored]);
    let found = now(&stage).await.found;
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
        let found = now(&stage).await.found;
        assert!(stage.kept.is_untouched());
        found.into_iter().map(|it| (it.fields, it.fate)).collect::<Vec<_>>()
    };
    assert_eq!(found(activation(|_| {})).await, []);
    assert_eq!(found(activation(|it| sealed_with(LOST_KEY, it))).await, []);
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

#[tokio::test]
async fn of_a_type_that_is_not_installed_nobody_says_that_nothing_is_in_the_clear() {
    let found = async |config| {
        let stage = stage(
            connector(|_| {}),
            vec![activation(|it| {
                it.connector_type = "absent".parse().unwrap();
                it.config = object(config);
            })],
        );
        let found = now(&stage).await.found;
        assert!(stage.kept.is_untouched());
        found
    };
    let left = found(json!({ "odd": PLANTED })).await;
    let [InTheClear { fields, fate: Fate::Left(reason), .. }] = &left[..] else {
        panic!("{left:?}")
    };
    assert!(fields.is_empty() && reason.contains("absent is not installed"), "{left:?}");
    assert!(!reason.contains(PLANTED), "{reason}");
    assert_eq!(found(json!({})).await, [], "there are no settings");
}

#[tokio::test]
async fn what_is_sealed_goes_before_what_an_import_left_in_its_place() {
    const IMPORTED: &str = "imported-planted";

    let stage = stage(
        connector(|_| {}),
        vec![activation(|it| {
            it.config.insert("password".to_owned(), json!(IMPORTED));
        })],
    );
    assert_eq!(now(&stage).await.found[0].fate, Fate::Sealed);
    assert!(stage.ledger.all().is_empty(), "the secrets in use are those that were in use");
    let Change::Update(it) = stage.kept.change() else { panic!() };
    let opened = sources().settings().open(&it).unwrap();
    assert_eq!(opened.secrets.get("/password").unwrap().expose(), PLANTED);
    assert_eq!(Value::Object(it.config), json!({ "host": "shop" }));
}
