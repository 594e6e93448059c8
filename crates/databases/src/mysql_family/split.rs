//! Splitting a table.

use linkspan_domain::Condition;
use linkspan_sdk::Failure;
use sqlx::{AssertSqlSafe, MySqlPool};

use super::{Table, column::quoted, connection::answered};
use crate::ranges::{WORTH_IT, key, ranges};

/// Splits `table` into at most `parts` parts, if it is large, and has a key to go by.
pub(crate) async fn split(
    pool: &MySqlPool,
    table: &Table,
    parts: usize,
) -> Result<Vec<Condition>, Failure> {
    let Some(key) = key(table) else { return Ok(Vec::new()) };
    let size = sqlx::query_scalar(
        "select cast(data_length as signed) from information_schema.tables \
         where table_schema = ? and table_name = ?",
    );
    let size: Option<Option<i64>> =
        answered(size.bind(&table.schema).bind(&table.name).fetch_optional(pool)).await?;
    if size.flatten().is_none_or(|it| it < WORTH_IT) {
        return Ok(Vec::new());
    }
    // Both ends of the index.
    let column = quoted(key);
    let ends = format!(
        "select cast(min({column}) as signed), cast(max({column}) as signed) from {}",
        table.quoted()
    );
    let ends = sqlx::query_as(AssertSqlSafe(ends));
    let ends: (Option<i64>, Option<i64>) = answered(ends.fetch_one(pool)).await?;
    Ok(match ends {
        (Some(least), Some(greatest)) => ranges(key, least, greatest, parts),
        _ => Vec::new(),
    })
}
