//! PostgreSQL, one table of identities.

use linkspan_domain::{Category, Condition, Secret, StreamName};
use linkspan_sdk::{
    BatchSink, CheckOutcome, ConnectorType, Cx, Discovered, Failure, PoolCache, Pushed,
    ReadRequest, Source, SourceEntry, source,
};
use schemars::JsonSchema;
use semver::Version;
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgPool;

use crate::{
    identifier::Identifier,
    postgres::{self, Connection, Table},
};

pub(crate) struct PostgresIdentity;

impl ConnectorType for PostgresIdentity {
    const KEY: &'static str = "postgres_identity";
    const TITLE: &'static str = "PostgreSQL table of identities";
    const VERSION: Version = Version::new(1, 0, 0);
    const CATEGORY: Category = Category::Identity;
    const TAGS: &'static [&'static str] = &["sql", "postgres", "identity"];
    const DOCS_URL: Option<&'static str> = Some("https://www.postgresql.org/docs/");
    const SYSTEM: &'static str = "postgresql";
    type Settings = Settings;
    type Shared = PoolCache<PgPool>;

    fn source() -> Option<SourceEntry<Self>> {
        Some(source::<Self>())
    }

    fn accept(settings: &Settings) -> Result<(), Failure> {
        settings.table()?;
        settings.connection().map(drop)
    }

    fn place(settings: &Settings) -> Option<Value> {
        Some(settings.connection().ok()?.place())
    }

    async fn check(cx: &Cx<Self>) -> Result<CheckOutcome, Failure> {
        let pool = postgres::pool(cx, cx.settings.connection()?).await?;
        Table::find(&pool, &cx.settings.table()?).await?;
        postgres::check(&pool).await
    }
}

/// Reads one table of people or companies out of a PostgreSQL database.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where the database is: `postgresql://user:password@host:5432/database?sslmode=require`.
    connection_string: Secret,
    /// The table, with its schema unless that is `public`: `crm.people`.
    table: String,
}

impl Settings {
    fn connection(&self) -> Result<Connection, Failure> {
        Connection::parse(&self.connection_string)?.accepted()
    }

    /// The table with its schema.
    fn table(&self) -> Result<Identifier, Failure> {
        let table = Identifier::strict("table", &self.table)?;
        Ok(if self.table.contains('.') { table } else { table.within("public") })
    }
}

impl Source for PostgresIdentity {
    async fn discover(cx: &Cx<Self>) -> Result<Discovered, Failure> {
        let pool = postgres::pool(cx, cx.settings.connection()?).await?;
        Ok(vec![Table::find(&pool, &cx.settings.table()?).await?.spec()?].into())
    }

    async fn read(cx: &Cx<Self>, request: ReadRequest, out: &mut BatchSink) -> Result<(), Failure> {
        let name = cx.settings.table()?;
        if name.as_str() != request.stream.as_str() {
            return Err(Failure::NotFound(format!("the stream `{}`", request.stream)));
        }
        let pool = postgres::pool(cx, cx.settings.connection()?).await?;
        let table = Table::find(&pool, &name).await?;
        postgres::read(&pool, &table, request, out).await
    }
    async fn push_down(
        cx: &Cx<Self>,
        stream: &StreamName,
        parts: &[Condition],
    ) -> Result<Vec<Pushed>, Failure> {
        let name = cx.settings.table()?;
        if name.as_str() != stream.as_str() {
            return Err(Failure::NotFound(format!("the stream `{stream}`")));
        }
        let pool = postgres::pool(cx, cx.settings.connection()?).await?;
        postgres::push_down(&pool, &Table::find(&pool, &name).await?, parts).await
    }
}
