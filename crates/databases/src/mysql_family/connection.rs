//! Connecting.

use std::time::Duration;

use linkspan_sdk::{CheckOutcome, ConnectorType, Cx, Failure, PoolCache};
use schemars::JsonSchema;
use serde::Deserialize;
use sqlx::{
    ConnectOptions, MySql, MySqlPool,
    mysql::{MySqlConnectOptions, MySqlSslMode},
};

use super::error::failure;
use crate::server::{self, Make, NeedsDatabase};

/// Where a database is, and who logs in.
pub(crate) type Connection = server::Connection<SslMode>;

/// How the connection is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SslMode {
    /// Never.
    Disable,
    /// If the server can.
    #[default]
    Prefer,
    /// Always; the server's certificate is not checked.
    Require,
    /// Always; the server's certificate must come from a known authority.
    VerifyCa,
    /// Always; the certificate must also name the server.
    VerifyFull,
}

impl Make for SslMode {
    const SCHEMES: &'static [&'static str] = &["mysql", "mariadb"];
    const PORT: u16 = default_port();
    const DATABASE: NeedsDatabase = NeedsDatabase::Optional;

    fn checks_the_name(self) -> bool {
        self == Self::VerifyFull
    }
}

/// The port of both.
pub(crate) const fn default_port() -> u16 {
    3306
}

/// How long a server may be silent: before the first row it may have to sort a table.
const SILENCE: Duration = Duration::from_mins(10);

/// What `answer` is, unless the server has been silent for so long that it must be gone.
pub(super) async fn answered<A>(
    answer: impl Future<Output = Result<A, sqlx::Error>>,
) -> Result<A, Failure> {
    let answer = tokio::time::timeout(SILENCE, answer).await;
    answer
        .map_err(|error| Failure::unavailable("the database", error))?
        .map_err(|error| failure("the database", error))
}

/// For the driver, dialling `host`.
fn options(connection: &Connection, host: &str) -> MySqlConnectOptions {
    let mut options = MySqlConnectOptions::new()
        .host(host)
        .port(connection.port)
        .username(&connection.username)
        .ssl_mode(connection.sslmode.into())
        // Instants arrive in UTC, texts in UTF-8; the rest stays as the server has it.
        .timezone(String::from("+00:00"))
        .charset("utf8mb4")
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .statement_cache_capacity(0)
        .disable_statement_logging();
    if !connection.database.is_empty() {
        options = options.database(&connection.database);
    }
    // An empty password is none: the server expects no proof of it.
    if !connection.password().is_empty() {
        options = options.password(connection.password());
    }
    options
}

impl From<SslMode> for MySqlSslMode {
    fn from(mode: SslMode) -> Self {
        match mode {
            SslMode::Disable => Self::Disabled,
            SslMode::Prefer => Self::Preferred,
            SslMode::Require => Self::Required,
            SslMode::VerifyCa => Self::VerifyCa,
            SslMode::VerifyFull => Self::VerifyIdentity,
        }
    }
}

/// The connections of an activation.
pub(crate) async fn pool<T>(cx: &Cx<T>, connection: &Connection) -> Result<MySqlPool, Failure>
where
    T: ConnectorType<Shared = PoolCache<MySqlPool>>,
{
    let options = |host: &str| options(connection, host);
    server::pool::<MySql, _, _>(cx, connection, options, failure).await
}

/// Asks the server for its version.
pub(super) async fn version(pool: &MySqlPool) -> Result<String, Failure> {
    answered(sqlx::query_scalar("select version()").persistent(false).fetch_one(pool)).await
}

/// Whether a server of that version is MariaDB.
pub(super) fn is_mariadb(version: &str) -> bool {
    version.contains("MariaDB")
}

/// Says which server answers.
pub(crate) async fn check(pool: &MySqlPool) -> Result<CheckOutcome, Failure> {
    let version = version(pool).await?;
    let make = if is_mariadb(&version) { "MariaDB" } else { "MySQL" };
    let number = version.split('-').next().unwrap_or_default();
    Ok(CheckOutcome::ok(format!("connected to {make} {number}")))
}

#[cfg(test)]
mod tests {
    use linkspan_domain::Secret;

    use super::*;

    fn parse(text: &str) -> Result<Connection, Failure> {
        Connection::parse(&Secret::new(text.to_owned())).and_then(Connection::accepted)
    }

    #[test]
    fn a_connection_string_is_taken_apart() {
        let it = parse("mariadb://ann%40x:p%2Fw@db.example.com/crm?sslmode=verify-ca").unwrap();
        assert_eq!(
            (it.host.as_str(), it.port, it.database.as_str()),
            ("db.example.com", 3306, "crm")
        );
        assert_eq!((it.username.as_str(), it.password()), ("ann@x", "p/w"));
        assert_eq!(it.sslmode, SslMode::VerifyCa);
        assert_eq!(parse("mysql://a@h:3307").unwrap().database, "", "that is every database");
    }

    #[test]
    fn what_is_no_connection_string_is_refused_without_repeating_it() {
        for text in [
            "hunter2",
            "postgresql://a:hunter2@h/d",
            "mysql://:hunter2@h/d",
            "mysql://a:hunter2@h/d?socket=/x",
            "mysql://a:hunter2@h/d?sslmode=allow",
            "mysql://a:hunter2@%2Fvar%2Frun/d",
        ] {
            let refused = parse(text).map(drop).unwrap_err();
            assert!(matches!(refused, Failure::Invalid { .. }), "{text}");
            assert!(!refused.to_string().contains("hunter2"), "{refused}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_says_nothing_any_more_is_given_up() {
        let never = std::future::pending::<Result<(), sqlx::Error>>();
        assert!(matches!(answered(never).await, Err(Failure::Unavailable { .. })));
    }
}
