//! PostgreSQL servers.

mod handshake;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    database_server::{Make, Owner},
    process,
};

/// The make of PostgreSQL.
pub(crate) struct Postgres;

impl Make for Postgres {
    const NAME: &'static str = "PostgreSQL";
    const URL_SETTING: &'static str = "LINKSPAN_TEST_POSTGRES_URL";
    const EXAMPLE: &'static str = "postgres://user:password@host:5432/postgres";
    const PORT: u16 = 5432;
    const PACKAGE: &'static str = "postgresql";
    const INITIALISER: &'static str = "initdb";
    const ACCOUNTS: [&'static str; 2] = ["postgres", "nobody"];

    fn url(address: SocketAddr) -> String {
        format!("postgres://postgres@{address}/postgres")
    }

    fn lets_in(address: SocketAddr) -> bool {
        handshake::lets_in(address)
    }

    fn programs() -> Option<PathBuf> {
        let mut folders: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|it| Some((it.file_name().to_str()?.parse().ok()?, it.path().join("bin"))))
            .filter(|(_, folder)| folder.join(Self::INITIALISER).is_file())
            .collect();
        folders.sort();
        folders.pop().map(|(_, folder)| folder).or_else(|| {
            let initialiser = fs::canonicalize(process::find(Self::INITIALISER)?).ok()?;
            let folder = initialiser.parent()?;
            folder.join("postgres").is_file().then(|| folder.to_owned())
        })
    }

    fn initialise(programs: &Path, folder: &Path, owner: Option<Owner>) -> Command {
        let mut command = Owner::command(owner, &programs.join(Self::INITIALISER));
        command
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8"])
            .args(["--locale=C.UTF-8", "--no-sync", "--pgdata"])
            .arg(folder.join("data"));
        command
    }

    fn serve(programs: &Path, folder: &Path, owner: Option<Owner>, address: SocketAddr) -> Command {
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
        command.arg("-D").arg(folder.join("data"));
        for setting in settings {
            command.args(["-c", setting]);
        }
        command
    }

    fn stop(programs: &Path, folder: &Path, owner: Option<Owner>) -> Option<Command> {
        let mut command = Owner::command(owner, &programs.join("pg_ctl"));
        command.args(["stop", "--mode=immediate", "--silent", "--pgdata"]).arg(folder.join("data"));
        Some(command)
    }
}
