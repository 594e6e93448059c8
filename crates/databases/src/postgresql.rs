//! PostgreSQL: every table, view and foreign table that the credentials may read, and tables to write to.

use linkspan_domain::{Category, Condition, Secret, StreamName};
use linkspan_sdk::{
    BatchSink, CheckOutcome, ConnectorType, Cx, Discovered, Failure, Intake, PoolCache, Pushed,
    ReadRequest, Sink, SinkEntry, Source, SourceEntry, WriteMode, WriteRequest, sink, source,
};
use schemars::JsonSchema;
use semver::Version;
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgPool;

use crate::{
    identifier::Identifier,
    postgres::{self, Connection, SslMode, Table},
    server::{self, PoolLimits},
    table,
};

pub(crate) struct Postgresql;

impl ConnectorType for Postgresql {
    const KEY: &'static str = "postgresql";
    const TITLE: &'static str = "PostgreSQL";
    const VERSION: Version = Version::new(1, 1, 0);
    const CATEGORY: Category = Category::Database;
    const ALIASES: &'static [&'static str] = &["postgres", "rds"];
    const TAGS: &'static [&'static str] = &["sql", "postgres"];
    const DOCS_URL: Option<&'static str> = Some("https://www.postgresql.org/docs/");
    const IS_QUERYABLE: bool = true;
    type Settings = Settings;
    type Shared = PoolCache<PgPool>;

    fn source() -> Option<SourceEntry<Self>> {
        Some(source::<Self>())
    }

    fn sink() -> Option<SinkEntry<Self>> {
        Some(sink::<Self>())
    }

    fn accept(settings: &Settings) -> Result<(), Failure> {
        settings.connection().map(drop)
    }

    fn place(settings: &Settings) -> Option<Value> {
        Some(settings.connection().ok()?.place())
    }

    async fn check(cx: &Cx<Self>) -> Result<CheckOutcome, Failure> {
        postgres::check(&postgres::pool(cx, cx.settings.connection()?).await?).await
    }
}

/// Reads tables and views of a PostgreSQL database, and writes tables.
///
/// A table that is written to is made if it is not there, with the types of the stream's columns; columns that are new
/// are added. A stream called `sales.orders` goes to the table `orders` of the schema `sales`, one without a dot to
/// the schema `public`.
///
/// Say where it is either field by field or with one connection string.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The name or address of the server.
    host: Option<String>,
    /// The port of the server.
    #[serde(default = "postgres::default_port")]
    port: u16,
    /// The name of the database.
    database: Option<String>,
    /// Who logs in.
    username: Option<String>,
    /// The password.
    password: Option<Secret>,
    /// How the connection is encrypted.
    #[serde(default)]
    sslmode: SslMode,
    /// All of the above in one: `postgresql://user:password@host:5432/database?sslmode=require`.
    connection_string: Option<Secret>,
    /// How many connections may be open: with those of `max_overflow`, the most at once. Idle ones are closed after five minutes.
    #[serde(default = "server::default_pool_size")]
    #[schemars(range(min = 1, max = 100))]
    pool_size: u32,
    /// How many more may be opened when those are busy.
    #[serde(default = "server::default_max_overflow")]
    #[schemars(range(max = 200))]
    max_overflow: u32,
    /// After how many seconds a connection is replaced.
    #[serde(default = "server::default_pool_recycle")]
    #[schemars(range(min = 1, max = 86_400))]
    pool_recycle: u32,
}

impl Settings {
    fn connection(&self) -> Result<Connection, Failure> {
        let limits = PoolLimits {
            size: self.pool_size,
            overflow: self.max_overflow,
            recycle_secs: self.pool_recycle,
        };
        let text = server::one_of(self.connection_string.as_ref(), self.host.as_ref())?;
        let connection = match text {
            Some(text) => Connection::parse(text)?,
            None => Connection {
                host: server::required("host", self.host.as_ref())?,
                port: self.port,
                database: server::required("database", self.database.as_ref())?,
                username: server::required("username", self.username.as_ref())?,
                password: self.password.clone(),
                sslmode: self.sslmode,
                limits,
            },
        };
        Connection { limits, ..connection }.accepted()
    }
}

impl Source for Postgresql {
    async fn discover(cx: &Cx<Self>) -> Result<Discovered, Failure> {
        let pool = postgres::pool(cx, cx.settings.connection()?).await?;
        table::discovered(Table::all(&pool).await?)
    }

    async fn read(cx: &Cx<Self>, request: ReadRequest, out: &mut BatchSink) -> Result<(), Failure> {
        let pool = postgres::pool(cx, cx.settings.connection()?).await?;
        // A stream's name is what discovery made of schema and table: both are looked up, not taken apart.
        let name = Identifier::guard("stream", request.stream.as_str())?;
        let table = Table::find(&pool, &name).await?;
        postgres::read(&pool, &table, request, out).await
    }

    async fn push_down(
        cx: &Cx<Self>,
        stream: &StreamName,
        parts: &[Condition],
    ) -> Result<Vec<Pushed>, Failure> {
        let pool = postgres::pool(cx, cx.settings.connection()?).await?;
        let name = Identifier::guard("stream", stream.as_str())?;
        postgres::push_down(&pool, &Table::find(&pool, &name).await?, parts).await
    }
    async fn split(
        cx: &Cx<Self>,
        stream: &StreamName,
        parts: usize,
    ) -> Result<Vec<Condition>, Failure> {
        let pool = postgres::pool(cx, cx.settings.connection()?).await?;
        let name = Identifier::guard("stream", stream.as_str())?;
        postgres::split(&pool, &Table::find(&pool, &name).await?, parts).await
    }
}

impl Sink for Postgresql {
    const MODES: &'static [WriteMode] = &[WriteMode::Replace, WriteMode::Append, WriteMode::Upsert];

    fn read_as(stream: &StreamName) -> StreamName {
        postgres::read_as(stream)
    }

    fn accepts(stream: &StreamName) -> Result<(), Failure> {
        postgres::place(stream).map(drop)
    }

    async fn write(
        cx: &Cx<Self>,
        request: WriteRequest,
        intake: &mut Intake,
    ) -> Result<(), Failure> {
        let pool = postgres::pool(cx, cx.settings.connection()?).await?;
        postgres::write(&pool, request, intake).await
    }
}
