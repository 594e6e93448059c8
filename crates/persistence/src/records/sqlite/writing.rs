//! Rows into SQLite, many to a statement.

use std::{collections::HashMap, fmt::Write};

use linkspan_domain::ports::StoreError;
use linkspan_sdk::Rows;
use serde_json::Value;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::super::{
    merge::{Existing, Life},
    stream::StreamRow,
};
use crate::error::{corrupt, sqlx_error};

/// What all rows of a commit have in common.
pub(super) struct Common {
    pub(super) stream_pk: i32,
    pub(super) run_pk: i64,
    pub(super) generation: i32,
    pub(super) now: i64,
}

/// A statement over many rows: `$1` to `$4` are what they have in common, then three parameters each.
pub(super) struct Statement {
    head: &'static str,
    common: &'static str,
    tail: &'static str,
}

/// Rows to a statement: more gain nothing, and cost memory.
const ROWS: usize = 500;

pub(super) const INSERT: Statement = Statement {
    head: "INSERT INTO records \
        (stream_pk, run_pk, generation, added_generation, first_seen_at, last_seen_at, hash, key, \
            payload) VALUES ",
    common: "$1,$2,$3,$3,$4,$4,",
    tail: "",
};

pub(super) const REPLACE: Statement = Statement {
    tail: " ON CONFLICT (stream_pk, key) DO UPDATE SET payload = excluded.payload, \
        hash = excluded.hash, run_pk = excluded.run_pk, generation = excluded.generation, \
        added_generation = CASE WHEN records.deleted_at IS NULL \
            THEN records.added_generation ELSE excluded.added_generation END, \
        last_seen_at = excluded.last_seen_at, stale_since = NULL, deleted_at = NULL",
    ..INSERT
};

pub(super) const STAGE: Statement = Statement {
    head: "INSERT INTO staged_records (stream_pk, hash, key, payload) VALUES ",
    common: "$1,",
    tail: " ON CONFLICT (stream_pk, key) DO UPDATE SET hash = excluded.hash, \
        payload = excluded.payload",
};

impl Statement {
    fn sql(&self, rows: usize) -> String {
        let mut sql = String::with_capacity(self.head.len() + self.tail.len() + rows * 40);
        sql.push_str(self.head);
        for row in 0..rows {
            let first = 5 + row * 3;
            let separator = if row == 0 { "" } else { "," };
            let (second, third) = (first + 1, first + 2);
            // Writing to memory does not fail.
            let _ = write!(sql, "{separator}({}${first},${second},${third})", self.common);
        }
        sql.push_str(self.tail);
        sql
    }
}

/// Runs `statement` over the rows at `indices`.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    statement: &Statement,
    common: &Common,
    rows: &Rows,
    indices: &[usize],
) -> Result<(), sqlx::Error> {
    let whole = if indices.len() >= ROWS { statement.sql(ROWS) } else { String::new() };
    for part in indices.chunks(ROWS) {
        // The whole ones share a prepared statement; the rest is one of its kind.
        let is_whole = part.len() == ROWS;
        let sql = if is_whole { whole.clone() } else { statement.sql(part.len()) };
        let mut query = sqlx::query(AssertSqlSafe(sql))
            .persistent(is_whole)
            .bind(common.stream_pk)
            .bind(common.run_pk)
            .bind(common.generation)
            .bind(common.now);
        for &index in part {
            let row = rows.row(index);
            query = query.bind(row.hash.as_bytes().to_vec()).bind(row.key).bind(row.payload);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

const LOOKUP: &str = "\
    SELECT i.key, r.generation <= $2, r.deleted_at IS NOT NULL, r.stale_since IS NOT NULL, \
        r.hash, c.hash \
    FROM json_each($3) i CROSS JOIN records r ON r.stream_pk = $1 AND r.key = i.value \
    LEFT JOIN staged_records c ON c.stream_pk = $1 AND c.key = i.value";

/// What is there under the keys of the rows at `indices`, by index.
pub(super) async fn existing(
    connection: &mut SqliteConnection,
    row: &StreamRow,
    rows: &Rows,
    indices: &[usize],
) -> Result<HashMap<usize, Existing>, StoreError> {
    /// Ordinal, whether it is visible, whether it is deleted and stale, its hash, and that of what waits for the swap.
    type Found = (i64, bool, bool, bool, Vec<u8>, Option<Vec<u8>>);
    let mut existing = HashMap::new();
    for part in indices.chunks(ROWS) {
        let found: Vec<Found> = sqlx::query_as(LOOKUP)
            .bind(row.pk)
            .bind(row.generation)
            .bind(json_array(part.iter().map(|&index| rows.row(index).key)))
            .fetch_all(&mut *connection)
            .await
            .map_err(sqlx_error)?;
        for (position, visible, deleted, stale, hash, staged) in found {
            let index = part[usize::try_from(position).map_err(corrupt)?];
            let new = rows.row(index).hash;
            let same = |hash: Vec<u8>| hash == new.as_bytes();
            let life = Life::of((deleted, stale));
            let found = Existing { visible, life, same: same(hash), staged_same: staged.map(same) };
            existing.insert(index, found);
        }
    }
    Ok(existing)
}

/// Keys as the JSON array that `json_each` takes apart.
pub(super) fn json_array<'k>(keys: impl Iterator<Item = &'k str>) -> String {
    keys.collect::<Value>().to_string()
}
