//! The first load of a PostgreSQL table into the record store, against a plain pipe of `COPY`.

pub(crate) mod database;
pub(crate) mod meter;

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    bench::{
        Figure, Target,
        first_load::{
            database::Database,
            meter::{Peak, metered},
        },
    },
    database_server::DatabaseServer,
    postgres::Postgres,
    process,
    server::ADMIN_KEY,
    terminal::{say, table},
};

/// A key and twelve columns of the usual kinds, with text that needs escaping.
pub(crate) const CUSTOMERS: &str = include_str!("first_load/customers.sql");

/// Each row as one JSON document under its key.
pub(crate) const UNLOAD: &str = "copy (select id::text, row_to_json(t) from customers t) to stdout";

/// Loads the table by both ways in turn, `rounds` times.
pub(crate) fn measure(binary: &Path, rows: u64, rounds: u32) -> Result<Vec<Figure>> {
    let postgres = DatabaseServer::<Postgres>::find_or_start()?;
    say(format!("{postgres}; making a table of {rows} rows"));
    let source = Database::create(&postgres, "linkspan_bench_source")?;
    source.run(&CUSTOMERS.replace("{rows}", &rows.to_string()))?;
    let mut pipes = Vec::new();
    let mut loads = Vec::new();
    for _ in 0..rounds {
        let landing = Database::create(&postgres, "linkspan_bench_pipe")?;
        pipes.push(pipe(&source, &landing)?);
        drop(landing);
        loads.push(load(binary, &postgres, &source, rows)?);
    }
    let memory = loads.iter().map(|it| it.megabytes).fold(0.0, f64::max);
    let pipe = median(pipes);
    let load = median(loads.iter().map(|it| it.seconds).collect());
    let row = |way: &str, seconds: f64| {
        [way.to_owned(), format!("{seconds:.1}"), format!("{:.0}", per_second(rows, seconds))]
    };
    table(["way", "seconds", "rows/s"], &[row("psql | psql", pipe), row("linkspan sync", load)]);
    Ok(vec![
        Figure {
            name: "first load / plain COPY of JSON, rows per second".to_owned(),
            measured: pipe / load,
            unit: "",
            target: Target::AtLeast(0.85),
        },
        Figure {
            name: "first load, peak memory".to_owned(),
            measured: memory,
            unit: " MB",
            target: Target::AtMost(150.0),
        },
    ])
}

/// Copies the table as JSON into an empty table with a key; returns the seconds it took.
pub(crate) fn pipe(source: &Database, target: &Database) -> Result<f64> {
    target.run("create table landing (id text primary key, data jsonb not null);\ncheckpoint")?;
    let began = Instant::now();
    let mut unload = source.psql(UNLOAD).stdout(Stdio::piped()).spawn()?;
    let rows = unload.stdout.take().context("psql has no output")?;
    let loaded = target.psql("copy landing from stdin").stdin(rows).status()?;
    ensure!(unload.wait()?.success() && loaded.success(), "the pipe of psql failed");
    Ok(began.elapsed().as_secs_f64())
}

/// What one load took.
struct Load {
    seconds: f64,
    megabytes: f64,
}

/// Syncs the table into an empty platform.
fn load(
    binary: &Path,
    postgres: &DatabaseServer<Postgres>,
    source: &Database,
    rows: u64,
) -> Result<Load> {
    let target = Database::create(postgres, "linkspan_bench_target")?;
    let home = TempDir::with_prefix("linkspan-bench-")?;
    let linkspan = |arguments: &[&str]| {
        let mut command = Command::new(binary);
        command
            .args(arguments)
            .args(["--json", "--data-dir"])
            .arg(home.path().join("data"))
            .env("LINKSPAN_DATABASE_URL", target.url())
            .env("LINKSPAN_ADMIN_KEY", ADMIN_KEY)
            .env_remove("LINKSPAN_URL")
            .env_remove("LINKSPAN_API_KEY");
        command
    };
    let setting = format!("connection_string={}", source.url());
    process::read(&mut linkspan(&["connect", "postgresql", "--name", "bench", "--set", &setting]))?;
    target.run("checkpoint")?;
    let began = Instant::now();
    let (printed, megabytes) = metered(&mut linkspan(&["sync", "bench", "--full"]), Peak::Process)?;
    let seconds = began.elapsed().as_secs_f64();
    let last = printed.lines().last().unwrap_or_default();
    let outcome: Value = serde_json::from_str(last)
        .with_context(|| format!("the last line of `linkspan sync` is no JSON: {last}"))?;
    ensure!(outcome["written"] == rows, "{rows} rows were to be written, but the sync says {last}");
    Ok(Load { seconds, megabytes })
}

/// The value in the middle.
pub(crate) fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

#[expect(clippy::cast_precision_loss, reason = "counts of a few million")]
fn per_second(rows: u64, seconds: f64) -> f64 {
    rows as f64 / seconds
}
