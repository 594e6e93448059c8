//! Filters as PostgreSQL says them.

use linkspan_domain::{Condition, Cursor, FieldKind, Test};
use linkspan_sdk::{Failure, Pushed};
use sqlx::{PgExecutor, PgPool};

use super::{
    Table,
    column::{Column, Wire},
    error::failure,
    quoting::{bare_literal, quoted, text_literal},
};
use crate::filter::{
    self, Dialect, Literal, Sql, boolean, comparison, date, decimal, float, instant, int, like,
    text, uuid,
};

/// PostgreSQL, by the encoding of a database.
pub(super) struct Postgres {
    encoding: Encoding,
}

/// How a database keeps its texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    /// As they arrive, so that they compare byte by byte.
    Utf8,
    /// In another way.
    Other,
}

impl Postgres {
    /// Asks for the encoding, if there is a filter that could depend on it.
    pub(super) async fn of(
        executor: impl PgExecutor<'_>,
        parts: &[Condition],
    ) -> Result<Self, Failure> {
        if parts.is_empty() {
            return Ok(Self { encoding: Encoding::Other });
        }
        let said = |error| failure("the database", error);
        let encoding: String = sqlx::query_scalar("select current_setting('server_encoding')")
            .fetch_one(executor)
            .await
            .map_err(said)?;
        Ok(Self { encoding: if encoding == "UTF8" { Encoding::Utf8 } else { Encoding::Other } })
    }

    /// Tests of text, byte by byte whatever the collation. A second look by the column's own lets an index help.
    fn of_text(&self, name: &str, test: &Test) -> Option<Sql> {
        if self.encoding != Encoding::Utf8 {
            return None;
        }
        let bytes = format!("{name}::text collate \"C\"");
        match test {
            Test::Matches(pattern) => Some(like(&bytes, "like", pattern.as_like()?)),
            Test::Differs(pattern) => Some(like(&bytes, "not like", pattern.as_like()?)),
            Test::Eq(_) => {
                let by_bytes = comparison(&bytes, test, ["", ""], text)?;
                let by_collation = comparison(name, test, ["", ""], text)?;
                let both = Sql::exactly("(").then("", by_collation).then(" and ", by_bytes);
                Some(both.then(")", Sql::exactly("")))
            }
            _ => comparison(&bytes, test, ["", ""], text),
        }
    }
}

impl Dialect<Wire> for Postgres {
    fn test(&self, column: &Column, test: &Test) -> Option<Sql> {
        let name = quoted(&column.name);
        match (test, column.wire) {
            // What becomes of a null in there, and of a row of nulls, is the server's secret.
            (_, Wire::AsText | Wire::AsJson | Wire::Jsonb | Wire::Oid | Wire::Padded) => None,
            _ if column.kind == FieldKind::Json => None,
            (Test::IsNull, _) => Some(Sql::exactly(format!("{name} is null"))),
            (Test::IsNotNull, _) => Some(Sql::exactly(format!("{name} is not null"))),
            (_, Wire::Bool) => comparison(&name, test, ["", ""], boolean),
            (_, Wire::Int2 | Wire::Int4 | Wire::Int8) => comparison(&name, test, ["", ""], int),
            (_, Wire::Float4 | Wire::Float8) => {
                // Records have these as texts, which compare with no number.
                let finite = format!(
                    "nullif(nullif(nullif({name}::float8, 'NaN'), 'Infinity'), '-Infinity')"
                );
                comparison(&finite, test, ["", ""], float)
            }
            (_, Wire::Numeric) => {
                let finite = format!(
                    "case when {name}::text not in ('NaN', 'Infinity', '-Infinity') then {name} end"
                );
                let fits = |it: &_| decimal(it, (1_000, 1_000));
                comparison(&format!("({finite})"), test, ["", ""], fits)
            }
            (_, Wire::Text) => self.of_text(&name, test),
            (_, Wire::Date) => comparison(&name, test, ["", ""], date),
            (_, Wire::Timestamptz) => comparison(&name, test, ["", ""], instant),
            (_, Wire::Timestamp) => comparison(&name, test, ["(", " at time zone 'UTC')"], instant),
            (_, Wire::Uuid) => comparison(&name, test, ["", ""], uuid),
            (_, Wire::Time | Wire::Bytes) => None,
        }
    }
}

/// What of `parts` the server can take over.
pub(crate) async fn push_down(
    pool: &PgPool,
    table: &Table,
    parts: &[Condition],
) -> Result<Vec<Pushed>, Failure> {
    let postgres = Postgres::of(pool, parts).await?;
    Ok(filter::push_down(&postgres, table, parts, |number| format!("${number}")))
}

/// `condition` for a statement that takes no parameters: values are written such that nothing in them can be code.
pub(super) fn inlined(condition: &Sql) -> String {
    condition.render(|literal| match literal {
        Literal::Boolean(it) => it.to_string(),
        Literal::Int(it) => format!("'{it}'::int8"),
        Literal::Float(it) => format!("'{it:e}'::float8"),
        // Digits, a sign, a point and an exponent: else it would be none.
        Literal::Decimal(it) => format!("'{it}'::numeric"),
        Literal::Text(it) => bare_literal(it),
        Literal::Date(it) => format!("'{it}'::date"),
        Literal::Instant(it) => {
            format!("{}::timestamptz", text_literal(&Cursor::Timestamp(*it).to_string()))
        }
        Literal::Uuid(it) => format!("'{it}'::uuid"),
    })
}
