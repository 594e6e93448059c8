//! Grants refreshed a million times while processes die at every step.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{
    bench::{Figure, Target, example},
    process,
    project::Project,
};

/// How often tokens are refreshed.
const REFRESHES: u64 = 1_000_000;

/// What the simulation prints at its end.
#[derive(Deserialize)]
struct Sums {
    refreshes: f64,
    lost: f64,
    double_spent: f64,
    crashes: f64,
}

/// Plays the simulation, which fails by itself where a grant is lost that could have been kept.
pub(crate) fn measure(project: &Project) -> Result<Vec<Figure>> {
    let program = example(project, "refresh_simulation")?;
    let mut command = Command::new(program);
    // It takes a while, and says how far it is.
    command.arg(REFRESHES.to_string()).stderr(Stdio::inherit());
    let printed = process::read(&mut command)?;
    let sums: Sums = serde_json::from_str(&printed).context("the simulation printed no figure")?;
    let figure =
        |name: &str, measured, target| Figure { name: name.to_owned(), measured, unit: "", target };
    Ok(vec![
        figure("refreshes by four nodes that crash", sums.refreshes, Target::AtLeast(1_000_000.0)),
        figure("crashes meanwhile", sums.crashes, Target::AtLeast(1_000.0)),
        figure("grants lost", sums.lost, Target::AtMost(0.0)),
        figure("refresh tokens spent twice", sums.double_spent, Target::AtMost(0.0)),
    ])
}
