//! `cargo xtask suite`: conformance suites of others, and what takes a browser.

mod jsonata;
mod mcp_auth;
mod pages;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::{process, project::Project, terminal::say};

/// Which suite, and what is expected of it.
#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    suite: Suite,

    /// Fail when fewer cases pass
    #[arg(long, value_name = "N", default_value_t = 0, global = true)]
    at_least: usize,

    /// Print one JSON object instead of lines
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Suite {
    /// The reference implementation's cases, in `groups` and `datasets`
    Jsonata {
        /// The folder with its cases, which the project does not carry
        #[arg(long, value_name = "DIR")]
        path: PathBuf,
    },
    /// Authorization as MCP asks for it of clients, in two of its revisions
    McpAuth,
    /// The pages of connecting, in headless Chromium: what people see, axe, and pictures to look at
    Pages,
}

/// What became of all cases.
#[derive(Default, Debug, PartialEq, Eq, Serialize)]
struct Summary {
    passed: usize,
    /// The cases that can be read.
    total: usize,
    failed: Vec<String>,
    unreadable: Vec<String>,
}

/// Runs the suite and fails when too few cases pass.
pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    let summary = match &options.suite {
        Suite::Jsonata { path } => jsonata::run(project, path)?,
        Suite::McpAuth => mcp_auth::run(project)?,
        Suite::Pages => pages::run(project)?,
    };
    if options.json {
        say(serde_json::to_string(&summary)?);
    } else {
        for case in &summary.failed {
            say(case);
        }
        for case in &summary.unreadable {
            say(format!("{case}: no JSON, or no case; not counted"));
        }
        say(format!("{} of {} cases passed", summary.passed, summary.total));
    }
    if summary.passed < options.at_least {
        bail!("{} cases passed, {} are asked for", summary.passed, options.at_least);
    }
    Ok(())
}

/// Builds the example `name`.
fn build(name: &str) -> Result<()> {
    process::run(process::cargo().args(["build", "--quiet", "--workspace", "--example", name]))
}
