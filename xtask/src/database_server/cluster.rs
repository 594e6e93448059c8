//! A throw-away database server on a random port, made for one run.

use std::{
    fs::{self, File},
    marker::PhantomData,
    net::SocketAddr,
    os::unix::{fs as unix_fs, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{database_server::Make, debian, http, process};

const PATIENCE: Duration = Duration::from_mins(1);

/// A running server; dropping it ends the server and removes its files.
pub(crate) struct Cluster<M: Make> {
    server: Child,
    address: SocketAddr,
    folder: TempDir,
    programs: PathBuf,
    owner: Option<Owner>,
    make: PhantomData<M>,
}

/// The account that the server runs under when we are root, which it refuses to be.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    user: u32,
    group: u32,
}

impl<M: Make> Cluster<M> {
    /// Makes a server with the programs of one folder and waits until it answers.
    pub(crate) fn start(programs: &Path) -> Result<Self> {
        let owner = if debian::is_root() { Some(Owner::find::<M>()?) } else { None };
        let folder = tempfile::Builder::new().prefix("linkspan-database-").tempdir()?;
        if let Some(owner) = owner {
            unix_fs::chown(folder.path(), Some(owner.user), Some(owner.group))?;
        }
        process::read(M::initialise(programs, folder.path(), owner).current_dir(folder.path()))?;
        let address = http::free_address()?;
        let log = File::create(folder.path().join("log"))?;
        let server = M::serve(programs, folder.path(), owner, address)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start the private {} server", M::NAME))?;
        let programs = programs.to_owned();
        let mut cluster = Self { server, address, folder, programs, owner, make: PhantomData };
        cluster.wait()?;
        Ok(cluster)
    }

    /// Where the server listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !M::lets_in(self.address) {
            let ended = self.server.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let said = process::tail(&self.folder.path().join("log"));
                bail!("the private {} server does not answer; it said:\n{said}", M::NAME);
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Whether the server was told to end.
    fn is_stopped(&self) -> bool {
        let stop = M::stop(&self.programs, self.folder.path(), self.owner);
        stop.is_some_and(|mut it| process::read(it.current_dir(self.folder.path())).is_ok())
    }
}

impl<M: Make> Drop for Cluster<M> {
    fn drop(&mut self) {
        if !self.is_stopped() {
            // The server has ended by itself, or a hard end is all that is left.
            let _ = self.server.kill();
        }
        let _ = self.server.wait();
    }
}

impl Owner {
    /// The first of the make's accounts that there is.
    fn find<M: Make>() -> Result<Self> {
        let accounts = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        M::ACCOUNTS.into_iter().find_map(|name| Self::parse(&accounts, name)).with_context(|| {
            let [first, second] = M::ACCOUNTS;
            format!(
                "{} does not run as root, and there is neither `{first}` nor `{second}`; run as another user",
                M::NAME
            )
        })
    }

    fn parse(accounts: &str, name: &str) -> Option<Self> {
        let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2);
        Some(Self { user: numbers.next()?.parse().ok()?, group: numbers.next()?.parse().ok()? })
    }

    /// `program`, run by this account.
    pub(crate) fn command(owner: Option<Self>, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some(owner) = owner {
            command.uid(owner.user).gid(owner.group);
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_name() {
        let accounts = "root:x:0:0::/root:/bin/sh\npostgres:x:101:104:,,,:/home:/bin/bash\n";
        let owner = Owner::parse(accounts, "postgres").unwrap();
        assert_eq!((owner.user, owner.group), (101, 104));
        assert!(Owner::parse(accounts, "nobody").is_none());
    }
}
