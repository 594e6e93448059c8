//! Tests of activations: their life, and what is theirs but settings.

use linkspan_domain::{
    AuthorizationFlow, Availability, Problem, Role, WorkspaceConnector,
    ports::{Change, StoreError},
};
use serde_json::{Map, Value, json};

use super::*;
use crate::{
    Patch,
    fixtures::{
        Kept, Ledger, MockRuns, NOW, PLANTED, activation, call, code, connector, empty, id, keep,
        keep_refusing, ledger, lower_workspace, myself, object, own_workspace, sources, world,
    },
};

/// Activations of `connector`, over stores that keep what they are given.
pub(crate) struct Stage {
    pub(crate) activations: Activations,
    pub(crate) kept: Kept<WorkspaceConnector>,
    pub(crate) tests: Kept<ConnectionTest>,
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

pub(crate) async fn update(
    stored: WorkspaceConnector,
    role: Role,
    patch: ActivationPatch,
) -> Result<WorkspaceConnector, ActivationError> {
    stage(connector(|_| {}), vec![stored])
        .activations
        .update(&call(role), id(30), None, patch)
        .await
}

pub(crate) fn config(config: Value) -> ActivationPatch {
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
async fn an_owner_who_is_not_there_is_refused() {
    let patch = ActivationPatch { person_id: Patch::Set(id(77)), ..ActivationPatch::default() };
    let error = update(activation(|_| {}), Role::Admin, patch.clone()).await.unwrap_err();
    assert_eq!(error.pointer().as_deref(), Some("/data/relationships/person"));
    let stored = activation(|it| it.person_id = Some(id(77)));
    assert_eq!(code(update(stored, Role::Designer, patch).await), "ok", "it was so before");
}
