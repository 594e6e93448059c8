//! Reading a table.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use linkspan_domain::{Cursor, CursorType, FieldKind};
use linkspan_sdk::{BatchLimits, BatchSink, Failure, ReadMode, ReadRequest, arrow_schema};
use sqlx::{PgConnection, PgPool};
use tokio::time::sleep;

use super::{
    Table,
    binary::Decoder,
    column::{Column, Wire},
    error::failure,
    filter::{Postgres, inlined},
    quoting::{quoted, text_literal},
};
use crate::{
    columns::batch,
    filter::{Sql, taken},
    server::Reading,
};

/// One picture of the table from the first row to the last, and nothing is ever written.
const BEGIN: &str = "begin isolation level repeatable read read only";

/// How long to wait once everything that arrived is read. Who reads each piece as it comes has the server wake it up each time,
/// which takes the server longer than sending.
const LULL: Duration = Duration::from_millis(1);

/// Reads `table` into `out`.
///
/// Incremental reads begin with the rows that have no cursor value, then go on from the boundary, which is
/// read again, in the order of the cursor.
pub(crate) async fn read(
    pool: &PgPool,
    table: &Table,
    request: ReadRequest,
    out: &mut BatchSink,
) -> Result<(), Failure> {
    read_all(pool, table, request, out).await.map_err(|it| table.unread(it))
}

async fn read_all(
    pool: &PgPool,
    table: &Table,
    request: ReadRequest,
    out: &mut BatchSink,
) -> Result<(), Failure> {
    let said = |error| failure("the database", error);
    let mut connection = Reading::on(pool.acquire().await.map_err(said)?);
    sqlx::raw_sql(BEGIN).execute(&mut *connection).await.map_err(said)?;
    let postgres = Postgres::of(&mut *connection, &request.filter).await?;
    let filter = taken(&postgres, table, &request.filter)?;
    for part in parts(table, &request.mode, &filter)? {
        copy(&mut connection, table, &part, request.batch, out).await?;
    }
    sqlx::raw_sql("commit").execute(&mut *connection).await.map_err(said)?;
    connection.end();
    Ok(())
}

/// One statement of a read, and the column that its rows are ordered by.
struct Part {
    statement: String,
    cursor: Option<(usize, CursorType)>,
}

fn parts(table: &Table, mode: &ReadMode, filter: &[Sql]) -> Result<Vec<Part>, Failure> {
    let columns: Vec<_> = table.columns.iter().map(Column::selected).collect();
    let select = format!("select {} from {}", columns.join(", "), table.quoted());
    let ReadMode::Incremental { cursor, after } = mode else {
        let filter: Vec<_> = filter.iter().map(inlined).collect();
        let statement = if filter.is_empty() {
            select
        } else {
            format!("{select} where {}", filter.join(" and "))
        };
        return Ok(vec![Part { statement, cursor: None }]);
    };
    let filter = filter.iter().fold(String::new(), |all, it| all + " and " + &inlined(it));
    let (index, column) = table.cursor_column(cursor)?;
    let name = quoted(&column.name);
    let ordered = ordering(table, column, cursor.cursor_type)?;
    let from = match after {
        None => format!("{name} is not null"),
        Some(after) => format!("{ordered} >= {}", literal(table, column, after)?),
    };
    let behind = Part {
        statement: format!("{select} where {from}{filter} order by {ordered}"),
        cursor: Some((index, cursor.cursor_type)),
    };
    let without =
        Part { statement: format!("{select} where {name} is null{filter}"), cursor: None };
    // Two statements, not one with `or`: each of them can use an index.
    Ok(if column.nullable { vec![without, behind] } else { vec![behind] })
}

/// What the rows are ordered by.
fn ordering(table: &Table, column: &Column, cursor_type: CursorType) -> Result<String, Failure> {
    let name = quoted(&column.name);
    match (cursor_type, column.kind) {
        (CursorType::Int, FieldKind::Integer) => Ok(name),
        (CursorType::Timestamp, FieldKind::Timestamp | FieldKind::Date) => Ok(name),
        (CursorType::Text, FieldKind::Text) => Ok(format!("{name}::text collate \"C\"")),
        (CursorType::Text, FieldKind::Uuid) => Ok(name),
        _ => Err(column.unfit(&table.stream())),
    }
}

/// The boundary as an expression of the column's type.
fn literal(table: &Table, column: &Column, after: &Cursor) -> Result<String, Failure> {
    match (after, column.wire) {
        (Cursor::Int(it), _) => Ok(it.to_string()),
        (Cursor::Timestamp(_), Wire::Timestamp) => {
            Ok(format!("({}::timestamptz at time zone 'UTC')", text_literal(&after.to_string())))
        }
        (Cursor::Timestamp(_), Wire::Date) => {
            let instant = text_literal(&after.to_string());
            Ok(format!("({instant}::timestamptz at time zone 'UTC')::date"))
        }
        (Cursor::Timestamp(_), _) => {
            Ok(format!("{}::timestamptz", text_literal(&after.to_string())))
        }
        (Cursor::Text(it), Wire::Uuid) => {
            let reason = "must be a UUID, as the column holds";
            let uuid = it.parse::<uuid::Uuid>();
            let uuid = uuid.map_err(|_| Failure::stream(table.stream(), "cursor_after", reason))?;
            Ok(format!("'{uuid}'::uuid"))
        }
        // As text it has no blanks at its end (PostgreSQL documentation, "Character Types").
        (Cursor::Text(it), Wire::Padded) => {
            Ok(format!("{} collate \"C\"", text_literal(it.trim_end_matches(' '))))
        }
        (Cursor::Text(it), _) => Ok(format!("{} collate \"C\"", text_literal(it))),
    }
}

async fn copy(
    connection: &mut PgConnection,
    table: &Table,
    part: &Part,
    limits: BatchLimits,
    out: &mut BatchSink,
) -> Result<(), Failure> {
    let said = |error| failure("the database", error);
    let mut decoder =
        Decoder::new(arrow_schema(&table.spec()?), table.columns.iter().map(|it| it.wire));
    let statement = format!("copy ({}) to stdout (format binary)", part.statement);
    let mut chunks = connection.copy_out_raw(&statement).await.map_err(said)?;
    loop {
        let arrived = chunks.next().now_or_never();
        if arrived.is_none() && decoder.rows() > 0 {
            sleep(LULL).await;
        }
        let next = if let Some(chunk) = arrived { chunk } else { chunks.next().await };
        let Some(chunk) = next else { break };
        decoder.push(&chunk.map_err(said)?)?;
        if decoder.rows() >= limits.rows || decoder.bytes() >= limits.bytes {
            out.send(batch(decoder.take()?, part.cursor)?).await?;
        }
    }
    decoder.end()?;
    if decoder.rows() > 0 {
        out.send(batch(decoder.take()?, part.cursor)?).await?;
    }
    Ok(())
}
