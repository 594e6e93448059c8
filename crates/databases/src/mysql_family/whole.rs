//! The types for whole databases: their settings, and what they do.

use linkspan_domain::{Condition, Secret, StreamName};
use linkspan_sdk::{
    BatchSink, CheckOutcome, ConnectorType, Cx, Discovered, Failure, PoolCache, Pushed, ReadRequest,
};
use schemars::JsonSchema;
use serde::Deserialize;
use sqlx::MySqlPool;

use super::{
    Connection, Scope, Table,
    connection::{SslMode, default_port},
};
use crate::{
    identifier::Identifier,
    server::{self, PoolLimits},
    table,
};

/// Reads tables and views of MySQL and MariaDB databases.
///
/// Say where they are either field by field or with one connection string.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The name or address of the server.
    host: Option<String>,
    /// The port of the server.
    #[serde(default = "default_port")]
    port: u16,
    /// The name of the database; all that the credentials may read when it is left out.
    database: Option<String>,
    /// Who logs in.
    username: Option<String>,
    /// The password.
    password: Option<Secret>,
    /// How the connection is encrypted.
    #[serde(default)]
    sslmode: SslMode,
    /// All of the above in one: `mysql://user:password@host:3306/database?sslmode=require`.
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
    pub(crate) fn connection(&self) -> Result<Connection, Failure> {
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
                database: self.database.clone().unwrap_or_default(),
                username: server::required("username", self.username.as_ref())?,
                password: self.password.clone(),
                sslmode: self.sslmode,
                limits,
            },
        };
        Connection { limits, ..connection }.accepted()
    }
}

/// Logs in.
pub(crate) async fn check<T>(cx: &Cx<T>) -> Result<CheckOutcome, Failure>
where
    T: ConnectorType<Settings = Settings, Shared = PoolCache<MySqlPool>>,
{
    super::check(&super::pool(cx, &cx.settings.connection()?).await?).await
}

/// Every table of the databases that the settings name.
pub(crate) async fn discover<T>(cx: &Cx<T>) -> Result<Discovered, Failure>
where
    T: ConnectorType<Settings = Settings, Shared = PoolCache<MySqlPool>>,
{
    let connection = cx.settings.connection()?;
    let pool = super::pool(cx, &connection).await?;
    table::discovered(Table::all(&pool, &Scope::of(&connection.database)).await?)
}

/// Reads one of them.
pub(crate) async fn read<T>(
    cx: &Cx<T>,
    request: ReadRequest,
    out: &mut BatchSink,
) -> Result<(), Failure>
where
    T: ConnectorType<Settings = Settings, Shared = PoolCache<MySqlPool>>,
{
    let connection = cx.settings.connection()?;
    let pool = super::pool(cx, &connection).await?;
    // A stream's name is what discovery made of database and table: both are looked up.
    let name = Identifier::guard("stream", request.stream.as_str())?;
    let table = Table::find(&pool, &Scope::of(&connection.database), &name).await?;
    super::read(&pool, &table, request, out).await
}

/// Says which of these parts of a filter the server can take over.
pub(crate) async fn push_down<T>(
    cx: &Cx<T>,
    stream: &StreamName,
    parts: &[Condition],
) -> Result<Vec<Pushed>, Failure>
where
    T: ConnectorType<Settings = Settings, Shared = PoolCache<MySqlPool>>,
{
    let connection = cx.settings.connection()?;
    let pool = super::pool(cx, &connection).await?;
    let name = Identifier::guard("stream", stream.as_str())?;
    let table = Table::find(&pool, &Scope::of(&connection.database), &name).await?;
    Ok(super::push_down(&table, parts))
}

/// Splits the read of one of them.
pub(crate) async fn split<T>(
    cx: &Cx<T>,
    stream: &StreamName,
    parts: usize,
) -> Result<Vec<Condition>, Failure>
where
    T: ConnectorType<Settings = Settings, Shared = PoolCache<MySqlPool>>,
{
    let connection = cx.settings.connection()?;
    let pool = super::pool(cx, &connection).await?;
    let name = Identifier::guard("stream", stream.as_str())?;
    let table = Table::find(&pool, &Scope::of(&connection.database), &name).await?;
    super::split(&pool, &table, parts).await
}
