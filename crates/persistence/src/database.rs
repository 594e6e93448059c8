//! Opening a database, and the stores over it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use linkspan_domain::{
    ApiKey, AuditEvent, ConnectionTest, ConnectorFilter, ConnectorMapping, CredentialVersion,
    Entity, KeyRotation, Person, Provider, ProviderConnector, SyncLog, SyncTarget, UploadedFile,
    Workspace, WorkspaceConnector,
    ports::{
        AccessStore, AuditStore, AuthorizationStore, CatalogStore, CredentialStore,
        DiagnosticStore, GrantStore, IdempotencyStore, KeyRotationStore, KeyStore,
        OauthClientStore, RunQueue, ScheduleStore, Snapshots, Store, StoreError, SyncStore,
    },
};
use linkspan_migration::{Migrator, MigratorTrait};
use linkspan_sdk::{EntityStore, RecordStore};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbErr, SqliteTransactionMode, SqlxPostgresConnector,
    SqlxSqliteConnector, TransactionOptions, TransactionTrait,
};
use sqlx::{
    ConnectOptions, Connection, Executor, PgPool, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::time::sleep;

use crate::{
    access::SqlAccessStore,
    asking::SearchTime,
    audit::SqlAuditStore,
    entities::SqlEntities,
    error::{ConnectError, MigrateError, sqlx_error},
    grants::SqlGrants,
    idempotency::SqlIdempotencyStore,
    keys::SqlKeys,
    records::record_store,
    run_queue::StoreQueue,
    schedules::SqlSchedules,
    session::Session,
    snapshots::{SqlSnapshots, Watcher},
    store::SqlStore,
};

/// An open database. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Database {
    pools: Pools,
    search: SearchTime,
}

/// How many connections a database may have at once, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct PoolSizes {
    /// On PostgreSQL: all of them. On SQLite: those that read; one more writes.
    pub connections: u32,
    /// How long a call waits for one of them to be free.
    pub patience: Duration,
    /// How long a call may look for what a condition holds of.
    pub search: SearchTime,
}

impl Default for PoolSizes {
    fn default() -> Self {
        Self { connections: 8, patience: Duration::from_secs(10), search: SearchTime::default() }
    }
}

/// The connections.
#[derive(Clone, Debug)]
pub(crate) enum Pools {
    /// Readers never wait for the writer, and there is one writer: SQLite has no place for two.
    Sqlite {
        readers: SqlitePool,
        writer: SqlitePool,
        watcher: Watcher,
    },
    Postgres(PgPool),
}

/// Opens the database at `url`: `sqlite://path/to/file` (made if it is missing) or `postgres://user@host/name`.
///
/// PostgreSQL may be behind PgBouncer, in transaction mode too.
pub async fn connect(url: &str) -> Result<Database, ConnectError> {
    connect_with(url, PoolSizes::default()).await
}

/// As [`connect`], with another number of connections.
pub async fn connect_with(url: &str, sizes: PoolSizes) -> Result<Database, ConnectError> {
    let pools = match url.split_once(':') {
        Some(("sqlite", _)) => sqlite(url, sizes).await?,
        Some(("postgres" | "postgresql", _)) => postgres(url, sizes).await?,
        _ => return Err(ConnectError::UnknownScheme),
    };
    Ok(Database { pools, search: sizes.search })
}

/// As [`connect`], but makes no file: nothing where the file of an SQLite database is missing.
pub async fn connect_existing(url: &str) -> Result<Option<Database>, ConnectError> {
    if url.starts_with("sqlite:") && !sqlite_options(url)?.get_filename().exists() {
        return Ok(None);
    }
    connect(url).await.map(Some)
}

fn sqlite_options(url: &str) -> Result<SqliteConnectOptions, ConnectError> {
    if url.contains(":memory:") || url.contains("mode=memory") {
        return Err(ConnectError::InMemory);
    }
    url.parse().map_err(unavailable)
}

/// How long to wait for others who write to an SQLite database.
const BUSY: Duration = Duration::from_secs(5);

fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|it| it == "5")
}

async fn sqlite(url: &str, sizes: PoolSizes) -> Result<Pools, ConnectError> {
    let options = sqlite_options(url)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .foreign_keys(true)
        .busy_timeout(BUSY);
    let pool = |connections| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(sizes.patience)
            .test_before_acquire(false)
    };
    // The writer first: it makes the file, and readers find it in WAL mode.
    let until = Instant::now() + BUSY;
    let writer = loop {
        match pool(1).connect_with(options.clone()).await {
            // Who makes a file is not waited for by others who would turn it to WAL mode, whatever the time-out.
            Err(error) if is_busy(&error) && Instant::now() < until => sleep(BUSY / 100).await,
            done => break done.map_err(unavailable)?,
        }
    };
    let watcher = Watcher::new(options.clone());
    let readers = pool(sizes.connections).after_release(|connection, _| {
        Box::pin(async move {
            // A call that was given up leaves the limit of its statement behind.
            connection.lock_handle().await?.remove_progress_handler();
            Ok(true)
        })
    });
    let readers = readers.connect_with(options).await.map_err(unavailable)?;
    Ok(Pools::Sqlite { readers, writer, watcher })
}

/// How long a connection may lie unused before it is tried out: that is a round trip, which a busy one can do without.
const TRUSTED: Duration = Duration::from_secs(1);

async fn postgres(url: &str, sizes: PoolSizes) -> Result<Pools, ConnectError> {
    let options: PgConnectOptions = url.parse().map_err(unavailable)?;
    // Older PgBouncers refuse the start-up parameter. Since PostgreSQL 12 it says what is the default anyway.
    let options = options.extra_float_digits(None);
    // A statement may carry its values: what is sealed has no place in a log.
    let options = options.disable_statement_logging();
    let pool = postgres_pool()
        .max_connections(sizes.connections)
        .acquire_timeout(sizes.patience)
        .test_before_acquire(false)
        .before_acquire(|connection, known| {
            Box::pin(async move {
                if known.idle_for > TRUSTED {
                    connection.ping().await?;
                }
                Ok(true)
            })
        });
    pool.connect_with(options).await.map(Pools::Postgres).map_err(unavailable)
}

/// Pools whose connections read a backslash as what it is, whatever the server, the database or the role says: statements
/// carry their values, and what is sealed is full of them. PgBouncer keeps this setting for each of its clients.
fn postgres_pool() -> PgPoolOptions {
    PgPoolOptions::new().after_connect(|connection, _| {
        Box::pin(async move {
            connection.execute("SET standard_conforming_strings = on").await?;
            Ok(())
        })
    })
}

fn unavailable(error: sqlx::Error) -> ConnectError {
    ConnectError::Unavailable(Box::new(error))
}

impl Database {
    /// Brings the schema up to date. Several processes may do so at once: one works, the others wait.
    pub async fn migrate(&self) -> Result<(), MigrateError> {
        migrate(&self.own_connection()).await.map_err(|error| MigrateError(Box::new(error)))
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        match &self.pools {
            Pools::Sqlite { readers, .. } => readers.execute("SELECT 1").await.map(drop),
            Pools::Postgres(pool) => pool.execute("SELECT 1").await.map(drop),
        }
        .map_err(sqlx_error)
    }

    /// Closes all connections, once what is at work is done.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { readers, writer, watcher } => {
                watcher.close().await;
                readers.close().await;
                // The last to go folds the write-ahead log into the file.
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }

    /// The catalog.
    pub fn connectors(&self) -> Arc<dyn CatalogStore> {
        Arc::new(SqlStore::new(self.clone()))
    }

    /// Activations.
    pub fn workspace_connectors(&self) -> Arc<dyn Store<WorkspaceConnector>> {
        Arc::new(SqlStore::new(self.clone()))
    }

    /// Filters over the records of activations.
    pub fn connector_filters(&self) -> Arc<dyn Store<ConnectorFilter>> {
        Arc::new(SqlStore::new(self.clone()))
    }

    /// Mappings of streams to target models.
    pub fn connector_mappings(&self) -> Arc<dyn Store<ConnectorMapping>> {
        Arc::new(SqlStore::new(self.clone()))
    }

    /// Entities, for reading.
    pub fn entities(&self) -> Arc<dyn Store<Entity>> {
        Arc::new(SqlStore::new(self.clone()))
    }

    /// What mappings make of records.
    pub fn mapped(&self) -> Arc<dyn EntityStore> {
        Arc::new(SqlEntities::new(self.clone()))
    }

    /// Workspaces that receive what activations bring in.
    pub fn sync_targets(&self) -> Arc<dyn Store<SyncTarget>> {
        Arc::new(SqlStore::new(self.clone()))
    }

    /// Uploaded files, without their bytes.
    pub fn files(&self) -> Arc<dyn Store<UploadedFile>> {
        Arc::new(SqlStore::new(self.clone()))
    }

    /// Document-capture providers.
    pub fn providers(&self) -> Arc<dyn Store<Provider>> {
        Arc::new(SqlStore::new(self.clone()))
    }

    /// Pairings of providers with connectors.
    pub fn provider_connectors(&self) -> Arc<dyn Store<ProviderConnector>> {
        Arc::new(SqlStore::new(self.clone()))
    }

    /// Workspaces.
    pub fn workspaces(&self) -> Arc<dyn Store<Workspace>> {
        Arc::new(SqlStore::new(self.clone()))
    }

    /// People.
    pub fn people(&self) -> Arc<dyn Store<Person>> {
        Arc::new(SqlStore::new(self.clone()))
    }

    /// API keys.
    pub fn api_keys(&self) -> Arc<dyn Store<ApiKey>> {
        Arc::new(SqlStore::new(self.clone()))
    }

    /// The audit trail. Events are only ever added.
    pub fn audit_events(&self) -> Arc<dyn Store<AuditEvent>> {
        Arc::new(SqlStore::new(self.clone()))
    }

    /// The audit trail, as a chain.
    pub fn audit_chain(&self) -> Arc<dyn AuditStore> {
        Arc::new(SqlAuditStore::new(self.clone()))
    }

    /// Results of testing connections. They are only ever added, and purged with their activation.
    pub fn connection_tests(&self) -> Arc<dyn Store<ConnectionTest>> {
        Arc::new(SqlStore::new(self.clone()))
    }

    /// The versions of the credentials of activations.
    pub fn credential_versions(&self) -> Arc<dyn CredentialStore> {
        Arc::new(SqlStore::<CredentialVersion>::new(self.clone()))
    }

    /// What runs noticed. Forgotten after a while.
    pub fn diagnostics(&self) -> Arc<dyn DiagnosticStore> {
        Arc::new(SqlStore::new(self.clone()))
    }

    /// Who may come in.
    pub fn access(&self) -> Arc<dyn AccessStore> {
        Arc::new(SqlAccessStore::new(self.clone()))
    }

    /// Idempotency keys.
    pub fn idempotency(&self) -> Arc<dyn IdempotencyStore> {
        Arc::new(SqlIdempotencyStore::new(self.clone()))
    }

    /// What is sealed, and how often keys have sealed.
    pub fn keys(&self) -> Arc<dyn KeyStore> {
        Arc::new(SqlKeys::new(self.clone()))
    }

    /// Rotations of the master key.
    pub fn key_rotations(&self) -> Arc<dyn KeyRotationStore> {
        Arc::new(SqlStore::<KeyRotation>::new(self.clone()))
    }

    /// Runs of syncs.
    pub fn syncs(&self) -> Arc<dyn SyncStore> {
        Arc::new(SqlStore::<SyncLog>::new(self.clone()))
    }

    /// Hands out runs as the database has them. Who shares it hears at once what others of the process offer.
    pub fn run_queue(&self) -> Arc<dyn RunQueue> {
        Arc::new(StoreQueue::new(self.syncs()))
    }

    /// The schedules of activations.
    pub fn schedules(&self) -> Arc<dyn ScheduleStore> {
        Arc::new(SqlSchedules::new(self.clone()))
    }

    /// What authorization servers granted.
    pub fn grants(&self) -> Arc<dyn GrantStore> {
        Arc::new(SqlGrants::new(self.clone()))
    }

    /// What we are to authorization servers.
    pub fn oauth_clients(&self) -> Arc<dyn OauthClientStore> {
        Arc::new(SqlGrants::new(self.clone()))
    }

    /// Authorizations that people are at.
    pub fn authorizations(&self) -> Arc<dyn AuthorizationStore> {
        Arc::new(SqlGrants::new(self.clone()))
    }

    /// Whether anything was written.
    pub fn snapshots(&self) -> Arc<dyn Snapshots> {
        Arc::new(SqlSnapshots::new(&self.pools))
    }

    /// The records that runs bring in.
    pub fn records(&self) -> Arc<dyn RecordStore> {
        record_store(self)
    }

    /// How long a call may look for what a condition holds of.
    pub(crate) const fn search_time(&self) -> SearchTime {
        self.search
    }

    /// The connections, for what goes beneath sessions.
    pub(crate) fn pools(&self) -> &Pools {
        &self.pools
    }

    /// Begins to read. All reads of the session see one state.
    pub(crate) async fn read(&self) -> Result<Session, StoreError> {
        match &self.pools {
            Pools::Sqlite { readers, .. } => readers.begin().await.map(Session::sqlite),
            Pools::Postgres(pool) => pool
                .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                .await
                .map(|it| Session::postgres(it, pool)),
        }
        .map_err(sqlx_error)
    }

    /// Begins to write, on SQLite when no other does.
    pub(crate) async fn write(&self) -> Result<Session, StoreError> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => {
                writer.begin_with("BEGIN IMMEDIATE").await.map(Session::sqlite)
            }
            Pools::Postgres(pool) => pool.begin().await.map(|it| Session::postgres(it, pool)),
        }
        .map_err(sqlx_error)
    }

    fn own_connection(&self) -> DatabaseConnection {
        match &self.pools {
            Pools::Sqlite { writer, .. } => {
                SqlxSqliteConnector::from_sqlx_sqlite_pool(writer.clone())
            }
            Pools::Postgres(pool) => {
                // A connection that is thrown away: the migrator names its statements.
                let options = PgConnectOptions::clone(&pool.connect_options());
                let pool = postgres_pool().max_connections(1).connect_lazy_with(options);
                SqlxPostgresConnector::from_sqlx_postgres_pool(pool)
            }
        }
    }
}

/// Names the advisory lock that migrations take: an arbitrary number that has no other use.
const MIGRATION_LOCK: i64 = i64::from_be_bytes(*b"linkspan");

/// Runs what is pending in one transaction, so that a failure leaves nothing half done.
async fn migrate(db: &DatabaseConnection) -> Result<(), DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let transaction = db.begin_with_options(options).await?;
    let postgres = transaction.get_database_backend() == sea_orm::DbBackend::Postgres;
    if postgres {
        let lock = format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})");
        transaction.execute_unprepared(&lock).await?;
        // Behind PgBouncer, the server connection may know statements of that name by others; and must not keep ours.
        transaction.execute_unprepared("DEALLOCATE ALL").await?;
    }
    Migrator::up(&transaction, None).await?;
    if postgres {
        transaction.execute_unprepared("DEALLOCATE ALL").await?;
    }
    transaction.commit().await
}
