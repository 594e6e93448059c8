//! A table that was loaded into the record store, synced again by its cursor: when nothing changed, and when every row did.

use std::{path::Path, process::Stdio, thread, time::Duration, time::Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    bench::{
        Figure, Target,
        client::Client,
        first_load::{self, CUSTOMERS, database::Database, median},
    },
    database_server::DatabaseServer,
    postgres::Postgres,
    server::Server,
    terminal::{say, table},
};

/// What `psql` loads the rows into before it takes them on.
const STAGE: &str = "create unlogged table stage (id text, data jsonb);\ncheckpoint";

/// The rows of the stage over those that are there.
const UPSERT: &str = "insert into landing select id, data from stage \
    on conflict (id) do update set data = excluded.data";

/// Every row differs, and is newer than any was.
const CHANGE: &str = "update customers set amount = amount + 1, updated_at = updated_at + interval '10 years';\n\
    vacuum analyze customers;\ncheckpoint";

/// How often to ask whether a run is over.
const PERIOD: Duration = Duration::from_millis(20);

/// What one round took, in seconds.
struct Round {
    unchanged: f64,
    pipe: f64,
    upsert: f64,
}

/// Loads the table, syncs it unchanged, changes every row and takes them on by both ways, `rounds` times.
pub(crate) fn measure(binary: &Path, rows: u64, rounds: u32) -> Result<Vec<Figure>> {
    let postgres = DatabaseServer::<Postgres>::find_or_start()?;
    let mut measured = Vec::new();
    for round in 1..=rounds {
        say(format!("{postgres}; round {round} of {rounds}: a table of {rows} rows"));
        let source = Database::create(&postgres, "linkspan_bench_source")?;
        source.run(&CUSTOMERS.replace("{rows}", &rows.to_string()))?;
        source.run("create index on customers (updated_at);\nvacuum analyze customers")?;
        measured.push(take(binary, &postgres, &source, rows)?);
    }
    let of = |which: fn(&Round) -> f64| median(measured.iter().map(which).collect());
    let (unchanged, pipe, upsert) = (of(|it| it.unchanged), of(|it| it.pipe), of(|it| it.upsert));
    let row = |way: &str, seconds: f64| [way.to_owned(), format!("{seconds:.3}")];
    table(
        ["way", "seconds"],
        &[
            row("sync, nothing changed", unchanged),
            row("psql | psql, then upsert, every row", pipe),
            row("sync, every row changed", upsert),
        ],
    );
    Ok(vec![
        Figure {
            name: "sync of every row changed / upsert of a staged COPY, rows per second".to_owned(),
            measured: pipe / upsert,
            unit: "",
            target: Target::AtLeast(0.9),
        },
        Figure {
            name: "sync by cursor when nothing changed, the whole run".to_owned(),
            measured: unchanged * 1e3,
            unit: " ms",
            target: Target::AtMost(50.0),
        },
    ])
}

fn take(
    binary: &Path,
    postgres: &DatabaseServer<Postgres>,
    source: &Database,
    rows: u64,
) -> Result<Round> {
    let landing = Database::create(postgres, "linkspan_bench_pipe")?;
    first_load::pipe(source, &landing)?;
    let records = Database::create(postgres, "linkspan_bench_target")?;
    let home = TempDir::with_prefix("linkspan-bench-")?;
    let variables = [("LINKSPAN_DATABASE_URL", records.url()), ("LINKSPAN_LOG", "error")];
    let mut server = Server::start_with(binary, &home.path().join("data"), &variables)?;
    server.wait_for("/readyz")?;
    let activation = connect(&mut Client::open(&server)?, source)?;

    let (_, loaded) = sync(&server, &activation)?;
    ensure!(loaded["counts"]["written"] == rows, "the first load says {loaded}");
    records.run("vacuum analyze;\ncheckpoint")?;
    let (unchanged, again) = sync(&server, &activation)?;
    ensure!(again["counts"]["written"] == 0, "nothing had changed, but the sync says {again}");

    source.run(CHANGE)?;
    let pipe = upsert(source, &landing)?;
    records.run("checkpoint")?;
    let (upsert, changed) = sync(&server, &activation)?;
    ensure!(changed["counts"]["written"] == rows, "every row had changed, but: {changed}");
    server.stop()?;
    Ok(Round { unchanged, pipe, upsert })
}

/// Stages the table as JSON, and takes it on; returns the seconds it took.
fn upsert(source: &Database, landing: &Database) -> Result<f64> {
    landing.run(STAGE)?;
    let began = Instant::now();
    let mut unload = source.psql(first_load::UNLOAD).stdout(Stdio::piped()).spawn()?;
    let rows = unload.stdout.take().context("psql has no output")?;
    let staged = landing.psql("copy stage from stdin").stdin(rows).status()?;
    ensure!(unload.wait()?.success() && staged.success(), "the pipe of psql failed");
    landing.run(UPSERT)?;
    Ok(began.elapsed().as_secs_f64())
}

/// Activates the table; returns the activation's identifier.
fn connect(client: &mut Client<'_>, source: &Database) -> Result<String> {
    let attributes = json!({
        "connector_id": client.connector("postgresql")?,
        "name": "bench",
        "config": { "connection_string": source.url() },
        "streams": [{ "stream": "public.customers", "cursor_column": "updated_at" }],
    });
    client.make("/v1/workspace-connectors", "workspace_connector", &attributes)
}

/// Syncs by the cursor; returns the seconds from start to end that the run states, and its attributes.
fn sync(server: &Server, activation: &str) -> Result<(f64, Value)> {
    // The server closes connections that are silent for as long as the statements between syncs take.
    let mut client = Client::open(server)?;
    let path = format!("/v1/workspace-connectors/{activation}/syncs");
    let attributes = json!({ "mode": "incremental" });
    let run = client.make(&path, "workspace_connector_sync_log", &attributes)?;
    loop {
        let path = format!("/v1/workspace-connector-sync-logs/{run}");
        let attributes = client.get(&path)?["data"]["attributes"].take();
        match attributes["status"].as_str() {
            Some("success") => {
                let took = attributes["duration_ms"].as_f64().context("the run has no duration")?;
                return Ok((took / 1e3, attributes));
            }
            Some("error") => anyhow::bail!("the sync failed: {attributes}"),
            _ => thread::sleep(PERIOD),
        }
    }
}
