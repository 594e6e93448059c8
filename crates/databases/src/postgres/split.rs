//! Splitting a table.

use linkspan_domain::Condition;
use linkspan_sdk::Failure;
use sqlx::{AssertSqlSafe, PgPool};

use super::{Table, error::failure, quoting::quoted};
use crate::ranges::{WORTH_IT, key, ranges};

/// Splits `table` into at most `parts` parts, if it is large, and has a key to go by.
pub(crate) async fn split(
    pool: &PgPool,
    table: &Table,
    parts: usize,
) -> Result<Vec<Condition>, Failure> {
    let said = |error| failure("the database", error);
    let Some(key) = key(table) else { return Ok(Vec::new()) };
    let size: Option<i64> = sqlx::query_scalar("select pg_table_size(to_regclass($1))")
        .bind(table.quoted())
        .fetch_one(pool)
        .await
        .map_err(said)?;
    if size.is_none_or(|it| it < WORTH_IT) {
        return Ok(Vec::new());
    }
    // Both ends of the index.
    let column = quoted(key);
    let ends = format!("select min({column})::int8, max({column})::int8 from {}", table.quoted());
    let ends: (Option<i64>, Option<i64>) =
        sqlx::query_as(AssertSqlSafe(ends)).fetch_one(pool).await.map_err(said)?;
    Ok(match ends {
        (Some(least), Some(greatest)) => ranges(key, least, greatest, parts),
        _ => Vec::new(),
    })
}
