//! Connecting.

use std::time::Duration;

use linkspan_domain::Secret;
use linkspan_sdk::{CheckOutcome, ConnectorType, Cx, Failure, Permit, PoolCache};
use schemars::JsonSchema;
use serde::Deserialize;
use sqlx::{
    ConnectOptions, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};
use url::Url;

use super::error::failure;

/// Where a database is, and who logs in.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) database: String,
    pub(crate) username: String,
    pub(crate) password: Option<Secret>,
    pub(crate) sslmode: SslMode,
    pub(crate) limits: PoolLimits,
}

/// How many connections, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolLimits {
    pub(crate) size: u32,
    pub(crate) overflow: u32,
    pub(crate) recycle_secs: u32,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            size: default_pool_size(),
            overflow: default_max_overflow(),
            recycle_secs: default_pool_recycle(),
        }
    }
}

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

/// PostgreSQL's port.
pub(crate) const fn default_port() -> u16 {
    5432
}

/// Connections that are kept open.
pub(crate) const fn default_pool_size() -> u32 {
    5
}

/// Connections beyond those: 20 in all.
pub(crate) const fn default_max_overflow() -> u32 {
    15
}

/// Half an hour.
pub(crate) const fn default_pool_recycle() -> u32 {
    1_800
}

/// How long opening a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection that nobody uses stays open.
const IDLE: Duration = Duration::from_mins(5);

/// A setting that must be there.
pub(crate) fn required(field: &str, value: Option<&String>) -> Result<String, Failure> {
    value.cloned().ok_or_else(|| Failure::setting(field, "is required without `connection_string`"))
}

impl Connection {
    /// Reads `postgresql://user:password@host:5432/database?sslmode=require`.
    pub(crate) fn parse(text: &Secret) -> Result<Self, Failure> {
        let wrong = |reason: &str| Failure::setting("connection_string", reason);
        let url: Url = text.expose().parse().map_err(|_| {
            wrong("is not of the form postgresql://user:password@host:5432/database")
        })?;
        if !matches!(url.scheme(), "postgresql" | "postgres") {
            return Err(wrong("must begin with postgresql://"));
        }
        let decoded = |text: &str| {
            let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
            decoded
                .map(std::borrow::Cow::into_owned)
                .map_err(|_| wrong("is not valid UTF-8 when decoded"))
        };
        let mut sslmode = SslMode::default();
        for (key, value) in url.query_pairs() {
            if key != "sslmode" {
                return Err(wrong("has a parameter other than `sslmode`"));
            }
            let word = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(&value);
            sslmode = SslMode::deserialize(word)
                .map_err(|_| wrong("has an `sslmode` that PostgreSQL does not know"))?;
        }
        Ok(Self {
            host: decoded(url.host_str().unwrap_or_default())?,
            port: url.port().unwrap_or(default_port()),
            database: decoded(url.path().trim_start_matches('/'))?,
            username: decoded(url.username())?,
            password: url.password().map(|it| decoded(it).map(Secret::new)).transpose()?,
            sslmode,
            limits: PoolLimits::default(),
        })
    }

    /// Passes if everything is said, and the host is one of a network.
    pub(crate) fn accepted(self) -> Result<Self, Failure> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.contains('/') {
            return Err(Failure::setting("host", "must be the name or the address of a server"));
        }
        for (field, value) in [("database", &self.database), ("username", &self.username)] {
            if value.is_empty() || value.contains('\0') {
                return Err(Failure::setting(field, "is required"));
            }
        }
        Ok(Self { host: host.to_owned(), ..self })
    }

    /// For the driver, by way of `permit`.
    fn options(&self, permit: &Permit) -> Result<PgConnectOptions, Failure> {
        let host = match permit {
            Permit::Open => self.host.clone(),
            Permit::Pinned(_) if self.sslmode == SslMode::VerifyFull => {
                return Err(Failure::Refused(
                    "`verify-full` cannot be kept while database hosts are under the egress policy; use `verify-ca`".to_owned(),
                ));
            }
            Permit::Pinned(addresses) => match addresses.first() {
                Some(address) => address.ip().to_string(),
                None => return Err(Failure::unavailable(&self.host, "no address")),
            },
        };
        // The password is always set, if to nothing: else the driver would take the operator's own from the environment.
        let password = self.password.as_ref().map_or("", |it| it.expose().as_str());
        Ok(PgConnectOptions::new_without_pgpass()
            .host(&host)
            .port(self.port)
            .database(&self.database)
            .username(&self.username)
            .password(password)
            .ssl_mode(self.sslmode.into())
            .application_name("linkspan")
            // Poolers in transaction mode do not keep prepared statements.
            .statement_cache_capacity(0)
            .disable_statement_logging())
    }
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
    // Asked each time: a name may point elsewhere than when the pool was made.
    let permit = cx.database_hosts.permit(&connection.host, connection.port).await?;
    let open = async {
        let options = connection.options(&permit)?;
        let PoolLimits { size, overflow, recycle_secs } = connection.limits;
        // A pool tries again until its time is up; somebody who waits for an answer wants the first no.
        let first = tokio::time::timeout(CONNECT, options.connect()).await;
        first
            .map_err(|error| Failure::unavailable(&connection.host, error))?
            .map_err(|error| failure(&connection.host, error))?;
        Ok(PgPoolOptions::new()
            .max_connections(size.saturating_add(overflow))
            .acquire_timeout(CONNECT)
            .idle_timeout(IDLE)
            .max_lifetime(Duration::from_secs(recycle_secs.into()))
            .connect_lazy_with(options))
    };
    cx.shared.get_or_open(cx.pool_key, open).await
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
