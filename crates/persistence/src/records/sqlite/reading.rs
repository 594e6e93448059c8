//! Reading records back from SQLite.

use linkspan_domain::{Deleted, SyncLogId, WorkspaceConnectorId, ports::StoreError};
use linkspan_sdk::{ContentHash, QuarantineQuery, Quarantined, Record, RecordQuery, StreamCounts};
use serde_json::value::RawValue;
use sqlx::{AssertSqlSafe, SqliteConnection, SqlitePool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::stream::{self, small};
use crate::{
    error::{corrupt, sqlx_error},
    instant::from_microseconds,
    number::unsigned,
};

pub(super) type RecordColumns =
    (String, String, Vec<u8>, Option<Uuid>, i64, i64, Option<i64>, Option<i64>);

pub(super) async fn page(
    pool: &SqlitePool,
    query: &RecordQuery,
) -> Result<Vec<Record>, StoreError> {
    let mut tx = pool.begin().await.map_err(sqlx_error)?;
    let Some((pk, generation, met_all_at)) =
        look(&mut tx, query.activation, query.stream.as_str()).await?
    else {
        return Ok(Vec::new());
    };
    let deleted = match query.deleted {
        Deleted::Hidden => " AND r.deleted_at IS NULL",
        Deleted::Shown => "",
    };
    let behind = if query.after.is_some() { " AND r.key > $4" } else { "" };
    let sql = format!(
        "SELECT r.key, r.payload, r.hash, l.workspace_connector_sync_log_id, \
            r.first_seen_at, r.last_seen_at, r.stale_since, r.deleted_at \
         FROM records r LEFT JOIN workspace_connector_sync_logs l ON l.pk = r.run_pk \
         WHERE r.stream_pk = $1 AND r.generation <= $2{deleted}{behind} ORDER BY r.key LIMIT $3"
    );
    let mut statement = sqlx::query_as(AssertSqlSafe(sql))
        .bind(small(pk)?)
        .bind(generation)
        .bind(i64::from(query.limit));
    if let Some(after) = &query.after {
        statement = statement.bind(after);
    }
    let found: Vec<RecordColumns> = statement.fetch_all(&mut *tx).await.map_err(sqlx_error)?;
    let met_all_at = met_all_at.map(from_microseconds).transpose()?;
    found.into_iter().map(|columns| record(columns, met_all_at)).collect()
}

pub(super) fn record(
    columns: RecordColumns,
    met_all_at: Option<OffsetDateTime>,
) -> Result<Record, StoreError> {
    let (key, payload, hash, run, first_seen_at, last_seen_at, stale_since, deleted_at) = columns;
    let last_seen_at = from_microseconds(last_seen_at)?;
    let is_fresh = stale_since.is_none() && deleted_at.is_none();
    let met_at = met_all_at.filter(|_| is_fresh).unwrap_or(last_seen_at);
    Ok(Record {
        key,
        payload: RawValue::from_string(payload).map_err(corrupt)?,
        hash: ContentHash::from_bytes(
            hash.try_into().map_err(|_| corrupt("a content hash of another length"))?,
        ),
        run: run.map(SyncLogId::from_uuid),
        first_seen_at: from_microseconds(first_seen_at)?,
        last_seen_at: last_seen_at.max(met_at),
        stale_since: stale_since.map(from_microseconds).transpose()?,
        deleted_at: deleted_at.map(from_microseconds).transpose()?,
    })
}

pub(super) async fn quarantined(
    pool: &SqlitePool,
    query: &QuarantineQuery,
) -> Result<Vec<Quarantined>, StoreError> {
    type Columns = (i64, Option<String>, String, String, Option<Uuid>, i64, i64);
    let mut tx = pool.begin().await.map_err(sqlx_error)?;
    let Some((pk, ..)) = look(&mut tx, query.activation, query.stream.as_str()).await? else {
        return Ok(Vec::new());
    };
    let found: Vec<Columns> = sqlx::query_as(stream::QUARANTINED)
        .bind(small(pk)?)
        .bind(query.after.unwrap_or(0))
        .bind(i64::from(query.limit))
        .fetch_all(&mut *tx)
        .await
        .map_err(sqlx_error)?;
    found
        .into_iter()
        .map(|(position, key, payload, reason, run, first, last)| {
            Ok(Quarantined {
                position,
                key,
                payload,
                reason,
                run: run.map(SyncLogId::from_uuid),
                first_seen_at: from_microseconds(first)?,
                last_seen_at: from_microseconds(last)?,
            })
        })
        .collect()
}

pub(super) async fn counts(
    pool: &SqlitePool,
    activation: WorkspaceConnectorId,
) -> Result<Vec<StreamCounts>, StoreError> {
    let found: Vec<(String, i64, i64)> = sqlx::query_as(stream::COUNTS)
        .bind(activation.uuid())
        .fetch_all(pool)
        .await
        .map_err(sqlx_error)?;
    found
        .into_iter()
        .map(|(name, records, quarantined)| {
            Ok(StreamCounts {
                stream: name.parse().map_err(corrupt)?,
                records: unsigned(records),
                quarantined: unsigned(quarantined),
            })
        })
        .collect()
}

/// Key, generation that readers see, and when all records were last met.
pub(super) async fn look(
    connection: &mut SqliteConnection,
    activation: WorkspaceConnectorId,
    name: &str,
) -> Result<Option<(i64, i32, Option<i64>)>, StoreError> {
    sqlx::query_as(stream::LOOK)
        .bind(activation.uuid())
        .bind(name)
        .fetch_optional(connection)
        .await
        .map_err(sqlx_error)
}
