//! MySQL or MariaDB, one table of identities.

use linkspan_domain::{Category, Condition, Secret, StreamName};
use linkspan_sdk::{
    BatchSink, CheckOutcome, ConnectorType, Cx, Discovered, Failure, PoolCache, Pushed,
    ReadRequest, Source, SourceEntry, source,
};
use schemars::JsonSchema;
use semver::Version;
use serde::Deserialize;
use serde_json::Value;
use sqlx::MySqlPool;

use crate::{
    identifier::Identifier,
    mysql_family::{self as family, Connection, Scope, Table},
};

pub(crate) struct MysqlIdentity;

impl ConnectorType for MysqlIdentity {
    const KEY: &'static str = "mysql_identity";
    const TITLE: &'static str = "MySQL table of identities";
    const VERSION: Version = Version::new(1, 0, 0);
    const CATEGORY: Category = Category::Identity;
    const TAGS: &'static [&'static str] = &["sql", "mysql", "mariadb", "identity"];
    const DOCS_URL: Option<&'static str> =
        Some("https://dev.mysql.com/doc/refman/8.4/en/connecting.html");
    const SYSTEM: &'static str = "mysql";
    type Settings = Settings;
    type Shared = PoolCache<MySqlPool>;

    fn source() -> Option<SourceEntry<Self>> {
        Some(source::<Self>())
    }

    fn accept(settings: &Settings) -> Result<(), Failure> {
        settings.table(&settings.connection()?).map(drop)
    }

    fn place(settings: &Settings) -> Option<Value> {
        Some(settings.connection().ok()?.place())
    }

    async fn check(cx: &Cx<Self>) -> Result<CheckOutcome, Failure> {
        let (pool, _) = table(cx).await?;
        family::check(&pool).await
    }
}

/// Reads one table of people or companies out of a MySQL or MariaDB database.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where the database is: `mysql://user:password@host:3306/database?sslmode=require`.
    connection_string: Secret,
    /// The table, with its database unless that is the one of the connection string: `crm.people`.
    table: String,
}

impl Settings {
    fn connection(&self) -> Result<Connection, Failure> {
        Connection::parse(&self.connection_string)?.accepted()
    }

    /// The table with its database.
    fn table(&self, connection: &Connection) -> Result<Identifier, Failure> {
        let table = Identifier::strict("table", &self.table)?;
        if self.table.contains('.') {
            Ok(table)
        } else if connection.database.is_empty() {
            Err(Failure::setting(
                "table",
                "needs its database, as the connection string names none",
            ))
        } else {
            Ok(table.within(&connection.database))
        }
    }
}

/// The table of the settings, and how to reach it.
async fn table(cx: &Cx<MysqlIdentity>) -> Result<(MySqlPool, Table), Failure> {
    let connection = cx.settings.connection()?;
    let name = cx.settings.table(&connection)?;
    let pool = family::pool(cx, &connection).await?;
    let table = Table::find(&pool, &Scope::Everywhere, &name).await?;
    Ok((pool, table))
}

impl Source for MysqlIdentity {
    async fn discover(cx: &Cx<Self>) -> Result<Discovered, Failure> {
        Ok(vec![table(cx).await?.1.spec()?].into())
    }

    async fn read(cx: &Cx<Self>, request: ReadRequest, out: &mut BatchSink) -> Result<(), Failure> {
        let name = cx.settings.table(&cx.settings.connection()?)?;
        if name.as_str() != request.stream.as_str() {
            return Err(Failure::NotFound(format!("the stream `{}`", request.stream)));
        }
        let (pool, table) = table(cx).await?;
        family::read(&pool, &table, request, out).await
    }
    async fn push_down(
        cx: &Cx<Self>,
        stream: &StreamName,
        parts: &[Condition],
    ) -> Result<Vec<Pushed>, Failure> {
        let name = cx.settings.table(&cx.settings.connection()?)?;
        if name.as_str() != stream.as_str() {
            return Err(Failure::NotFound(format!("the stream `{stream}`")));
        }
        Ok(family::push_down(&table(cx).await?.1, parts))
    }
}
