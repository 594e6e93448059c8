//! Generations: swapping them, and discarding one that was never seen.

use linkspan_domain::ports::StoreError;
use linkspan_sdk::Finish;
use sqlx::SqliteConnection;
use time::OffsetDateTime;

use super::super::{
    parts::FORGET,
    stream::{self, StreamRow},
};
use crate::{error::sqlx_error, instant::microseconds};

/// Puts what a full load staged in place, as `generation`, and sees to what the load did not meet. Answers how many records were buried.
pub(super) async fn swap(
    tx: &mut SqliteConnection,
    row: &StreamRow,
    generation: i32,
    finish: &Finish,
) -> Result<u64, StoreError> {
    let mut deleted = 0;
    if row.has_readers() {
        write(tx, row, APPLY, generation, finish.now).await?;
        run_on_stream(tx, row, REFRESH).await?;
        deleted = sweep(tx, row, generation, finish).await?;
        clear(tx, row).await?;
    }
    Ok(deleted)
}

/// Buries what the load did not meet or, where such records stay for a while, what it has not met for long enough.
/// Answers how many were buried.
async fn sweep(
    tx: &mut SqliteConnection,
    row: &StreamRow,
    generation: i32,
    finish: &Finish,
) -> Result<u64, StoreError> {
    let now = finish.now;
    let deleted = match finish.retention.stale {
        None => write(tx, row, BURY, generation, now).await?,
        Some(days) => {
            let done = sqlx::query(EXPIRE)
                .bind(row.pk)
                .bind(row.run_pk)
                .bind(generation)
                .bind(microseconds(now))
                .bind(microseconds(now - days.duration()))
                .execute(&mut *tx)
                .await
                .map_err(sqlx_error)?;
            sqlx::query(MARK)
                .bind(row.pk)
                .bind(generation)
                .bind(microseconds(now))
                .execute(&mut *tx)
                .await
                .map_err(sqlx_error)?;
            done.rows_affected()
        }
    };
    Ok(deleted)
}

/// Runs a statement about stream, run, generation and now. Answers how many records it was about.
async fn write(
    tx: &mut SqliteConnection,
    row: &StreamRow,
    statement: &'static str,
    generation: i32,
    now: OffsetDateTime,
) -> Result<u64, StoreError> {
    let done = sqlx::query(statement)
        .bind(row.pk)
        .bind(row.run_pk)
        .bind(generation)
        .bind(microseconds(now))
        .execute(tx)
        .await
        .map_err(sqlx_error)?;
    Ok(done.rows_affected())
}

const APPLY: &str = "\
    UPDATE records SET payload = c.payload, hash = c.hash, run_pk = $2, generation = $3, \
        added_generation = CASE WHEN deleted_at IS NULL THEN added_generation ELSE $3 END, \
        last_seen_at = $4, stale_since = NULL, deleted_at = NULL \
    FROM staged_records c \
    WHERE c.stream_pk = $1 AND records.stream_pk = $1 AND records.key = c.key";

/// Of the stale ones, those that were met. It begins with the stale ones: a key behind a `+` is not looked up.
const REFRESH: &str = "\
    UPDATE records SET stale_since = NULL \
    WHERE stream_pk = $1 AND stale_since IS NOT NULL AND +key IN (\
        SELECT seen.value FROM seen_records s, json_each(s.keys) seen WHERE s.stream_pk = $1)";

/// Which records a load did not meet, after `$what` of the stream `$1`.
macro_rules! unmet_sql {
    ($what:literal) => {
        concat!(
            $what,
            " AND deleted_at IS NULL AND key NOT IN (",
            "SELECT seen.value FROM seen_records s, json_each(s.keys) seen WHERE s.stream_pk = $1)"
        )
    };
}

const BURY: &str = unmet_sql!(
    "UPDATE records SET deleted_at = $4, stale_since = NULL, run_pk = $2, generation = $3 \
    WHERE stream_pk = $1 AND generation < $3"
);

/// What is still stale was not met.
const EXPIRE: &str = "\
    UPDATE records SET deleted_at = $4, stale_since = NULL, run_pk = $2, generation = $3 \
    WHERE stream_pk = $1 AND stale_since <= $5";

/// No change of the record: its generation stays. When it was last met by a full load is kept now, since the stream forgets.
const MARK: &str = unmet_sql!(
    "UPDATE records SET stale_since = $3, last_seen_at = max(last_seen_at, \
        coalesce((SELECT m.met_all_at FROM workspace_connector_streams m WHERE m.pk = $1), 0)) \
    WHERE stream_pk = $1 AND generation < $2 AND stale_since IS NULL"
);

/// Removes what an unfinished load of another run left: nobody has seen it.
pub(super) async fn discard(
    tx: &mut SqliteConnection,
    row: &StreamRow,
    beyond: i32,
) -> Result<(), StoreError> {
    sqlx::query(stream::discard_sql(beyond))
        .bind(row.pk)
        .bind(beyond)
        .execute(&mut *tx)
        .await
        .map_err(sqlx_error)?;
    forget(tx, row).await?;
    clear(tx, row).await?;
    run_on_stream(tx, row, stream::FORGET_LOADED).await
}

/// Forgets how the run split the stream.
async fn forget(tx: &mut SqliteConnection, row: &StreamRow) -> Result<(), StoreError> {
    sqlx::query(FORGET)
        .bind(row.run_pk)
        .bind(i64::from(row.pk))
        .execute(tx)
        .await
        .map_err(sqlx_error)?;
    Ok(())
}

/// Forgets what waited for a swap.
async fn clear(tx: &mut SqliteConnection, row: &StreamRow) -> Result<(), StoreError> {
    for statement in [
        "DELETE FROM staged_records WHERE stream_pk = $1",
        "DELETE FROM seen_records WHERE stream_pk = $1",
    ] {
        run_on_stream(tx, row, statement).await?;
    }
    Ok(())
}

async fn run_on_stream(
    tx: &mut SqliteConnection,
    row: &StreamRow,
    statement: &'static str,
) -> Result<(), StoreError> {
    sqlx::query(statement).bind(row.pk).execute(tx).await.map_err(sqlx_error)?;
    Ok(())
}
