//! The changes of streams and the change feeds of workspaces.

use futures_util::TryStreamExt;
use linkspan_domain::{StreamName, WorkspaceConnectorId, WorkspaceId, ports::StoreError};
use linkspan_sdk::{ChangesQuery, FeedPage, FeedQuery, RecordChange};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    super::{
        feed::{
            ADD_ENTRY, ENTRIES, ENTRIES_POSTGRES, Entry, EntryColumns, Found, From, NEWEST_ENTRY,
            NEXT_ENTRY, Paging, Span, span_sql,
        },
        stream::{StreamRow, small},
    },
    reading::{begin, look, record},
};
use crate::error::sqlx_error;

/// Makes `generation` the next entry of the workspace's feed. Best late in a transaction: others wait for it.
pub(super) async fn publish(
    tx: &mut PgConnection,
    row: &StreamRow,
    generation: i32,
) -> Result<(), StoreError> {
    sqlx::query(NEXT_ENTRY)
        .bind(i64::from(row.pk))
        .persistent(false)
        .execute(&mut *tx)
        .await
        .map_err(sqlx_error)?;
    sqlx::query(ADD_ENTRY)
        .bind(i64::from(row.pk))
        .bind(generation)
        .persistent(false)
        .execute(tx)
        .await
        .map_err(sqlx_error)?;
    Ok(())
}

pub(super) async fn of_stream(
    pool: &PgPool,
    query: &ChangesQuery,
) -> Result<Vec<RecordChange>, StoreError> {
    let mut tx = begin(pool).await?;
    let Some((pk, generation, _)) = look(&mut tx, query.activation, query.stream.as_str()).await?
    else {
        return Ok(Vec::new());
    };
    let from = From::of(&query.after)?;
    let span = Span { from, until: generation };
    let found = read(&mut tx, pk, &span, i64::from(query.limit), query.bytes).await?;
    Ok(found.into_iter().map(|it| it.into_change(span.from.met())).collect())
}

pub(super) async fn of_workspace(pool: &PgPool, query: &FeedQuery) -> Result<FeedPage, StoreError> {
    let mut tx = begin(pool).await?;
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

async fn newest(tx: &mut PgConnection, workspace: WorkspaceId) -> Result<i64, StoreError> {
    let newest: Option<i64> = sqlx::query_scalar(NEWEST_ENTRY)
        .bind(workspace.uuid())
        .persistent(false)
        .fetch_optional(tx)
        .await
        .map_err(sqlx_error)?;
    Ok(newest.unwrap_or(0))
}

async fn entries(tx: &mut PgConnection, query: &FeedQuery) -> Result<Vec<Entry>, StoreError> {
    let found: Vec<EntryColumns> = sqlx::query_as(ENTRIES_POSTGRES)
        .bind(query.workspace.uuid())
        .bind(Paging::first_entry(&query.after))
        .bind(i64::try_from(ENTRIES).unwrap_or(i64::MAX))
        .bind(query.activation.map(WorkspaceConnectorId::uuid))
        .bind(query.stream.as_ref().map(StreamName::as_str))
        .persistent(false)
        .fetch_all(tx)
        .await
        .map_err(sqlx_error)?;
    found.into_iter().map(Entry::from_columns).collect()
}

async fn read(
    tx: &mut PgConnection,
    stream_pk: i64,
    span: &Span,
    limit: i64,
    mut bytes: usize,
) -> Result<Vec<Found>, StoreError> {
    type Columns = (
        String,
        String,
        Vec<u8>,
        Option<Uuid>,
        OffsetDateTime,
        OffsetDateTime,
        Option<OffsetDateTime>,
        Option<OffsetDateTime>,
        i32,
        i32,
    );
    let (operator, generation, key) = span.from.bound();
    let statement = AssertSqlSafe(span_sql("r.payload::text", operator));
    let mut rows = sqlx::query_as::<_, Columns>(statement)
        .bind(small(stream_pk)?)
        .bind(generation)
        .bind(key)
        .bind(span.until)
        .bind(limit)
        .persistent(false)
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
