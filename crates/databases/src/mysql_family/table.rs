//! Tables, as the information schema describes them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use linkspan_domain::FieldKind;
use linkspan_sdk::Failure;
use sqlx::{AssertSqlSafe, MySqlPool, Row, mysql::MySqlRow};

use super::{
    column::{Column, Wire, quoted},
    connection::{answered, is_mariadb, version},
    error::failure,
};
use crate::{identifier::Identifier, table};

/// A table or view that the credentials may read.
pub(crate) type Table = table::Table<Wire>;

/// The tables of some databases.
type Found = table::Found<Wire>;

/// Database and name of a table.
type Place = (String, String);

/// Where to look for tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// In every database but the server's own.
    Everywhere,
    /// In one database.
    Database(String),
}

/// What to ask the information schema for: it is quick only when database and table are said outright.
#[derive(Clone, Copy)]
enum Asked<'a> {
    Everywhere,
    Database(&'a str),
    Table(&'a str, &'a str),
}

impl Scope {
    /// The database of a login; it may have none.
    pub(crate) fn of(database: &str) -> Self {
        if database.is_empty() { Self::Everywhere } else { Self::Database(database.to_owned()) }
    }

    fn asked(&self) -> Asked<'_> {
        match self {
            Self::Everywhere => Asked::Everywhere,
            Self::Database(it) => Asked::Database(it),
        }
    }
}

impl Table {
    /// Every table, by database and name.
    pub(crate) async fn all(pool: &MySqlPool, scope: &Scope) -> Result<Found, Failure> {
        query(pool, scope.asked()).await
    }

    /// The one called `database.table`.
    pub(crate) async fn find(
        pool: &MySqlPool,
        scope: &Scope,
        name: &Identifier,
    ) -> Result<Self, Failure> {
        let name = name.as_str();
        let mut found = Vec::new();
        // Both parts may have dots of their own.
        for (at, _) in name.match_indices('.') {
            let (schema, table) = (&name[..at], &name[at + 1..]);
            let within = match scope {
                Scope::Everywhere => true,
                Scope::Database(it) => it == schema,
            };
            if within {
                let tables = query(pool, Asked::Table(schema, table)).await?.tables;
                // The information schema does not mind case; tables do.
                found.extend(
                    tables.into_iter().filter(|it| it.schema == schema && it.name == table),
                );
            }
        }
        table::only(found, name)
    }

    /// The name for a statement.
    pub(crate) fn quoted(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }
}

async fn query(pool: &MySqlPool, asked: Asked<'_>) -> Result<Found, Failure> {
    let mut keys = primary_keys(pool, asked).await?;
    let views = views(pool, asked).await?;
    let documents = documents(pool, asked).await?;
    let columns = "table_schema, table_name, column_name, data_type, column_type, is_nullable = 'YES', \
                   find_in_set('select', privileges) > 0";
    let tail = "order by ordinal_position";
    // The server sorts names without regard to case, so that two tables could mix.
    let mut tables: BTreeMap<Place, Table> = BTreeMap::new();
    let mut unreadable = BTreeSet::new();
    for row in rows(pool, columns, "columns", "table_schema", asked, tail).await? {
        let place = place(&row)?;
        let Some(is_view) = views.get(&place) else { continue };
        if !flag(&row, 6)? {
            unreadable.insert(place);
            continue;
        }
        let mut column = column(&row)?;
        // What a view yields may be null where its columns say it is not.
        column.nullable |= *is_view || column.wire.has_zero_dates();
        if column.kind == FieldKind::Text
            && documents.contains(&(place.clone(), column.name.clone()))
        {
            column.kind = FieldKind::Json;
        }
        let (schema, name) = place.clone();
        let table = tables.entry(place).or_insert_with_key(|place| Table {
            schema,
            name,
            columns: Vec::new(),
            primary_key: keys.remove(place).unwrap_or_default(),
        });
        table.columns.push(column);
    }
    Ok(Found::of(tables.into_values().collect(), unreadable))
}

/// The tables that hold records, and whether each is a view.
async fn views(pool: &MySqlPool, asked: Asked<'_>) -> Result<HashMap<Place, bool>, Failure> {
    let columns = "table_schema, table_name, table_type like '%VIEW'";
    let tail = "and table_type <> 'SEQUENCE'";
    let rows = rows(pool, columns, "tables", "table_schema", asked, tail).await?;
    rows.iter().map(|row| Ok((place(row)?, flag(row, 2)?))).collect()
}

/// The columns of each primary key, in the key's own order.
async fn primary_keys(
    pool: &MySqlPool,
    asked: Asked<'_>,
) -> Result<HashMap<Place, Vec<String>>, Failure> {
    let columns = "table_schema, table_name, column_name";
    let tail = "and index_name = 'PRIMARY' order by seq_in_index";
    let mut keys: HashMap<Place, Vec<String>> = HashMap::new();
    for row in rows(pool, columns, "statistics", "table_schema", asked, tail).await? {
        keys.entry(place(&row)?).or_default().push(text(&row, 2)?);
    }
    Ok(keys)
}

/// The columns that hold JSON on MariaDB, where it is text with a rule of that name.
async fn documents(
    pool: &MySqlPool,
    asked: Asked<'_>,
) -> Result<HashSet<(Place, String)>, Failure> {
    if !is_mariadb(&version(pool).await?) {
        return Ok(HashSet::new());
    }
    let columns = "constraint_schema, table_name, constraint_name, check_clause";
    let tail = "and check_clause like 'json_valid(%'";
    let rows = rows(pool, columns, "check_constraints", "constraint_schema", asked, tail).await?;
    let mut documents = HashSet::new();
    for row in &rows {
        let (name, clause) = (text(row, 2)?, text(row, 3)?);
        if clause == format!("json_valid({})", quoted(&name)) {
            documents.insert((place(row)?, name));
        }
    }
    Ok(documents)
}

/// Rows of one table of the information schema. Only `asked` comes from outside, and is bound.
async fn rows(
    pool: &MySqlPool,
    columns: &str,
    view: &str,
    schema: &str,
    asked: Asked<'_>,
    tail: &str,
) -> Result<Vec<MySqlRow>, Failure> {
    let condition = match asked {
        Asked::Everywhere => {
            format!("{schema} not in ('information_schema', 'mysql', 'performance_schema', 'sys')")
        }
        Asked::Database(_) => format!("{schema} = ?"),
        Asked::Table(..) => format!("{schema} = ? and table_name = ?"),
    };
    let statement =
        format!("select {columns} from information_schema.{view} where {condition} {tail}");
    let query = sqlx::query(AssertSqlSafe(statement)).persistent(false);
    let query = match asked {
        Asked::Everywhere => query,
        Asked::Database(schema) => query.bind(schema),
        Asked::Table(schema, name) => query.bind(schema).bind(name),
    };
    answered(query.fetch_all(pool)).await
}

fn place(row: &MySqlRow) -> Result<Place, Failure> {
    Ok((text(row, 0)?, text(row, 1)?))
}

// Which type the information schema has for its columns differs from version to version.
fn text(row: &MySqlRow, index: usize) -> Result<String, Failure> {
    row.try_get_unchecked(index).map_err(|error| failure("the database", error))
}

fn flag(row: &MySqlRow, index: usize) -> Result<bool, Failure> {
    row.try_get_unchecked(index).map_err(|error| failure("the database", error))
}

fn column(row: &MySqlRow) -> Result<Column, Failure> {
    let (kind, wire) = super::column::of(&text(row, 3)?, &text(row, 4)?);
    Ok(Column { name: text(row, 2)?, kind, wire, nullable: flag(row, 5)? })
}
