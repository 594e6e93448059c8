//! Generations: swapping them, and discarding one that was never seen.

use linkspan_domain::ports::StoreError;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{
    super::stream::{self, StreamRow},
    changes::publish,
    parts::forget,
};
use crate::{error::sqlx_error, instant::microseconds, number::signed};

/// Lets readers see `generation`, and buries what it does not have.
pub(super) async fn swap(
    tx: &mut PgConnection,
    row: &StreamRow,
    generation: i32,
    now: OffsetDateTime,
) -> Result<u64, StoreError> {
    let mut deleted = 0;
    if row.has_readers() {
        sqlx::raw_sql(NO_NESTED_LOOPS).execute(&mut *tx).await.map_err(sqlx_error)?;
        // What is buried is counted: it comes last.
        for statement in [APPLY, BURY] {
            let done = sqlx::query(statement)
                .bind(row.pk)
                .bind(row.run_pk)
                .bind(generation)
                .bind(now)
                .persistent(false)
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
        .persistent(false)
        .execute(&mut *tx)
        .await
        .map_err(sqlx_error)?;
    sqlx::query(stream::SWAP)
        .bind(i64::from(row.pk))
        .bind(generation)
        .bind(signed(deleted))
        .bind(microseconds(now))
        .persistent(false)
        .execute(&mut *tx)
        .await
        .map_err(sqlx_error)?;
    publish(tx, row, generation).await?;
    forget(tx, row).await?;
    Ok(deleted)
}

/// The planner takes a list of keys in an array for a short one, and would go through it again for each record.
const NO_NESTED_LOOPS: &str = "SET LOCAL enable_nestloop = off";

/// An insert whose rows are all there: unlike an update it is no join, which the planner could get wrong.
const APPLY: &str = "\
    INSERT INTO records \
        (run_pk, first_seen_at, last_seen_at, stream_pk, generation, added_generation, hash, key, \
            payload) \
    SELECT $2, $4, $4, $1, $3, $3, c.hash, c.key, c.payload \
    FROM staged_records c WHERE c.stream_pk = $1 \
    ON CONFLICT (stream_pk, key) DO UPDATE SET payload = excluded.payload, hash = excluded.hash, \
        run_pk = excluded.run_pk, generation = excluded.generation, \
        added_generation = CASE WHEN records.deleted_at IS NULL \
            THEN records.added_generation ELSE excluded.added_generation END, \
        last_seen_at = excluded.last_seen_at, deleted_at = NULL";

const BURY: &str = "\
    UPDATE records r SET deleted_at = $4, run_pk = $2, generation = $3 \
    WHERE r.stream_pk = $1 AND r.generation < $3 AND r.deleted_at IS NULL AND NOT EXISTS (\
        SELECT FROM (SELECT unnest(s.keys) AS key FROM seen_records s WHERE s.stream_pk = $1) AS seen \
        WHERE seen.key = r.key)";

/// Removes what an unfinished load of another run left: nobody has seen it.
pub(super) async fn discard(
    tx: &mut PgConnection,
    row: &StreamRow,
    beyond: i32,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM records WHERE stream_pk = $1 AND generation > $2")
        .bind(row.pk)
        .bind(beyond)
        .persistent(false)
        .execute(&mut *tx)
        .await
        .map_err(sqlx_error)?;
    clear(tx, row).await?;
    run_on_stream(tx, row, stream::FORGET_LOADED).await
}

/// Forgets what waited for a swap.
async fn clear(tx: &mut PgConnection, row: &StreamRow) -> Result<(), StoreError> {
    for statement in [
        "DELETE FROM staged_records WHERE stream_pk = $1",
        "DELETE FROM seen_records WHERE stream_pk = $1",
    ] {
        run_on_stream(tx, row, statement).await?;
    }
    Ok(())
}

async fn run_on_stream(
    tx: &mut PgConnection,
    row: &StreamRow,
    statement: &'static str,
) -> Result<(), StoreError> {
    sqlx::query(statement)
        .bind(i64::from(row.pk))
        .persistent(false)
        .execute(tx)
        .await
        .map_err(sqlx_error)?;
    Ok(())
}
