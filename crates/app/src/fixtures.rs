//! Callers, kept things and a connector type, for the tests of all services.

mod connector_types;
mod ledger;
mod stores;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use linkspan_domain::{
    Actor, AuthorizationFlow, Availability, Call, Caller, Connector, Id, KeyHash, OrganizationId,
    Page, Person, PersonId, Position, Problem, Receipt, Resource, Revision, Role, Secret, Visible,
    Workspace, WorkspaceConnector, WorkspaceId,
    ports::{
        AuditStore, Change, KeyId, MockAuditStore, MockStore, MockVault, MockWorld, Sealed, Store,
        StoreError, Vault, VaultError, World,
    },
};
use semver::Version;
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

pub(crate) use self::{
    connector_types::{Double, Fake, sources, types},
    ledger::{Ledger, ledger},
    stores::{MockCatalog, MockRuns, Shelf},
};

pub(crate) const NOW: OffsetDateTime = datetime!(2026-05-01 12:00 UTC);

/// The secret that tests look for where it must not be.
pub(crate) const PLANTED: &str = "hunter22-planted";

pub(crate) fn id<I: Id>(number: u128) -> I {
    I::from_uuid(Uuid::from_u128(number))
}

pub(crate) fn own_workspace() -> WorkspaceId {
    id(1)
}

/// Below the own one.
pub(crate) fn lower_workspace() -> WorkspaceId {
    id(2)
}

pub(crate) fn myself() -> PersonId {
    id(10)
}

pub(crate) fn organization() -> OrganizationId {
    id(9)
}

pub(crate) fn world() -> Arc<dyn World> {
    let (mut world, next) = (MockWorld::new(), AtomicU64::new(1_000));
    world.expect_now().return_const(NOW);
    world
        .expect_uuid()
        .returning(move || Uuid::from_u128(next.fetch_add(1, Ordering::Relaxed).into()));
    Arc::new(world)
}

pub(crate) fn call(role: Role) -> Call {
    let caller = Caller {
        actor: Actor::Person(myself()),
        organization: organization(),
        permissions: role.permissions(),
        visible: Visible {
            workspace: own_workspace(),
            workspaces: vec![own_workspace(), lower_workspace()],
        },
    };
    Call { caller, ip_address: None, trace_id: "trace".to_owned(), claim: None }
}

/// A store that keeps `things`, and what was written to it.
pub(crate) struct Kept<R: Resource> {
    pub(crate) store: Arc<MockStore<R>>,
    pub(crate) written: Written<R>,
}

pub(crate) type Written<R> = Arc<Mutex<Vec<(Change<R>, Receipt)>>>;

impl<R: Resource> Kept<R> {
    /// The only change that was made.
    pub(crate) fn change(&self) -> Change<R> {
        let written = self.written.lock().unwrap();
        assert_eq!(written.len(), 1, "{written:?}");
        written[0].0.clone()
    }

    /// What the audit trail says of the only change that was made.
    pub(crate) fn act(&self) -> (String, Value) {
        let written = self.written.lock().unwrap();
        let audit = &written[0].1.audit;
        (audit.action.clone(), audit.details.clone())
    }

    pub(crate) fn is_untouched(&self) -> bool {
        self.written.lock().unwrap().is_empty()
    }
}

pub(crate) fn keep<R: Resource>(things: Vec<R>) -> Kept<R> {
    keep_unless(things, || Ok(()))
}

/// A store that writes nothing.
pub(crate) fn keep_refusing<R: Resource>(things: Vec<R>, error: fn() -> StoreError) -> Kept<R> {
    keep_unless(things, move || Err(error()))
}

fn keep_unless<R: Resource>(
    things: Vec<R>,
    refusal: impl Fn() -> Result<(), StoreError> + Send + Sync + 'static,
) -> Kept<R> {
    let mut store = MockStore::new();
    let kept = things.clone();
    store.expect_find().returning(move |_, id| Ok(kept.iter().find(|it| it.id() == id).cloned()));
    let kept = things.clone();
    store.expect_find_all().returning(move |_, ids| {
        Ok(kept.iter().filter(|it| ids.contains(&it.id())).cloned().collect())
    });
    store.expect_list().returning(move |_, _| Ok(page(things.clone())));
    let written = Written::default();
    let log = Arc::clone(&written);
    store.expect_write().returning(move |changes, receipt| {
        refusal()?;
        log.lock().unwrap().extend(changes.iter().map(|it| (it.clone(), receipt.clone())));
        Ok(())
    });
    Kept { store: Arc::new(store), written }
}

pub(crate) fn page<R>(things: Vec<R>) -> Page<R> {
    Page {
        total: things.len() as u64,
        items: things.into_iter().map(|it| (it, Position(Vec::new()))).collect(),
        has_before: false,
        has_after: false,
    }
}

pub(crate) fn empty<R: Resource>() -> Arc<dyn Store<R>> {
    keep(Vec::<R>::new()).store
}

/// A chain that did not begin.
pub(crate) fn no_chain() -> Arc<dyn AuditStore> {
    let mut chain = MockAuditStore::new();
    chain.expect_head().returning(|_| Ok(None));
    chain.expect_unchained().returning(|_, _, _| Ok(Vec::new()));
    chain.expect_chained().returning(|_, _, _| Ok(Vec::new()));
    Arc::new(chain)
}

pub(crate) fn code<T, E: Problem>(outcome: Result<T, E>) -> String {
    match outcome {
        Ok(_) => "ok".to_owned(),
        Err(error) => error.code().to_string(),
    }
}

/// The key of [`vault`].
pub(crate) const KEY: KeyId = KeyId::from_bytes([1; 4]);
/// A key that [`vault`] opens with, and seals with no more.
pub(crate) const OLD_KEY: KeyId = KeyId::from_bytes([2; 4]);
/// A key that nobody has any more.
pub(crate) const LOST_KEY: KeyId = KeyId::from_bytes([3; 4]);

/// A vault that any fool with its key can open, but not for another row.
pub(crate) fn vault() -> Arc<dyn Vault> {
    let mut vault = MockVault::new();
    vault.expect_current().return_const(KEY);
    vault.expect_previous().return_const(vec![OLD_KEY]);
    vault.expect_seal().returning(|context, plain| {
        let row = context.row.into_bytes();
        let body = row.into_iter().chain(plain.iter().rev().copied());
        Ok(Sealed::from_bytes(Sealed::header(KEY).into_iter().chain(body).collect()))
    });
    vault.expect_open().returning(|context, sealed| {
        let key_id = sealed.key_id()?;
        if key_id == LOST_KEY {
            return Err(VaultError::UnknownKey { key_id });
        }
        let (row, body) = sealed.as_bytes()[Sealed::HEADER_LEN..].split_at(16);
        assert_eq!(row, context.row.into_bytes(), "opened for another row");
        Ok(Secret::new(body.iter().rev().copied().collect()))
    });
    Arc::new(vault)
}

/// The secrets of `activation`, as if another key had sealed them.
pub(crate) fn sealed_with(key: KeyId, activation: &mut linkspan_domain::WorkspaceConnector) {
    let secrets = activation.secrets.as_mut().unwrap();
    secrets.blob = under(key, &secrets.blob);
}

/// `sealed`, as if another key had sealed it.
pub(crate) fn under(key: KeyId, sealed: &Sealed) -> Sealed {
    let body = &sealed.as_bytes()[Sealed::HEADER_LEN..];
    Sealed::from_bytes([&Sealed::header(key)[..], body].concat())
}

pub(crate) fn object(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("{value} is no object") };
    map
}

/// A connector on offer, served by [`Fake`].
pub(crate) fn connector(change: impl FnOnce(&mut Connector)) -> Connector {
    let entry = serde_json::from_value(json!({
        "name": "Fake Shop", "provider": "well", "category_id": "commerce", "service_id": "fake",
        "status": Availability::Available, "connector_type": "phony",
        "authorization_flow": AuthorizationFlow::ExternalApiKey,
    }));
    let mut connector = Connector::new(id(20), entry.unwrap(), NOW);
    change(&mut connector);
    connector
}

/// An enabled activation of [`connector`], with its password sealed.
pub(crate) fn activation(change: impl FnOnce(&mut WorkspaceConnector)) -> WorkspaceConnector {
    let sources = sources();
    let definition = sources.settings().definition(&"fake".parse().unwrap()).unwrap();
    let config = json!({ "host": "shop", "password": PLANTED });
    let split = definition.manifest.config_schema.split(object(config)).unwrap();
    let mut activation = WorkspaceConnector {
        id: id(30),
        revision: linkspan_domain::Revision::from_number(4),
        connector_id: id(20),
        workspace_id: own_workspace(),
        person_id: None,
        connector_type: "fake".parse().unwrap(),
        connector_type_version: Version::new(1, 0, 0),
        name: "Shop".parse().unwrap(),
        description: None,
        status: linkspan_domain::Status::Enabled,
        config: split.public,
        secrets: sources.settings().seal(id(30), &split.secrets).unwrap(),
        streams: Vec::new(),
        output_schemas: Vec::new(),
        labels: std::collections::BTreeMap::new(),
        mock_enabled: false,
        log_level: linkspan_domain::LogLevel::Info,
        installed_capabilities: None,
        created_at: NOW,
        updated_at: NOW,
        deleted_at: None,
    };
    change(&mut activation);
    activation
}

pub(crate) fn workspace(number: u128, parent: Option<u128>) -> Workspace {
    Workspace {
        id: id(number),
        revision: linkspan_domain::Revision::FIRST,
        organization_id: organization(),
        parent_id: parent.map(id),
        name: format!("Workspace {number}").parse().unwrap(),
        slug: format!("w{number}").parse().unwrap(),
        external_workspace_id: None,
        created_at: NOW,
        updated_at: NOW,
        deleted_at: None,
    }
}

pub(crate) fn key(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

pub(crate) fn person(number: u128, role: Role, workspaces: &[u128]) -> Person {
    Person {
        id: id(number),
        revision: Revision::FIRST,
        organization_id: organization(),
        name: "Ada".parse().unwrap(),
        email: "ada@example.com".parse().unwrap(),
        role,
        workspaces: workspaces.iter().map(|it| id(*it)).collect(),
        created_at: NOW,
        updated_at: NOW,
        deleted_at: None,
    }
}

pub(crate) fn api_key(
    text: &str,
    change: impl FnOnce(&mut linkspan_domain::ApiKey),
) -> linkspan_domain::ApiKey {
    let mut kept = linkspan_domain::ApiKey {
        id: id(40),
        revision: linkspan_domain::Revision::FIRST,
        organization_id: organization(),
        person_id: None,
        name: "A key".parse().unwrap(),
        prefix: linkspan_domain::ApiKey::visible_prefix(&key(text)),
        hash: KeyHash::of(&key(text)),
        permissions: Role::Admin.permissions(),
        workspaces: BTreeSet::new(),
        expires_at: None,
        last_used_at: Some(NOW),
        created_at: NOW,
        updated_at: NOW,
        deleted_at: None,
    };
    change(&mut kept);
    kept
}
