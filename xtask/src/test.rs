//! `cargo xtask test`: every check there is, in one command that sets itself up.

mod clients;
mod s3;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::{
    codegen,
    database_server::{DatabaseServer, Make},
    mysql::Mysql,
    postgres::Postgres,
    process,
    project::Project,
    terminal::{say, table},
    test::s3::S3,
    tidy, tools,
};

/// The variables through which the tests learn with what to start authorization servers.
const NODE_SETTING: &str = "LINKSPAN_TEST_NODE_HOME";
const PYTHON_SETTING: &str = "LINKSPAN_TEST_PYTHON";

/// What to check.
#[derive(Args)]
pub(crate) struct Options {
    /// Only these steps, in their usual order
    #[arg(long, value_delimiter = ',')]
    only: Vec<Step>,
}

/// One check. Their order is from quick to slow, and each may rely on those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Formatting
    Format,
    /// Clippy over all targets, warnings denied
    Lint,
    /// Layers and file shapes
    Tidy,
    /// Seeds, and everything derived from other files
    Codegen,
    /// Unit and integration tests, on SQLite, PostgreSQL and MariaDB, and against an S3 server
    Tests,
    /// Examples in the documentation
    Doctests,
    /// The documentation itself, warnings denied
    Docs,
    /// Schemathesis over the OpenAPI document, against a live server
    Schemathesis,
    /// kitsu, a JSON:API client for JavaScript, against a live server
    Kitsu,
    /// jsonapi-client, a JSON:API client for Python, against a live server
    JsonapiClient,
}

/// Runs the steps in order and stops at the first that fails.
pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    let mut times = Vec::new();
    for step in Step::value_variants() {
        if !options.only.is_empty() && !options.only.contains(step) {
            continue;
        }
        let name = step.name();
        say(format!("\n== {name}"));
        let start = Instant::now();
        let outcome = step.run(project).with_context(|| format!("the step `{name}` failed"));
        let time = start.elapsed();
        if outcome.is_err() {
            say(format!("\nto run this step alone: cargo xtask test --only {name}"));
        }
        outcome?;
        say(format!("== {name} passed in {}", seconds(time)));
        times.push([name, seconds(time)]);
    }
    say("");
    table(["step", "time"], &times);
    say("\nall passed");
    Ok(())
}

impl Step {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |it| it.get_name().to_owned())
    }

    fn run(self, project: &Project) -> Result<()> {
        match self {
            Self::Format => process::run(process::cargo().args(["fmt", "--all", "--check"])),
            Self::Lint => process::run(process::cargo().args([
                "clippy",
                "--quiet",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ])),
            Self::Tidy => tidy::run(project),
            Self::Codegen => codegen::run(project, &codegen::Options { check: true }),
            Self::Tests => tests(project),
            Self::Doctests => {
                process::run(process::cargo().args(["test", "--quiet", "--workspace", "--doc"]))
            }
            Self::Docs => process::run(
                process::cargo()
                    .args([
                        "doc",
                        "--quiet",
                        "--workspace",
                        "--no-deps",
                        "--document-private-items",
                    ])
                    .env("RUSTDOCFLAGS", "-D warnings"),
            ),
            Self::Schemathesis => clients::schemathesis(project),
            Self::Kitsu => clients::kitsu(project),
            Self::JsonapiClient => clients::jsonapi_client(project),
        }
    }
}

/// The tests of all crates, with a PostgreSQL, a MariaDB and an S3 server for those that need one.
fn tests(project: &Project) -> Result<()> {
    let postgres = DatabaseServer::<Postgres>::find_or_start()?;
    say(postgres.to_string());
    let mysql = DatabaseServer::<Mysql>::find_or_start()?;
    say(mysql.to_string());
    let s3 = S3::find_or_start(project)?;
    say(s3.to_string());
    let mut command = process::cargo();
    if process::find("cargo-nextest").is_some() {
        command.args(["nextest", "run", "--workspace", "--no-fail-fast", "--status-level", "slow"]);
    } else {
        command.args([
            "test",
            "--quiet",
            "--workspace",
            "--lib",
            "--bins",
            "--tests",
            "--no-fail-fast",
        ]);
    }
    command.env(Postgres::URL_SETTING, postgres.url()).env(Mysql::URL_SETTING, mysql.url());
    command.env(s3::ENDPOINT_SETTING, s3.endpoint());
    command.env(NODE_SETTING, tools::node(project)?);
    command.env(PYTHON_SETTING, tools::python(project)?.join("python"));
    process::run(&mut command)
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
