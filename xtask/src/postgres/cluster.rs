//! A throw-away PostgreSQL cluster on a random port, made for one run.

use std::{
    fs::{self, File},
    net::SocketAddr,
    os::unix::{fs as unix_fs, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{debian, http, postgres::handshake, process};

const PATIENCE: Duration = Duration::from_mins(1);

/// A running cluster; dropping it ends the server and removes its files.
pub(crate) struct Cluster {
    server: Child,
    address: SocketAddr,
    folder: TempDir,
    programs: PathBuf,
    owner: Option<Owner>,
}

/// The account that the server runs under when we are root, which it refuses to be.
#[derive(Clone, Copy)]
struct Owner {
    user: u32,
    group: u32,
}

/// The folder with the newest `initdb` of this machine.
pub(crate) fn programs() -> Option<PathBuf> {
    let mut folders: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|it| Some((it.file_name().to_str()?.parse().ok()?, it.path().join("bin"))))
        .filter(|(_, folder)| folder.join("initdb").is_file())
        .collect();
    folders.sort();
    folders.pop().map(|(_, folder)| folder).or_else(|| {
        let initdb = fs::canonicalize(process::find("initdb")?).ok()?;
        initdb.parent().filter(|folder| folder.join("postgres").is_file()).map(Path::to_owned)
    })
}

impl Cluster {
    /// Makes a cluster with the programs of one folder and waits until it answers.
    pub(crate) fn start(programs: &Path) -> Result<Self> {
        let owner = if debian::is_root() { Some(Owner::find()?) } else { None };
        let folder = tempfile::Builder::new().prefix("linkspan-postgres-").tempdir()?;
        if let Some(owner) = owner {
            unix_fs::chown(folder.path(), Some(owner.user), Some(owner.group))?;
        }
        process::read(
            Owner::command(owner, &programs.join("initdb"))
                .args(["--auth=trust", "--username=postgres", "--encoding=UTF8"])
                .args(["--locale=C.UTF-8", "--no-sync", "--pgdata"])
                .arg(folder.path().join("data"))
                .current_dir(folder.path()),
        )?;
        let address = http::free_address()?;
        let server = serve(programs, owner, folder.path(), address)?;
        let mut cluster = Self { server, address, folder, programs: programs.to_owned(), owner };
        cluster.wait()?;
        Ok(cluster)
    }

    /// Where the server listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !handshake::lets_in(self.address) {
            let ended = self.server.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let said = process::tail(&self.folder.path().join("log"));
                bail!("the private PostgreSQL server does not answer; it said:\n{said}");
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

/// Starts the server, without what only matters to data that outlives the run.
fn serve(
    programs: &Path,
    owner: Option<Owner>,
    folder: &Path,
    address: SocketAddr,
) -> Result<Child> {
    let log = File::create(folder.join("log"))?;
    let port = format!("port={}", address.port());
    let settings = [
        port.as_str(),
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "max_connections=300",
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
    ];
    let mut command = Owner::command(owner, &programs.join("postgres"));
    command.arg("-D").arg(folder.join("data")).current_dir(folder);
    for setting in settings {
        command.args(["-c", setting]);
    }
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start the private PostgreSQL server")
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let stopped = process::read(
            Owner::command(self.owner, &self.programs.join("pg_ctl"))
                .args(["stop", "--mode=immediate", "--silent", "--pgdata"])
                .arg(self.folder.path().join("data"))
                .current_dir(self.folder.path()),
        );
        if stopped.is_err() {
            // The server has ended by itself, or a hard end is all that is left.
            let _ = self.server.kill();
        }
        let _ = self.server.wait();
    }
}

impl Owner {
    /// `postgres` when there is such an account, else `nobody`.
    fn find() -> Result<Self> {
        let accounts = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        ["postgres", "nobody"].into_iter().find_map(|name| Self::parse(&accounts, name)).context(
            "PostgreSQL does not run as root, and there is neither `postgres` nor `nobody`; \
             run as another user",
        )
    }

    fn parse(accounts: &str, name: &str) -> Option<Self> {
        let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2);
        Some(Self { user: numbers.next()?.parse().ok()?, group: numbers.next()?.parse().ok()? })
    }

    fn command(owner: Option<Self>, program: &Path) -> Command {
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
