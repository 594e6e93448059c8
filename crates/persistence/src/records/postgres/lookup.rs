//! What PostgreSQL holds under the keys of a commit.

use std::collections::HashMap;

use linkspan_domain::{SyncMode, ports::StoreError};
use linkspan_sdk::Rows;
use sqlx::PgConnection;

use super::super::{
    merge::{Existing, Life},
    stream::StreamRow,
};
use crate::error::{corrupt, sqlx_error};

/// One probe of the index for each key: the limits keep the planner from joining in another way, which it might do when
/// its statistics are from before the stream grew.
macro_rules! lookup_sql {
    ($staged:literal, $join:literal) => {
        concat!(
            "SELECT i.ordinal, r.generation <= $2, r.deleted_at IS NOT NULL, ",
            "r.stale_since IS NOT NULL, r.hash = i.hash, ",
            $staged,
            " FROM unnest($3::text[], $4::bytea[]) WITH ORDINALITY AS i (key, hash, ordinal) ",
            "CROSS JOIN LATERAL (SELECT generation, deleted_at, stale_since, hash FROM records ",
            "WHERE stream_pk = $1 AND key = i.key LIMIT 1) r ",
            $join
        )
    };
}

/// Only full loads stage.
const LOOKUP: &str = lookup_sql!("NULL::boolean", "");
const LOOKUP_STAGED: &str = lookup_sql!(
    "c.hash = i.hash",
    "LEFT JOIN LATERAL (SELECT hash FROM staged_records \
        WHERE stream_pk = $1 AND key = i.key LIMIT 1) c ON true"
);

/// What is there under the keys of the rows at `indices`, by index.
pub(super) async fn existing(
    tx: &mut PgConnection,
    mode: SyncMode,
    row: &StreamRow,
    rows: &Rows,
    indices: &[usize],
) -> Result<HashMap<usize, Existing>, StoreError> {
    let keys: Vec<&str> = indices.iter().map(|&index| rows.row(index).key).collect();
    let hashes: Vec<Vec<u8>> =
        indices.iter().map(|&index| rows.row(index).hash.as_bytes().to_vec()).collect();
    let lookup = match mode {
        SyncMode::Full => LOOKUP_STAGED,
        SyncMode::Incremental => LOOKUP,
    };
    let found: Vec<(i64, bool, bool, bool, bool, Option<bool>)> = sqlx::query_as(lookup)
        .bind(row.pk)
        .bind(row.generation)
        .bind(keys)
        .bind(hashes)
        .persistent(false)
        .fetch_all(tx)
        .await
        .map_err(sqlx_error)?;
    found
        .into_iter()
        .map(|(ordinal, visible, deleted, stale, same, staged_same)| {
            let position = usize::try_from(ordinal - 1).map_err(corrupt)?;
            let life = Life::of((deleted, stale));
            let existing = Existing { visible, life, same, staged_same };
            Ok((indices[position], existing))
        })
        .collect()
}
