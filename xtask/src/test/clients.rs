//! Clients that others wrote, against a live server with a fresh, seeded SQLite database.

mod schemathesis;

use std::{fs, process::Command};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{
    process,
    project::Project,
    server::{ADMIN_KEY, Server},
    tools,
};

pub(crate) use schemathesis::schemathesis;

/// Reads and writes with kitsu.
pub(crate) fn kitsu(project: &Project) -> Result<()> {
    let home = tools::node(project)?;
    let script = "kitsu.mjs";
    // Node looks for packages beside the script, so the script joins them.
    fs::copy(tools::script(project, script), home.join(script))
        .with_context(|| format!("cannot copy {script}"))?;
    against_server(project, &[], |url| {
        process::run(Command::new("node").arg(home.join(script)).args([url, ADMIN_KEY]))
    })
}

/// Reads and writes with jsonapi-client.
pub(crate) fn jsonapi_client(project: &Project) -> Result<()> {
    let programs = tools::python(project)?;
    against_server(project, &[], |url| {
        process::run(
            Command::new(programs.join("python"))
                .arg("-B")
                .arg(tools::script(project, "jsonapi_client_suite.py"))
                .args([url, ADMIN_KEY]),
        )
    })
}

/// Builds the product, starts its server with `variables` in its environment, and gives its address to `suite`.
fn against_server(
    project: &Project,
    variables: &[(&str, &str)],
    suite: impl FnOnce(&str) -> Result<()>,
) -> Result<()> {
    process::run(process::cargo().args(["build", "--quiet", "--workspace"]))?;
    let home = TempDir::with_prefix("linkspan-suite-")?;
    let data = home.path().join("data");
    let mut server = Server::start_with(&project.binary("debug"), &data, variables)?;
    server.wait_for("/readyz")?;
    suite(&format!("http://{}", server.address()))
        .with_context(|| format!("the server said last:\n{}", server.said()))?;
    server.stop()
}
