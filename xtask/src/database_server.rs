//! A database server for the tests: the one given, the one that runs, or one of our own.

mod cluster;

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

pub(crate) use cluster::Owner;

use crate::{database_server::cluster::Cluster, debian, process};

/// A make of database servers: how one is found, made and reached.
pub(crate) trait Make {
    /// What people call it.
    const NAME: &'static str;
    /// The variable through which the tests learn where the server is.
    const URL_SETTING: &'static str;
    /// What to type as its value.
    const EXAMPLE: &'static str;
    /// Where it usually listens.
    const PORT: u16;
    /// What Debian calls it.
    const PACKAGE: &'static str;
    /// The program that makes the files of a server.
    const INITIALISER: &'static str;
    /// The accounts that a server may run under when we are root, which it refuses to be.
    const ACCOUNTS: [&'static str; 2];

    /// The address of a server that lets its administrator in without a password.
    fn url(address: SocketAddr) -> String;

    /// Whether the server there does.
    fn lets_in(address: SocketAddr) -> bool;

    /// The folder with the newest programs of this machine.
    fn programs() -> Option<PathBuf>;

    /// Makes the files of a server below `folder`.
    fn initialise(programs: &Path, folder: &Path, owner: Option<Owner>) -> Command;

    /// Runs a server over these files, without what only matters to data that outlives the run.
    fn serve(programs: &Path, folder: &Path, owner: Option<Owner>, address: SocketAddr) -> Command;

    /// Ends it at once, if there is a better way than to kill it.
    fn stop(programs: &Path, folder: &Path, owner: Option<Owner>) -> Option<Command>;
}

/// A server on which tests may create databases. A private one ends when this is dropped.
pub(crate) enum DatabaseServer<M: Make> {
    /// Named by the setting.
    Given(String),
    /// Running on its usual port, and letting its administrator in.
    Local,
    /// Started for this run.
    Private(Cluster<M>),
}

impl<M: Make> DatabaseServer<M> {
    /// The server of the setting, else the local one, else a private one, whose programs are
    /// installed first when they are missing and that can be done.
    pub(crate) fn find_or_start() -> Result<Self> {
        if let Some(url) = process::setting(M::URL_SETTING) {
            return Ok(Self::Given(url));
        }
        if M::lets_in(local::<M>()) {
            return Ok(Self::Local);
        }
        if let Some(programs) = M::programs() {
            return Cluster::start(&programs).map(Self::Private);
        }
        debian::install(&format!("there is no {} here", M::NAME), &[M::PACKAGE])
            .with_context(|| format!("or name a server: {}={}", M::URL_SETTING, M::EXAMPLE))?;
        let programs = M::programs().with_context(|| {
            format!("{} is installed, but `{}` is not to be found", M::NAME, M::INITIALISER)
        })?;
        Cluster::start(&programs).map(Self::Private)
    }

    /// Where the server is; the database in it, if any, is only a door.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Given(url) => url.clone(),
            Self::Local => M::url(local::<M>()),
            Self::Private(cluster) => M::url(cluster.address()),
        }
    }
}

fn local<M: Make>() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, M::PORT).into()
}

impl<M: Make> fmt::Display for DatabaseServer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", M::NAME)?;
        match self {
            Self::Given(_) => write!(f, "the one of {}", M::URL_SETTING),
            Self::Local => write!(f, "the one at {}", local::<M>()),
            Self::Private(cluster) => write!(f, "a private one at {}", cluster.address()),
        }
    }
}
