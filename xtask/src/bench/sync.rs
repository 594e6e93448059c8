//! Records from one system into another without a platform, against plain pipes and other loaders.

mod contest;
mod peers;

use std::{fs, path::Path, process::Command, process::Stdio, time::Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    bench::{
        Figure, Report,
        first_load::{
            CUSTOMERS,
            database::Database,
            meter::{Peak, metered},
        },
    },
    database_server::DatabaseServer,
    debian,
    postgres::Postgres,
    process,
    terminal::{say, table},
};
use contest::{Contest, Run};
use peers::Peers;

/// The columns of the table as the plain pipe writes them, with the types that Linkspan gives them too.
const LANDING: &str = "create table customers (id bigint primary key, first_name text, last_name text, email text,
  phone text, amount numeric, active boolean, updated_at timestamptz, attributes jsonb, city text, country text,
  created_at timestamptz, notes text);
checkpoint";

/// How many of the rows are written as CSV: one of so many.
const CSV_SHARE: u64 = 4;

/// How many of the rows dlt gets, which would take minutes for all: one of so many.
const DLT_SHARE: u64 = 10;

/// What is measured, where, and how often.
pub(crate) struct Setting<'s> {
    /// The program.
    pub(crate) binary: &'s Path,
    /// A Python environment with the other loaders.
    pub(crate) peers: Option<&'s Path>,
    /// Rows of the table.
    pub(crate) rows: u64,
    /// How often each way runs; the median counts.
    pub(crate) rounds: u32,
}

/// Everything that the runs need.
struct Bench<'s> {
    setting: &'s Setting<'s>,
    postgres: DatabaseServer<Postgres>,
    source: Database,
    peers: Peers,
    home: TempDir,
}

/// Runs each contest, `rounds` times in turn, and reports what came of it.
pub(crate) fn measure(setting: &Setting<'_>, report: &mut Report) -> Result<Vec<Figure>> {
    if process::find("psql").is_none() {
        debian::install("there is no psql", &["postgresql-client"])?;
    }
    let postgres = DatabaseServer::<Postgres>::find_or_start()?;
    let rows = setting.rows;
    say(format!("{postgres}; making a table of {rows} rows"));
    let source = Database::create(&postgres, "linkspan_bench_source")?;
    source.run(&CUSTOMERS.replace("{rows}", &rows.to_string()))?;
    source.run(&format!(
        "create table customers_part (like customers including all);\n\
        insert into customers_part select * from customers where id <= {};\nvacuum analyze customers_part",
        rows / DLT_SHARE
    ))?;
    let home = TempDir::with_prefix("linkspan-bench-")?;
    let peers = Peers::find(setting.peers)?;
    let bench = Bench { setting, postgres, source, peers, home };
    let contests = bench.contests()?;
    let lines: Vec<[String; 5]> = contests.iter().flat_map(Contest::rows).collect();
    table(["contest", "way", "seconds", "rows/s", "peak MB"], &lines);
    report.insert("contests".to_owned(), contests.iter().map(Contest::json).collect());
    Ok(contests.iter().flat_map(Contest::figures).collect())
}

impl Bench<'_> {
    fn contests(&self) -> Result<Vec<Contest>> {
        let csv = self.csv()?;
        let mut contests = vec![
            Contest::new("table", "PostgreSQL into a table of PostgreSQL")
                .at_least("psql", 0.75)
                .at_least("sling", 2.5)
                .at_least("dlt", 10.0)
                .megabytes_at_most(150.0),
            Contest::new("arrow", "PostgreSQL as Arrow into nothing")
                .at_least("adbc", 0.9)
                .megabytes_at_most(150.0),
            Contest::new("parquet", "PostgreSQL into Parquet")
                .at_least("adbc", 0.9)
                .megabytes_at_most(150.0),
            Contest::new("csv", "CSV into a table of PostgreSQL").at_least("sling", 3.0),
        ];
        for round in 1..=self.setting.rounds {
            say(format!("round {round} of {}", self.setting.rounds));
            for contest in &mut contests {
                for (way, run) in self.round(contest.name, &csv)? {
                    contest.add(way, run);
                }
            }
        }
        Ok(contests)
    }

    /// Every way of one contest, once.
    fn round(&self, contest: &str, csv: &Path) -> Result<Vec<(&'static str, Run)>> {
        let rows = self.setting.rows;
        let mut runs = Vec::new();
        match contest {
            "table" => {
                runs.push(("psql", self.pipe()?));
                let target = Database::create(&self.postgres, "linkspan_bench_target")?;
                target.run("checkpoint")?;
                runs.push(("linkspan", self.copy(&target, rows)?));
                drop(target);
                runs.extend(self.sling("postgres", csv, rows)?);
                runs.extend(self.dlt()?);
            }
            "arrow" => {
                let to = ["--format", "arrow", "--to", "/dev/null"];
                self.settle()?;
                runs.push(("linkspan", self.unload(&to)?));
                self.settle()?;
                runs.extend(self.adbc(None, rows)?);
            }
            "parquet" => {
                let file = self.home.path().join("customers.parquet");
                let to = ["--to", file.to_str().unwrap_or_default()];
                self.settle()?;
                runs.push(("linkspan", self.unload(&to)?));
                fs::remove_file(&file)?;
                self.settle()?;
                runs.extend(self.adbc(Some(&file), rows)?);
            }
            _ => {
                let target = Database::create(&self.postgres, "linkspan_bench_target")?;
                target.run("checkpoint")?;
                let setting = format!("path={}", csv.display());
                let from = ["csv", "--set", &setting, "--set", "primary_key=id"];
                runs.push(("linkspan", self.into(&target, &from, rows / CSV_SHARE)?));
                drop(target);
                runs.extend(self.sling("csv", csv, rows / CSV_SHARE)?);
            }
        }
        Ok(runs)
    }

    /// Has the server write down what earlier contests left to be written: it is not for whoever reads next to wait for.
    fn settle(&self) -> Result<()> {
        self.source.run("checkpoint")
    }

    /// Some of the rows as a CSV file.
    fn csv(&self) -> Result<std::path::PathBuf> {
        let file = self.home.path().join("customers.csv");
        let rows = self.setting.rows / CSV_SHARE;
        let unload = format!(
            "copy (select * from customers where id <= {rows} order by id) to stdout (format csv, header)"
        );
        let status = self.source.psql(&unload).stdout(fs::File::create(&file)?).status()?;
        ensure!(status.success(), "the table could not be written as CSV");
        Ok(file)
    }

    /// Copies the table in binary into an empty table with a key.
    fn pipe(&self) -> Result<Run> {
        let target = Database::create(&self.postgres, "linkspan_bench_pipe")?;
        target.run(LANDING)?;
        let began = Instant::now();
        let unload = "copy customers to stdout (format binary)";
        let mut unload = self.source.psql(unload).stdout(Stdio::piped()).spawn()?;
        let rows = unload.stdout.take().context("psql has no output")?;
        let load = "copy customers from stdin (format binary)";
        let loaded = target.psql(load).stdin(rows).status()?;
        ensure!(unload.wait()?.success() && loaded.success(), "the pipe of psql failed");
        let seconds = began.elapsed().as_secs_f64();
        Ok(Run { rows: self.setting.rows, seconds, megabytes: None })
    }

    /// Reads the table into one of `target`.
    fn copy(&self, target: &Database, rows: u64) -> Result<Run> {
        let setting = format!("connection_string={}", self.source.url());
        let from = ["postgresql", "--set", &setting, "--stream", "public.customers"];
        self.into(target, &from, rows)
    }

    fn into(&self, target: &Database, from: &[&str], rows: u64) -> Result<Run> {
        let setting = format!("connection_string={}", target.url());
        let into = ["--into", "postgresql", "--into-set", &setting];
        let into_stream = ["--into-stream", "public.customers"];
        let (run, read) = self.linkspan(&[from, &into, &into_stream].concat())?;
        ensure!(read == rows, "{rows} rows were to be read, but {read} were");
        let counted =
            process::read(&mut target.psql("copy (select count(*) from customers) to stdout"))?;
        ensure!(counted.trim() == rows.to_string(), "the target has {} rows", counted.trim());
        Ok(run)
    }

    /// Reads the table into a file.
    fn unload(&self, to: &[&str]) -> Result<Run> {
        let setting = format!("connection_string={}", self.source.url());
        let from = ["postgresql", "--set", &setting, "--stream", "public.customers"];
        let (run, read) = self.linkspan(&[&from, to].concat())?;
        ensure!(read == self.setting.rows, "{read} rows were read");
        Ok(run)
    }

    /// `linkspan read` with these arguments, and how many records it says it read.
    fn linkspan(&self, arguments: &[&str]) -> Result<(Run, u64)> {
        let mut command = Command::new(self.setting.binary);
        command.arg("read").args(arguments).arg("--json").current_dir(self.home.path());
        let began = Instant::now();
        let (printed, megabytes) = metered(&mut command, Peak::Process)?;
        let seconds = began.elapsed().as_secs_f64();
        let last = printed.lines().last().unwrap_or_default();
        let outcome: Value = serde_json::from_str(last)
            .with_context(|| format!("the last line of `linkspan read` is no JSON: {last}"))?;
        let records = outcome["records"].as_u64().unwrap_or_default();
        Ok((Run { rows: records, seconds, megabytes: Some(megabytes) }, records))
    }

    fn sling(&self, from: &str, csv: &Path, rows: u64) -> Result<Option<(&'static str, Run)>> {
        let Some(sling) = &self.peers.sling else { return Ok(None) };
        let target = Database::create(&self.postgres, "linkspan_bench_target")?;
        target.run("create schema sl;\ncheckpoint")?;
        let mut command = Command::new(sling);
        command
            .args(["run", "--tgt-conn", "TARGET", "--tgt-object", "sl.customers"])
            .args(["--mode", "full-refresh"])
            .env("SLING_DISABLE_TELEMETRY", "true")
            .env("DISABLE_TELEMETRY", "true")
            .env("SLING_HOME_DIR", self.home.path().join("sling"))
            .env("SOURCE", without_tls(self.source.url()))
            .env("TARGET", without_tls(target.url()));
        if from == "csv" {
            command.args(["--src-stream", &format!("file://{}", csv.display())]);
        } else {
            command.args(["--src-conn", "SOURCE", "--src-stream", "public.customers"]);
        }
        let began = Instant::now();
        let (_, megabytes) = metered(&mut command, Peak::Tree)?;
        let seconds = began.elapsed().as_secs_f64();
        let counted =
            process::read(&mut target.psql("copy (select count(*) from sl.customers) to stdout"))?;
        ensure!(counted.trim() == rows.to_string(), "sling left {} rows", counted.trim());
        Ok(Some(("sling", Run { rows, seconds, megabytes: Some(megabytes) })))
    }

    /// Some of the rows by dlt, with what it does of itself.
    fn dlt(&self) -> Result<Option<(&'static str, Run)>> {
        let Some(python) = &self.peers.dlt else { return Ok(None) };
        let target = Database::create(&self.postgres, "linkspan_bench_target")?;
        target.run("checkpoint")?;
        let mut command = Command::new(python);
        command.args(["-c", peers::DLT]).arg(self.source.url()).arg(target.url());
        command.arg(self.home.path().join("dlt")).env("RUNTIME__DLTHUB_TELEMETRY", "false");
        // It insists on one, even where the server asks for none.
        command.env("DESTINATION__POSTGRES__CREDENTIALS__PASSWORD", "none");
        let began = Instant::now();
        let (_, megabytes) = metered(&mut command, Peak::Tree)?;
        let seconds = began.elapsed().as_secs_f64();
        let rows = self.setting.rows / DLT_SHARE;
        let count = "copy (select count(*) from dlt_bench.customers_part) to stdout";
        let counted = process::read(&mut target.psql(count))?;
        ensure!(counted.trim() == rows.to_string(), "dlt left {} rows", counted.trim());
        Ok(Some(("dlt", Run { rows, seconds, megabytes: Some(megabytes) })))
    }

    /// Reads the table with ADBC, into nothing or into a Parquet file.
    fn adbc(&self, to: Option<&Path>, rows: u64) -> Result<Option<(&'static str, Run)>> {
        let Some(python) = &self.peers.adbc else { return Ok(None) };
        let mut command = Command::new(python);
        command.args(["-c", peers::ADBC]).arg(self.source.url()).arg(rows.to_string());
        command.args(to);
        let began = Instant::now();
        let (_, megabytes) = metered(&mut command, Peak::Tree)?;
        let seconds = began.elapsed().as_secs_f64();
        Ok(Some(("adbc", Run { rows, seconds, megabytes: Some(megabytes) })))
    }
}

/// Sling asks for TLS unless the address says that there is none.
fn without_tls(url: &str) -> String {
    let mark = if url.contains('?') { '&' } else { '?' };
    if url.contains("sslmode=") { url.to_owned() } else { format!("{url}{mark}sslmode=disable") }
}
