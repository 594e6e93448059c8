//! Schemathesis: requests made from the OpenAPI document, and every answer checked against it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::against_server;
use crate::{project::Project, server::ADMIN_KEY, terminal::say, tools};

/// What must never be seen: see its documentation of checks.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,negative_data_rejection,ignored_auth,\
    unsupported_method,allow_header_conformance";

/// Schemathesis thinks longer than the server works, and on one core only: its work is shared out.
const SHARES: [(&str, &[&str]); 3] = [
    ("reads-and-changes", &[PHASES, "--include-method", "GET", "--include-method", "PATCH"]),
    ("other-writes", &[PHASES, "--exclude-method", "GET", "--exclude-method", "PATCH"]),
    ("sequences", &["--phases=stateful"]),
];

/// Servers of providers know us by an address, and the hooks are such a server. The hooks are a proxy, too: wrong keys are
/// tried, and whoever tries many from one address is kept waiting.
const SETTINGS: [(&str, &str); 3] = [
    ("LINKSPAN_PUBLIC_URL", "https://linkspan.example"),
    ("LINKSPAN_EGRESS_ALLOW", "127.0.0.1"),
    ("LINKSPAN_TRUSTED_PROXIES", "127.0.0.1"),
];

/// The phases that look at one operation at a time.
const PHASES: &str = "--phases=examples,coverage,fuzzing";

/// Generates requests from the OpenAPI document and checks every answer against it.
pub(crate) fn schemathesis(project: &Project) -> Result<()> {
    let program = tools::python(project)?.join("schemathesis");
    let home = project.cache("schemathesis");
    fs::create_dir_all(&home)?;
    let config = fs::canonicalize(tools::script(project, "schemathesis.toml"))?;
    let hooks = config.parent().context("the suites have no folder")?;
    against_server(project, &SETTINGS, |url| {
        let start = |name: &str, share: &[&str]| {
            let log = File::create(home.join(format!("{name}.log")))?;
            Command::new(&program)
                .arg("--config-file")
                .arg(&config)
                .arg("run")
                .arg(format!("{url}/openapi.json"))
                .args(["--url", url, "--checks", CHECKS])
                .args(share)
                .env("LINKSPAN_URL", url)
                .env("LINKSPAN_API_KEY", ADMIN_KEY)
                .env("LINKSPAN_TALLY", home.join(format!("{name}.tally")))
                .env("NO_COLOR", "1")
                .env("PYTHONPATH", hooks)
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .env("PYTHONWARNINGS", "ignore")
                .current_dir(&home)
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log)
                .spawn()
                .with_context(|| format!("cannot start {}", program.display()))
        };
        let mut running = SHARES.map(|(name, share)| (name, start(name, share)));
        let mut failed = Vec::new();
        for (name, child) in &mut running {
            if !passed(child)? {
                failed.push(*name);
            }
            say(fs::read_to_string(home.join(format!("{name}.log")))?);
        }
        if !failed.is_empty() {
            bail!("Schemathesis is not content with: {}", failed.join(", "));
        }
        require_success(&documented(project)?, &home)
    })
}

/// Waits for one of the shares.
fn passed(child: &mut Result<Child>) -> Result<bool> {
    match child {
        Ok(child) => Ok(child.wait()?.success()),
        Err(error) => bail!("{error:#}"),
    }
}

/// The operations of the OpenAPI document.
fn documented(project: &Project) -> Result<BTreeSet<String>> {
    let text = fs::read(project.root.join("docs/openapi.json"))?;
    let document: Value = serde_json::from_slice(&text)?;
    let paths = document["paths"].as_object().context("docs/openapi.json has no paths")?;
    let operations = paths.values().filter_map(Value::as_object).flat_map(serde_json::Map::values);
    Ok(operations.filter_map(|it| it["operationId"].as_str()).map(str::to_owned).collect())
}

/// Every operation succeeded at least once: one that only ever refused was not really tested.
fn require_success(documented: &BTreeSet<String>, home: &Path) -> Result<()> {
    let mut answers: BTreeMap<String, u64> = BTreeMap::new();
    let mut succeeded = BTreeSet::new();
    for (name, _) in SHARES {
        let tally = fs::read_to_string(home.join(format!("{name}.tally")))?;
        for line in tally.lines() {
            let [operation, status, count] = line.split(' ').collect::<Vec<_>>()[..] else {
                bail!("cannot read the tally: {line}");
            };
            *answers.entry(format!("{}xx", &status[..1])).or_default() += count.parse::<u64>()?;
            // People are sent on with 303.
            if status.starts_with('2') || status == "303" {
                succeeded.insert(operation.to_owned());
            }
        }
    }
    let said: Vec<_> = answers.iter().map(|(class, count)| format!("{count} × {class}")).collect();
    say(format!("answers: {}; {} operations succeeded", said.join(", "), succeeded.len()));
    let missed: Vec<_> = documented.difference(&succeeded).map(String::as_str).collect();
    if missed.is_empty() {
        return Ok(());
    }
    bail!(
        "these operations never succeeded, so they were not really tested; teach \
         xtask/suites/schemathesis_hooks.py what they need: {}",
        missed.join(", ")
    )
}
