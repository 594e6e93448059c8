//! MariaDB servers, which stand for MySQL too: both speak one protocol.

mod handshake;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    database_server::{Make, Owner},
    process,
};

/// The make of MariaDB.
pub(crate) struct Mysql;

/// Where Debian has the server, which is not on everybody's search path.
const SERVER: &str = "/usr/sbin/mariadbd";

impl Make for Mysql {
    const NAME: &'static str = "MariaDB";
    const URL_SETTING: &'static str = "LINKSPAN_TEST_MYSQL_URL";
    const EXAMPLE: &'static str = "mysql://user:password@host:3306";
    const PORT: u16 = 3306;
    const PACKAGE: &'static str = "mariadb-server";
    const INITIALISER: &'static str = "mariadb-install-db";
    const ACCOUNTS: [&'static str; 2] = ["mysql", "nobody"];

    fn url(address: SocketAddr) -> String {
        format!("mysql://root@{address}")
    }

    fn lets_in(address: SocketAddr) -> bool {
        handshake::lets_in(address)
    }

    fn programs() -> Option<PathBuf> {
        server()?;
        process::find(Self::INITIALISER)?.parent().map(Path::to_owned)
    }

    fn initialise(programs: &Path, folder: &Path, owner: Option<Owner>) -> Command {
        let mut command = Owner::command(owner, &programs.join(Self::INITIALISER));
        command
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .arg(option("--datadir", &folder.join("data")));
        command
    }

    fn serve(_: &Path, folder: &Path, owner: Option<Owner>, address: SocketAddr) -> Command {
        let program = server().unwrap_or_else(|| SERVER.into());
        let mut command = Owner::command(owner, &program);
        command
            .args(["--no-defaults", "--bind-address=127.0.0.1", "--max-connections=300"])
            .args(["--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync"])
            .arg(format!("--port={}", address.port()))
            .arg(option("--datadir", &folder.join("data")))
            .arg(option("--socket", &folder.join("socket")))
            .arg(option("--pid-file", &folder.join("pid")));
        command
    }

    fn stop(_: &Path, _: &Path, _: Option<Owner>) -> Option<Command> {
        None
    }
}

fn server() -> Option<PathBuf> {
    process::find("mariadbd").or_else(|| Some(PathBuf::from(SERVER)).filter(|it| it.is_file()))
}

fn option(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}
