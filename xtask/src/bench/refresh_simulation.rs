//! Grants refreshed a million times while processes die at every step.

use std::process::Command;

use anyhow::{Context, Result};

use crate::{
    bench::{Figure, Target},
    process,
    project::Project,
    terminal::say,
};

/// How often tokens are refreshed.
const REFRESHES: u64 = 1_000_000;

/// Plays the simulation, which fails by itself where a grant is lost that could have been kept.
pub(crate) fn measure(project: &Project) -> Result<Vec<Figure>> {
    let example = "refresh_simulation";
    process::run(process::cargo().args([
        "build",
        "--release",
        "--workspace",
        "--example",
        example,
    ]))?;
    let mut command = Command::new(project.example("release", example));
    let said = process::read(command.arg(REFRESHES.to_string()))?;
    say(&said);
    let refreshes = said.lines().filter_map(|it| it.split_once(" server: ")).take(2);
    let refreshes: f64 = refreshes
        .map(|(_, rest)| rest.split(' ').next().unwrap_or_default().parse::<f64>())
        .sum::<Result<_, _>>()
        .context("the simulation printed no figure")?;
    Ok(vec![Figure {
        name: "refreshes without a loss".to_owned(),
        measured: refreshes,
        unit: "",
        target: Target::AtLeast(1_000_000.0),
    }])
}
