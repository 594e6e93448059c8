//! From start to the first answer, and memory at rest, with a seeded database.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{
    bench::{Figure, Target},
    process,
    server::Server,
    terminal::say,
};

/// How often the start is timed; the median counts.
const STARTS: usize = 7;

/// How long the server is left alone before its memory is read.
const REST: Duration = Duration::from_secs(3);

/// Seeds a database, then starts on it again and again.
pub(crate) fn measure(binary: &Path) -> Result<Vec<Figure>> {
    let home = TempDir::with_prefix("linkspan-bench-")?;
    let data = home.path().join("data");
    let mut first = Server::start(binary, &data)?;
    first.wait_for("/readyz")?;
    first.stop()?;
    let mut times = Vec::with_capacity(STARTS);
    let mut idle = 0.0;
    for start in 1..=STARTS {
        let began = Instant::now();
        let mut server = Server::start(binary, &data)?;
        let answered = server.wait_for("/healthz")?;
        times.push((answered - began).as_secs_f64() * 1e3);
        if start == STARTS {
            server.wait_for("/readyz")?;
            thread::sleep(REST);
            idle = process::memory(server.id(), "VmRSS")
                .context("memory is read from /proc, which this system lacks")?;
        }
        server.stop()?;
    }
    times.sort_by(f64::total_cmp);
    let list: Vec<String> = times.iter().map(|it| format!("{it:.0}")).collect();
    say(format!("starts, sorted: {} ms", list.join(" ")));
    Ok(vec![
        Figure {
            name: "start to first 200 of /healthz".to_owned(),
            measured: times[STARTS / 2],
            unit: " ms",
            target: Target::AtMost(300.0),
        },
        Figure {
            name: "resident memory, idle".to_owned(),
            measured: idle,
            unit: " MB",
            target: Target::AtMost(60.0),
        },
    ])
}
