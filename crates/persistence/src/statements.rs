//! Single statements, each a transaction of its own.

use linkspan_domain::ports::StoreError;
use sea_orm::{DbBackend, QueryResult, Statement, Value};
use sqlx::{AssertSqlSafe, SqlitePool, raw_sql};

use crate::{
    database::{Database, Pools},
    error::sqlx_error,
    session::{sqlite, storable_value},
};

/// On PostgreSQL each takes one round trip, where a session with one statement takes four. The values stand in the statement
/// itself: one that is prepared before it is run may be gone by then, behind PgBouncer in transaction mode.
impl Database {
    /// The rows that `sql`, which only reads, finds with `values`.
    pub(crate) async fn select(
        &self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<QueryResult>, StoreError> {
        match self.pools() {
            Pools::Sqlite { readers, .. } => fetch(readers, sql, values).await,
            Pools::Postgres(_) => self.returned(sql, values).await,
        }
    }

    /// Writes by `sql` with `values`. Answers how many rows that was about.
    pub(crate) async fn apply(
        &self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<u64, StoreError> {
        match self.pools() {
            Pools::Sqlite { writer, .. } => {
                let statement = Statement::from_sql_and_values(DbBackend::Sqlite, sql, values);
                sqlite(statement).execute(writer).await.map(|it| it.rows_affected())
            }
            Pools::Postgres(pool) => {
                raw_sql(inlined(sql, values)).execute(pool).await.map(|it| it.rows_affected())
            }
        }
        .map_err(sqlx_error)
    }

    /// Writes by `sql` with `values`. Answers the rows that it returns.
    pub(crate) async fn returned(
        &self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<QueryResult>, StoreError> {
        match self.pools() {
            Pools::Sqlite { writer, .. } => fetch(writer, sql, values).await,
            Pools::Postgres(pool) => {
                let rows = raw_sql(inlined(sql, values)).fetch_all(pool).await;
                Ok(rows.map_err(sqlx_error)?.into_iter().map(QueryResult::from).collect())
            }
        }
    }
}

async fn fetch(
    pool: &SqlitePool,
    sql: &'static str,
    values: Vec<Value>,
) -> Result<Vec<QueryResult>, StoreError> {
    let statement = Statement::from_sql_and_values(DbBackend::Sqlite, sql, values);
    let rows = sqlite(statement).fetch_all(pool).await.map_err(sqlx_error)?;
    Ok(rows.into_iter().map(QueryResult::from).collect())
}

/// `sql` with `values` in the place of its parameters, quoted by SeaQuery.
fn inlined(sql: &'static str, values: Vec<Value>) -> AssertSqlSafe<String> {
    let values = values.into_iter().map(storable_value);
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    AssertSqlSafe(statement.to_string())
}
