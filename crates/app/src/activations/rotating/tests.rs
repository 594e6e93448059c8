//! Tests of rotating credentials and of going back to earlier ones.

use linkspan_domain::{
    ActorType, CredentialPhase, CredentialState, Overlap, Problem, Role, Status,
};
use serde_json::{Value, json};

use super::*;
use crate::{
    ActivationPatch, NewActivation,
    activations::tests::{Stage, stage, stage_over},
    fixtures::{
        NOW, PLANTED, activation, call, code, connector, id, keep_refusing, myself, object, sources,
    },
};

const FRESH: &str = "fresh-planted";

fn rotation(config: Value) -> Rotation {
    let turnover = Turnover::default();
    Rotation { config: object(config), on_failure: OnFailure::Refuse, turnover }
}

fn forced(config: Value) -> Rotation {
    Rotation { on_failure: OnFailure::Keep, ..rotation(config) }
}

/// An activation of the host `host` in this status.
fn on(host: &'static str, status: Status) -> Stage {
    let stored = activation(|it| {
        it.config.insert("host".to_owned(), json!(host));
        it.status = status;
    });
    stage(connector(|_| {}), vec![stored])
}

async fn rotate(stage: &Stage, rotation: Rotation) -> Result<CredentialVersion, ActivationError> {
    stage.activations.rotate(&call(Role::Designer), id(30), None, rotation).await
}

/// The activation as it was written, and its password.
fn written(stage: &Stage) -> (WorkspaceConnector, Option<String>) {
    let Change::Update(it) = stage.kept.change() else { panic!() };
    let opened = sources().settings().open(&it).unwrap();
    (it, opened.secrets.get("/password").map(|it| it.expose().clone()))
}

fn states(stage: &Stage) -> Vec<CredentialState> {
    stage.ledger.all().iter().map(|it| it.phase.state()).collect()
}

#[tokio::test]
async fn secrets_that_work_are_put_to_use_and_those_before_are_kept_apart() {
    let stage = on("shop", Status::Enabled);
    let turnover = Turnover { reason: Some(format!("not {FRESH}")), overlap: Overlap::default() };
    let fresh = Rotation { turnover, ..rotation(json!({ "password": FRESH })) };
    let current = rotate(&stage, fresh).await.unwrap();
    assert_eq!((current.number, current.test_status), (2, CredentialTest::Passed));
    assert_eq!(current.reason.as_deref(), Some("not ••••••••"), "no reason repeats a secret");
    let (it, password) = written(&stage);
    assert_eq!((it.status, password.as_deref()), (Status::Enabled, Some(FRESH)));
    assert_eq!(states(&stage), [CredentialState::Inactive, CredentialState::Active]);
    assert_eq!(*stage.ledger.acts.lock().unwrap(), ["credential.rotated"]);

    let before = &stage.ledger.all()[0];
    assert_eq!((before.number, before.test_status), (1, CredentialTest::Skipped));
    assert_eq!((before.actor_type, before.actor_id), (ActorType::System, None));
    assert_eq!((current.actor_type, current.actor_id), (ActorType::Person, Some(myself().uuid())));
    assert_eq!(before.phase.expires_at(), Some(NOW + time::Duration::days(7)));
    let snapshot = before.snapshot(NOW).unwrap();
    let settings = sources();
    let earlier = settings.settings().open_snapshot(before, snapshot).unwrap();
    assert_eq!(earlier.secrets.get("/password").unwrap().expose(), PLANTED);
    assert_eq!(Value::Object(earlier.public), json!({ "host": "shop" }));
    let said = format!("{:?} {:?}", stage.ledger.all(), stage.kept.written.lock().unwrap());
    assert!(!said.contains(PLANTED) && !said.contains(FRESH), "{said}");
}

#[tokio::test]
async fn secrets_that_do_not_work_change_nothing() {
    for (host, says) in [("rude", "no to ••••••••"), ("down", "could not be reached")]
    {
        let stage = on(host, Status::Error);
        let error = rotate(&stage, rotation(json!({ "password": FRESH }))).await.unwrap_err();
        assert_eq!(error.code().to_string(), "credential.check_failed");
        assert!(error.to_string().contains(says), "{error}");
        assert!(!format!("{error} {error:?}").contains(FRESH), "{error:?}");
        assert!(stage.kept.is_untouched());
        assert!(stage.ledger.all().is_empty());
    }
}

#[tokio::test]
async fn secrets_that_do_not_work_can_be_forced_and_mend_nothing() {
    use CredentialTest::{Failed, Passed};

    let forced_on = async |host, status| {
        let stage = on(host, status);
        let version = rotate(&stage, forced(json!({ "password": FRESH }))).await.unwrap();
        let (it, password) = written(&stage);
        assert_eq!(password.as_deref(), Some(FRESH));
        (version.test_status, it.status)
    };
    assert_eq!(forced_on("rude", Status::Error).await, (Failed, Status::Error));
    assert_eq!(forced_on("rude", Status::NeedReconnect).await, (Failed, Status::NeedReconnect));
    assert_eq!(forced_on("rude", Status::Enabled).await, (Failed, Status::Enabled));
    assert_eq!(forced_on("shop", Status::Error).await, (Passed, Status::Enabled));
}

#[tokio::test]
async fn secrets_that_a_system_says_nothing_of_are_not_said_to_have_passed() {
    let stage = on("vague", Status::Enabled);
    let version = rotate(&stage, rotation(json!({ "password": FRESH }))).await.unwrap();
    assert_eq!(version.test_status, CredentialTest::Skipped);
    assert_eq!(written(&stage).1.as_deref(), Some(FRESH));
}

#[tokio::test]
async fn secrets_that_work_mend_what_was_broken() {
    for (before, after) in [
        (Status::NeedReconnect, Status::Enabled),
        (Status::Error, Status::Enabled),
        (Status::Disabled, Status::Disabled),
        (Status::Processing, Status::Processing),
    ] {
        let stage = on("shop", before);
        rotate(&stage, rotation(json!({ "password": FRESH }))).await.unwrap();
        assert_eq!(written(&stage).0.status, after);
    }
}

#[tokio::test]
async fn only_secrets_that_fit_are_rotated_and_at_least_one() {
    for (config, expected) in [
        (json!({}), "resource.invalid /data/attributes/config"),
        (json!({ "password": "••••••••" }), "resource.invalid /data/attributes/config"),
        (json!({ "password": PLANTED }), "resource.invalid /data/attributes/config"),
        (
            json!({ "password": FRESH, "host": "other" }),
            "resource.invalid /data/attributes/config/host",
        ),
        (json!({ "port": 1 }), "resource.invalid /data/attributes/config/port"),
        (
            json!({ "password": 5 }),
            "workspace_connector.invalid_config /data/attributes/config/password",
        ),
        (
            json!({ "password": null }),
            "workspace_connector.invalid_config /data/attributes/config/password",
        ),
        (
            json!({ "api_token": FRESH }),
            "workspace_connector.unknown_secret /data/attributes/config/api_token",
        ),
    ] {
        let stage = on("shop", Status::Enabled);
        let error = rotate(&stage, forced(config)).await.unwrap_err();
        let told = format!("{} {}", error.code(), error.pointer().unwrap_or_default());
        assert_eq!(told, expected);
        assert!(stage.kept.is_untouched() && stage.ledger.all().is_empty());
    }
}

#[tokio::test]
async fn without_an_overlap_nothing_is_left_of_those_before() {
    let stage = on("shop", Status::Enabled);
    let turnover = Turnover { reason: None, overlap: Overlap::try_from(0).unwrap() };
    let fresh = Rotation { turnover, ..rotation(json!({ "password": FRESH })) };
    rotate(&stage, fresh).await.unwrap();
    assert_eq!(states(&stage), [CredentialState::Revoked, CredentialState::Active]);
}

#[tokio::test]
async fn every_change_of_secrets_is_a_version_and_no_other_change_is() {
    use CredentialState::{Active, Inactive};

    let fresh = stage(connector(|_| {}), Vec::new());
    let call = call(Role::Designer);
    let bare = NewActivation::of(id(20), object(json!({ "host": "shop" })));
    fresh.activations.create(&call, bare).await.unwrap();
    assert!(fresh.ledger.all().is_empty(), "without secrets there is no version of them");
    let config = object(json!({ "host": "shop", "password": PLANTED }));
    let made = fresh.activations.create(&call, NewActivation::of(id(20), config)).await.unwrap();
    let first = &fresh.ledger.all()[0];
    assert_eq!((first.number, first.test_status), (1, CredentialTest::Skipped));
    assert_eq!((first.workspace_connector_id, &first.phase), (made.id, &CredentialPhase::Active));

    let changed = async |config: Value| {
        let stage = on("shop", Status::Enabled);
        let patch = ActivationPatch { config: Some(object(config)), ..ActivationPatch::default() };
        stage.activations.update(&call, id(30), None, patch).await.unwrap();
        states(&stage)
    };
    assert_eq!(changed(json!({ "host": "other" })).await, []);
    assert_eq!(changed(json!({ "password": FRESH, "port": 1 })).await, [Inactive, Active]);
    assert_eq!(changed(json!({ "password": null })).await, [Inactive]);
}

/// A stage whose activation has a password that is superseded once, and what it is superseded by in use.
async fn rotated(overlap: i64) -> (Stage, CredentialVersion) {
    let first = on("shop", Status::Enabled);
    let turnover = Turnover { reason: None, overlap: Overlap::try_from(overlap).unwrap() };
    rotate(&first, Rotation { turnover, ..rotation(json!({ "password": FRESH })) }).await.unwrap();
    let (now, _) = written(&first);
    let earlier = first.ledger.all();
    let next = stage(connector(|_| {}), vec![now]);
    next.ledger.versions.lock().unwrap().extend(earlier.clone());
    (next, earlier[0].clone())
}

async fn roll_back(
    stage: &Stage,
    version: &CredentialVersion,
) -> Result<CredentialVersion, ActivationError> {
    let turnover = Turnover::default();
    stage.activations.roll_back(&call(Role::Designer), id(30), version.id, None, turnover).await
}

#[tokio::test]
async fn what_worked_before_is_gone_back_to_as_a_new_version() {
    use CredentialState::{Active, Inactive};

    let (stage, earlier) = rotated(60).await;
    let current = roll_back(&stage, &earlier).await.unwrap();
    assert_eq!((current.number, current.test_status), (3, CredentialTest::Rollback));
    assert_eq!(written(&stage).1.as_deref(), Some(PLANTED));
    assert_eq!(states(&stage), [Inactive, Inactive, Active]);
    assert_eq!(*stage.ledger.acts.lock().unwrap(), ["credential.rolled_back"]);
}

/// Has what was superseded been of this host: the settings of that time come back, too.
fn of_host(stage: &Stage, earlier: &mut CredentialVersion, host: &str) {
    if let CredentialPhase::Inactive { snapshot, .. } = &mut earlier.phase {
        snapshot.config.insert("host".to_owned(), json!(host));
    }
    stage.ledger.versions.lock().unwrap()[0] = earlier.clone();
}

#[tokio::test]
async fn what_a_system_says_nothing_of_is_gone_back_to_and_not_said_to_have_worked() {
    let (stage, mut earlier) = rotated(60).await;
    of_host(&stage, &mut earlier, "vague");
    let current = roll_back(&stage, &earlier).await.unwrap();
    assert_eq!(current.test_status, CredentialTest::Skipped);
    assert_eq!(written(&stage).1.as_deref(), Some(PLANTED));
    assert_eq!(*stage.ledger.acts.lock().unwrap(), ["credential.rolled_back"]);
}

#[tokio::test]
async fn what_does_not_work_any_more_is_not_gone_back_to() {
    let (stage, mut earlier) = rotated(60).await;
    of_host(&stage, &mut earlier, "rude");
    let refused = roll_back(&stage, &earlier).await.unwrap_err();
    assert_eq!(refused.code().to_string(), "credential.check_failed");
    assert!(!format!("{refused:?}").contains(PLANTED), "{refused:?}");
    assert!(stage.kept.is_untouched());
}

#[tokio::test]
async fn what_is_in_use_or_revoked_is_not_gone_back_to() {
    let (stage, earlier) = rotated(60).await;
    let active = stage.ledger.all()[1].clone();
    assert_eq!(code(roll_back(&stage, &active).await), "credential.unexpected_state");
    let revoke = async |version: &CredentialVersion| {
        let call = call(Role::Designer);
        stage.activations.revoke_version(&call, id(30), version.id, None).await
    };
    assert_eq!(code(revoke(&active).await), "credential.unexpected_state");
    let revoked = revoke(&earlier).await.unwrap();
    assert_eq!(revoked.phase.state(), CredentialState::Revoked);
    assert_eq!(*stage.ledger.acts.lock().unwrap(), ["credential.revoked"]);
    assert_eq!(code(revoke(&earlier).await), "credential.unexpected_state");
    assert_eq!(code(roll_back(&stage, &earlier).await), "credential.unexpected_state");
    assert!(stage.kept.is_untouched());
}

#[tokio::test]
async fn a_version_belongs_to_its_activation() {
    let (stage, mut earlier) = rotated(60).await;
    earlier.workspace_connector_id = id(31);
    stage.ledger.versions.lock().unwrap()[0] = earlier.clone();
    assert_eq!(code(roll_back(&stage, &earlier).await), "resource.not_found");
    let call = call(Role::Designer);
    let revoked = stage.activations.revoke_version(&call, id(30), earlier.id, None).await;
    assert_eq!(code(revoked), "resource.not_found");
}

#[tokio::test]
async fn who_is_always_overtaken_is_told_so() {
    let stored = activation(|_| {});
    let kept = keep_refusing(vec![stored], || StoreError::Stale);
    let stage = stage_over(connector(|_| {}), kept);
    let rotated = rotate(&stage, rotation(json!({ "password": FRESH }))).await;
    assert_eq!(code(rotated), "credential.rotation_conflict");
    let patch = ActivationPatch {
        config: Some(object(json!({ "password": FRESH }))),
        ..ActivationPatch::default()
    };
    let call = call(Role::Designer);
    let patched = stage.activations.update(&call, id(30), None, patch).await;
    assert_eq!(code(patched), "resource.stale");
}
