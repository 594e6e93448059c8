//! Where a database server is, who logs in, and how many connections are kept: the same for every make.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::{Deref, DerefMut},
    time::Duration,
};

use linkspan_domain::Secret;
use linkspan_sdk::{ConnectorType, Cx, Failure, Permit, PoolCache};
use serde::de::{DeserializeOwned, value};
use serde_json::{Value, json};
use sqlx::{
    ConnectOptions, Connection as _, Database, Pool,
    pool::{PoolConnection, PoolOptions},
};
use url::Url;

/// What sets one make of servers apart: the words for how a connection is encrypted, and a few facts.
pub(crate) trait Make: Copy + Default + DeserializeOwned {
    /// How a connection string of it begins; the first is the one to recommend.
    const SCHEMES: &'static [&'static str];
    /// Where it listens.
    const PORT: u16;
    /// Whether a login is always to one database.
    const DATABASE: NeedsDatabase;

    /// Whether the server's certificate must name the server.
    fn checks_the_name(self) -> bool;
}

/// Whether a login is always to one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NeedsDatabase {
    Always,
    Optional,
}

/// A connection on which a table is read. One that is not read to the end is closed: its server is in the middle of sending.
pub(crate) struct Reading<D: Database> {
    connection: PoolConnection<D>,
    is_over: bool,
}

impl<D: Database> Reading<D> {
    pub(crate) const fn on(connection: PoolConnection<D>) -> Self {
        Self { connection, is_over: false }
    }

    /// Gives the connection back to its pool.
    pub(crate) fn end(mut self) {
        self.is_over = true;
    }
}

impl<D: Database> Drop for Reading<D> {
    fn drop(&mut self) {
        if !self.is_over {
            self.connection.close_on_drop();
        }
    }
}

impl<D: Database> Deref for Reading<D> {
    type Target = D::Connection;

    fn deref(&self) -> &Self::Target {
        &self.connection
    }
}

impl<D: Database> DerefMut for Reading<D> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.connection
    }
}

/// Where a database is, and who logs in.
#[derive(Clone)]
pub(crate) struct Connection<M> {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Empty for none.
    pub(crate) database: String,
    pub(crate) username: String,
    pub(crate) password: Option<Secret>,
    pub(crate) sslmode: M,
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

/// How much of a refusal is repeated, in bytes: a server may quote a long value.
const SAID: usize = 500;

/// That `system` refused, in its own words: they are about a query, and what is wrong with it only the server knows.
pub(crate) fn refused(system: &str, error: &sqlx::Error) -> Failure {
    let said =
        error.as_database_error().map_or("without a word", sqlx::error::DatabaseError::message);
    let said = &said[..said.floor_char_boundary(SAID)];
    Failure::Refused(format!("{system} refused: {said}; correct that there, and try again"))
}

/// A setting that must be there.
pub(crate) fn required(field: &str, value: Option<&String>) -> Result<String, Failure> {
    value.cloned().ok_or_else(|| Failure::setting(field, "is required without `connection_string`"))
}

/// The connection string, unless a host is given beside it: two answers to one question.
pub(crate) fn one_of<'a>(
    connection_string: Option<&'a Secret>,
    host: Option<&String>,
) -> Result<Option<&'a Secret>, Failure> {
    if connection_string.is_some() && host.is_some() {
        let reason = "does not go together with `host`; give one of the two";
        return Err(Failure::setting("connection_string", reason));
    }
    Ok(connection_string)
}

impl<M: Make> Connection<M> {
    /// Reads `scheme://user:password@host:port/database?sslmode=require`.
    pub(crate) fn parse(text: &Secret) -> Result<Self, Failure> {
        let scheme = M::SCHEMES.first().copied().unwrap_or_default();
        let wrong = |reason: &str| Failure::setting("connection_string", reason);
        let url: Url = text.expose().parse().map_err(|_| {
            wrong(&format!("is not of the form {scheme}://user:password@host:{}/database", M::PORT))
        })?;
        if !M::SCHEMES.contains(&url.scheme()) {
            return Err(wrong(&format!("must begin with {scheme}://")));
        }
        let decoded = |text: &str| {
            let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
            decoded
                .map(std::borrow::Cow::into_owned)
                .map_err(|_| wrong("is not valid UTF-8 when decoded"))
        };
        let mut sslmode = M::default();
        for (key, value) in url.query_pairs() {
            if key != "sslmode" {
                return Err(wrong("has a parameter other than `sslmode`"));
            }
            let word = value::StrDeserializer::<value::Error>::new(&value);
            sslmode = M::deserialize(word)
                .map_err(|_| wrong("has an `sslmode` that is none of those of the setting"))?;
        }
        Ok(Self {
            host: decoded(url.host_str().unwrap_or_default())?,
            port: url.port().unwrap_or(M::PORT),
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
        let lacks_database = self.database.is_empty() && M::DATABASE == NeedsDatabase::Always;
        if lacks_database || self.database.contains('\0') {
            return Err(Failure::setting("database", "is required"));
        }
        if self.username.is_empty() || self.username.contains('\0') {
            return Err(Failure::setting("username", "is required"));
        }
        Ok(Self { host: host.to_owned(), ..self })
    }

    /// The same failure, which names the database that is not there.
    fn named(&self, failure: Failure) -> Failure {
        let Self { database, host, .. } = self;
        match failure {
            Failure::NotFound(_) => {
                Failure::NotFound(format!("the database `{database}` of {host}"))
            }
            other => other,
        }
    }

    /// What tells it from other databases, whoever logs in.
    pub(crate) fn place(&self) -> Value {
        json!({ "host": host_of(&self.host), "port": self.port, "database": self.database })
    }

    /// The password, which is always given to the driver, if as nothing: else it might take the operator's
    /// own from the environment.
    pub(crate) fn password(&self) -> &str {
        self.password.as_ref().map_or("", |it| it.expose().as_str())
    }

    /// What the driver is to dial, by way of `permit`.
    pub(crate) fn dialled(&self, permit: &Permit) -> Result<String, Failure> {
        match permit {
            Permit::Open => Ok(self.host.clone()),
            Permit::Pinned(_) if self.sslmode.checks_the_name() => Err(Failure::Refused(
                "`verify-full` cannot be kept while database hosts are under the egress policy; use `verify-ca`"
                    .to_owned(),
            )),
            Permit::Pinned(addresses) => match addresses.first() {
                Some(address) => Ok(address.ip().to_string()),
                None => Err(Failure::unavailable(&self.host, "no address")),
            },
        }
    }
}

/// What `host` is called among places: the machine that the program runs on has several names, and names know no upper
/// case.
fn host_of(host: &str) -> String {
    let is_here = host.parse::<IpAddr>().is_ok_and(|it| {
        [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()].contains(&it.to_canonical())
    });
    if is_here { "localhost".to_owned() } else { host.to_lowercase() }
}

/// The driver's options for a login.
type Options<D> = <<D as Database>::Connection as sqlx::Connection>::Options;

/// The connections of an activation. `options` is told what to dial.
pub(crate) async fn pool<D, M, T>(
    cx: &Cx<T>,
    connection: &Connection<M>,
    options: impl Fn(&str) -> Options<D> + Send,
    said: fn(&str, sqlx::Error) -> Failure,
) -> Result<Pool<D>, Failure>
where
    D: Database,
    M: Make + Sync,
    T: ConnectorType<Shared = PoolCache<Pool<D>>>,
{
    // Asked each time: a name may point elsewhere than when the pool was made.
    let permit = cx.database_hosts.permit(&connection.host, connection.port).await?;
    let open = async {
        let options = options(&connection.dialled(&permit)?);
        let PoolLimits { size, overflow, recycle_secs } = connection.limits;
        // A pool tries again until its time is up; somebody who waits for an answer wants the first no.
        let first = tokio::time::timeout(CONNECT, options.connect()).await;
        let first = first
            .map_err(|error| Failure::unavailable(&connection.host, error))?
            .map_err(|error| connection.named(said(&connection.host, error)))?;
        // It has done what it was for; how it ends changes nothing.
        let _ = first.close().await;
        Ok(PoolOptions::new()
            .max_connections(size.saturating_add(overflow))
            .acquire_timeout(CONNECT)
            .idle_timeout(IDLE)
            .max_lifetime(Duration::from_secs(recycle_secs.into()))
            .connect_lazy_with(options))
    };
    cx.shared.get_or_open(cx.pool_key, open).await
}
