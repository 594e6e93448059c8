//! Connecting.

use linkspan_sdk::{CheckOutcome, ConnectorType, Cx, Failure, PoolCache};
use schemars::JsonSchema;
use serde::Deserialize;
use sqlx::{
    ConnectOptions, PgPool, Postgres,
    postgres::{PgConnectOptions, PgSslMode},
};

use super::error::failure;
use crate::server::{self, Make, NeedsDatabase};

/// Where a database is, and who logs in.
pub(crate) type Connection = server::Connection<SslMode>;

/// How the connection is encrypted (PostgreSQL documentation §34.19.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SslMode {
    /// Never.
    Disable,
    /// Only if the server insists.
    Allow,
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
    const SCHEMES: &'static [&'static str] = &["postgresql", "postgres"];
    const PORT: u16 = default_port();
    const DATABASE: NeedsDatabase = NeedsDatabase::Always;

    fn checks_the_name(self) -> bool {
        self == Self::VerifyFull
    }
}

/// PostgreSQL's port.
pub(crate) const fn default_port() -> u16 {
    5432
}

/// For the driver, dialling `host`.
fn options(connection: &Connection, host: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host(host)
        .port(connection.port)
        .database(&connection.database)
        .username(&connection.username)
        .password(connection.password())
        .ssl_mode(connection.sslmode.into())
        .application_name("linkspan")
        // Poolers in transaction mode do not keep prepared statements.
        .statement_cache_capacity(0)
        .disable_statement_logging()
}

impl From<SslMode> for PgSslMode {
    fn from(mode: SslMode) -> Self {
        match mode {
            SslMode::Disable => Self::Disable,
            SslMode::Allow => Self::Allow,
            SslMode::Prefer => Self::Prefer,
            SslMode::Require => Self::Require,
            SslMode::VerifyCa => Self::VerifyCa,
            SslMode::VerifyFull => Self::VerifyFull,
        }
    }
}

/// The connections of an activation.
pub(crate) async fn pool<T>(cx: &Cx<T>, connection: Connection) -> Result<PgPool, Failure>
where
    T: ConnectorType<Shared = PoolCache<PgPool>>,
{
    let options = |host: &str| options(&connection, host);
    server::pool::<Postgres, _, _>(cx, &connection, options, failure).await
}

/// Asks the server for its version.
pub(crate) async fn check(pool: &PgPool) -> Result<CheckOutcome, Failure> {
    let version: String = sqlx::query_scalar("select current_setting('server_version')")
        .fetch_one(pool)
        .await
        .map_err(|error| failure("the database", error))?;
    Ok(CheckOutcome::ok(format!("connected to PostgreSQL {version}")))
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
        let it =
            parse("postgresql://ann%40x:p%2Fw@db.example.com:6543/crm?sslmode=require").unwrap();
        assert_eq!(
            (it.host.as_str(), it.port, it.database.as_str()),
            ("db.example.com", 6543, "crm")
        );
        assert_eq!(it.username, "ann@x");
        assert_eq!(it.password.unwrap().expose(), "p/w");
        assert_eq!(it.sslmode, SslMode::Require);
    }

    #[test]
    fn what_is_no_connection_string_is_refused_without_repeating_it() {
        for text in [
            "hunter2",
            "mysql://a:hunter2@h/d",
            "postgresql://a:hunter2@h/",
            "postgresql://:hunter2@h/d",
            "postgresql://a:hunter2@h/d?options=-c",
            "postgresql://a:hunter2@h/d?sslmode=maybe",
            "postgresql://a:hunter2@%2Fvar%2Frun/d",
        ] {
            let refused = parse(text).map(drop).unwrap_err();
            assert!(matches!(refused, Failure::Invalid { .. }), "{text}");
            assert!(!refused.to_string().contains("hunter2"), "{refused}");
        }
    }
}
