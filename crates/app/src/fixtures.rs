//! Callers, kept things and a connector type, for the tests of all services.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use linkspan_domain::{
    Actor, AuthorizationFlow, Availability, Call, Caller, Category, Connector, ConnectorId,
    ContentHash, Direction, Failures, Fence, FieldKind, Id, KeyHash, ListQuery, OrganizationId,
    Page, PersonId, Position, Problem, Receipt, Resource, Role, RunOutcome, Secret, StreamField,
    StreamName, StreamSpec, StreamState, SyncLog, SyncLogId, UploadedFile, Visible, Workspace,
    WorkspaceConnector, WorkspaceConnectorId, WorkspaceId,
    ports::{
        CatalogStore, Change, ChangeAtRest, Demand, FileStore, FileStoreError, MockStore,
        MockVault, MockWorld, Outbound, OutboundError, OutboundRequest, OutboundResponse,
        ReceiveError, ReceivedFile, Sealed, Store, StoreError, SyncStore, Upload, Vault, World,
    },
};
use linkspan_sdk::{
    BatchSink, CheckOutcome, ConnectorType, Cx, Definition, Discovered, Environment, Failure,
    Intake, OpenHosts, ReadRequest, Sink, SinkEntry, Source, SourceEntry, WriteMode, WriteRequest,
    sink, source,
};
use schemars::JsonSchema;
use semver::Version;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use crate::{ActivationSettings, ConnectorTypes, Sources};

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

pub(crate) fn code<T, E: Problem>(outcome: Result<T, E>) -> String {
    match outcome {
        Ok(_) => "ok".to_owned(),
        Err(error) => error.code().to_string(),
    }
}

/// A place for the bytes of files, which only notes what is kept and what is removed.
#[derive(Default)]
pub(crate) struct Shelf(pub(crate) Arc<Mutex<Vec<String>>>);

struct OnShelf {
    log: Arc<Mutex<Vec<String>>>,
    sha256: ContentHash,
}

#[async_trait]
impl FileStore for Shelf {
    async fn receive(&self, _: Upload, _: u64) -> Result<Box<dyn ReceivedFile>, ReceiveError> {
        let sha256 = ContentHash::of_digest([7; 32]);
        Ok(Box::new(OnShelf { log: Arc::clone(&self.0), sha256 }))
    }

    async fn remove(&self, file: &UploadedFile) -> Result<(), FileStoreError> {
        self.0.lock().unwrap().push(format!("removed {}", file.path()));
        Ok(())
    }

    async fn remove_all(&self, workspace: WorkspaceId) -> Result<(), FileStoreError> {
        self.0.lock().unwrap().push(format!("removed all of {workspace}"));
        Ok(())
    }
}

#[async_trait]
impl ReceivedFile for OnShelf {
    fn bytes(&self) -> u64 {
        3
    }

    fn sha256(&self) -> &ContentHash {
        &self.sha256
    }

    async fn keep(self: Box<Self>, file: &UploadedFile) -> Result<(), FileStoreError> {
        self.log.lock().unwrap().push(format!("kept {}", file.path()));
        Ok(())
    }
}

mockall::mock! {
    pub(crate) Catalog {}

    #[async_trait]
    impl Store<Connector> for Catalog {
        async fn find(&self, tenancy: &linkspan_domain::Platform, id: ConnectorId) -> Result<Option<Connector>, StoreError>;
        async fn find_all(&self, tenancy: &linkspan_domain::Platform, ids: &[ConnectorId]) -> Result<Vec<Connector>, StoreError>;
        async fn list(&self, tenancy: &linkspan_domain::Platform, query: &ListQuery) -> Result<Page<Connector>, StoreError>;
        async fn write(&self, changes: &[Change<Connector>], receipt: &Receipt) -> Result<(), StoreError>;
    }

    #[async_trait]
    impl CatalogStore for Catalog {
        async fn retire(&self, connector: &Connector, receipt: &Receipt) -> Result<u64, StoreError>;
    }
}

mockall::mock! {
    pub(crate) Runs {}

    #[async_trait]
    impl Store<SyncLog> for Runs {
        async fn find(&self, tenancy: &Visible, id: SyncLogId) -> Result<Option<SyncLog>, StoreError>;
        async fn find_all(&self, tenancy: &Visible, ids: &[SyncLogId]) -> Result<Vec<SyncLog>, StoreError>;
        async fn list(&self, tenancy: &Visible, query: &ListQuery) -> Result<Page<SyncLog>, StoreError>;
        async fn write(&self, changes: &[Change<SyncLog>], receipt: &Receipt) -> Result<(), StoreError>;
    }

    #[async_trait]
    impl SyncStore for Runs {
        async fn start(&self, run: &SyncLog, receipt: &Receipt) -> Result<(), StoreError>;
        async fn resume(&self, run: &SyncLog, broken: SyncLogId, receipt: &Receipt) -> Result<(), StoreError>;
        async fn claim(&self, worker: &str, only: Option<SyncLogId>, now: OffsetDateTime, until: OffsetDateTime) -> Result<Option<SyncLog>, StoreError>;
        async fn extend(&self, run: SyncLogId, fence: Fence, until: OffsetDateTime) -> Result<Demand, StoreError>;
        async fn release(&self, run: SyncLogId, fence: Fence) -> Result<(), StoreError>;
        async fn cancel(&self, run: SyncLogId, outcome: &RunOutcome, receipt: &Receipt, now: OffsetDateTime) -> Result<(), StoreError>;
        async fn finish(&self, run: SyncLogId, fence: Fence, outcome: &RunOutcome, now: OffsetDateTime) -> Result<(), StoreError>;
        async fn failures(&self, activation: WorkspaceConnectorId) -> Result<Failures, StoreError>;
        async fn stream(&self, activation: WorkspaceConnectorId, stream: &StreamName) -> Result<Option<StreamState>, StoreError>;
        async fn streams(&self, activation: WorkspaceConnectorId) -> Result<Vec<StreamState>, StoreError>;
        async fn move_mark(&self, state: &StreamState, receipt: &Receipt) -> Result<ChangeAtRest, StoreError>;
        async fn change_cursors(&self, activation: &WorkspaceConnector, receipts: &[Receipt]) -> Result<ChangeAtRest, StoreError>;
    }
}

/// A vault that any fool can open, but not for another row.
pub(crate) fn vault() -> Arc<dyn Vault> {
    let mut vault = MockVault::new();
    vault.expect_seal().returning(|context, plain| {
        let row = context.row.into_bytes();
        Ok(Sealed::from_bytes(row.into_iter().chain(plain.iter().rev().copied()).collect()))
    });
    vault.expect_open().returning(|context, sealed| {
        let (row, body) = sealed.as_bytes().split_at(16);
        assert_eq!(row, context.row.into_bytes(), "opened for another row");
        Ok(Secret::new(body.iter().rev().copied().collect()))
    });
    Arc::new(vault)
}

/// A connector type that knows what its settings want of it.
pub(crate) struct Fake;

/// Settings of a fake.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FakeSettings {
    /// `down`, `slow`, `rude`, `empty` where nothing is to be read, `wide` for one whose streams have columns, or any other
    /// for a system that works.
    host: String,
    #[expect(dead_code, reason = "only its place in the schema counts")]
    port: Option<u16>,
    password: Secret,
}

impl ConnectorType for Fake {
    const KEY: &'static str = "fake";
    const TITLE: &'static str = "Fake";
    const VERSION: Version = Version::new(1, 2, 0);
    const CATEGORY: Category = Category::Test;
    const ALIASES: &'static [&'static str] = &["phony"];
    type Settings = FakeSettings;
    type Shared = ();

    fn source() -> Option<SourceEntry<Self>> {
        Some(source::<Self>())
    }

    async fn check(cx: &Cx<Self>) -> Result<CheckOutcome, Failure> {
        match cx.settings.host.as_str() {
            "down" => Err(Failure::unavailable("down", cx.settings.password.expose().clone())),
            "slow" => std::future::pending().await,
            "empty" if cx.direction == Direction::Input => {
                Err(Failure::NotFound("anything".to_owned()))
            }
            "rude" => Err(Failure::Refused(format!("no to {}", cx.settings.password.expose()))),
            _ => Ok(CheckOutcome::ok(format!("hello {}", cx.settings.password.expose()))),
        }
    }
}

impl Source for Fake {
    async fn discover(cx: &Cx<Self>) -> Result<Discovered, Failure> {
        if cx.settings.host == "down" {
            return Err(Failure::unavailable("down", "it is down"));
        }
        let mut streams = ["public.orders", "audit.logins", "files"].map(stream).to_vec();
        if cx.settings.host == "wide" {
            let column =
                |name: &str, kind| StreamField { name: name.to_owned(), kind, nullable: true };
            for it in &mut streams {
                it.fields = vec![column("id", FieldKind::Text), column("at", FieldKind::Text)];
            }
            streams[0].fields.extend([
                column("total", FieldKind::Text),
                column("paid", FieldKind::Boolean),
                column("price", FieldKind::Decimal),
            ]);
        }
        Ok(streams.into())
    }

    async fn read(_: &Cx<Self>, _: ReadRequest, _: &mut BatchSink) -> Result<(), Failure> {
        Ok(())
    }
}

pub(crate) fn stream(name: &str) -> StreamSpec {
    StreamSpec {
        name: name.parse().unwrap(),
        fields: Vec::new(),
        primary_key: Vec::new(),
        cursor_candidates: Vec::new(),
        supports_incremental: true,
    }
}

/// A double, which only admins may run.
pub(crate) struct Double;

impl ConnectorType for Double {
    const KEY: &'static str = "double";
    const TITLE: &'static str = "Double";
    const VERSION: Version = Version::new(1, 0, 0);
    const CATEGORY: Category = Category::Test;
    const IS_MOCK: bool = true;
    type Settings = Nothing;
    type Shared = ();

    fn sink() -> Option<SinkEntry<Self>> {
        Some(sink::<Self>())
    }

    async fn check(_: &Cx<Self>) -> Result<CheckOutcome, Failure> {
        Ok(CheckOutcome::ok("fine"))
    }
}

impl Sink for Double {
    const MODES: &'static [WriteMode] = &[WriteMode::Upsert];

    fn accepts(stream: &StreamName) -> Result<(), Failure> {
        match stream.as_str() {
            "?" => Err(Failure::stream(stream, "name", "says nothing")),
            _ => Ok(()),
        }
    }

    async fn write(_: &Cx<Self>, _: WriteRequest, _: &mut Intake) -> Result<(), Failure> {
        Ok(())
    }
}

/// No settings.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Nothing {}

struct NoWayOut;

#[async_trait]
impl Outbound for NoWayOut {
    async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        panic!("nothing here goes to {}", request.url)
    }
}

pub(crate) fn types() -> ConnectorTypes {
    ConnectorTypes::new([Definition::of::<Fake>(), Definition::of::<Double>()]).unwrap()
}

pub(crate) fn sources() -> Arc<Sources> {
    let settings = ActivationSettings::new(Arc::new(types()), vault());
    let environment = Environment::new(Arc::new(NoWayOut), Arc::new(OpenHosts));
    Arc::new(Sources::new(Arc::new(settings), environment))
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
