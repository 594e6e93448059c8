//! A PostgreSQL server for the tests: the one given, the one that runs, or one of our own.

mod cluster;
mod handshake;

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
};

use anyhow::{Context, Result};

use crate::{debian, postgres::cluster::Cluster, process};

/// The variable through which the tests learn where the server is.
pub(crate) const URL_SETTING: &str = "LINKSPAN_TEST_POSTGRES_URL";

const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5432);

/// A server on which tests may create databases. A private one ends when this is dropped.
pub(crate) enum Postgres {
    /// Named by the setting.
    Given(String),
    /// Running on its usual port, and letting `postgres` in.
    Local,
    /// Started for this run.
    Private(Cluster),
}

impl Postgres {
    /// The server of the setting, else the local one, else a private one, whose programs are
    /// installed first when they are missing and that can be done.
    pub(crate) fn find_or_start() -> Result<Self> {
        if let Some(url) = process::setting(URL_SETTING) {
            return Ok(Self::Given(url));
        }
        if handshake::lets_in(LOCAL) {
            return Ok(Self::Local);
        }
        if let Some(programs) = cluster::programs() {
            return Cluster::start(&programs).map(Self::Private);
        }
        debian::install("there is no PostgreSQL here", &["postgresql"]).with_context(|| {
            format!("or name a server: {URL_SETTING}=postgres://user:password@host:5432/postgres")
        })?;
        let programs = cluster::programs()
            .context("PostgreSQL is installed, but `initdb` is not below /usr/lib/postgresql")?;
        Cluster::start(&programs).map(Self::Private)
    }

    /// Where the server is; the database in it is only a door.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Given(url) => url.clone(),
            Self::Local => url(LOCAL),
            Self::Private(cluster) => url(cluster.address()),
        }
    }
}

fn url(address: SocketAddr) -> String {
    format!("postgres://postgres@{address}/postgres")
}

impl fmt::Display for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(_) => write!(f, "the one of {URL_SETTING}"),
            Self::Local => write!(f, "the one at {LOCAL}"),
            Self::Private(cluster) => write!(f, "a private one at {}", cluster.address()),
        }
    }
}
