//! Generations: swapping them, and discarding one that was never seen.

use linkspan_domain::ports::StoreError;
use sqlx::SqliteConnection;
use time::OffsetDateTime;

use super::{
    super::stream::{self, StreamRow},
    changes::publish,
    parts::forget,
};
use crate::{error::sqlx_error, instant::microseconds, number::signed};

/// Lets readers see `generation`, and buries what it does not have.
pub(super) async fn swap(
    tx: &mut SqliteConnection,
    row: &StreamRow,
    generation: i32,
    now: OffsetDateTime,
) -> Result<u64, StoreError> {
    let mut deleted = 0;
    if row.has_readers() {
        // What is buried is counted: it comes last.
        for statement in [APPLY, BURY] {
            let done = sqlx::query(statement)
                .bind(row.pk)
                .bind(row.run_pk)
                .bind(generation)
                .bind(microseconds(now))
                .execute(&mut *tx)
                .await
                .map_err(sqlx_error)?;
            deleted = done.rows_affected();
        }
        clear(tx, row).await?;
    }
    sqlx::query(stream::RELEASE)
        .bind(row.pk)
        .bind(row.run_pk)
        .execute(&mut *tx)
        .await
        .map_err(sqlx_error)?;
    sqlx::query(stream::SWAP)
        .bind(row.pk)
        .bind(generation)
        .bind(signed(deleted))
        .bind(microseconds(now))
        .execute(&mut *tx)
        .await
        .map_err(sqlx_error)?;
    publish(tx, row, generation).await?;
    forget(tx, row).await?;
    Ok(deleted)
}

const APPLY: &str = "\
    UPDATE records SET payload = c.payload, hash = c.hash, run_pk = $2, generation = $3, \
        added_generation = CASE WHEN deleted_at IS NULL THEN added_generation ELSE $3 END, \
        last_seen_at = $4, deleted_at = NULL \
    FROM staged_records c \
    WHERE c.stream_pk = $1 AND records.stream_pk = $1 AND records.key = c.key";

const BURY: &str = "\
    UPDATE records SET deleted_at = $4, run_pk = $2, generation = $3 \
    WHERE stream_pk = $1 AND generation < $3 AND deleted_at IS NULL AND key NOT IN (\
        SELECT seen.value FROM seen_records s, json_each(s.keys) seen WHERE s.stream_pk = $1)";

/// Removes what an unfinished load of another run left: nobody has seen it.
pub(super) async fn discard(
    tx: &mut SqliteConnection,
    row: &StreamRow,
    beyond: i32,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM records WHERE stream_pk = $1 AND generation > $2")
        .bind(row.pk)
        .bind(beyond)
        .execute(&mut *tx)
        .await
        .map_err(sqlx_error)?;
    clear(tx, row).await?;
    run_on_stream(tx, row, stream::FORGET_LOADED).await
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
