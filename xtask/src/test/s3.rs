//! An S3 server for the tests: the one given, or moto for as long as the run lasts.

use std::{
    fmt,
    fs::File,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{
    http::{self, Connection},
    process,
    project::Project,
    tools,
};

/// The variable through which the tests learn where the server is.
pub(crate) const ENDPOINT_SETTING: &str = "LINKSPAN_TEST_S3_ENDPOINT";

const PATIENCE: Duration = Duration::from_mins(1);

/// A server in which tests may create buckets. A private one ends when this is dropped.
pub(crate) enum S3 {
    /// Named by the setting.
    Given(String),
    /// Started for this run.
    Private(Moto),
}

/// A running moto.
pub(crate) struct Moto {
    server: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl S3 {
    /// The server of the setting, else a private one, whose programs are installed first.
    pub(crate) fn find_or_start(project: &Project) -> Result<Self> {
        if let Some(endpoint) = process::setting(ENDPOINT_SETTING) {
            return Ok(Self::Given(endpoint));
        }
        let moto = Moto::start(project);
        moto.map(Self::Private).with_context(|| {
            format!(
                "there is no S3 server; or start one, such as `moto_server -p 5555`, and name it: \
                 {ENDPOINT_SETTING}=http://127.0.0.1:5555"
            )
        })
    }

    /// Where the server is.
    pub(crate) fn endpoint(&self) -> String {
        match self {
            Self::Given(endpoint) => endpoint.clone(),
            Self::Private(moto) => format!("http://{}", moto.address),
        }
    }
}

impl Moto {
    fn start(project: &Project) -> Result<Self> {
        let programs = tools::python(project)?;
        let address = http::free_address()?;
        let folder = TempDir::with_prefix("linkspan-s3-")?;
        let log = File::create(folder.path().join("log"))?;
        let server = Command::new(programs.join("python"))
            .args(["-B", "-m", "moto.server", "-H", "127.0.0.1", "-p"])
            .arg(address.port().to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start moto")?;
        let mut moto = Self { server, address, folder };
        moto.wait()?;
        Ok(moto)
    }

    fn wait(&mut self) -> Result<()> {
        let request = http::get(self.address, "/", None);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = Connection::open(self.address).and_then(|mut it| it.send(&request));
            if status.is_ok() {
                return Ok(());
            }
            let ended = self.server.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let said = process::tail(&self.folder.path().join("log"));
                bail!("the private S3 server does not answer; it said:\n{said}");
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // Both fail only for a process that has already been waited for.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl fmt::Display for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(_) => write!(f, "S3: the one of {ENDPOINT_SETTING}"),
            Self::Private(moto) => write!(f, "S3: a private one at {}", moto.address),
        }
    }
}
