//! The changes of streams and the change feeds of workspaces.

use futures_util::TryStreamExt;
use linkspan_domain::{StreamName, WorkspaceConnectorId, WorkspaceId, ports::StoreError};
use linkspan_sdk::{ChangesQuery, FeedPage, FeedQuery, RecordChange};
use sqlx::{AssertSqlSafe, SqliteConnection, SqlitePool};
use uuid::Uuid;

use super::{
    super::{
        feed::{
            ADD_ENTRY, ENTRIES, ENTRIES_SQLITE, Entry, EntryColumns, Found, From, NEWEST_ENTRY,
            NEXT_ENTRY, Paging, Span, span_sql,
        },
        stream::{StreamRow, small},
    },
    reading::{look, record},
};
use crate::error::sqlx_error;

/// Makes `generation` the next entry of the workspace's feed. Best late in a transaction: others wait for it.
pub(super) async fn publish(
    tx: &mut SqliteConnection,
    row: &StreamRow,
    generation: i32,
) -> Result<(), StoreError> {
    sqlx::query(NEXT_ENTRY).bind(i64::from(row.pk)).execute(&mut *tx).await.map_err(sqlx_error)?;
    sqlx::query(ADD_ENTRY)
        .bind(i64::from(row.pk))
        .bind(generation)
        .execute(tx)
        .await
        .map_err(sqlx_error)?;
    Ok(())
}

pub(super) async fn of_stream(
    pool: &SqlitePool,
    query: &ChangesQuery,
) -> Result<Vec<RecordChange>, StoreError> {
    let mut tx = pool.begin().await.map_err(sqlx_error)?;
    let Some((pk, generation, _)) = look(&mut tx, query.activation, query.stream.as_str()).await?
    else {
        return Ok(Vec::new());
    };
    let from = From::of(&query.after)?;
    let span = Span { from, until: generation };
    let found = read(&mut tx, pk, &span, i64::from(query.limit), query.bytes).await?;
    Ok(found.into_iter().map(|it| it.into_change(span.from.met())).collect())
}

pub(super) async fn of_workspace(
    pool: &SqlitePool,
    query: &FeedQuery,
) -> Result<FeedPage, StoreError> {
    let mut tx = pool.begin().await.map_err(sqlx_error)?;
    let newest = newest(&mut tx, query.workspace).await?;
    let entries = entries(&mut tx, query).await?;
    let mut paging = Paging::new(query);
    for entry in &entries {
        if paging.room() == 0 {
            break;
        }
        let span = entry.span(&query.after);
        let limit = i64::try_from(paging.room()).unwrap_or(i64::MAX);
        paging.take(entry, read(&mut tx, entry.stream_pk, &span, limit, usize::MAX).await?);
    }
    Ok(paging.finish(newest, entries.len()))
}

async fn newest(tx: &mut SqliteConnection, workspace: WorkspaceId) -> Result<i64, StoreError> {
    let newest: Option<i64> = sqlx::query_scalar(NEWEST_ENTRY)
        .bind(workspace.uuid())
        .fetch_optional(tx)
        .await
        .map_err(sqlx_error)?;
    Ok(newest.unwrap_or(0))
}

async fn entries(tx: &mut SqliteConnection, query: &FeedQuery) -> Result<Vec<Entry>, StoreError> {
    let found: Vec<EntryColumns> = sqlx::query_as(ENTRIES_SQLITE)
        .bind(query.workspace.uuid())
        .bind(Paging::first_entry(&query.after))
        .bind(i64::try_from(ENTRIES).unwrap_or(i64::MAX))
        .bind(query.activation.map(WorkspaceConnectorId::uuid))
        .bind(query.stream.as_ref().map(StreamName::as_str))
        .fetch_all(tx)
        .await
        .map_err(sqlx_error)?;
    found.into_iter().map(Entry::from_columns).collect()
}

async fn read(
    tx: &mut SqliteConnection,
    stream_pk: i64,
    span: &Span,
    limit: i64,
    mut bytes: usize,
) -> Result<Vec<Found>, StoreError> {
    type Columns =
        (String, String, Vec<u8>, Option<Uuid>, i64, i64, Option<i64>, Option<i64>, i32, i32);
    let (operator, generation, key) = span.from.bound();
    let statement = AssertSqlSafe(span_sql("r.payload", operator));
    let mut rows = sqlx::query_as::<_, Columns>(statement)
        .bind(small(stream_pk)?)
        .bind(generation)
        .bind(key)
        .bind(span.until)
        .bind(limit)
        .fetch(tx);
    let mut found = Vec::new();
    while let Some(columns) = rows.try_next().await.map_err(sqlx_error)? {
        let (key, payload, hash, run, first, last, stale, deleted, generation, added_generation) =
            columns;
        bytes = bytes.saturating_sub(payload.len());
        let record = record((key, payload, hash, run, first, last, stale, deleted), None)?;
        found.push(Found { record, generation, added_generation });
        if bytes == 0 {
            break;
        }
    }
    Ok(found)
}
