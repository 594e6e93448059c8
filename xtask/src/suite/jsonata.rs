//! The cases of JSONata's reference implementation.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::{Summary, build};
use crate::{process, project::Project};

/// What became of one case, as the runner prints it.
#[derive(Deserialize)]
struct Outcome {
    case: String,
    verdict: String,
}

/// Runs the cases in the folder `path`.
pub(crate) fn run(project: &Project, path: &Path) -> Result<Summary> {
    let example = "jsonata_suite";
    build(example)?;
    let printed = process::read(Command::new(project.example("debug", example)).arg(path))?;
    let summary = sum_up(&printed)?;
    if summary.total == 0 {
        bail!("there is no case in {}; unpack the suite there", path.display());
    }
    Ok(summary)
}

/// Sums up what the runner `printed`, a JSON object for each case.
fn sum_up(printed: &str) -> Result<Summary> {
    let mut summary = Summary::default();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_named_but_not_counted() {
        let printed = r#"{"case":"a/1","verdict":"passed"}
{"case":"a/2","verdict":"failed: T2001 instead of a result"}
{"case":"b/1","verdict":"unreadable"}
"#;
        let summary = sum_up(printed).unwrap();
        assert_eq!((summary.passed, summary.total), (1, 2));
        assert_eq!(summary.failed, ["a/2: failed: T2001 instead of a result"]);
        assert_eq!(summary.unreadable, ["b/1"]);
        assert!(sum_up("Segmentation fault").is_err());
    }
}
