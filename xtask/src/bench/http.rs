//! A page of the catalog against the health check, on one server under the same load.

mod load;

use std::path::Path;

use anyhow::{Result, ensure};
use tempfile::TempDir;

use crate::{
    bench::{
        Figure, Target,
        http::load::{Load, Sample},
    },
    server::{ADMIN_KEY, Server},
    terminal::table,
};

/// Connections that ask at the same time.
const CONNECTIONS: usize = 64;

/// How often both are measured in turn; the median counts.
const ROUNDS: usize = 3;

const LIST: &str = "/v1/connectors?page[size]=20";
const HEALTH: &str = "/healthz";

/// Measures both paths in turn.
pub(crate) fn measure(binary: &Path, seconds: u64) -> Result<Vec<Figure>> {
    let home = TempDir::with_prefix("linkspan-bench-")?;
    let mut server = Server::start(binary, &home.path().join("data"))?;
    server.wait_for("/readyz")?;
    let load = |path, key| Load {
        address: server.address(),
        path,
        key,
        connections: CONNECTIONS,
        seconds,
    };
    let (health, list) = (load(HEALTH, None), load(LIST, Some(ADMIN_KEY)));
    for warm_up in [&health, &list] {
        Load { seconds: 1, ..*warm_up }.run()?;
    }
    let mut healths = Vec::with_capacity(ROUNDS);
    let mut lists = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        healths.push(health.run()?);
        lists.push(list.run()?);
    }
    server.stop()?;
    let (health, list) = (median(healths), median(lists));
    table(
        ["path", "requests/s", "p50 ms", "p99 ms", "failed"],
        &[row(HEALTH, &health), row(LIST, &list)],
    );
    ensure!(list.failed + health.failed == 0, "some requests were not answered with 200");
    Ok(vec![
        Figure {
            name: "list of connectors / health check, requests per second".to_owned(),
            measured: list.rate / health.rate,
            unit: "",
            target: Target::AtLeast(0.4),
        },
        Figure {
            name: "list of connectors, p99 / p50 at 64 connections".to_owned(),
            measured: list.p99 / list.p50,
            unit: "",
            target: Target::AtMost(5.0),
        },
    ])
}

fn median(mut samples: Vec<Sample>) -> Sample {
    samples.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    samples.swap_remove(samples.len() / 2)
}

fn row(path: &str, sample: &Sample) -> [String; 5] {
    [
        path.to_owned(),
        format!("{:.0}", sample.rate),
        format!("{:.2}", sample.p50),
        format!("{:.2}", sample.p99),
        sample.failed.to_string(),
    ]
}
