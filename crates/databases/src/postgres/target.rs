//! The table that a stream is written to: made, or fitted to the stream.

use linkspan_domain::{FieldKind, StreamField, StreamName, StreamSpec};
use linkspan_sdk::Failure;
use sqlx::{AssertSqlSafe, PgConnection};

use super::{
    Table,
    column::{Column, Wire},
    encode::{Slot, accepts},
    error::unwritten,
    quoting::quoted,
};
use crate::identifier::Identifier;

/// The table of a stream.
pub(super) struct Target {
    /// Its name for a statement.
    pub(super) table: String,
    /// How each column of the stream is written, in the stream's order.
    pub(super) slots: Vec<Slot>,
    /// What tells one record from another.
    pub(super) key: Vec<String>,
    /// Whether it was there before.
    pub(super) origin: Origin,
}

/// Whether the table was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Found,
    /// It is new, and has no primary key yet.
    Made,
}

/// The most bytes that a name may have: the rest would be cut off without a word.
const LENGTH: usize = 63;

/// Where a stream goes whose name says no schema.
const SCHEMA: &str = "public";

impl Target {
    /// Finds the table of `stream` and gives it the columns it lacks, or makes it. Goes with the transaction at hand.
    pub(super) async fn prepare(
        connection: &mut PgConnection,
        stream: &StreamSpec,
    ) -> Result<Self, Failure> {
        let (schema, name) = place(&stream.name)?;
        columns_fit(stream)?;
        let full = Identifier::guard("stream", &format!("{schema}.{name}"))?;
        let key = stream.primary_key.clone();
        if let Some(table) = Table::find_any(connection, &full).await? {
            let fittings = fit(&stream.fields, &table.columns)?;
            let statements = fittings.iter().filter_map(|it| it.statement(&table.quoted()));
            for statement in statements {
                run(connection, statement).await?;
            }
            let slots = fittings.into_iter().map(|it| it.slot).collect();
            return Ok(Self { table: table.quoted(), slots, key, origin: Origin::Found });
        }
        make_schema(connection, schema).await?;
        let table = format!("{}.{}", quoted(schema), quoted(name));
        let slots: Vec<_> = stream.fields.iter().map(slot).collect();
        let columns: Vec<_> = stream.fields.iter().map(declared).collect();
        run(connection, format!("create table {table} ({})", columns.join(", "))).await?;
        Ok(Self { table, slots, key, origin: Origin::Made })
    }

    /// The names of the columns, for a statement.
    pub(super) fn columns(&self) -> String {
        names(self.slots.iter().map(|it| &it.name))
    }

    /// How the columns of the key are written.
    pub(super) fn key_slots(&self) -> Vec<Slot> {
        let find = |name: &String| self.slots.iter().find(|it| it.name == *name).cloned();
        self.key.iter().filter_map(find).collect()
    }
}

/// Names, quoted and in a row.
pub(super) fn names<'n>(names: impl Iterator<Item = &'n String>) -> String {
    names.map(|it| quoted(it)).collect::<Vec<_>>().join(", ")
}

/// Runs a statement whose names are quoted.
pub(super) async fn run(connection: &mut PgConnection, statement: String) -> Result<(), Failure> {
    let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await;
    done.map(drop).map_err(unwritten)
}

/// Schema and table of `stream`. A dot sets them apart; a stream without one goes where tables usually are.
pub(crate) fn place(stream: &StreamName) -> Result<(&str, &str), Failure> {
    let invalid = |reason: &str| Failure::stream(stream, "name", reason);
    let (schema, name) = parts(stream);
    for part in [schema, name] {
        Identifier::guard("stream", part)
            .map_err(|_| invalid("is not one that a table can have; write to another table"))?;
        if part.len() > LENGTH {
            return Err(invalid("has more than 63 bytes, which PostgreSQL would cut off"));
        }
    }
    Ok((schema, name))
}

fn parts(name: &StreamName) -> (&str, &str) {
    name.as_str().split_once('.').unwrap_or((SCHEMA, name.as_str()))
}

/// What the table that a stream called `name` is written to is called as a stream.
pub(crate) fn read_as(name: &StreamName) -> StreamName {
    let (schema, table) = parts(name);
    // Only a name at the end of what is possible does not become longer: no table has it.
    format!("{schema}.{table}").parse().unwrap_or_else(|_| name.clone())
}

fn columns_fit(stream: &StreamSpec) -> Result<(), Failure> {
    let StreamSpec { name, fields, .. } = stream;
    let invalid = |field: &str, reason: &str| Failure::stream(name, field, reason);
    for (at, field) in fields.iter().enumerate() {
        let place = format!("column {}", at + 1);
        if Identifier::guard("stream", &field.name).is_err() || field.name.len() > LENGTH {
            return Err(invalid(
                &place,
                "has a name that no column can have; rename it at the source",
            ));
        }
        if fields[..at].iter().any(|it| it.name == field.name) {
            return Err(invalid(
                &place,
                "has the name of another column; rename one of them at the source",
            ));
        }
    }
    if fields.is_empty() {
        return Err(invalid("columns", "are none, so there is nothing to make a table of"));
    }
    Ok(())
}

/// Makes the schema, unless it is there.
pub(super) async fn make_schema(
    connection: &mut PgConnection,
    schema: &str,
) -> Result<(), Failure> {
    // `if not exists` alone would ask for the right to make one even where there is nothing to make.
    let known = "select exists (select from pg_catalog.pg_namespace where nspname = $1)";
    let known = sqlx::query_scalar(known).bind(schema).fetch_one(&mut *connection).await;
    if known.map_err(unwritten)? {
        return Ok(());
    }
    run(connection, format!("create schema if not exists {}", quoted(schema))).await
}

/// The type of a new column for what is of `kind`.
const fn type_of(kind: FieldKind) -> (&'static str, Wire) {
    match kind {
        FieldKind::Boolean => ("boolean", Wire::Bool),
        FieldKind::Integer => ("bigint", Wire::Int8),
        FieldKind::Number => ("double precision", Wire::Float8),
        FieldKind::Decimal => ("numeric", Wire::Numeric),
        FieldKind::Text => ("text", Wire::Text),
        FieldKind::Date => ("date", Wire::Date),
        FieldKind::Time => ("time", Wire::Time),
        FieldKind::Timestamp => ("timestamptz", Wire::Timestamptz),
        FieldKind::Uuid => ("uuid", Wire::Uuid),
        FieldKind::Binary => ("bytea", Wire::Bytes),
        FieldKind::Json => ("jsonb", Wire::Jsonb),
    }
}

fn slot(field: &StreamField) -> Slot {
    Slot { name: field.name.clone(), kind: field.kind, wire: type_of(field.kind).1 }
}

fn declared(field: &StreamField) -> String {
    format!("{} {}", quoted(&field.name), type_of(field.kind).0)
}

/// How a column of a stream gets into a table that was there before.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fitting {
    slot: Slot,
    step: Step,
}

/// What has to be done for it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    None,
    Add,
    /// The column becomes one for what is of this kind, which holds all that is in it; the text makes the new value
    /// of the old.
    Widen(FieldKind, &'static str),
}

impl Fitting {
    fn statement(&self, table: &str) -> Option<String> {
        let name = quoted(&self.slot.name);
        match self.step {
            Step::None => None,
            Step::Add => {
                let kind = type_of(self.slot.kind).0;
                Some(format!("alter table {table} add column {name} {kind}"))
            }
            Step::Widen(kind, using) => {
                let (kind, using) = (type_of(kind).0, using.replace('$', &name));
                Some(format!("alter table {table} alter column {name} type {kind} using {using}"))
            }
        }
    }
}

fn fit(fields: &[StreamField], columns: &[Column]) -> Result<Vec<Fitting>, Failure> {
    fields
        .iter()
        .map(|field| {
            let Some(column) = columns.iter().find(|it| it.name == field.name) else {
                return Ok(Fitting { slot: slot(field), step: Step::Add });
            };
            let (kind, name) = (field.kind, field.name.clone());
            if accepts(kind, column.wire, column.kind) {
                let slot = Slot { name, kind, wire: column.wire };
                return Ok(Fitting { slot, step: Step::None });
            }
            match widened(column, kind) {
                Some((to, using)) => {
                    let slot = Slot { name, kind, wire: type_of(to).1 };
                    Ok(Fitting { slot, step: Step::Widen(to, using) })
                }
                None => Err(Failure::Invalid {
                    what: "the target".into(),
                    field: name,
                    reason: format!(
                        "holds {}, and the stream has {kind} there; write to another table, or alter or drop the column",
                        column.kind
                    ),
                }),
            }
        })
        .collect()
}

/// What `column` can become to hold what is of `kind` besides all that is in it.
const fn widened(column: &Column, kind: FieldKind) -> Option<(FieldKind, &'static str)> {
    match (column.kind, kind) {
        // Made by the shortest text that reads as the same number: a cast would round it.
        (FieldKind::Integer, FieldKind::Number | FieldKind::Decimal)
        | (FieldKind::Number, FieldKind::Decimal) => Some((FieldKind::Decimal, "$::text::numeric")),
        (FieldKind::Date, FieldKind::Timestamp) => {
            Some((FieldKind::Timestamp, "$::timestamp at time zone 'UTC'"))
        }
        (FieldKind::Binary | FieldKind::Text, _) | (_, FieldKind::Binary) => None,
        (_, FieldKind::Text) => Some((FieldKind::Text, "$::text")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(column: FieldKind, wire: Wire, kind: FieldKind) -> Option<Step> {
        let column = Column { name: "c".to_owned(), kind: column, wire, nullable: true };
        let field = StreamField { name: "c".to_owned(), kind, nullable: true };
        fit(&[field], &[column]).ok().map(|mut it| it.remove(0).step)
    }

    #[test]
    fn columns_widen_only_where_nothing_is_lost() {
        use FieldKind::{
            Binary, Boolean, Date, Decimal, Integer, Json, Number, Text, Timestamp, Uuid,
        };
        let widened = |to, using| Some(Step::Widen(to, using));
        for (column, wire, kind, expected) in [
            (Integer, Wire::Int4, Integer, Some(Step::None)),
            (Integer, Wire::Int8, Number, widened(Decimal, "$::text::numeric")),
            (Number, Wire::Float8, Decimal, widened(Decimal, "$::text::numeric")),
            (Decimal, Wire::Numeric, Integer, Some(Step::None)),
            (Date, Wire::Date, Timestamp, widened(Timestamp, "$::timestamp at time zone 'UTC'")),
            (Timestamp, Wire::Timestamp, Timestamp, Some(Step::None)),
            (Uuid, Wire::Uuid, Text, widened(Text, "$::text")),
            (Text, Wire::Text, Integer, Some(Step::None)),
            (Text, Wire::AsText, Text, None),
            (Json, Wire::Text, Json, Some(Step::None)),
            (Json, Wire::AsJson, Json, None),
            (Boolean, Wire::Bool, Integer, None),
            (Date, Wire::Date, Integer, None),
            (Text, Wire::Text, Binary, None),
        ] {
            assert_eq!(fitted(column, wire, kind), expected, "{column} takes {kind}");
        }
    }

    #[test]
    fn a_column_that_cannot_be_fitted_is_named() {
        let column = Column {
            name: "at".to_owned(),
            kind: FieldKind::Date,
            wire: Wire::Date,
            nullable: true,
        };
        let field = StreamField { name: "at".to_owned(), kind: FieldKind::Integer, nullable: true };
        let said = fit(&[field], &[column]).unwrap_err().to_string();
        assert!(said.contains("`at` holds date") && said.contains("alter or drop"), "{said}");
    }
}
