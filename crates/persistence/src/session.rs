//! One unit of work on the database: a connection for reading, or a transaction.

use async_trait::async_trait;
use linkspan_domain::ports::StoreError;
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, Value, Values,
};
use sea_query_sqlx::SqlxValues;
use sqlx::{
    AssertSqlSafe, PgConnection, Postgres, Sqlite, SqliteConnection, Transaction,
    pool::PoolConnection, query::Query,
};
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    error::{query_error, sqlx_error, store_error},
    instant::{sqlite_text, storable},
};

/// Runs statements on one connection. What was written is kept by [`commit`](Self::commit), else forgotten.
///
/// It stands in for SeaORM's own connections, for two reasons. On PostgreSQL its statements are unnamed, and each
/// session is one transaction, so that it works through PgBouncer in transaction mode: a named statement would be looked
/// for on whichever server connection comes next. On SQLite it writes instants with a fixed width, so that they sort.
pub(crate) struct Session(Inner);

enum Inner {
    Reading(Mutex<PoolConnection<Sqlite>>),
    Writing(Mutex<Transaction<'static, Sqlite>>),
    Postgres(Mutex<Transaction<'static, Postgres>>),
}

/// The connection of a session, for statements that only one of the databases knows.
pub(crate) enum Connection<'a> {
    /// SQLite, reading.
    Reading(MutexGuard<'a, PoolConnection<Sqlite>>),
    /// SQLite, in a transaction.
    Writing(MutexGuard<'a, Transaction<'static, Sqlite>>),
    /// PostgreSQL. Statements must be [unnamed](Query::persistent).
    Postgres(MutexGuard<'a, Transaction<'static, Postgres>>),
}

impl Session {
    pub(crate) fn reading(connection: PoolConnection<Sqlite>) -> Self {
        Self(Inner::Reading(Mutex::new(connection)))
    }

    pub(crate) fn writing(transaction: Transaction<'static, Sqlite>) -> Self {
        Self(Inner::Writing(Mutex::new(transaction)))
    }

    pub(crate) fn postgres(transaction: Transaction<'static, Postgres>) -> Self {
        Self(Inner::Postgres(Mutex::new(transaction)))
    }

    /// Keeps what was written, and ends the session.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self.0 {
            Inner::Reading(_) => Ok(()),
            Inner::Writing(transaction) => transaction.into_inner().commit().await,
            Inner::Postgres(transaction) => transaction.into_inner().commit().await,
        }
        .map_err(sqlx_error)
    }

    /// The row that `sql` finds with `values`, if any.
    pub(crate) async fn row(
        &self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Option<QueryResult>, StoreError> {
        self.query_one_raw(self.statement(sql, values)).await.map_err(store_error)
    }

    /// The rows that `sql` finds with `values`.
    pub(crate) async fn rows(
        &self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<QueryResult>, StoreError> {
        self.query_all_raw(self.statement(sql, values)).await.map_err(store_error)
    }

    /// Runs `sql` with `values`. Answers how many rows it was about.
    pub(crate) async fn run(
        &self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<u64, StoreError> {
        let done = self.execute_raw(self.statement(sql, values)).await.map_err(store_error)?;
        Ok(done.rows_affected())
    }

    fn statement(&self, sql: &'static str, values: Vec<Value>) -> Statement {
        Statement::from_sql_and_values(self.get_database_backend(), sql, values)
    }

    /// The connection underneath.
    pub(crate) async fn connection(&self) -> Connection<'_> {
        match &self.0 {
            Inner::Reading(it) => Connection::Reading(it.lock().await),
            Inner::Writing(it) => Connection::Writing(it.lock().await),
            Inner::Postgres(it) => Connection::Postgres(it.lock().await),
        }
    }
}

/// Either connection, once it is known which.
enum Driver<'a> {
    Sqlite(&'a mut SqliteConnection),
    Postgres(&'a mut PgConnection),
}

impl Connection<'_> {
    fn driver(&mut self) -> Driver<'_> {
        match self {
            Connection::Reading(it) => Driver::Sqlite(&mut *it),
            Connection::Writing(it) => Driver::Sqlite(&mut *it),
            Connection::Postgres(it) => Driver::Postgres(&mut *it),
        }
    }
}

#[async_trait]
impl ConnectionTrait for Session {
    fn get_database_backend(&self) -> DbBackend {
        match self.0 {
            Inner::Reading(_) | Inner::Writing(_) => DbBackend::Sqlite,
            Inner::Postgres(_) => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let done = match self.connection().await.driver() {
            Driver::Sqlite(it) => sqlite(statement).execute(it).await.map(ExecResult::from),
            Driver::Postgres(it) => postgres(statement).execute(it).await.map(ExecResult::from),
        };
        done.map_err(query_error)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        let done = match self.connection().await.driver() {
            Driver::Sqlite(it) => sql.execute(it).await.map(ExecResult::from),
            Driver::Postgres(it) => sql.execute(it).await.map(ExecResult::from),
        };
        done.map_err(query_error)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let row = match self.connection().await.driver() {
            Driver::Sqlite(it) => {
                sqlite(statement).fetch_optional(it).await.map(|row| row.map(QueryResult::from))
            }
            Driver::Postgres(it) => {
                postgres(statement).fetch_optional(it).await.map(|row| row.map(QueryResult::from))
            }
        };
        row.map_err(query_error)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let rows = match self.connection().await.driver() {
            Driver::Sqlite(it) => sqlite(statement)
                .fetch_all(it)
                .await
                .map(|rows| rows.into_iter().map(QueryResult::from).collect()),
            Driver::Postgres(it) => postgres(statement)
                .fetch_all(it)
                .await
                .map(|rows| rows.into_iter().map(QueryResult::from).collect()),
        };
        rows.map_err(query_error)
    }
}

fn sqlite(statement: Statement) -> Query<'static, Sqlite, SqlxValues> {
    let values = values(&statement, |value| match value {
        Value::TimeDateTimeWithTimeZone(Some(at)) => Value::String(Some(sqlite_text(at))),
        other => other,
    });
    sqlx::query_with(AssertSqlSafe(statement.sql), values)
}

fn postgres(statement: Statement) -> Query<'static, Postgres, SqlxValues> {
    let values = values(&statement, |value| match value {
        Value::TimeDateTimeWithTimeZone(Some(at)) => {
            Value::TimeDateTimeWithTimeZone(Some(storable(at)))
        }
        other => other,
    });
    sqlx::query_with(AssertSqlSafe(statement.sql), values).persistent(false)
}

fn values(statement: &Statement, keep: impl Fn(Value) -> Value) -> SqlxValues {
    let values = statement.values.iter().flat_map(Values::iter).cloned().map(keep).collect();
    SqlxValues(Values(values))
}
