//! The composition root: which adapter is behind which port.

mod api;

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use linkspan_api::{InvalidProxies, TrustedProxies};
use linkspan_app::{
    Access, AccessError, DuplicateConnectorType, SeedError, SeedOutcome, Seeding, Sessions,
};
use linkspan_domain::{
    Call, CatalogEntry, OrganizationId, Secret, Workspace,
    ports::{FileStore, Outbound, StoreError},
};
use linkspan_egress::{ClientError, DatabaseHosts, EgressPolicy, GuardedClient, InvalidNetworks};
use linkspan_engine::{InvalidModels, Models};
use linkspan_files::FolderStore;
use linkspan_persistence::{ConnectError, Database, MigrateError, SchemaState};
use linkspan_sdk::{Environment, FileAccess, SourceLimits};
use linkspan_vault::{BearerTokens, KeyringError};

use crate::{
    admin_key::{AdminKey, AdminKeyError, Origin},
    bearer_tokens::{self, BearerTokensError},
    database_hosts::GuardedHosts,
    settings::{EgressDatabases, Settings},
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
    proxies: TrustedProxies,
}

/// Which files connectors may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileReach {
    /// The uploads of the workspace, and the folders that the operator opened: others use the platform too.
    Roots,
    /// Every file that the person at the command line can read.
    Operator,
}

/// Which platform is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// The one that is there, or else a new one.
    OrNew,
    /// The one that is there: a mistyped folder has nothing to look at or to change.
    Existing,
    /// The one that is there, as it is: nothing is written, and its schema is not brought up to date.
    AsItIs,
}

/// Why the program cannot be put together. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ComposeError {
    #[error("the data directory {path} cannot be used; choose another with --data-dir")]
    DataDir { path: PathBuf, source: io::Error },
    #[error("a folder of LINKSPAN_FILE_ROOTS or LINKSPAN_FILE_TARGETS cannot be opened")]
    FileRoots(#[source] io::Error),
    #[error(
        "there is no platform in {folder}; choose its folder with --data-dir, or begin one with `linkspan quickstart` or `linkspan serve`"
    )]
    NoPlatform { folder: PathBuf },
    #[error(
        "there is no platform in the database of LINKSPAN_DATABASE_URL; check that setting, or begin one there with `linkspan serve`"
    )]
    NoDatabase,
    #[error(
        "there is no {file}, so this is not the folder of the platform, or it has not been started yet; choose its folder with \
         --data-dir, set {setting} as its server has it, or start it with `linkspan serve`"
    )]
    NoKeyFile { file: PathBuf, setting: &'static str },
    #[error(
        "the schema of the database is {steps} steps behind this program, and a dry run changes nothing; bring it up to date with \
         `linkspan migrate`, or run the Linkspan that was here"
    )]
    OldSchema { steps: usize },
    #[error("the database cannot be opened; check LINKSPAN_DATABASE_URL")]
    Database(#[source] ConnectError),
    #[error("the database cannot be brought to the newest schema")]
    Migrate(#[source] MigrateError),
    #[error("secrets cannot be sealed")]
    Keyring(#[source] KeyringError),
    #[error(
        "there is no master key in {file}, and secrets in the database are sealed with one; put the file back from a backup or \
         set LINKSPAN_MASTER_KEY. Where it is gone for good, set LINKSPAN_MASTER_KEY to a new one; then give the secrets anew \
         with `linkspan activations set`, all of an activation at once, connect anew with `linkspan authorize`, and purge \
         deleted activations that have some"
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
    #[error(transparent)]
    Tokens(BearerTokensError),
    #[error("LINKSPAN_TRUSTED_PROXIES cannot be read")]
    Proxies(#[source] InvalidProxies),
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
pub(crate) async fn database(
    settings: &Settings,
    opening: Opening,
) -> Result<Database, ComposeError> {
    let url = settings.database_url();
    if opening == Opening::OrNew {
        make_data_dir(&settings.data_dir)?;
        let database = linkspan_persistence::connect(url.expose()).await;
        let database = database.map_err(ComposeError::Database)?;
        database.migrate().await.map_err(ComposeError::Migrate)?;
        return Ok(database);
    }
    let opened = linkspan_persistence::connect_existing(url.expose()).await;
    let opened = opened.map_err(ComposeError::Database)?;
    let database = opened.ok_or_else(|| no_platform(settings))?;
    let ready = bring_up_to_date(settings, &database, opening).await;
    if ready.is_err() {
        database.close().await;
    }
    ready.map(|()| database)
}

/// Sees to it that `database` has the newest schema, if `opening` lets it be changed.
async fn bring_up_to_date(
    settings: &Settings,
    database: &Database,
    opening: Opening,
) -> Result<(), ComposeError> {
    match database.schema().await.map_err(ComposeError::Migrate)? {
        SchemaState::Newest => Ok(()),
        SchemaState::Absent => Err(no_platform(settings)),
        SchemaState::Behind(steps) if opening == Opening::AsItIs => {
            Err(ComposeError::OldSchema { steps })
        }
        SchemaState::Behind(_) => database.migrate().await.map_err(ComposeError::Migrate),
    }
}

fn no_platform(settings: &Settings) -> ComposeError {
    match settings.database_url {
        Some(_) => ComposeError::NoDatabase,
        None => ComposeError::NoPlatform { folder: settings.data_dir.clone() },
    }
}

impl Platform {
    /// Puts everything together, and brings database and catalog up to date.
    pub(crate) async fn open(
        settings: &Settings,
        reach: FileReach,
        opening: Opening,
    ) -> Result<Self, ComposeError> {
        let workshop = Workshop::open(settings, reach, opening).await?;
        let (database, world) = (&workshop.database, || Arc::clone(&workshop.world));
        let files = FolderStore::open(&workshop.uploads)
            .map_err(|source| ComposeError::DataDir { path: workshop.uploads.clone(), source })?;
        let sessions = Arc::new(Sessions::default());
        let (store, keys) = (database.access(), database.api_keys());
        let seeding = Seeding::new(database.connectors(), database.access(), world());
        let workspace = seeding.bootstrap().await.map_err(ComposeError::Seed)?;
        let tokens = Arc::new(tokens(settings, workspace.organization_id)?);
        let access = Access::new(store, keys, tokens, Arc::clone(&sessions), world());
        let admin = admin_key(settings, opening)?;
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
            proxies: proxies(settings)?,
        };
        platform.seed(catalog().map_err(ComposeError::Seed)?).await?;
        Ok(platform)
    }

    /// Brings the catalog up to `entries`.
    pub(crate) async fn seed(
        &self,
        entries: Vec<CatalogEntry>,
    ) -> Result<SeedOutcome, ComposeError> {
        let call = self.call().await?;
        self.seeding.seed(&call, entries).await.map_err(ComposeError::Seed)
    }

    /// A call of the platform itself.
    pub(crate) async fn call(&self) -> Result<Call, ComposeError> {
        let caller = self.access.system(self.workspace.organization_id, None).await;
        Ok(Call {
            caller: caller.map_err(ComposeError::Access)?,
            ip_address: None,
            trace_id: self.workshop.world.uuid().simple().to_string(),
            claim: None,
        })
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

    /// The key of the first admin, as a shell gets at it.
    pub(crate) fn key_in_shell(&self) -> String {
        match &self.admin.origin {
            Origin::Made(path) | Origin::Kept(path) => {
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                format!("\"$(cat {})\"", quoted(&path.to_string_lossy()))
            }
            Origin::Given => "\"$LINKSPAN_ADMIN_KEY\"".to_owned(),
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
}

/// `word` as one word of a shell.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "/._-".contains(it);
    if word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The key of the first admin. Only with a new platform one is made: it would take the place of the one that servers have.
fn admin_key(settings: &Settings, opening: Opening) -> Result<AdminKey, ComposeError> {
    let (given, folder) = (settings.admin_key.as_ref(), &settings.data_dir);
    if opening == Opening::OrNew {
        return AdminKey::find(given, folder).map_err(ComposeError::AdminKey);
    }
    let kept = AdminKey::kept(given, folder).map_err(ComposeError::AdminKey)?;
    let file = folder.join(AdminKey::FILE);
    kept.ok_or(ComposeError::NoKeyFile { file, setting: "LINKSPAN_ADMIN_KEY" })
}

/// Made for the owner alone: keys and the database live there.
pub(crate) fn make_data_dir(path: &Path) -> Result<(), ComposeError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| ComposeError::DataDir { path: path.to_owned(), source })
}

/// Where requests may go, and what sends them.
fn way_out(settings: &Settings) -> Result<(EgressPolicy, Arc<dyn Outbound>), ComposeError> {
    let policy: EgressPolicy = settings.egress_allow.parse().map_err(ComposeError::Egress)?;
    let client = GuardedClient::new(policy.clone()).map_err(ComposeError::Outbound)?;
    Ok((policy, Arc::new(client)))
}

/// What checks tokens of `installation`.
pub(crate) fn tokens(
    settings: &Settings,
    installation: OrganizationId,
) -> Result<BearerTokens, ComposeError> {
    let (_, outbound) = way_out(settings)?;
    bearer_tokens::open(settings, installation, outbound).map_err(ComposeError::Tokens)
}

/// Whose word counts of whom they speak for.
pub(crate) fn proxies(settings: &Settings) -> Result<TrustedProxies, ComposeError> {
    settings.trusted_proxies.parse().map_err(ComposeError::Proxies)
}

/// What connectors work with. `uploads` is the folder of the uploads of all workspaces, if there is one.
pub(crate) fn environment(
    settings: &Settings,
    uploads: Option<&Path>,
    reach: FileReach,
) -> Result<Environment, ComposeError> {
    let (policy, outbound) = way_out(settings)?;
    let hosts = match settings.egress_databases {
        EgressDatabases::Exempt => DatabaseHosts::Exempt,
        EgressDatabases::Guarded => DatabaseHosts::Guarded,
    };
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
