//! Reading a table.

use futures_util::TryStreamExt;
use linkspan_domain::{Cursor, CursorType, FieldKind};
use linkspan_sdk::{Batch, BatchLimits, BatchSink, Failure, ReadMode, ReadRequest, arrow_schema};
use sqlx::{AssertSqlSafe, MySqlConnection, MySqlPool};
use time::{OffsetDateTime, UtcOffset};

use super::{
    Table,
    column::{Column, Wire, quoted},
    connection::answered,
    decode::Decoder,
    filter::Family,
};
use crate::{
    columns::batch,
    filter::{Literal, Sql, taken},
    server::Reading,
};

/// One picture of the table from the first row to the last, and nothing is ever written.
const BEGIN: [&str; 3] = [
    // A server drops who does not take its rows for a minute; whoever keeps them may need longer.
    "set session net_write_timeout = 3600, max_sort_length = 1024",
    "set transaction isolation level repeatable read",
    "start transaction with consistent snapshot, read only",
];

/// How much of a text surely counts when the server sorts, in bytes.
const SORTED: usize = 1_000;

/// What no day lies before, to Arrow as to RFC 3339. Zero dates do.
const YEAR_ONE: &str = "'0001-01-01'";

/// Reads `table` into `out`.
///
/// Incremental reads begin with the rows that have no cursor value, then go on from the boundary, which is
/// read again, in the order of the cursor and then of the key.
pub(crate) async fn read(
    pool: &MySqlPool,
    table: &Table,
    request: ReadRequest,
    out: &mut BatchSink,
) -> Result<(), Failure> {
    read_all(pool, table, request, out).await.map_err(|it| table.unread(it))
}

async fn read_all(
    pool: &MySqlPool,
    table: &Table,
    request: ReadRequest,
    out: &mut BatchSink,
) -> Result<(), Failure> {
    let mut connection = Reading::on(answered(pool.acquire()).await?);
    for statement in BEGIN {
        answered(sqlx::raw_sql(statement).execute(&mut *connection)).await?;
    }
    let filter = taken(&Family, table, &request.filter)?;
    for part in parts(table, &request.mode, &filter)? {
        fetch(&mut connection, table, part, &filter, request.batch, out).await?;
    }
    answered(sqlx::raw_sql("commit").execute(&mut *connection)).await?;
    connection.end();
    Ok(())
}

/// One statement of a read, and the column that its rows are ordered by.
#[derive(Debug, PartialEq)]
struct Part {
    statement: String,
    after: Option<Boundary>,
    cursor: Option<(usize, CursorType)>,
}

/// What the one parameter of a statement is.
#[derive(Debug, PartialEq)]
enum Boundary {
    Int(i64),
    Instant(String),
    Bytes(Vec<u8>),
}

fn parts(table: &Table, mode: &ReadMode, filter: &[Sql]) -> Result<Vec<Part>, Failure> {
    let columns: Vec<_> = table.columns.iter().map(Column::selected).collect();
    let select = format!("select {} from {}", columns.join(", "), table.quoted());
    let ReadMode::Incremental { cursor, after } = mode else {
        let filter: Vec<_> = filter.iter().map(|it| it.render(|_| "?".to_owned())).collect();
        let statement = if filter.is_empty() {
            select
        } else {
            format!("{select} where {}", filter.join(" and "))
        };
        return Ok(vec![Part { statement, after: None, cursor: None }]);
    };
    let filter = filter.iter().map(|it| it.render(|_| "?".to_owned()));
    let filter = filter.fold(String::new(), |all, it| all + " and " + &it);
    let (index, column) = table.cursor_column(cursor)?;
    let name = quoted(&column.name);
    let ordered = ordering(table, column, cursor.cursor_type)?;
    let (none, some) = if column.wire.has_zero_dates() {
        (format!("({name} is null or {name} < {YEAR_ONE})"), format!("{name} >= {YEAR_ONE}"))
    } else {
        (format!("{name} is null"), format!("{name} is not null"))
    };
    let from = match after {
        None => some,
        Some(Cursor::Timestamp(_)) => format!("{ordered} >= cast(? as datetime(6))"),
        Some(_) => format!("{ordered} >= ?"),
    };
    let behind = Part {
        statement: format!(
            "{select} where {from}{filter} order by {}",
            order(table, column, ordered)
        ),
        after: after.as_ref().map(boundary),
        cursor: Some((index, cursor.cursor_type)),
    };
    let without =
        Part { statement: format!("{select} where {none}{filter}"), after: None, cursor: None };
    // Two statements, not one with `or`: each of them can use an index.
    Ok(if column.nullable { vec![without, behind] } else { vec![behind] })
}

/// What the rows are ordered by.
fn ordering(table: &Table, column: &Column, cursor_type: CursorType) -> Result<String, Failure> {
    let name = quoted(&column.name);
    match (cursor_type, column.kind) {
        (CursorType::Int, FieldKind::Integer) => Ok(name),
        (CursorType::Int, _) if column.wire == Wire::Unsigned8 => Ok(name),
        (CursorType::Timestamp, FieldKind::Timestamp | FieldKind::Date) => Ok(name),
        // As the bytes of what arrives compare, whatever the collation and the character set of the column.
        (CursorType::Text, FieldKind::Text | FieldKind::Uuid) if column.wire == Wire::Text => {
            Ok(format!("cast(convert({name} using utf8mb4) as binary)"))
        }
        _ => Err(column.unfit(&table.stream())),
    }
}

/// The cursor, then the key: an index has them in this order, and two reads yield rows in the same one.
fn order(table: &Table, column: &Column, ordered: String) -> String {
    let key = table.primary_key.iter().filter(|it| **it != column.name);
    let terms: Vec<_> = std::iter::once(ordered).chain(key.map(|it| quoted(it))).collect();
    terms.join(", ")
}

fn boundary(after: &Cursor) -> Boundary {
    match after {
        Cursor::Int(it) => Boundary::Int(*it),
        Cursor::Timestamp(it) => Boundary::Instant(instant(*it)),
        Cursor::Text(it) => Boundary::Bytes(it.clone().into_bytes()),
    }
}

/// `at` as a text that the server reads as a date and time.
fn instant(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    let (hour, minute, second, micro) = at.to_hms_micro();
    let (year, month, day) = (at.year().max(1), u8::from(at.month()), at.day());
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micro:06}")
}

async fn fetch(
    connection: &mut MySqlConnection,
    table: &Table,
    part: Part,
    filter: &[Sql],
    limits: BatchLimits,
    out: &mut BatchSink,
) -> Result<(), Failure> {
    let wires = table.columns.iter().map(|it| it.wire);
    let mut decoder = Decoder::new(arrow_schema(&table.spec()?), wires);
    let query = sqlx::query(AssertSqlSafe(part.statement)).persistent(false);
    let mut query = match part.after {
        None => query,
        Some(Boundary::Int(it)) => query.bind(it),
        Some(Boundary::Instant(it)) => query.bind(it),
        Some(Boundary::Bytes(it)) => query.bind(it),
    };
    for literal in filter.iter().flat_map(Sql::values) {
        query = match literal {
            Literal::Boolean(it) => query.bind(*it),
            Literal::Int(it) => query.bind(*it),
            Literal::Float(it) => query.bind(*it),
            Literal::Decimal(it) | Literal::Text(it) | Literal::Date(it) => query.bind(it.as_str()),
            Literal::Instant(it) => query.bind(instant(*it)),
            Literal::Uuid(it) => query.bind(it.to_string()),
        };
    }
    let mut rows = query.fetch(connection);
    while let Some(row) = answered(rows.try_next()).await? {
        decoder.push(&row)?;
        if decoder.rows() >= limits.rows || decoder.bytes() >= limits.bytes {
            out.send(promised_batch(&mut decoder, part.cursor)?).await?;
        }
    }
    if decoder.rows() > 0 {
        out.send(promised_batch(&mut decoder, part.cursor)?).await?;
    }
    Ok(())
}

fn promised_batch(
    decoder: &mut Decoder,
    cursor: Option<(usize, CursorType)>,
) -> Result<Batch, Failure> {
    let batch = batch(decoder.take()?, cursor)?;
    Ok(Batch { cursor: batch.cursor.map(promised), ..batch })
}

/// The cursor that the order of the rows can vouch for.
fn promised(cursor: Cursor) -> Cursor {
    match cursor {
        Cursor::Text(mut text) => {
            text.truncate(text.floor_char_boundary(SORTED));
            Cursor::Text(text)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use linkspan_sdk::CursorSpec;

    use super::*;

    fn table() -> Table {
        let column = |name: &str, kind, wire, nullable| {
            let name = name.to_owned();
            Column { name, kind, wire, nullable }
        };
        Table {
            schema: "a`b".to_owned(),
            name: "x; drop".to_owned(),
            columns: vec![
                column("id", FieldKind::Integer, Wire::Signed, false),
                column("at", FieldKind::Timestamp, Wire::DateTime, true),
                column("code", FieldKind::Text, Wire::Text, false),
            ],
            primary_key: vec!["id".to_owned()],
        }
    }

    fn incremental(column: &str, cursor_type: CursorType, after: Option<Cursor>) -> ReadMode {
        let cursor = CursorSpec { column: column.to_owned(), cursor_type };
        ReadMode::Incremental { cursor, after }
    }

    fn statements(mode: &ReadMode) -> Vec<String> {
        parts(&table(), mode, &[]).unwrap().into_iter().map(|it| it.statement).collect()
    }

    const SELECT: &str = "select `id`, `at`, `code` from `a``b`.`x; drop`";

    #[test]
    fn names_are_quoted_and_boundaries_are_bound() {
        assert_eq!(statements(&ReadMode::Full), [SELECT]);
        let after = Some(Cursor::Text("x' or 1 = 1".to_owned()));
        let ordered = "cast(convert(`code` using utf8mb4) as binary)";
        assert_eq!(
            statements(&incremental("code", CursorType::Text, after)),
            [format!("{SELECT} where {ordered} >= ? order by {ordered}, `id`")]
        );
        assert_eq!(
            statements(&incremental("at", CursorType::Timestamp, None)),
            [
                format!("{SELECT} where (`at` is null or `at` < '0001-01-01')"),
                format!("{SELECT} where `at` >= '0001-01-01' order by `at`, `id`"),
            ]
        );
    }

    #[test]
    fn a_cursor_of_another_type_is_refused() {
        for (column, cursor_type) in
            [("id", CursorType::Text), ("at", CursorType::Int), ("gone", CursorType::Int)]
        {
            let refused =
                parts(&table(), &incremental(column, cursor_type, None), &[]).unwrap_err();
            assert!(matches!(refused, Failure::Invalid { .. }), "{column}");
        }
    }

    #[test]
    fn a_long_text_promises_no_more_than_was_sorted() {
        let long = "é".repeat(800);
        let Cursor::Text(promised) = promised(Cursor::Text(long.clone())) else { panic!("a text") };
        assert_eq!(promised.len(), 1_000);
        assert!(promised <= long);
    }
}
