//! Tables, as the catalog of the database describes them.

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

/// Every column of every table that may be read, table by table, in the order of the columns.
const COLUMNS: &str = "
select n.nspname::text as schema, c.relname::text as name, a.attname::text as column_name,
       coalesce(nullif(t.typbasetype, 0), t.oid)::int8 as type_oid,
       t.typelem <> 0 and t.typlen = -1 as is_list, not a.attnotnull as nullable,
       array_position(i.indkey::int2[], a.attnum) as key_position
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_catalog.pg_type t on t.oid = a.atttypid
left join pg_catalog.pg_index i on i.indrelid = c.oid and i.indisprimary
where c.relkind in ('r', 'p', 'v', 'm', 'f')
  and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\\_toast%'
  and n.nspname not like 'pg\\_temp%'
  and not c.relispartition and c.relname <> '_linkspan_pushes'
  and has_schema_privilege(n.oid, 'usage') and has_column_privilege(c.oid, a.attnum, 'select')
  and ($1::text is null or n.nspname || '.' || c.relname = $1)
order by n.nspname, c.relname, a.attnum";

impl Table {
    /// Every table that may be read, by schema and name.
    pub(crate) async fn all(pool: &PgPool) -> Result<Vec<Self>, Failure> {
        Self::query(pool, None).await
    }

    /// The one called `schema.table`.
    pub(crate) async fn find(pool: &PgPool, name: &Identifier) -> Result<Self, Failure> {
        table::only(Self::query(pool, Some(name.as_str())).await?, name.as_str())
    }

    /// The one called `schema.table`, if there is one.
    pub(super) async fn find_any(
        connection: &mut PgConnection,
        name: &Identifier,
    ) -> Result<Option<Self>, Failure> {
        let found = Self::query(connection, Some(name.as_str())).await?;
        if found.is_empty() { Ok(None) } else { table::only(found, name.as_str()).map(Some) }
    }

    async fn query(
        database: impl PgExecutor<'_>,
        name: Option<&str>,
    ) -> Result<Vec<Self>, Failure> {
        let said = |error| failure("the database", error);
        let rows = sqlx::query(COLUMNS).bind(name).fetch_all(database).await.map_err(said)?;
        let mut tables: Vec<Self> = Vec::new();
        let mut keys: Vec<(i32, String)> = Vec::new();
        for row in &rows {
            let (schema, name): (String, String) =
                (row.try_get("schema").map_err(said)?, row.try_get("name").map_err(said)?);
            if tables.last().is_none_or(|it| (&it.schema, &it.name) != (&schema, &name)) {
                finish(tables.last_mut(), &mut keys);
                tables.push(Self { schema, name, columns: Vec::new(), primary_key: Vec::new() });
            }
            let column = column(row).map_err(said)?;
            if let Some(position) = row.try_get("key_position").map_err(said)? {
                keys.push((position, column.name.clone()));
            }
            if let Some(table) = tables.last_mut() {
                table.columns.push(column);
            }
        }
        finish(tables.last_mut(), &mut keys);
        Ok(tables)
    }

    /// The name for a statement.
    pub(crate) fn quoted(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }
}

/// Gives the table that is complete its primary key, in the key's own order.
fn finish(table: Option<&mut Table>, keys: &mut Vec<(i32, String)>) {
    keys.sort();
    let keys = keys.drain(..).map(|(_, name)| name);
    if let Some(table) = table {
        table.primary_key = keys.collect();
    }
}

fn column(row: &PgRow) -> Result<Column, sqlx::Error> {
    let oid: i64 = row.try_get("type_oid")?;
    let is_list: bool = row.try_get("is_list")?;
    let (kind, wire) = super::column::of(oid, is_list);
    Ok(Column { name: row.try_get("column_name")?, kind, wire, nullable: row.try_get("nullable")? })
}
