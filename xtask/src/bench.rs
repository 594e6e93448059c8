//! `cargo xtask bench`: the figures of the release build, beside their targets.

mod client;
mod first_load;
mod http;
mod mapping;
mod refresh;
mod refresh_simulation;
mod resync;
mod schedules;
mod startup;
mod sync;
mod vault;

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use crate::{
    process,
    project::Project,
    terminal::{say, table},
};

/// Builds the example `name` as it is released, and says where it is.
fn example(project: &Project, name: &str) -> Result<PathBuf> {
    let build = ["build", "--release", "--workspace", "--example", name];
    process::run(process::cargo().args(build))?;
    Ok(project.example("release", name))
}

/// What to measure, and on what.
#[derive(Args)]
pub(crate) struct Options {
    /// The figures to take; all when none is named
    figures: Vec<Figures>,

    /// Measure this binary instead of building the release one
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,

    /// Seconds that each load lasts
    #[arg(long, default_value_t = 5)]
    seconds: u64,

    /// Rows of the table that is loaded
    #[arg(long, default_value_t = 2_000_000)]
    rows: u64,

    /// Schedules that each have a turn within a minute
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    schedules: u32,

    /// Grants that are due at once
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    grants: u32,

    /// How often the load and what it is compared with run in turn; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// A Python environment with other loaders, which `sync` compares with
    #[arg(long, value_name = "DIR")]
    peers: Option<PathBuf>,

    /// A file for what `sync` and `refresh-simulation` found, as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// A group of figures that are taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Figures {
    /// A PostgreSQL table into the record store, relative to a plain pipe of `psql COPY`
    FirstLoad,
    /// Requests per second and latency of a list, relative to the health check
    Http,
    /// Records mapped with JSONata on one thread, relative to the reference implementation
    Mapping,
    /// Grants that are due refreshed by one worker, on each database, and valid tokens asked for
    Refresh,
    /// Grants refreshed while processes die, relative to those that are lost: none
    RefreshSimulation,
    /// That table synced again by its cursor, unchanged and with every row changed, relative to an upsert by `psql`
    Resync,
    /// How late the runs of many schedules start, on each database
    Schedules,
    /// Time from start to the first answer, and memory at rest
    Startup,
    /// A PostgreSQL table and a CSV file into a table, into Parquet and as Arrow, relative to plain pipes and other loaders
    Sync,
    /// A secret of 1 KB sealed and opened on one thread
    Vault,
}

/// What is for machines, by what it is.
type Report = Map<String, Value>;

/// One measured figure and what it should be.
struct Figure {
    name: String,
    measured: f64,
    unit: &'static str,
    target: Target,
}

/// The bound of a figure.
enum Target {
    AtLeast(f64),
    AtMost(f64),
}

/// Takes the figures and fails when one misses its target.
pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    let binary = if let Some(binary) = &options.binary {
        binary.clone()
    } else {
        process::run(process::cargo().args(["build", "--release", "--workspace"]))?;
        project.binary("release")
    };
    say(format!("binary: {}", binary.display()));
    process::run(Command::new(&binary).arg("--version"))?;
    let (mut figures, mut report) = (Vec::new(), Report::new());
    for group in Figures::value_variants() {
        if options.figures.is_empty() || options.figures.contains(group) {
            figures.extend(match group {
                Figures::FirstLoad => first_load::measure(&binary, options.rows, options.rounds)?,
                Figures::Http => http::measure(&binary, options.seconds)?,
                Figures::Mapping => mapping::measure(project, options.seconds, options.rounds)?,
                Figures::Refresh => {
                    refresh::measure(project, &binary, options.grants, options.seconds)?
                }
                Figures::RefreshSimulation => refresh_simulation::measure(project, &mut report)?,
                Figures::Resync => resync::measure(&binary, options.rows, options.rounds)?,
                Figures::Schedules => schedules::measure(&binary, options.schedules)?,
                Figures::Startup => startup::measure(&binary)?,
                Figures::Sync => {
                    let peers = options.peers.as_deref();
                    let (rows, rounds) = (options.rows, options.rounds);
                    let setting = sync::Setting { binary: &binary, peers, rows, rounds };
                    sync::measure(&setting, &mut report)?
                }
                Figures::Vault => vault::measure(project, options.seconds)?,
            });
        }
    }
    if let Some(path) = &options.report {
        let text = serde_json::to_string_pretty(&report)?;
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let rows: Vec<[String; 4]> = figures.iter().map(Figure::row).collect();
    say("");
    table(["figure", "measured", "target", ""], &rows);
    let missed = figures.iter().filter(|it| !it.holds()).count();
    if missed > 0 {
        bail!("{missed} of {} figures missed their target", figures.len());
    }
    Ok(())
}

impl Figure {
    fn holds(&self) -> bool {
        match self.target {
            Target::AtLeast(bound) => self.measured >= bound,
            Target::AtMost(bound) => self.measured <= bound,
        }
    }

    fn row(&self) -> [String; 4] {
        let target = match self.target {
            Target::AtLeast(bound) => format!("≥ {bound}{}", self.unit),
            Target::AtMost(bound) => format!("≤ {bound}{}", self.unit),
        };
        let verdict = if self.holds() { "PASS" } else { "MISS" };
        [
            self.name.clone(),
            format!("{:.2}{}", self.measured, self.unit),
            target,
            verdict.to_owned(),
        ]
    }
}
