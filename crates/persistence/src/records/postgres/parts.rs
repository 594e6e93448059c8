//! The parts of a full load that are read side by side.

use linkspan_domain::{Condition, ports::StoreError};
use linkspan_sdk::LoadPart;
use sqlx::PgConnection;

use super::super::{
    parts::{ADD_POSTGRES, FORGET, PLAN_POSTGRES, PartColumns, READ, left},
    stream::StreamRow,
};
use crate::error::sqlx_error;

/// The parts that are still to be read. Makes `proposes` the plan, if there is none.
pub(super) async fn plan(
    tx: &mut PgConnection,
    row: &StreamRow,
    proposes: &[Condition],
) -> Result<Option<Vec<LoadPart>>, StoreError> {
    if let Some(left) = left(stored(tx, row).await?)? {
        return Ok(Some(left));
    }
    for (number, condition) in (0_i32..).zip(proposes) {
        sqlx::query(ADD_POSTGRES)
            .bind(row.run_pk)
            .bind(i64::from(row.pk))
            .bind(number)
            .bind(condition.to_value().to_string())
            .persistent(false)
            .execute(&mut *tx)
            .await
            .map_err(sqlx_error)?;
    }
    left(stored(tx, row).await?)
}

async fn stored(tx: &mut PgConnection, row: &StreamRow) -> Result<Vec<PartColumns>, StoreError> {
    sqlx::query_as(PLAN_POSTGRES)
        .bind(row.run_pk)
        .bind(i64::from(row.pk))
        .persistent(false)
        .fetch_all(tx)
        .await
        .map_err(sqlx_error)
}

/// Remembers that a part was read.
pub(super) async fn finish(
    tx: &mut PgConnection,
    row: &StreamRow,
    number: i32,
) -> Result<(), StoreError> {
    sqlx::query(READ)
        .bind(row.run_pk)
        .bind(i64::from(row.pk))
        .bind(number)
        .persistent(false)
        .execute(tx)
        .await
        .map_err(sqlx_error)?;
    Ok(())
}

/// Forgets the plan of a load that is over.
pub(super) async fn forget(tx: &mut PgConnection, row: &StreamRow) -> Result<(), StoreError> {
    sqlx::query(FORGET)
        .bind(row.run_pk)
        .bind(i64::from(row.pk))
        .persistent(false)
        .execute(tx)
        .await
        .map_err(sqlx_error)?;
    Ok(())
}
