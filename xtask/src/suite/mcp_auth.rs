//! The client scenarios about authorization of MCP's conformance suite, npm `@modelcontextprotocol/conformance`.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::{Summary, build};
use crate::{process, project::Project, terminal::say, tools};

/// The revisions whose requirements are run, each at its own wire version.
const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];

/// The extensions that we have, which no revision requires and the suite does not score.
const EXTENSIONS: [&str; 2] = ["auth/client-credentials-jwt", "auth/client-credentials-basic"];

/// The suite, installed.
struct Conformance {
    node: PathBuf,
    program: PathBuf,
    client: PathBuf,
    /// Where it leaves its results, which nobody reads.
    results: TempDir,
}

/// Runs every `auth/` scenario that a revision requires of clients, and those of the extensions that we have.
pub(crate) fn run(project: &Project) -> Result<Summary> {
    let example = "conformance_client";
    build(example)?;
    let home = tools::node(project)?;
    let suite = Conformance {
        node: tools::newer_node(&home)?,
        program: home.join("node_modules/@modelcontextprotocol/conformance/dist/index.js"),
        client: project.example("debug", example),
        results: TempDir::with_prefix("linkspan-mcp-auth-")?,
    };
    let mut summary = Summary::default();
    for revision in REVISIONS {
        for scenario in suite.scenarios(revision)? {
            let case = format!("{revision} {scenario}");
            match suite.run(revision, &scenario)? {
                Ok(()) => {
                    say(format!("{case}: passed"));
                    summary.passed += 1;
                }
                Err(said) => summary.failed.push(format!("{case}: failed\n{said}")),
            }
        }
    }
    summary.total = summary.passed + summary.failed.len();
    if summary.total == 0 {
        bail!(
            "the suite lists no auth/ scenario; is its version another than in xtask/suites/package.json?"
        );
    }
    Ok(summary)
}

impl Conformance {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.node);
        command.arg(&self.program).current_dir(self.results.path());
        command
    }

    fn scenarios(&self, revision: &str) -> Result<Vec<String>> {
        let listed = process::read(self.command().args(["list", "--requirements", revision]))?;
        Ok(scenarios(&listed))
    }

    /// What the suite said of a scenario that failed.
    fn run(&self, revision: &str, scenario: &str) -> Result<Result<(), String>> {
        let output = self
            .command()
            .args(["client", "--scenario", scenario, "--spec-version", revision, "--command"])
            .arg(&self.client)
            .output()
            .context("cannot start the conformance suite")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(if output.status.success() { Ok(()) } else { Err(said) })
    }
}

/// The `auth/` scenarios of a list, in which each has a line of its own; what is not scored is set apart at the end, and only our
/// extensions are taken from there.
fn scenarios(listed: &str) -> Vec<String> {
    let lines: Vec<_> = listed.lines().collect();
    let is_end = |line: &&str| line.to_ascii_lowercase().contains("never scored");
    let end = lines.iter().position(is_end).unwrap_or(lines.len());
    lines
        .iter()
        .enumerate()
        .filter_map(|(at, line)| Some((at, line.trim_start().strip_prefix("- ")?)))
        .filter_map(|(at, line)| Some((at, line.split_whitespace().next()?)))
        .filter(|(at, name)| name.starts_with("auth/") && (*at < end || EXTENSIONS.contains(name)))
        .map(|(_, name)| name.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_scored_counts_and_the_extensions_that_we_have() {
        let listed = "Client scenarios (test against a client):\n  - initialize\n  - auth/basic-cimd\n\
                      \nRun and reported, but never scored:\n  extension (2):\n    - auth/dpop [client]\n    - auth/client-credentials-jwt [client]\n";
        assert_eq!(scenarios(listed), ["auth/basic-cimd", "auth/client-credentials-jwt"]);
    }
}
