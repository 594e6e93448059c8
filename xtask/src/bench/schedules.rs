//! How late runs start when many schedules have a turn within a minute.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    bench::{Figure, Target, client::Client, first_load::database::Database},
    database_server::DatabaseServer,
    postgres::Postgres,
    server::Server,
    terminal::{say, table},
};

/// How often each schedule has a turn, and over how long the schedules are spread.
const MINUTE: Duration = Duration::from_mins(1);

/// How much later than due a run may start and still be seen.
const LATEST: Duration = Duration::from_secs(10);

/// Sets `count` schedules on each database, and reads when their first runs started.
pub(crate) fn measure(binary: &Path, count: u32) -> Result<Vec<Figure>> {
    let sqlite = lateness(binary, count, None)?;
    let server = DatabaseServer::<Postgres>::find_or_start()?;
    let database = Database::create(&server, "linkspan_bench_schedules")?;
    let postgres = lateness(binary, count, Some(database.url()))?;
    table(
        ["database", "schedules", "p50 ms", "p99 ms", "max ms"],
        &[row("SQLite", &sqlite), row("PostgreSQL", &postgres)],
    );
    let figure = |name, late: &[f64]| Figure {
        name,
        measured: share(late, 99),
        unit: " ms",
        target: Target::AtMost(1_000.0),
    };
    Ok(vec![
        figure("start of scheduled runs after they are due, p99, SQLite".to_owned(), &sqlite),
        figure("start of scheduled runs after they are due, p99, PostgreSQL".to_owned(), &postgres),
    ])
}

/// How many milliseconds after its turn each schedule started its run, sorted.
fn lateness(binary: &Path, count: u32, database: Option<&str>) -> Result<Vec<f64>> {
    let home = TempDir::with_prefix("linkspan-bench-")?;
    // Nobody works the runs off: how long they take is another matter.
    let mut variables = vec![("LINKSPAN_ROLE", "api,scheduler"), ("LINKSPAN_LOG", "error")];
    variables.extend(database.map(|url| ("LINKSPAN_DATABASE_URL", url)));
    let mut server = Server::start_with(binary, &home.path().join("data"), &variables)?;
    server.wait_for("/readyz")?;
    let name = if database.is_some() { "PostgreSQL" } else { "SQLite" };
    say(format!("{name}: setting {count} schedules in a minute, and waiting for their turns"));
    let mut client = Client::open(&server)?;
    let connector = client.connector("csv")?;
    let began = Instant::now();
    let mut activations = Vec::new();
    for number in 0..count {
        // One after the other, so that the turns are spread as those of many people are.
        let turn = MINUTE * number / count;
        thread::sleep(turn.saturating_sub(began.elapsed()));
        activations.push(bootstrap(&mut client, &connector, number)?);
    }
    thread::sleep(MINUTE + LATEST);
    let mut late = Vec::with_capacity(activations.len());
    for activation in &activations {
        let path = format!("/v1/workspace-connectors/{activation}/schedule");
        late.push(late_by(&client.get(&path)?["data"]["attributes"])?);
    }
    drop(client);
    server.stop()?;
    late.sort_by(f64::total_cmp);
    Ok(late)
}

/// How many milliseconds after its first turn a schedule started its run.
fn late_by(schedule: &Value) -> Result<f64> {
    let instant = |name: &str| -> Result<OffsetDateTime> {
        let text = schedule[name].as_str();
        let text = text.with_context(|| format!("a schedule has no {name}: no run was started"))?;
        Ok(OffsetDateTime::parse(text, &Rfc3339)?)
    };
    let due = instant("updated_at")? + MINUTE;
    Ok((instant("last_started_at")? - due).as_seconds_f64() * 1e3)
}

/// Makes an activation with a schedule; returns its identifier.
fn bootstrap(client: &mut Client<'_>, connector: &str, number: u32) -> Result<String> {
    let attributes = json!({
        "connector_id": connector,
        "name": format!("scheduled {number}"),
        "config": { "path": "nothing.csv" },
        "schedule": { "interval_secs": MINUTE.as_secs(), "mode": "full" },
    });
    client.make("/v1/workspace-connectors/bootstrap", "workspace_connector", &attributes)
}

/// The value that so many out of a hundred do not exceed.
fn share(sorted: &[f64], percent: usize) -> f64 {
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

fn row(database: &str, late: &[f64]) -> [String; 5] {
    let figure = |percent| format!("{:.0}", share(late, percent));
    [database.to_owned(), late.len().to_string(), figure(50), figure(99), figure(100)]
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn a_share_is_a_value_that_was_measured() {
        let sorted: Vec<f64> = (1..=200).map(f64::from).collect();
        let shares = [50, 99, 100].map(|it| share(&sorted, it));
        assert!(
            shares.iter().zip([100.0, 198.0, 200.0]).all(|(is, should)| (is - should).abs() < 0.5)
        );
        assert!(share(&[], 99).is_nan());
    }
}
