//! One unit of work on the database: a transaction.

use std::{
    convert::Infallible,
    ops::ControlFlow,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use linkspan_domain::ports::StoreError;
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, Value, Values,
};
use sea_query_sqlx::SqlxValues;
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool, Postgres, Row, Sqlite, Transaction,
    postgres::{PgConnectOptions, PgRow},
    query::Query,
};
use tokio::{
    select,
    sync::{Mutex, oneshot},
    time::timeout,
};

use crate::{
    error::{query_error, sqlx_error, stopped_error, store_error},
    instant::{sqlite_text, storable},
};

/// How long stopping a statement may take.
const STOPPING: Duration = Duration::from_secs(5);

/// How long a statement that is to stop may still be at work before the server is told again.
const AGAIN: Duration = Duration::from_millis(200);

/// After how many steps of its machine SQLite is asked whether a statement takes too long.
const STEPS: i32 = 10_000;

/// Runs statements in one transaction. What was written is kept by [`commit`](Self::commit), else forgotten.
///
/// It stands in for SeaORM's own connections, for two reasons. On PostgreSQL its statements are unnamed, and each
/// session is one transaction, so that it works through PgBouncer in transaction mode: a named statement would be looked
/// for on whichever server connection comes next. On SQLite it writes instants with a fixed width, so that they sort.
pub(crate) struct Session(Inner);

enum Inner {
    Sqlite(Mutex<Transaction<'static, Sqlite>>),
    /// Shared with a statement that is being stopped, and where its server is.
    Postgres(Arc<Mutex<Transaction<'static, Postgres>>>, Arc<PgConnectOptions>),
}

impl Session {
    pub(crate) fn sqlite(transaction: Transaction<'static, Sqlite>) -> Self {
        Self(Inner::Sqlite(Mutex::new(transaction)))
    }

    /// `transaction` is one of `pool`.
    pub(crate) fn postgres(transaction: Transaction<'static, Postgres>, pool: &PgPool) -> Self {
        Self(Inner::Postgres(Arc::new(Mutex::new(transaction)), pool.connect_options()))
    }

    /// Keeps what was written, and ends the session.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self.0 {
            Inner::Sqlite(transaction) => transaction.into_inner().commit().await,
            Inner::Postgres(transaction, _) => match Arc::into_inner(transaction) {
                Some(transaction) => transaction.into_inner().commit().await,
                None => Err(abandoned()),
            },
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

    /// As [`rows`](Self::rows), of a statement that was put together.
    pub(crate) async fn rows_of(
        &self,
        sql: String,
        values: Vec<Value>,
    ) -> Result<Vec<QueryResult>, StoreError> {
        let statement = Statement::from_sql_and_values(self.get_database_backend(), sql, values);
        self.query_all_raw(statement).await.map_err(store_error)
    }

    /// As [`run`](Self::run), of a statement that was put together.
    pub(crate) async fn run_of(&self, sql: String, values: Vec<Value>) -> Result<u64, StoreError> {
        let statement = Statement::from_sql_and_values(self.get_database_backend(), sql, values);
        Ok(self.execute_raw(statement).await.map_err(store_error)?.rows_affected())
    }

    /// As [`rows_of`](Self::rows_of), of a statement that is stopped once it took so long, or nobody waits for it any more:
    /// a connection that is at work is of no use to others.
    pub(crate) async fn rows_within(
        &self,
        limit: Duration,
        sql: String,
        values: Vec<Value>,
    ) -> Result<Vec<QueryResult>, StoreError> {
        let statement = Statement::from_sql_and_values(self.get_database_backend(), sql, values);
        // Who waits for the rows holds one end.
        let (given_up, _waiting) = oneshot::channel::<Infallible>();
        let rows: Result<Vec<QueryResult>, sqlx::Error> = match &self.0 {
            Inner::Sqlite(it) => {
                let mut transaction = it.lock().await;
                let until = Instant::now() + limit;
                let mut handle = transaction.lock_handle().await.map_err(sqlx_error)?;
                let goes_on = move || !given_up.is_closed() && Instant::now() < until;
                handle.set_progress_handler(STEPS, goes_on);
                drop(handle);
                let rows = sqlite(statement).fetch_all(&mut **transaction).await;
                // If nobody waits for the rows any more, the pool does this.
                transaction.lock_handle().await.map_err(sqlx_error)?.remove_progress_handler();
                rows.map(|rows| rows.into_iter().map(QueryResult::from).collect())
            }
            Inner::Postgres(it, server) => {
                let work =
                    stoppable(Arc::clone(it), Arc::clone(server), limit, statement, given_up);
                // It goes on when it is given up, until the statement is stopped.
                let rows = tokio::spawn(work).await;
                let rows = rows.map_err(|error| StoreError::Unavailable(error.into()))?;
                rows.map(|rows| rows.into_iter().map(QueryResult::from).collect())
            }
        };
        rows.map_err(stopped_error)
    }

    /// Hands the rows of a statement that was put together to `take`, one after the other, until it has enough.
    pub(crate) async fn each(
        &self,
        sql: String,
        values: Vec<Value>,
        mut take: impl FnMut(&QueryResult) -> Result<ControlFlow<()>, StoreError> + Send,
    ) -> Result<(), StoreError> {
        let statement = Statement::from_sql_and_values(self.get_database_backend(), sql, values);
        match &self.0 {
            Inner::Sqlite(it) => {
                let mut transaction = it.lock().await;
                let mut rows = sqlite(statement).fetch(&mut **transaction);
                while let Some(row) = rows.try_next().await.map_err(sqlx_error)? {
                    if take(&row.into())?.is_break() {
                        break;
                    }
                }
            }
            Inner::Postgres(it, _) => {
                let mut transaction = it.lock().await;
                let mut rows = postgres(statement).fetch(&mut **transaction);
                while let Some(row) = rows.try_next().await.map_err(sqlx_error)? {
                    if take(&row.into())?.is_break() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn statement(&self, sql: &'static str, values: Vec<Value>) -> Statement {
        Statement::from_sql_and_values(self.get_database_backend(), sql, values)
    }
}

#[async_trait]
impl ConnectionTrait for Session {
    fn get_database_backend(&self) -> DbBackend {
        match self.0 {
            Inner::Sqlite(_) => DbBackend::Sqlite,
            Inner::Postgres(..) => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let done = match &self.0 {
            Inner::Sqlite(it) => {
                sqlite(statement).execute(&mut **it.lock().await).await.map(ExecResult::from)
            }
            Inner::Postgres(it, _) => {
                postgres(statement).execute(&mut **it.lock().await).await.map(ExecResult::from)
            }
        };
        done.map_err(query_error)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        let done = match &self.0 {
            Inner::Sqlite(it) => sql.execute(&mut **it.lock().await).await.map(ExecResult::from),
            Inner::Postgres(it, _) => {
                sql.execute(&mut **it.lock().await).await.map(ExecResult::from)
            }
        };
        done.map_err(query_error)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let row = match &self.0 {
            Inner::Sqlite(it) => sqlite(statement)
                .fetch_optional(&mut **it.lock().await)
                .await
                .map(|row| row.map(QueryResult::from)),
            Inner::Postgres(it, _) => postgres(statement)
                .fetch_optional(&mut **it.lock().await)
                .await
                .map(|row| row.map(QueryResult::from)),
        };
        row.map_err(query_error)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let rows = match &self.0 {
            Inner::Sqlite(it) => sqlite(statement)
                .fetch_all(&mut **it.lock().await)
                .await
                .map(|rows| rows.into_iter().map(QueryResult::from).collect()),
            Inner::Postgres(it, _) => postgres(statement)
                .fetch_all(&mut **it.lock().await)
                .await
                .map(|rows| rows.into_iter().map(QueryResult::from).collect()),
        };
        rows.map_err(query_error)
    }
}

/// The rows of `statement`, which is stopped at the `server` once it took as long as `limit` or is `given_up`.
///
/// Only then the transaction ends: a connection that was given back sooner would be waited for, and one that was closed
/// would leave the server at work.
async fn stoppable(
    transaction: Arc<Mutex<Transaction<'static, Postgres>>>,
    server: Arc<PgConnectOptions>,
    limit: Duration,
    statement: Statement,
    mut given_up: oneshot::Sender<Infallible>,
) -> Result<Vec<PgRow>, sqlx::Error> {
    let mut transaction = transaction.lock_owned().await;
    // 0 would be no limit. Who compiles a long condition for the processor hears of neither limit nor end meanwhile.
    let opening = format!(
        "SET LOCAL statement_timeout = {}; SET LOCAL jit = off; SELECT pg_backend_pid()",
        limit.as_millis().max(1)
    );
    let begun = sqlx::raw_sql(AssertSqlSafe(opening)).fetch_one(&mut **transaction).await?;
    let process: i32 = begun.try_get(0)?;
    let mut rows = pin!(postgres(statement).fetch_all(&mut **transaction));
    select! {
        rows = &mut rows => return rows,
        () = given_up.closed() => {}
    }
    let stopping = async {
        loop {
            stop(&server, process).await?;
            // One that the server had not begun with is not stopped by that.
            if timeout(AGAIN, &mut rows).await.is_ok() {
                return Ok::<_, sqlx::Error>(());
            }
        }
    };
    match timeout(STOPPING, stopping).await {
        Ok(Ok(())) => {}
        // It goes on until its limit.
        Ok(Err(error)) => tracing::debug!(%error, "a statement could not be stopped"),
        Err(_) => tracing::debug!("a statement could not be stopped in time"),
    }
    Err(abandoned())
}

fn abandoned() -> sqlx::Error {
    sqlx::Error::Protocol("a statement of the transaction was given up".to_owned())
}

/// Has `server` stop what its `process` is at. That takes another connection, which may be one too many for the pool.
async fn stop(server: &PgConnectOptions, process: i32) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(server).await?;
    let stop = sqlx::query("SELECT pg_cancel_backend($1)").persistent(false).bind(process);
    stop.execute(&mut connection).await?;
    connection.close().await
}

/// `statement` with its values, as SQLite keeps them.
pub(crate) fn sqlite(statement: Statement) -> Query<'static, Sqlite, SqlxValues> {
    let values = values(&statement, |value| match value {
        Value::TimeDateTimeWithTimeZone(Some(at)) => Value::String(Some(sqlite_text(at))),
        other => other,
    });
    sqlx::query_with(AssertSqlSafe(statement.sql), values)
}

fn postgres(statement: Statement) -> Query<'static, Postgres, SqlxValues> {
    let values = values(&statement, storable_value);
    sqlx::query_with(AssertSqlSafe(statement.sql), values).persistent(false)
}

/// `value` as PostgreSQL keeps it.
pub(crate) fn storable_value(value: Value) -> Value {
    match value {
        Value::TimeDateTimeWithTimeZone(Some(at)) => {
            Value::TimeDateTimeWithTimeZone(Some(storable(at)))
        }
        other => other,
    }
}

fn values(statement: &Statement, keep: impl Fn(Value) -> Value) -> SqlxValues {
    let values = statement.values.iter().flat_map(Values::iter).cloned().map(keep).collect();
    SqlxValues(Values(values))
}
