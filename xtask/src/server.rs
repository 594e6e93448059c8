//! The product's own server, started on a free port with a data folder of its own.

use std::{
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    http::{self, Connection},
    process,
};

/// The key that every server started here takes for its administrator's.
pub(crate) const ADMIN_KEY: &str = "lsk_throwaway0123456789abcdefghijklmnopqrstuvwxyz";

const PATIENCE: Duration = Duration::from_mins(1);

/// A running server; dropping it ends it.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Server {
    /// Starts `binary` with its data below `data`; it may not answer yet.
    pub(crate) fn start(binary: &Path, data: &Path) -> Result<Self> {
        Self::start_with(binary, data, &[])
    }

    /// As [`start`](Self::start), with variables more in its environment.
    pub(crate) fn start_with(
        binary: &Path,
        data: &Path,
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        let address = http::free_address()?;
        let log = data.with_extension("log");
        let output =
            File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = Command::new(binary)
            .arg("serve")
            .arg("--data-dir")
            .arg(data)
            .args(["--listen", &address.to_string()])
            .env("LINKSPAN_ADMIN_KEY", ADMIN_KEY)
            .env_remove("LINKSPAN_DATABASE_URL")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        Ok(Self { child, address, log })
    }

    /// Where the server listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks for `path` until the answer is 200, and returns the moment it was.
    pub(crate) fn wait_for(&mut self, path: &str) -> Result<Instant> {
        let request = http::get(self.address, path, None);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = Connection::open(self.address).and_then(|mut it| it.send(&request));
            if matches!(status, Ok(200)) {
                return Ok(Instant::now());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}; it said:\n{}", process::tail(&self.log));
            }
            if Instant::now() > deadline {
                bail!(
                    "the server did not answer 200 to {path} within {} s (last: {status:?}); it said:\n{}",
                    PATIENCE.as_secs(),
                    process::tail(&self.log)
                );
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends the server as an operator would and waits until it has drained.
    pub(crate) fn stop(mut self) -> Result<()> {
        process::run(Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]))?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!(
                "on SIGTERM the server ended with {status}; it said:\n{}",
                process::tail(&self.log)
            );
        }
        Ok(())
    }

    /// The last lines that the server wrote.
    pub(crate) fn said(&self) -> String {
        process::tail(&self.log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only for a process that has already been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
