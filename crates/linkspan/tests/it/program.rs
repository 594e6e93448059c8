//! Running the program.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// The program with a data directory of its own, and nothing from the environment of the tests.
pub(crate) struct Program {
    pub(crate) dir: TempDir,
    variables: Vec<(String, String)>,
}

/// What a command came to.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Any free port.
const ANYWHERE: &str = "127.0.0.1:0";

/// A key for tests.
pub(crate) const ADMIN_KEY: &str = "lsk_admin_0123456789abcdefghijklmnopqrstuvwxyz";

impl Program {
    pub(crate) fn new() -> Self {
        let key = ("LINKSPAN_ADMIN_KEY".to_owned(), ADMIN_KEY.to_owned());
        Self { dir: TempDir::new().unwrap(), variables: vec![key] }
    }

    /// One that nobody gave a key.
    pub(crate) fn bare() -> Self {
        Self { dir: TempDir::new().unwrap(), variables: Vec::new() }
    }

    /// The same with a variable more in its environment.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_linkspan"));
        command.env_clear().current_dir(self.dir.path()).args(arguments).stdin(Stdio::null());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let text = |it| String::from_utf8(it).unwrap();
        Ran { code: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) }
    }

    /// Runs with `--json`, and reads the last line.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(ran.code, 0, "{arguments:?}: {}{}", ran.stdout, ran.stderr);
        ran.last_line()
    }

    /// Starts the server, and waits until it says where it listens. It logs all there is.
    pub(crate) fn serve(&self) -> Served {
        self.listen(ANYWHERE, &["--log", "trace,h2=info,hyper=info"])
    }

    /// As [`serve`](Self::serve), at `address`.
    pub(crate) fn serve_at(&self, address: &str) -> Served {
        self.listen(address, &[])
    }

    /// Starts a server that does what `roles` say, and waits until it says where it listens.
    pub(crate) fn serve_as(&self, roles: &str) -> Served {
        self.listen(ANYWHERE, &["--role", roles])
    }

    fn listen(&self, address: &str, arguments: &[&str]) -> Served {
        let arguments = [&["serve", "--listen", address], arguments].concat();
        let (child, said) = self.start(&arguments, "serve.log");
        Served { child, address: said["listen"].as_str().unwrap().to_owned() }
    }

    /// Starts a worker, and waits until it works.
    pub(crate) fn work(&self) -> Served {
        let (child, said) = self.start(&["worker"], "worker.log");
        assert_eq!(said["roles"], "worker");
        Served { child, address: String::new() }
    }

    fn start(&self, arguments: &[&str], log: &str) -> (Child, Value) {
        let log = self.dir.path().join(log);
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut child = self
            .command(&[arguments, &["--json"]].concat())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("the program said {line:?}"));
        (child, said)
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Ran {
    pub(crate) fn last_line(&self) -> Value {
        serde_json::from_str(self.stdout.lines().last().unwrap_or_default())
            .unwrap_or_else(|_| panic!("no JSON at the end of {:?}{}", self.stdout, self.stderr))
    }
}

/// A server or a worker at work.
pub(crate) struct Served {
    child: Child,
    pub(crate) address: String,
}

impl Served {
    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it, as a crash would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop as a service manager does, and answers its exit code.
    pub(crate) fn stop(mut self) -> i32 {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // A test that failed leaves no server behind. One that was stopped is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
