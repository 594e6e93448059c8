//! The API over a database, put together as for a server, but without a way out.

use std::sync::Arc;

use linkspan_api::{App, Limits, Probes, TrustedProxies};
use linkspan_app::{
    Access, AccessTokens, ActivationSettings, ActivationStores, Activations, ApiKeys, Audit,
    Bootstrap, Catalog, ConnectorTypes, Data, Diagnostics, Entities, Files, FilterPlans, Filters,
    Idempotency, Installing, Keys, MappingStores, Mappings, People, ProviderConnectors, Providers,
    RunWatch, Schedules, Sessions, Sources, Streams, SyncTargets, Syncs, TargetModels, Visiting,
    Workspaces,
};
use linkspan_domain::{
    Secret,
    ports::{FileStore, Outbound, OutboundError, OutboundRequest, OutboundResponse, Vault, World},
};
use linkspan_files::FolderStore;
use linkspan_persistence::Database;
use linkspan_sdk::{Definition, Environment, FileAccess, OpenHosts};
use linkspan_vault::{BearerTokens, KeyPolicy, Keyring, KeyringVault, TokenKeys};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::shop::Shop;

struct NoWayOut;

#[async_trait::async_trait]
impl Outbound for NoWayOut {
    async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        panic!("nothing here goes to {}", request.url)
    }
}

/// The most bytes of an upload.
pub(crate) const UPLOAD_BYTES: u64 = 200_000;

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
fn connectors(
    db: &Database,
    home: &TempDir,
    tokens: impl FnOnce(Arc<dyn Vault>) -> AccessTokens,
) -> (Arc<ConnectorTypes>, Arc<Sources>, Arc<KeyringVault>, AccessTokens) {
    let csv = linkspan_builtin::all().into_iter().find(|it| it.manifest.key.as_str() == "csv");
    let types = [Definition::of::<Shop>(), csv.unwrap()];
    let types = Arc::new(ConnectorTypes::new(types).unwrap());
    let policy = KeyPolicy::CreateFile(home.path().to_owned());
    let vault = Arc::new(KeyringVault::new(Keyring::open(&[], &[], &policy).unwrap()));
    let grants = tokens(Arc::clone(&vault) as _);
    let settings = Arc::new(ActivationSettings::new(Arc::clone(&types), Arc::clone(&vault) as _));
    let environment = Environment {
        files: FileAccess::none().with_uploads(&home.path().join("files")).unwrap(),
        ..Environment::new(Arc::new(NoWayOut), Arc::new(OpenHosts))
    };
    let sources =
        Arc::new(Sources::new(settings, environment).with_grants(grants.clone(), db.connectors()));
    (types, sources, vault, grants)
}

/// Who signs tokens for the tests.
pub(crate) fn token_keys() -> TokenKeys {
    let secret = Secret::new("a secret that only these tests know".to_owned());
    TokenKeys::new(&secret, None, "https://linkspan.test".to_owned()).unwrap()
}

fn tokens() -> BearerTokens {
    BearerTokens { own: Some(Arc::new(token_keys())), provider: None }
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
    let stores = ActivationStores {
        activations: db.workspace_connectors(),
        connectors: db.connectors(),
        people: db.people(),
        tests: db.connection_tests(),
        credentials: db.credential_versions(),
        syncs: db.syncs(),
    };
    Arc::new(Activations::new(stores, Arc::clone(sources), world))
}

fn streams(db: &Database, sources: &Arc<Sources>, world: Arc<dyn World>) -> Arc<Streams> {
    let sources = Arc::clone(sources);
    Arc::new(Streams::new(db.syncs(), db.workspace_connectors(), sources, world))
}

fn syncs(db: &Database, sources: &Arc<Sources>, world: Arc<dyn World>) -> Arc<Syncs> {
    let sources = Arc::clone(sources);
    Arc::new(Syncs::new(db.syncs(), db.run_queue(), db.workspace_connectors(), sources, world))
}

fn filter_plans(
    db: &Database,
    filters: &Arc<Filters>,
    sources: &Arc<Sources>,
    world: Arc<dyn World>,
) -> Arc<FilterPlans> {
    let (filters, sources) = (Arc::clone(filters), Arc::clone(sources));
    let activations = db.workspace_connectors();
    Arc::new(FilterPlans::new(activations, filters, sources, db.syncs(), world))
}

/// Who comes in, and with what.
fn access(db: &Database, sessions: &Arc<Sessions>, world: Arc<dyn World>) -> Arc<Access> {
    let (tokens, sessions) = (Arc::new(tokens()), Arc::clone(sessions));
    Arc::new(Access::new(db.access(), db.api_keys(), tokens, sessions, world))
}

fn api_keys(db: &Database, sessions: &Arc<Sessions>, world: Arc<dyn World>) -> Arc<ApiKeys> {
    Arc::new(ApiKeys::new(
        db.api_keys(),
        db.people(),
        db.workspaces(),
        Arc::clone(sessions),
        linkspan_vault::random_token,
        world,
    ))
}

/// The API over `database`, with the shop and CSV to connect to.
pub(crate) fn app(
    database: &Database,
    home: &TempDir,
    world: &Arc<dyn World>,
    limits: Limits,
    closing: &CancellationToken,
) -> App {
    let world = || Arc::clone(world);
    let store: Arc<dyn FileStore> =
        Arc::new(FolderStore::open(&home.path().join("files")).unwrap());
    let grants = |vault| crate::provider::tokens(database, vault, world());
    let (types, sources, vault, grants) = connectors(database, home, grants);
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
    let connecting = Arc::new(crate::provider::connecting(
        db,
        Arc::clone(&vault) as _,
        &sources,
        grants,
        world(),
    ));
    App {
        access: access(db, &sessions, world()),
        activations: Arc::clone(&activations),
        api_keys: api_keys(db, &sessions, world()),
        audit: Arc::new(Audit::new(db.audit_events(), db.audit_chain(), world())),
        bootstrap: Arc::new(Bootstrap::new(
            Arc::clone(&activations),
            Arc::clone(&schedules),
            db.schedules(),
        )),
        catalog: Arc::new(Catalog::new(db.connectors(), Arc::clone(&types), world())),
        connecting: Arc::clone(&connecting),
        diagnostics: Arc::new(Diagnostics::new(db.diagnostics(), world())),
        entities: Arc::new(Entities::new(db.entities(), db.mapped(), Arc::clone(&models), world())),
        files: Arc::new(Files::new(db.files(), Arc::clone(&store), UPLOAD_BYTES, world())),
        filter_plans: filter_plans(db, &filters, &sources, world()),
        filters,
        idempotency: Arc::new(Idempotency::new(db.idempotency(), world())),
        installing: Arc::new(Installing::new(
            Arc::clone(&connecting),
            Arc::clone(&activations),
            db.connectors(),
        )),
        keys: Arc::new(Keys::new(db.key_rotations(), db.keys(), vault, world(), Arc::default())),
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
        streams: streams(db, &sources, world()),
        syncs: syncs(db, &sources, world()),
        sync_targets: sync_targets(db, world()),
        target_models: Arc::new(TargetModels::new(&models)),
        connector_types: types,
        visiting: Arc::new(Visiting::new(connecting, db.workspaces())),
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
        proxies: TrustedProxies::default(),
    }
}
