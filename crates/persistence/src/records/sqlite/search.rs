//! Looking for records by what they say.

use linkspan_domain::ports::StoreError;
use linkspan_sdk::{RecordSearch, SearchPage};
use sea_orm::Values;
use sea_query_sqlx::SqlxValues;
use sqlx::{AssertSqlSafe, SqliteConnection, SqlitePool};

use super::{
    super::{
        predicate::Dialect,
        search::{Next, Place, Searching, Sql, StreamColumns, places},
    },
    reading::{RecordColumns, record},
};
use crate::error::sqlx_error;

const COLUMNS: &str = "r.key, r.payload, r.hash, l.workspace_connector_sync_log_id, \
    r.first_seen_at, r.last_seen_at, r.stale_since, r.deleted_at";

pub(super) async fn search(
    pool: &SqlitePool,
    search: &RecordSearch,
) -> Result<SearchPage, StoreError> {
    let mut tx = pool.begin().await.map_err(sqlx_error)?;
    let places = fetch::<StreamColumns>(&mut tx, places(search)).await?;
    let places: Result<Vec<_>, _> = places.into_iter().map(Place::from_columns).collect();
    let places = places?;
    let mut searching = Searching::new(Dialect::Sqlite, search);
    'streams: for place in &places {
        let mut fetched = None;
        loop {
            let sql = match searching.next(COLUMNS, place, fetched)? {
                Next::Fetch(sql) => sql,
                Next::Leave => break,
                Next::Stop => break 'streams,
            };
            let found = fetch::<RecordColumns>(&mut tx, sql).await?;
            fetched = Some(found.len());
            for columns in found {
                searching.ask(place, record(columns, place.met_all_at)?)?;
            }
        }
    }
    Ok(searching.finish(&places))
}

async fn fetch<T>(tx: &mut SqliteConnection, sql: Sql) -> Result<Vec<T>, StoreError>
where
    T: for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> + Send + Unpin,
{
    let values = SqlxValues(Values(sql.values));
    let statement = sqlx::query_as_with(AssertSqlSafe(sql.text), values);
    statement.fetch_all(tx).await.map_err(sqlx_error)
}
