//! Mapping records with JSONata on one thread, relative to the reference implementation.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    bench::{Figure, Target, example},
    process,
    project::Project,
    terminal::say,
    tools,
};

/// A mapping of ten fields: paths, texts, arithmetic, a condition.
const EXPRESSION: &str = r#"{
  "external_id": $string(id),
  "full_name": first_name & " " & last_name,
  "email": $lowercase(email),
  "phone": phone,
  "total_amount": $string($round(amount * 1.19, 2)),
  "currency": $uppercase(currency),
  "city": address.city,
  "country": address.country,
  "status": is_active ? "active" : "closed",
  "updated_at": updated_at
}"#;

/// How many records there are before they begin again.
const RECORDS: u64 = 1_000;

/// What both programs print.
#[derive(Deserialize)]
struct Run {
    records_per_second: f64,
    first: Value,
}

/// Maps the same records with both, in turn.
pub(crate) fn measure(project: &Project, seconds: u64, rounds: u32) -> Result<Vec<Figure>> {
    let program = example(project, "mapping_bench")?;
    let home = TempDir::with_prefix("linkspan-bench-")?;
    let (expression, records) = (home.path().join("mapping"), home.path().join("records"));
    fs::write(&expression, EXPRESSION)?;
    let lines: Vec<String> = (0..RECORDS).map(|at| record(at).to_string()).collect();
    fs::write(&records, lines.join("\n"))?;
    let node = tools::node(project)?;
    let script = "jsonata_bench.mjs";
    fs::copy(tools::script(project, script), node.join(script))
        .with_context(|| format!("cannot copy {script}"))?;
    let run = |program: &Path, arguments: &[&Path]| -> Result<Run> {
        let mut command = Command::new(program);
        command.args(arguments).args([&expression, &records]).arg(seconds.to_string());
        serde_json::from_str(&process::read(&mut command)?).context("a program printed no figure")
    };
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let ours = run(&program, &[])?;
        let theirs = run(Path::new("node"), &[&node.join(script)])?;
        if ours.first != theirs.first {
            bail!("the two map differently: {} and {}", ours.first, theirs.first);
        }
        let ratio = ours.records_per_second / theirs.records_per_second;
        say(format!(
            "mapping, round {round}: {:.0} records/s, jsonata of npm {:.0} records/s, {ratio:.2}",
            ours.records_per_second, theirs.records_per_second
        ));
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    Ok(vec![Figure {
        name: "mapping with JSONata / jsonata of npm".to_owned(),
        measured: ratios[ratios.len() / 2],
        unit: "",
        target: Target::AtLeast(5.0),
    }])
}

fn record(at: u64) -> Value {
    json!({
        "id": at, "first_name": "Anna", "last_name": format!("Smith-{at}"), "email": format!("User{at}@Example.com"),
        "phone": format!("+1-555-{at}"), "amount": at * 3, "currency": "eur", "is_active": at.is_multiple_of(3),
        "address": { "line1": "1 Main Street", "city": "Berlin", "country": "DE", "postal_code": "10115" },
        "tags": [format!("t{}", at % 7), "seg"], "metadata": { "plan": "pro", "score": at },
        "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-02T00:00:00Z",
    })
}
