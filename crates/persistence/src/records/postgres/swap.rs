//! Generations: swapping them, and discarding one that was never seen.

use linkspan_domain::ports::StoreError;
use linkspan_sdk::Finish;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{
    super::{
        parts::FORGET,
        stream::{self, StreamRow},
    },
    commit::over_sql,
};
use crate::error::sqlx_error;

/// Puts what a full load staged in place, as `generation`, and sees to what the load did not meet. Answers how many records were buried.
pub(super) async fn swap(
    tx: &mut PgConnection,
    row: &StreamRow,
    generation: i32,
    finish: &Finish,
) -> Result<u64, StoreError> {
    let mut deleted = 0;
    if row.has_readers() {
        sqlx::raw_sql(NO_NESTED_LOOPS).execute(&mut *tx).await.map_err(sqlx_error)?;
        write(tx, row, APPLY, generation, finish.now).await?;
        run_on_stream(tx, row, REFRESH).await?;
        deleted = sweep(tx, row, generation, finish).await?;
        clear(tx, row).await?;
        sqlx::raw_sql(ANY_LOOPS).execute(&mut *tx).await.map_err(sqlx_error)?;
    }
    Ok(deleted)
}

/// Buries what the load did not meet or, where such records stay for a while, what it has not met for long enough.
/// Answers how many were buried.
async fn sweep(
    tx: &mut PgConnection,
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
                .bind(now)
                .bind(now - days.duration())
                .persistent(false)
                .execute(&mut *tx)
                .await
                .map_err(sqlx_error)?;
            sqlx::query(MARK)
                .bind(row.pk)
                .bind(generation)
                .bind(now)
                .persistent(false)
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
    tx: &mut PgConnection,
    row: &StreamRow,
    statement: &'static str,
    generation: i32,
    now: OffsetDateTime,
) -> Result<u64, StoreError> {
    let done = sqlx::query(statement)
        .bind(row.pk)
        .bind(row.run_pk)
        .bind(generation)
        .bind(now)
        .persistent(false)
        .execute(tx)
        .await
        .map_err(sqlx_error)?;
    Ok(done.rows_affected())
}

/// The planner takes a list of keys in an array for a short one, and would go through it again for each record.
const NO_NESTED_LOOPS: &str = "SET LOCAL enable_nestloop = off";
const ANY_LOOPS: &str = "SET LOCAL enable_nestloop TO DEFAULT";

/// An insert whose rows are all there: unlike an update it is no join, which the planner could get wrong.
const APPLY: &str = concat!(
    "INSERT INTO records ",
    "(run_pk, first_seen_at, last_seen_at, stream_pk, generation, added_generation, hash, key, ",
    "payload) ",
    "SELECT $2, $4, $4, $1, $3, $3, c.hash, c.key, c.payload ",
    "FROM staged_records c WHERE c.stream_pk = $1 ",
    over_sql!()
);

/// Of the stale ones, those that were met. Where there are none, it does not look further.
const REFRESH: &str = "\
    UPDATE records r SET stale_since = NULL \
    WHERE r.stream_pk = $1 AND r.stale_since IS NOT NULL \
        AND EXISTS (SELECT FROM records o WHERE o.stream_pk = $1 AND o.stale_since IS NOT NULL) \
        AND r.key IN (SELECT unnest(s.keys) FROM seen_records s WHERE s.stream_pk = $1)";

/// Which records a load did not meet, after `$what` of the stream `$1`.
macro_rules! unmet_sql {
    ($what:literal) => {
        concat!(
            $what,
            " AND r.deleted_at IS NULL AND NOT EXISTS (",
            "SELECT FROM (SELECT unnest(s.keys) AS key FROM seen_records s WHERE s.stream_pk = $1) AS seen ",
            "WHERE seen.key = r.key)"
        )
    };
}

const BURY: &str = unmet_sql!(
    "UPDATE records r SET deleted_at = $4, stale_since = NULL, run_pk = $2, generation = $3 \
    WHERE r.stream_pk = $1 AND r.generation < $3"
);

/// What is still stale was not met.
const EXPIRE: &str = "\
    UPDATE records SET deleted_at = $4, stale_since = NULL, run_pk = $2, generation = $3 \
    WHERE stream_pk = $1 AND stale_since <= $5";

/// No change of the record: its generation stays. When it was last met by a full load is kept now, since the stream forgets.
const MARK: &str = unmet_sql!(
    "UPDATE records r SET stale_since = $3, last_seen_at = greatest(r.last_seen_at, \
        (SELECT timestamptz 'epoch' + m.met_all_at * interval '1 microsecond' \
            FROM workspace_connector_streams m WHERE m.pk = $1)) \
    WHERE r.stream_pk = $1 AND r.generation < $2 AND r.stale_since IS NULL"
);

/// Removes what an unfinished load of another run left: nobody has seen it.
pub(super) async fn discard(
    tx: &mut PgConnection,
    row: &StreamRow,
    beyond: i32,
) -> Result<(), StoreError> {
    sqlx::query(stream::discard_sql(beyond))
        .bind(row.pk)
        .bind(beyond)
        .persistent(false)
        .execute(&mut *tx)
        .await
        .map_err(sqlx_error)?;
    forget(tx, row).await?;
    clear(tx, row).await?;
    run_on_stream(tx, row, stream::FORGET_LOADED).await
}

/// Forgets how the run split the stream.
async fn forget(tx: &mut PgConnection, row: &StreamRow) -> Result<(), StoreError> {
    sqlx::query(FORGET)
        .bind(row.run_pk)
        .bind(i64::from(row.pk))
        .persistent(false)
        .execute(tx)
        .await
        .map_err(sqlx_error)?;
    Ok(())
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
