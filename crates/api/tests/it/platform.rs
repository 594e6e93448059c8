//! A platform with two organizations, and clients of it.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use linkspan_api::{App, Limits, Probes};
use linkspan_app::{
    Access, ActivationSettings, Activations, ApiKeys, Audit, Bootstrap, Catalog, ConnectorTypes,
    Data, Diagnostics, Entities, Files, FilterPlans, Filters, Idempotency, MappingStores, Mappings,
    People, ProviderConnectors, Providers, RunWatch, Schedules, Seeding, Sessions, Sources,
    Streams, SyncTargets, Syncs, TargetModels, Workspaces,
};
use linkspan_domain::{
    Act, ApiKey, AuditEventId, Call, Caller, KeyHash, OrganizationId, Receipt, Resource, Revision,
    Role, Secret, Visible, Workspace,
    ports::{Change, FileStore, Outbound, OutboundError, OutboundRequest, OutboundResponse, World},
};
use linkspan_files::FolderStore;
use linkspan_persistence::Database;
use linkspan_sdk::{Definition, Environment, FileAccess, OpenHosts};
use linkspan_vault::{KeyPolicy, Keyring, KeyringVault};
use poem::{
    Endpoint, EndpointExt, Request,
    endpoint::BoxEndpoint,
    http::{HeaderMap, Method},
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, SqliteConnection};
use tempfile::TempDir;
use time::{OffsetDateTime, macros::datetime};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{contract, shop::Shop};

/// The secret that must not be seen anywhere.
pub(crate) const PLANTED: &str = "hunter22-planted";

/// Time goes on by a second with each look at the clock, and identifiers count.
#[derive(Default)]
struct Clockwork {
    seconds: AtomicU64,
    ids: AtomicU64,
}

impl World for Clockwork {
    fn now(&self) -> OffsetDateTime {
        let passed = self.seconds.fetch_add(1, Ordering::Relaxed);
        datetime!(2026-05-01 12:00 UTC) + Duration::from_millis(passed)
    }

    fn uuid(&self) -> Uuid {
        let next = self.ids.fetch_add(1, Ordering::Relaxed);
        Uuid::from_u128(0x0196_0000_0000_7000_8000_0000_0000_0000 | u128::from(next))
    }
}

struct NoWayOut;

#[async_trait::async_trait]
impl Outbound for NoWayOut {
    async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        panic!("nothing here goes to {}", request.url)
    }
}

/// A running API, and what it runs on.
pub(crate) struct Platform {
    endpoint: BoxEndpoint<'static>,
    pub(crate) app: App,
    pub(crate) database: Database,
    pub(crate) home: TempDir,
    url: String,
    pub(crate) workspace: Workspace,
    /// Ends what is sent as it happens.
    pub(crate) closing: CancellationToken,
}

/// The most bytes of an upload.
pub(crate) const UPLOAD_BYTES: u64 = 200_000;

/// The key of the operator.
pub(crate) const ADMIN: &str = "lsk_the-key-of-the-operator";
/// The key of an admin of another organization.
pub(crate) const STRANGER: &str = "lsk_the-key-of-a-stranger";

impl Platform {
    pub(crate) async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        let home = TempDir::new().unwrap();
        let url = format!("sqlite://{}?mode=rwc", home.path().join("linkspan.db").display());
        let database = linkspan_persistence::connect(&url).await.unwrap();
        database.migrate().await.unwrap();
        let world: Arc<dyn World> = Arc::new(Clockwork::default());
        let seeding = Seeding::new(database.connectors(), database.access(), Arc::clone(&world));
        let workspace = seeding.bootstrap().await.unwrap();
        let closing = CancellationToken::new();
        let app = app(&database, &home, &world, limits, &closing);
        let admin = Secret::new(ADMIN.to_owned());
        app.access.ensure_admin_key(&workspace, &admin).await.unwrap();
        add_stranger(&url, &database, &world).await;
        let endpoint = linkspan_api::endpoint(app.clone()).boxed();
        Self { endpoint, app, database, home, url, workspace, closing }
    }

    /// A client with the key of the operator.
    pub(crate) fn admin(&self) -> Client<'_> {
        self.client(ADMIN)
    }

    /// A client with this key.
    pub(crate) fn client(&self, key: &str) -> Client<'_> {
        Client {
            platform: self,
            headers: vec![("Authorization".to_owned(), format!("Bearer {key}"))],
        }
    }

    /// Runs a statement as another process would.
    pub(crate) async fn run(&self, sql: &str) {
        run(&self.url, sql.to_owned()).await;
    }

    /// The answer to any request at all.
    pub(crate) async fn raw(&self, request: Request) -> poem::Response {
        self.endpoint.get_response(request).await
    }

    /// A client that says nothing of itself.
    pub(crate) fn anybody(&self) -> Client<'_> {
        Client { platform: self, headers: Vec::new() }
    }
}

fn probes(pinged: Database) -> Probes {
    Probes {
        metrics: Arc::new(|| "linkspan_up 1\n".to_owned()),
        is_ready: Arc::new(move || {
            let database = pinged.clone();
            Box::pin(async move { database.ping().await.is_ok() })
        }),
    }
}

/// The shop and CSV, without a way out.
fn connectors(home: &TempDir) -> (Arc<ConnectorTypes>, Arc<Sources>) {
    let csv = linkspan_builtin::all().into_iter().find(|it| it.manifest.key.as_str() == "csv");
    let types = [Definition::of::<Shop>(), csv.unwrap()];
    let types = Arc::new(ConnectorTypes::new(types).unwrap());
    let policy = KeyPolicy::CreateFile(home.path().to_owned());
    let vault = Arc::new(KeyringVault::new(Keyring::open(None, &[], &policy).unwrap()));
    let settings = Arc::new(ActivationSettings::new(Arc::clone(&types), vault));
    let environment = Environment {
        files: FileAccess::none().with_uploads(&home.path().join("files")).unwrap(),
        ..Environment::new(Arc::new(NoWayOut), Arc::new(OpenHosts))
    };
    (types, Arc::new(Sources::new(settings, environment)))
}

fn sync_targets(db: &Database, world: Arc<dyn World>) -> Arc<SyncTargets> {
    let (activations, workspaces) = (db.workspace_connectors(), db.workspaces());
    Arc::new(SyncTargets::new(db.sync_targets(), activations, workspaces, world))
}

fn mappings(
    db: &Database,
    models: &Arc<linkspan_engine::Models>,
    sources: &Arc<Sources>,
    world: Arc<dyn World>,
) -> Arc<Mappings> {
    let stores = MappingStores {
        mappings: db.connector_mappings(),
        activations: db.workspace_connectors(),
        connectors: db.connectors(),
        entities: db.mapped(),
        records: db.records(),
    };
    Arc::new(Mappings::new(stores, Arc::clone(models), Arc::clone(sources), world))
}

fn activations(db: &Database, sources: &Arc<Sources>, world: Arc<dyn World>) -> Arc<Activations> {
    let (kept, connectors, people) = (db.workspace_connectors(), db.connectors(), db.people());
    let (tests, syncs, sources) = (db.connection_tests(), db.syncs(), Arc::clone(sources));
    Arc::new(Activations::new(kept, connectors, people, tests, syncs, sources, world))
}

fn app(
    database: &Database,
    home: &TempDir,
    world: &Arc<dyn World>,
    limits: Limits,
    closing: &CancellationToken,
) -> App {
    let world = || Arc::clone(world);
    let store: Arc<dyn FileStore> =
        Arc::new(FolderStore::open(&home.path().join("files")).unwrap());
    let (types, sources) = connectors(home);
    let models = linkspan_engine::Models::parse(include_str!("../../../../seeds/models.json"));
    let models = Arc::new(models.unwrap());
    let sessions = Arc::new(Sessions::default());
    let database = database.clone();
    let (db, pinged) = (&database, database.clone());
    let filters = Arc::new(Filters::new(db.connector_filters(), db.connectors(), world()));
    let activations = activations(db, &sources, world());
    let schedules = Arc::new(Schedules::new(
        db.schedules(),
        db.workspace_connectors(),
        Arc::clone(&sources),
        world(),
    ));
    App {
        access: Arc::new(Access::new(db.access(), db.api_keys(), Arc::clone(&sessions), world())),
        activations: Arc::clone(&activations),
        api_keys: Arc::new(ApiKeys::new(
            db.api_keys(),
            db.people(),
            db.workspaces(),
            Arc::clone(&sessions),
            linkspan_vault::random_token,
            world(),
        )),
        audit: Arc::new(Audit::new(db.audit_events(), world())),
        bootstrap: Arc::new(Bootstrap::new(
            Arc::clone(&activations),
            Arc::clone(&schedules),
            db.schedules(),
        )),
        catalog: Arc::new(Catalog::new(db.connectors(), world())),
        diagnostics: Arc::new(Diagnostics::new(db.diagnostics(), world())),
        entities: Arc::new(Entities::new(db.entities(), db.mapped(), Arc::clone(&models), world())),
        files: Arc::new(Files::new(db.files(), Arc::clone(&store), UPLOAD_BYTES, world())),
        filter_plans: Arc::new(FilterPlans::new(
            db.workspace_connectors(),
            Arc::clone(&filters),
            Arc::clone(&sources),
            db.syncs(),
            world(),
        )),
        filters,
        idempotency: Arc::new(Idempotency::new(db.idempotency(), world())),
        mappings: mappings(db, &models, &sources, world()),
        people: Arc::new(People::new(db.people(), db.workspaces(), Arc::clone(&sessions), world())),
        provider_connectors: Arc::new(ProviderConnectors::new(
            db.provider_connectors(),
            db.providers(),
            db.connectors(),
            world(),
        )),
        providers: Arc::new(Providers::new(db.providers(), world())),
        data: Arc::new(Data::new(db.records(), db.workspace_connectors(), world())),
        run_watch: Arc::new(RunWatch::new(
            db.syncs(),
            tokio::sync::broadcast::channel(8).0,
            closing.clone(),
            world(),
        )),
        schedules: Arc::clone(&schedules),
        streams: Arc::new(Streams::new(
            db.syncs(),
            db.workspace_connectors(),
            Arc::clone(&sources),
            world(),
        )),
        syncs: Arc::new(Syncs::new(
            db.syncs(),
            db.run_queue(),
            db.workspace_connectors(),
            sources,
            world(),
        )),
        sync_targets: sync_targets(db, world()),
        target_models: Arc::new(TargetModels::new(&models)),
        connector_types: types,
        workspaces: Arc::new(Workspaces::new(
            db.workspaces(),
            db.access(),
            db.workspace_connectors(),
            store,
            sessions,
            world(),
        )),
        snapshots: db.snapshots(),
        world: world(),
        probes: probes(pinged),
        limits,
    }
}

/// Another organization on the same database, with a workspace and an admin.
async fn add_stranger(url: &str, database: &Database, world: &Arc<dyn World>) {
    let organization = OrganizationId::from_uuid(Uuid::from_u128(0xdead));
    // There is no port for a second organization: an installation has one.
    let row = format!(
        "INSERT INTO organizations (organization_id, name, created_at, updated_at)
         VALUES (x'{}', 'Elsewhere', '2026-05-01T12:00:00.000000Z', '2026-05-01T12:00:00.000000Z')",
        organization.uuid().simple()
    );
    run(url, row).await;
    let now = world.now();
    let workspace = Workspace {
        id: linkspan_domain::WorkspaceId::from_uuid(Uuid::from_u128(0xbeef)),
        revision: Revision::FIRST,
        organization_id: organization,
        parent_id: None,
        name: "Elsewhere".parse().unwrap(),
        slug: "elsewhere".parse().unwrap(),
        external_workspace_id: None,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    };
    let key = Secret::new(STRANGER.to_owned());
    let kept = ApiKey {
        id: linkspan_domain::ApiKeyId::from_uuid(Uuid::from_u128(0xcafe)),
        revision: Revision::FIRST,
        organization_id: organization,
        person_id: None,
        name: "A stranger".parse().unwrap(),
        prefix: ApiKey::visible_prefix(&key),
        hash: KeyHash::of(&key),
        permissions: Role::Admin.permissions(),
        workspaces: BTreeSet::new(),
        expires_at: None,
        last_used_at: None,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    };
    let caller = Caller::system(organization, Visible::only(workspace.id));
    let call = Call { caller, ip_address: None, trace_id: "t".to_owned(), claim: None };
    let receipt = |event| Receipt { reply: None, ..receipt_of(&call, &workspace, event) };
    database.workspaces().write(&[Change::Insert(workspace.clone())], &receipt(1)).await.unwrap();
    database.api_keys().write(&[Change::Insert(kept)], &receipt(2)).await.unwrap();
}

async fn run(url: &str, sql: String) {
    let mut connection = SqliteConnection::connect(url).await.unwrap();
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
    connection.close().await.unwrap();
}

fn receipt_of<R: Resource>(call: &Call, thing: &R, event: u128) -> Receipt {
    let id = AuditEventId::from_uuid(Uuid::from_u128(event));
    call.receipt(Act::new("test.prepared"), thing, id, datetime!(2026-05-01 12:00 UTC))
}

/// Somebody who talks to the API.
#[derive(Clone)]
pub(crate) struct Client<'a> {
    platform: &'a Platform,
    headers: Vec<(String, String)>,
}

/// What the API answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Client<'_> {
    /// The same client, saying this too.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut headers = self.headers.clone();
        headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        headers.push((name.to_owned(), value.to_owned()));
        Self { platform: self.platform, headers }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.json(Method::POST, path, &body).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.json(Method::PUT, path, &body).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.json(Method::PATCH, path, &body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    async fn json(&self, method: Method, path: &str, body: &Value) -> Answer {
        let has_type =
            self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("Content-Type"));
        let client =
            if has_type { self.clone() } else { self.with("Content-Type", contract::JSON_API) };
        client.send(method, path, Some(body.to_string())).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<String>) -> Answer {
        let mut request = Request::builder().method(method.clone()).uri_str(path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = match body {
            Some(body) => request.body(body),
            None => request.finish(),
        };
        let response = self.platform.endpoint.get_response(request).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.into_body().into_string().await.unwrap();
        assert!(!text.contains(PLANTED), "{method} {path} shows a secret: {text}");
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        let answer = Answer { status, headers, text, body };
        contract::check(&method, path, &answer);
        answer
    }

    /// Makes something, and answers its identifier.
    pub(crate) async fn make(&self, path: &str, kind: &str, attributes: Value) -> String {
        let answer =
            self.post(path, json!({ "data": { "type": kind, "attributes": attributes } })).await;
        answer.expect(201).body["data"]["id"].as_str().unwrap().to_owned()
    }

    /// Adds a connector for the shop to the catalog.
    pub(crate) async fn connector(&self, service: &str) -> String {
        self.make("/v1/connectors", "connector", json!({
            "name": format!("Shop {service}"), "provider": "well", "category_id": "commerce", "service_id": service,
            "status": "available", "connector_type": "shop", "authorization_flow": "external-api-key",
        })).await
    }

    /// Activates a new connector for the shop.
    pub(crate) async fn activation(&self, service: &str) -> String {
        let connector = self.connector(service).await;
        self.activate(&connector, service).await
    }

    pub(crate) async fn activate(&self, connector: &str, name: &str) -> String {
        self.make("/v1/workspace-connectors", "workspace_connector", json!({
            "name": name, "connector_id": connector, "config": { "host": "shop", "password": PLANTED },
        })).await
    }
}

impl Answer {
    /// Passes if the status is this one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Passes if it is this failure, and answers the error object.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Value {
        let answer = self.expect(status);
        let error = answer.body["errors"][0].clone();
        assert_eq!(error["code"], code, "{}", answer.text);
        error
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default()
    }

    /// The attributes of the thing it is about.
    pub(crate) fn attributes(&self) -> &Value {
        &self.body["data"]["attributes"]
    }

    /// One attribute of each of the things it lists.
    pub(crate) fn listed(&self, attribute: &str) -> Vec<String> {
        let things = self.body["data"].as_array().unwrap().iter();
        let text = |it: &Value| it.as_str().map_or_else(|| it.to_string(), str::to_owned);
        things.map(|it| text(&it["attributes"][attribute])).collect()
    }
}
