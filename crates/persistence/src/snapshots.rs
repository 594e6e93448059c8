//! Telling whether anything was committed.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use linkspan_domain::ports::{Snapshot, Snapshots, StoreError};
use sqlx::{
    PgPool, SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};

use crate::{database::Pools, error::sqlx_error};

/// A connection to SQLite that only watches what the others commit.
#[derive(Clone, Debug)]
pub(crate) struct Watcher {
    pool: SqlitePool,
    openings: Arc<AtomicU64>,
}

impl Watcher {
    /// Watches the database of `options`, from when it is first asked.
    pub(crate) fn new(options: SqliteConnectOptions) -> Self {
        let openings = Arc::new(AtomicU64::new(0));
        let opened = Arc::clone(&openings);
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .after_connect(move |_, _| {
                opened.fetch_add(1, Ordering::Relaxed);
                Box::pin(async { Ok(()) })
            })
            .connect_lazy_with(options);
        Self { pool, openings }
    }

    /// Stops watching.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

/// The snapshots of a database.
pub(crate) enum SqlSnapshots {
    /// On one connection, `data_version` changes when any other commits, in whatever process
    /// (<https://sqlite.org/pragma.html#pragma_data_version>). The numbers of two connections have nothing to do with each other.
    Sqlite(Watcher),
    /// Which transactions are visible depends on the snapshot alone.
    Postgres(PgPool),
}

impl SqlSnapshots {
    pub(crate) fn new(pools: &Pools) -> Self {
        match pools {
            Pools::Sqlite { watcher, .. } => Self::Sqlite(watcher.clone()),
            Pools::Postgres(pool) => Self::Postgres(pool.clone()),
        }
    }
}

#[async_trait]
impl Snapshots for SqlSnapshots {
    async fn now(&self) -> Result<Snapshot, StoreError> {
        let name = match self {
            Self::Sqlite(Watcher { pool, openings }) => {
                let mut connection = pool.acquire().await.map_err(sqlx_error)?;
                let opening = openings.load(Ordering::Relaxed);
                let version = sqlx::query_scalar::<_, i64>("PRAGMA data_version");
                let version = version.fetch_one(&mut *connection).await.map_err(sqlx_error)?;
                format!("{opening}:{version}")
            }
            Self::Postgres(pool) => {
                let snapshot = sqlx::query_scalar("SELECT pg_current_snapshot()::text");
                snapshot.persistent(false).fetch_one(pool).await.map_err(sqlx_error)?
            }
        };
        Ok(Snapshot::new(name))
    }
}
