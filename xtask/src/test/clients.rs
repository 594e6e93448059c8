//! Clients that others wrote, against a live server with a fresh, seeded SQLite database.

use std::{fs, process::Command};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{
    process,
    project::Project,
    server::{ADMIN_KEY, Server},
    test::tools,
};

/// What Schemathesis must never see: see its documentation of checks.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance";

/// Streams have no end for Schemathesis to wait for.
const STREAMS: &str = "/events$";

/// Generates requests from the OpenAPI document and checks every answer against it.
pub(crate) fn schemathesis(project: &Project) -> Result<()> {
    let programs = tools::python(project)?;
    let home = project.cache("schemathesis");
    fs::create_dir_all(&home)?;
    against_server(project, |url| {
        process::run(
            Command::new(programs.join("schemathesis"))
                .arg("run")
                .arg(format!("{url}/openapi.json"))
                .args(["--url", url])
                .args(["--header", &format!("Authorization: Bearer {ADMIN_KEY}")])
                .args(["--checks", CHECKS])
                .args(["--exclude-path-regex", STREAMS])
                .args(["--max-examples", "15", "--workers", "2", "--seed", "1"])
                .args(["--request-timeout", "30", "--no-shrink"])
                .env("NO_COLOR", "1")
                .env("PYTHONWARNINGS", "ignore")
                .current_dir(&home),
        )
    })
}

/// Reads and writes with kitsu.
pub(crate) fn kitsu(project: &Project) -> Result<()> {
    let home = tools::node(project)?;
    let script = "kitsu.mjs";
    // Node looks for packages beside the script, so the script joins them.
    fs::copy(tools::script(project, script), home.join(script))
        .with_context(|| format!("cannot copy {script}"))?;
    against_server(project, |url| {
        process::run(Command::new("node").arg(home.join(script)).args([url, ADMIN_KEY]))
    })
}

/// Reads and writes with jsonapi-client.
pub(crate) fn jsonapi_client(project: &Project) -> Result<()> {
    let programs = tools::python(project)?;
    against_server(project, |url| {
        process::run(
            Command::new(programs.join("python"))
                .arg("-B")
                .arg(tools::script(project, "jsonapi_client_suite.py"))
                .args([url, ADMIN_KEY]),
        )
    })
}

/// Builds the product, starts its server and gives its address to `suite`.
fn against_server(project: &Project, suite: impl FnOnce(&str) -> Result<()>) -> Result<()> {
    process::run(process::cargo().args(["build", "--quiet", "--workspace"]))?;
    let home = TempDir::with_prefix("linkspan-suite-")?;
    let mut server = Server::start(&project.binary("debug"), &home.path().join("data"))?;
    server.wait_for("/readyz")?;
    suite(&format!("http://{}", server.address()))
        .with_context(|| format!("the server said last:\n{}", server.said()))?;
    server.stop()
}
