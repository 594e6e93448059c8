//! Grants that are all due refreshed by one worker, and tokens asked for that are good for a while yet.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use serde::{Deserialize, de::DeserializeOwned};
use tempfile::TempDir;

use crate::{
    bench::{Figure, Target, example, first_load::database::Database},
    database_server::DatabaseServer,
    postgres::Postgres,
    process,
    project::Project,
    terminal::{say, table},
};

/// What the worker did, as the server saw it and as it is kept.
#[derive(Deserialize)]
struct Kept {
    refreshed: f64,
    missed: f64,
    lost: f64,
    spent_twice: f64,
    /// From the start of the worker to the last token.
    seconds: f64,
    /// From the first token to the last.
    refreshing_seconds: f64,
}

/// How long a token takes.
#[derive(Deserialize)]
struct Asked {
    remembered_microseconds: f64,
    looked_up_microseconds: f64,
}

/// The program that measures, and where it may keep files.
struct Bench<'b> {
    program: PathBuf,
    home: &'b Path,
}

/// Refreshes `grants` grants on each database, and asks for `seconds` for tokens of each kind.
pub(crate) fn measure(
    project: &Project,
    binary: &Path,
    grants: u32,
    seconds: u64,
) -> Result<Vec<Figure>> {
    let program = example(project, "refresh_bench")?;
    let home = TempDir::with_prefix("linkspan-bench-")?;
    let bench = Bench { program, home: home.path() };
    let sqlite = format!("sqlite://{}", home.path().join("keeping.db").display());
    let sqlite = bench.keeping(binary, "SQLite", &sqlite, grants)?;
    let server = DatabaseServer::<Postgres>::find_or_start()?;
    let database = Database::create(&server, "linkspan_bench_refresh")?;
    let postgres = bench.keeping(binary, "PostgreSQL", database.url(), grants)?;
    let asked: Asked =
        bench.run(&["asking".as_ref(), home.path(), seconds.to_string().as_ref()])?;
    table(
        ["database", "refreshed", "missed", "lost", "spent twice", "seconds", "per second"],
        &[sqlite.row("SQLite"), postgres.row("PostgreSQL")],
    );
    let mut figures = sqlite.figures("SQLite");
    figures.extend(postgres.figures("PostgreSQL"));
    let figure = |name: &str, measured, most| Figure {
        name: name.to_owned(),
        measured,
        unit: " µs",
        target: Target::AtMost(most),
    };
    figures.push(figure("a valid token, in memory", asked.remembered_microseconds, 5.0));
    figures.push(figure("a valid token, through SQLite", asked.looked_up_microseconds, 300.0));
    Ok(figures)
}

impl Bench<'_> {
    /// Has a worker keep `grants` grants in the empty database at `url`.
    fn keeping(&self, binary: &Path, name: &str, url: &str, grants: u32) -> Result<Kept> {
        say(format!("{name}: making {grants} grants that are due, and starting a worker"));
        let folder = self.home.join(name);
        fs::create_dir(&folder)?;
        let grants = grants.to_string();
        self.run(&["keeping".as_ref(), binary, &folder, url.as_ref(), grants.as_ref()])
    }

    /// What the program prints. What goes wrong in the worker is for the person at the terminal.
    fn run<T: DeserializeOwned>(&self, arguments: &[&Path]) -> Result<T> {
        let mut command = Command::new(&self.program);
        command.args(arguments).stderr(Stdio::inherit());
        serde_json::from_str(&process::read(&mut command)?).context("the program printed no figure")
    }
}

impl Kept {
    fn per_second(&self) -> f64 {
        self.refreshed / self.refreshing_seconds
    }

    fn figures(&self, database: &str) -> Vec<Figure> {
        let figure = |name: &str, measured, unit, target| Figure {
            name: format!("{name}, {database}"),
            measured,
            unit,
            target,
        };
        let wrong = self.missed + self.lost + self.spent_twice;
        vec![
            figure("refreshes of one worker", self.per_second(), " /s", Target::AtLeast(1_000.0)),
            figure(
                "until all that were due are refreshed",
                self.seconds,
                " s",
                Target::AtMost(60.0),
            ),
            figure("missed, lost or spent twice", wrong, "", Target::AtMost(0.0)),
        ]
    }

    fn row(&self, database: &str) -> [String; 7] {
        let count = |it: f64| format!("{it:.0}");
        [
            database.to_owned(),
            count(self.refreshed),
            count(self.missed),
            count(self.lost),
            count(self.spent_twice),
            format!("{:.1}", self.seconds),
            count(self.per_second()),
        ]
    }
}
