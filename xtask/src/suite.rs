//! `cargo xtask suite`: conformance suites of others, from a folder that the project does not carry.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::{process, project::Project, terminal::say};

/// Which suite, and where it lies.
#[derive(Args)]
pub(crate) struct Options {
    /// The suite
    suite: Suite,

    /// The folder with its cases
    #[arg(long, value_name = "DIR")]
    path: PathBuf,

    /// Fail when fewer cases pass
    #[arg(long, value_name = "N", default_value_t = 0)]
    at_least: usize,

    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Suite {
    /// The reference implementation's cases, in `groups` and `datasets`
    Jsonata,
}

/// What became of one case, as the runner prints it.
#[derive(Deserialize)]
struct Outcome {
    case: String,
    verdict: String,
}

/// What became of all of them.
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
    let printed = match options.suite {
        Suite::Jsonata => {
            let example = "jsonata_suite";
            process::run(process::cargo().args([
                "build",
                "--quiet",
                "--workspace",
                "--example",
                example,
            ]))?;
            process::read(Command::new(project.example("debug", example)).arg(&options.path))?
        }
    };
    let summary = Summary::of(&printed)?;
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
    if summary.total == 0 {
        bail!("there is no case in {}; unpack the suite there", options.path.display());
    }
    if summary.passed < options.at_least {
        bail!("{} cases passed, {} are asked for", summary.passed, options.at_least);
    }
    Ok(())
}

impl Summary {
    /// Sums up what the runner `printed`, a JSON object for each case.
    fn of(printed: &str) -> Result<Self> {
        let mut summary = Self::default();
        for line in printed.lines() {
            let Outcome { case, verdict } =
                serde_json::from_str(line).context("cannot read what the runner printed")?;
            match verdict.as_str() {
                "unreadable" => summary.unreadable.push(case),
                "passed" => summary.passed += 1,
                verdict => summary.failed.push(format!("{case}: {verdict}")),
            }
        }
        summary.total = summary.passed + summary.failed.len();
        Ok(summary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_named_but_not_counted() {
        let printed = r#"{"case":"a/1","verdict":"passed"}
{"case":"a/2","verdict":"failed: T2001 instead of a result"}
{"case":"b/1","verdict":"unreadable"}
"#;
        let summary = Summary::of(printed).unwrap();
        assert_eq!((summary.passed, summary.total), (1, 2));
        assert_eq!(summary.failed, ["a/2: failed: T2001 instead of a result"]);
        assert_eq!(summary.unreadable, ["b/1"]);
        assert!(Summary::of("Segmentation fault").is_err());
    }
}
