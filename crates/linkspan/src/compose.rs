//! The composition root: which adapter is behind which port.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use linkspan_api::{Limits, Probes};
use linkspan_app::{
    Access, AccessError, Activations, ApiKeys, Audit, Bootstrap, Catalog, Data, Diagnostics,
    DuplicateConnectorType, Entities, Files, FilterPlans, Filters, Idempotency, MappingStores,
    Mappings, People, ProviderConnectors, Providers, RunWatch, Schedules, SeedError, SeedOutcome,
    Seeding, Sessions, Streams, SyncTargets, Syncs, TargetModels, Workspaces,
};
use linkspan_domain::{
    Call, CatalogEntry, Secret, Workspace,
    ports::{AuthorizationServers, FileStore, Outbound, StoreError},
};
use linkspan_egress::{ClientError, DatabaseHosts, EgressPolicy, GuardedClient, InvalidNetworks};
use linkspan_engine::{InvalidModels, Models};
use linkspan_files::FolderStore;
use linkspan_persistence::{ConnectError, Database, MigrateError};
use linkspan_sdk::{Environment, FileAccess, SourceLimits};
use linkspan_vault::{KeyPolicy, Keyring, KeyringError};
use tokio_util::sync::CancellationToken;

use crate::{
    admin_key::{AdminKey, AdminKeyError, Origin},
    authorization_servers::NoAuthorizationServers,
    database_hosts::GuardedHosts,
    settings::{EgressDatabases, Mode, Settings},
    workshop::Workshop,
};

/// Everything that the program is made of, put together.
pub(crate) struct Platform {
    pub(crate) workshop: Workshop,
    pub(crate) access: Arc<Access>,
    pub(crate) seeding: Seeding,
    pub(crate) sessions: Arc<Sessions>,
    workspace: Workspace,
    admin: AdminKey,
    files: Arc<dyn FileStore>,
    upload_bytes: u64,
}

/// Which files connectors may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileReach {
    /// The uploads of the workspace, and the folders that the operator opened: others use the platform too.
    Roots,
    /// Every file that the person at the command line can read.
    Operator,
}

/// Why the program cannot be put together. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ComposeError {
    #[error("the data directory {path} cannot be used; choose another with --data-dir")]
    DataDir { path: PathBuf, source: io::Error },
    #[error("a folder of LINKSPAN_FILE_ROOTS or LINKSPAN_FILE_TARGETS cannot be opened")]
    FileRoots(#[source] io::Error),
    #[error("the database cannot be opened; check LINKSPAN_DATABASE_URL")]
    Database(#[source] ConnectError),
    #[error("the database cannot be brought to the newest schema")]
    Migrate(#[source] MigrateError),
    #[error("secrets cannot be sealed")]
    Keyring(#[source] KeyringError),
    #[error(
        "there is no master key in {file}, and secrets in the database are sealed with one; put the file back from a backup or \
         set LINKSPAN_MASTER_KEY. Where it is gone for good, set LINKSPAN_MASTER_KEY to a new one, delete the activations that \
         have secrets, and connect them anew"
    )]
    KeyLost { file: PathBuf },
    #[error("the database cannot be asked whether secrets are sealed")]
    Sealed(#[source] StoreError),
    #[error(transparent)]
    AdminKey(AdminKeyError),
    #[error("the admin key cannot be used")]
    Access(#[source] AccessError),
    #[error("LINKSPAN_EGRESS_ALLOW cannot be read")]
    Egress(#[source] InvalidNetworks),
    #[error("LINKSPAN_RETURN_URLS cannot be read: it names something that is no URL")]
    ReturnUrls(#[source] url::ParseError),
    #[error("no outbound client can be made")]
    Outbound(#[source] ClientError),
    #[error(transparent)]
    Types(DuplicateConnectorType),
    #[error(transparent)]
    Models(InvalidModels),
    #[error("the catalog cannot be seeded")]
    Seed(#[source] SeedError),
}

/// The catalog of this program, as `cargo xtask codegen` writes it.
const CATALOG: &str = include_str!("../../../seeds/catalog.json");

/// The target models of this program, as `cargo xtask codegen` writes them.
const MODELS: &str = include_str!("../../../seeds/models.json");

/// The target models of this program.
pub(crate) fn models() -> Result<Models, ComposeError> {
    Models::parse(MODELS).map_err(ComposeError::Models)
}

/// The entries of the catalog of this program.
pub(crate) fn catalog() -> Result<Vec<CatalogEntry>, SeedError> {
    Seeding::parse_index(CATALOG)
}

/// The database, with the newest schema.
pub(crate) async fn database(settings: &Settings) -> Result<Database, ComposeError> {
    make_data_dir(&settings.data_dir)?;
    let url = settings.database_url();
    let database = linkspan_persistence::connect(url.expose()).await;
    let database = database.map_err(ComposeError::Database)?;
    database.migrate().await.map_err(ComposeError::Migrate)?;
    Ok(database)
}

impl Platform {
    /// Puts everything together, and brings database and catalog up to date.
    pub(crate) async fn open(settings: &Settings, reach: FileReach) -> Result<Self, ComposeError> {
        let workshop = Workshop::open(settings, reach).await?;
        let (database, world) = (&workshop.database, || Arc::clone(&workshop.world));
        let files = FolderStore::open(&workshop.uploads)
            .map_err(|source| ComposeError::DataDir { path: workshop.uploads.clone(), source })?;
        let sessions = Arc::new(Sessions::default());
        let access =
            Access::new(database.access(), database.api_keys(), Arc::clone(&sessions), world());
        let seeding = Seeding::new(database.connectors(), database.access(), world());
        let workspace = seeding.bootstrap().await.map_err(ComposeError::Seed)?;
        let admin = AdminKey::find(settings.admin_key.as_ref(), &settings.data_dir);
        let admin = admin.map_err(ComposeError::AdminKey)?;
        access.ensure_admin_key(&workspace, &admin.key).await.map_err(ComposeError::Access)?;
        let platform = Self {
            workshop,
            access: Arc::new(access),
            seeding,
            sessions,
            workspace,
            admin,
            files: Arc::new(files),
            upload_bytes: settings.upload_bytes,
        };
        platform.seed(catalog().map_err(ComposeError::Seed)?).await?;
        Ok(platform)
    }

    /// Brings the catalog up to `entries`.
    pub(crate) async fn seed(
        &self,
        entries: Vec<CatalogEntry>,
    ) -> Result<SeedOutcome, ComposeError> {
        let caller = self.access.system(self.workspace.organization_id, None).await;
        let call = Call {
            caller: caller.map_err(ComposeError::Access)?,
            ip_address: None,
            trace_id: self.workshop.world.uuid().simple().to_string(),
            claim: None,
        };
        self.seeding.seed(&call, entries).await.map_err(ComposeError::Seed)
    }

    /// The key of the first admin.
    pub(crate) fn admin_key(&self) -> Secret<String> {
        self.admin.key.clone()
    }

    /// Where the key of the first admin is kept, and the first time also what it is.
    pub(crate) fn welcome(&self) -> Option<String> {
        match &self.admin.origin {
            Origin::Made(path) => Some(format!(
                "The key of the first admin, shown this once: {}\n(kept in {}, for you alone)",
                self.admin.key.expose(),
                path.display()
            )),
            Origin::Kept(path) => {
                Some(format!("The key of the first admin is kept in {}.", path.display()))
            }
            Origin::Given => None,
        }
    }

    /// The folder of the files that the first workspace has to itself.
    pub(crate) fn own_files(&self) -> PathBuf {
        self.workshop.uploads.join(self.workspace.id.to_string())
    }

    /// Closes the database.
    pub(crate) async fn close(&self) {
        self.workshop.close().await;
    }

    fn mappings(&self) -> Arc<Mappings> {
        let Workshop { database: db, sources, world, models, .. } = &self.workshop;
        let stores = MappingStores {
            mappings: db.connector_mappings(),
            activations: db.workspace_connectors(),
            connectors: db.connectors(),
            entities: db.mapped(),
            records: db.records(),
        };
        let (models, sources) = (Arc::clone(models), Arc::clone(sources));
        Arc::new(Mappings::new(stores, models, sources, Arc::clone(world)))
    }

    fn entities(&self) -> Arc<Entities> {
        let Workshop { database: db, world, models, .. } = &self.workshop;
        let (models, world) = (Arc::clone(models), Arc::clone(world));
        Arc::new(Entities::new(db.entities(), db.mapped(), models, world))
    }

    /// The API over this platform. What it sends as it happens ends when it is `closing`.
    pub(crate) fn api(
        &self,
        probes: Probes,
        limits: Limits,
        closing: CancellationToken,
    ) -> linkspan_api::App {
        let Workshop { database: db, sources, world, .. } = &self.workshop;
        let (world, sources) = (|| Arc::clone(world), || Arc::clone(sources));
        let sessions = || Arc::clone(&self.sessions);
        let filters = Arc::new(Filters::new(db.connector_filters(), db.connectors(), world()));
        let activations = Arc::new(Activations::new(
            db.workspace_connectors(),
            db.connectors(),
            db.people(),
            db.connection_tests(),
            sources(),
            world(),
        ));
        let schedules =
            Arc::new(Schedules::new(db.schedules(), db.workspace_connectors(), sources(), world()));
        let connecting = Arc::new(self.workshop.oauth.connecting(sources()));
        let installing = Arc::new(self.workshop.oauth.installing(&connecting, &activations));
        linkspan_api::App {
            access: Arc::clone(&self.access),
            activations: Arc::clone(&activations),
            api_keys: Arc::new(ApiKeys::new(
                db.api_keys(),
                db.people(),
                db.workspaces(),
                sessions(),
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
            connecting,
            diagnostics: Arc::new(Diagnostics::new(db.diagnostics(), world())),
            entities: self.entities(),
            files: Arc::new(Files::new(
                db.files(),
                Arc::clone(&self.files),
                self.upload_bytes,
                world(),
            )),
            filter_plans: Arc::new(FilterPlans::new(
                db.workspace_connectors(),
                Arc::clone(&filters),
                sources(),
                world(),
            )),
            filters,
            idempotency: Arc::new(Idempotency::new(db.idempotency(), world())),
            installing,
            mappings: self.mappings(),
            people: Arc::new(People::new(db.people(), db.workspaces(), sessions(), world())),
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
                self.workshop.events.clone(),
                closing,
                world(),
            )),
            schedules: Arc::clone(&schedules),
            streams: Arc::new(Streams::new(
                db.syncs(),
                db.workspace_connectors(),
                sources(),
                world(),
            )),
            sync_targets: Arc::new(SyncTargets::new(
                db.sync_targets(),
                db.workspace_connectors(),
                db.workspaces(),
                world(),
            )),
            syncs: Arc::new(Syncs::new(
                db.syncs(),
                Arc::clone(&self.workshop.queue),
                db.workspace_connectors(),
                sources(),
                world(),
            )),
            target_models: Arc::new(TargetModels::new(&self.workshop.models)),
            connector_types: Arc::clone(&self.workshop.types),
            workspaces: Arc::new(Workspaces::new(
                db.workspaces(),
                db.access(),
                db.workspace_connectors(),
                Arc::clone(&self.files),
                sessions(),
                world(),
            )),
            snapshots: db.snapshots(),
            world: world(),
            probes,
            limits,
        }
    }
}

/// Made for the owner alone: keys and the database live there.
pub(crate) fn make_data_dir(path: &Path) -> Result<(), ComposeError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| ComposeError::DataDir { path: path.to_owned(), source })
}

/// The keys that seal secrets. In development one is made where there is none, unless something is sealed with one that is lost.
pub(crate) async fn keyring(
    settings: &Settings,
    database: &Database,
) -> Result<Keyring, ComposeError> {
    let kept = kept_keyring(settings);
    let is_missing = matches!(kept, Err(ComposeError::Keyring(KeyringError::Missing)));
    if !is_missing || settings.mode == Mode::Production {
        return kept;
    }
    if database.sealed().await.map_err(ComposeError::Sealed)?.is_empty() {
        return open_keyring(settings, KeyPolicy::CreateFile);
    }
    Err(ComposeError::KeyLost { file: settings.data_dir.join(Keyring::FILE) })
}

/// The keys that are there.
pub(crate) fn kept_keyring(settings: &Settings) -> Result<Keyring, ComposeError> {
    open_keyring(settings, KeyPolicy::ReadFile)
}

fn open_keyring(
    settings: &Settings,
    in_development: fn(PathBuf) -> KeyPolicy,
) -> Result<Keyring, ComposeError> {
    let policy = match settings.mode {
        Mode::Production => KeyPolicy::Required,
        Mode::Development => in_development(settings.data_dir.clone()),
    };
    let previous: Vec<_> = settings.master_key_previous.iter().cloned().collect();
    Keyring::open(settings.master_key.as_ref(), &previous, &policy).map_err(ComposeError::Keyring)
}

/// What connectors work with. `uploads` is the folder of the uploads of all workspaces, if there is one.
pub(crate) fn environment(
    settings: &Settings,
    uploads: Option<&Path>,
    reach: FileReach,
) -> Result<Environment, ComposeError> {
    let policy: EgressPolicy = settings.egress_allow.parse().map_err(ComposeError::Egress)?;
    let hosts = match settings.egress_databases {
        EgressDatabases::Exempt => DatabaseHosts::Exempt,
        EgressDatabases::Guarded => DatabaseHosts::Guarded,
    };
    let outbound: Arc<dyn Outbound> =
        Arc::new(GuardedClient::new(policy.clone()).map_err(ComposeError::Outbound)?);
    let guard = Arc::new(GuardedHosts::new(policy, hosts));
    let files = file_access(settings, uploads, reach).map_err(ComposeError::FileRoots)?;
    let file_bytes = match reach {
        FileReach::Roots => settings.upload_bytes,
        // Nobody bounds what people read of their own.
        FileReach::Operator => u64::MAX,
    };
    let download_bytes = settings.csv_url_bytes;
    let limits = SourceLimits { download_bytes, file_bytes, ..SourceLimits::default() };
    Ok(Environment { files, limits, ..Environment::new(outbound, guard) })
}

/// The way to authorization servers.
pub(crate) fn authorization_servers() -> Arc<dyn AuthorizationServers> {
    Arc::new(NoAuthorizationServers)
}

fn file_access(
    settings: &Settings,
    uploads: Option<&Path>,
    reach: FileReach,
) -> io::Result<FileAccess> {
    let folders = |setting: &str| -> Vec<PathBuf> {
        let named = setting.split(':').filter(|it| !it.is_empty());
        let everywhere: &[&str] = match reach {
            FileReach::Roots => &[],
            FileReach::Operator => &[".", "/"],
        };
        named.chain(everywhere.iter().copied()).map(PathBuf::from).collect()
    };
    let files = FileAccess::within(folders(&settings.file_roots))?;
    let files = files.with_targets(folders(&settings.file_targets))?;
    uploads.map_or(Ok(files.clone()), |it| files.with_uploads(it))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_catalog_of_this_program_can_be_read() {
        assert!(super::catalog().unwrap().len() >= 290);
    }
}
