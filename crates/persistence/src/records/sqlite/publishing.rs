//! Adding generations to the change feed of a workspace.

use linkspan_domain::ports::StoreError;
use sqlx::SqliteConnection;

use super::super::{
    feed::{ADD_ENTRY, NEXT_ENTRY},
    stream::StreamRow,
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
