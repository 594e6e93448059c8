//! Rows over what is there, in one statement and without a look first: for loads of which most rows changed.

use linkspan_domain::ports::StoreError;
use linkspan_sdk::Rows;

use super::{
    super::merge::{Plan, Unique},
    commit::{Commit, over_sql},
    copy::row_fault,
};
use crate::{error::sqlx_error, number::signed};

impl Commit<'_> {
    /// Writes the rows of an incremental load that are new or changed. None if the database refuses one of them: which, it
    /// does not say.
    pub(super) async fn overwrite(&mut self, rows: &Rows) -> Result<Option<Plan>, StoreError> {
        let unique = Unique::of(rows);
        let keys: Vec<&str> = unique.indices.iter().map(|&it| rows.row(it).key).collect();
        let payloads: Vec<&str> = unique.indices.iter().map(|&it| rows.row(it).payload).collect();
        let hashes = unique.indices.iter().map(|&it| rows.row(it).hash.as_bytes().to_vec());
        let mut attempt = sqlx::Connection::begin(&mut *self.tx).await.map_err(sqlx_error)?;
        let done: Result<(i64, i64), _> = sqlx::query_as(OVERWRITE)
            .bind(self.row.pk)
            .bind(self.row.run_pk)
            .bind(self.generation)
            .bind(self.now)
            .bind(hashes.collect::<Vec<_>>())
            .bind(&keys)
            .bind(payloads)
            .persistent(false)
            .fetch_one(&mut *attempt)
            .await;
        let (written, appearing) = match done {
            Ok(done) => done,
            Err(error) if row_fault(&error).is_some() => {
                attempt.rollback().await.map_err(sqlx_error)?;
                return Ok(None);
            }
            Err(error) => return Err(sqlx_error(error)),
        };
        attempt.commit().await.map_err(sqlx_error)?;
        self.see(&keys).await?;
        let unchanged = (signed(keys.len() as u64) - written).unsigned_abs();
        Ok(Some(Plan {
            appearing,
            written: written.unsigned_abs() + unique.overwritten,
            unchanged: unchanged + unique.repeated,
            ..Plan::default()
        }))
    }
}

/// Answers how many rows were written, and how many records there are more: those that appeared in this generation.
const OVERWRITE: &str = concat!(
    "WITH written AS (",
    "INSERT INTO records ",
    "(run_pk, first_seen_at, last_seen_at, stream_pk, generation, added_generation, hash, key, ",
    "payload) ",
    "SELECT $2, $4, $4, $1, $3, $3, i.hash, i.key, i.payload::jsonb ",
    "FROM unnest($5::bytea[], $6::text[], $7::text[]) AS i (hash, key, payload) ",
    over_sql!(),
    " WHERE records.hash <> excluded.hash OR records.deleted_at IS NOT NULL ",
    "RETURNING added_generation) ",
    "SELECT count(*), count(*) FILTER (WHERE added_generation = $3) FROM written"
);
