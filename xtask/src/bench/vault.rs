//! A secret of 1 KB sealed and opened on one thread.

use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{
    bench::{Figure, Target, example},
    process,
    project::Project,
};

/// What the program prints.
#[derive(Deserialize)]
struct Run {
    microseconds: f64,
}

/// Seals and opens, again and again.
pub(crate) fn measure(project: &Project, seconds: u64) -> Result<Vec<Figure>> {
    let program = example(project, "vault_bench")?;
    let mut command = Command::new(program);
    let printed = process::read(command.arg(seconds.to_string()))?;
    let run: Run = serde_json::from_str(&printed).context("the program printed no figure")?;
    Ok(vec![Figure {
        name: "sealing and opening 1 KB".to_owned(),
        measured: run.microseconds,
        unit: " µs",
        target: Target::AtMost(3.0),
    }])
}
