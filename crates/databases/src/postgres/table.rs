//! Tables, as the catalog of the database describes them.

use std::collections::{BTreeMap, BTreeSet};

use linkspan_sdk::Failure;
use sqlx::{PgConnection, PgExecutor, PgPool, Row, postgres::PgRow};

use super::{
    column::{Column, Wire},
    error::failure,
    quoting::quoted,
};
use crate::{identifier::Identifier, table};

/// A table, view or foreign table that the credentials may read.
pub(crate) type Table = table::Table<Wire>;

/// The tables of a database.
type Found = table::Found<Wire>;

/// Every column of every table, table by table, in the order of the columns.
const COLUMNS: &str = "
select n.nspname::text as schema, c.relname::text as name, a.attname::text as column_name,
       coalesce(nullif(t.typbasetype, 0), t.oid)::int8 as type_oid,
       t.typelem <> 0 and t.typlen = -1 as is_list, not a.attnotnull as nullable,
       array_position(i.indkey::int2[], a.attnum) as key_position,
       has_column_privilege(c.oid, a.attnum, 'select') as is_readable
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_catalog.pg_type t on t.oid = a.atttypid
left join pg_catalog.pg_index i on i.indrelid = c.oid and i.indisprimary
where c.relkind in ('r', 'p', 'v', 'm', 'f')
  and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\\_toast%'
  and n.nspname not like 'pg\\_temp%'
  and not c.relispartition and c.relname <> '_linkspan_pushes'
  and has_schema_privilege(n.oid, 'usage')
  and ($1::text is null or n.nspname || '.' || c.relname = $1)
order by n.nspname, c.relname, a.attnum";

impl Table {
    /// Every table of the schemas that are open to the credentials, by schema and name.
    pub(crate) async fn all(pool: &PgPool) -> Result<Found, Failure> {
        Self::query(pool, None).await
    }

    /// The one called `schema.table`.
    pub(crate) async fn find(pool: &PgPool, name: &Identifier) -> Result<Self, Failure> {
        table::only(Self::query(pool, Some(name.as_str())).await?.tables, name.as_str())
    }

    /// The one called `schema.table`, if there is one.
    pub(super) async fn find_any(
        connection: &mut PgConnection,
        name: &Identifier,
    ) -> Result<Option<Self>, Failure> {
        let found = Self::query(connection, Some(name.as_str())).await?.tables;
        if found.is_empty() { Ok(None) } else { table::only(found, name.as_str()).map(Some) }
    }

    async fn query(database: impl PgExecutor<'_>, name: Option<&str>) -> Result<Found, Failure> {
        let said = |error| failure("the database", error);
        let rows = sqlx::query(COLUMNS).bind(name).fetch_all(database).await.map_err(said)?;
        let mut tables: Vec<Self> = Vec::new();
        let mut keys: BTreeMap<(String, String), Vec<(i32, String)>> = BTreeMap::new();
        let mut unreadable = BTreeSet::new();
        for row in &rows {
            let (schema, name): (String, String) =
                (row.try_get("schema").map_err(said)?, row.try_get("name").map_err(said)?);
            let column = column(row).map_err(said)?;
            if let Some(position) = row.try_get("key_position").map_err(said)? {
                let key = keys.entry((schema.clone(), name.clone())).or_default();
                key.push((position, column.name.clone()));
            }
            if !row.try_get::<bool, _>("is_readable").map_err(said)? {
                unreadable.insert((schema, name));
                continue;
            }
            match tables.last_mut() {
                Some(it) if (&it.schema, &it.name) == (&schema, &name) => it.columns.push(column),
                _ => {
                    let (columns, primary_key) = (vec![column], Vec::new());
                    tables.push(Self { schema, name, columns, primary_key });
                }
            }
        }
        for it in &mut tables {
            let mut key = keys.remove(&(it.schema.clone(), it.name.clone())).unwrap_or_default();
            // In the key's own order.
            key.sort();
            it.primary_key = key.into_iter().map(|(_, name)| name).collect();
        }
        Ok(Found::of(tables, unreadable))
    }

    /// The name for a statement.
    pub(crate) fn quoted(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }
}

fn column(row: &PgRow) -> Result<Column, sqlx::Error> {
    let oid: i64 = row.try_get("type_oid")?;
    let is_list: bool = row.try_get("is_list")?;
    let (kind, wire) = super::column::of(oid, is_list);
    Ok(Column { name: row.try_get("column_name")?, kind, wire, nullable: row.try_get("nullable")? })
}
