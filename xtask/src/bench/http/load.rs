//! Load on one path of a server: a thread for each connection, each asking again at once.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};

use crate::http::{self, Connection};

/// What to ask, how long and over how many connections.
pub(crate) struct Load<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) path: &'a str,
    pub(crate) key: Option<&'a str>,
    pub(crate) connections: usize,
    pub(crate) seconds: u64,
}

/// How a load went. Latencies are in milliseconds.
pub(crate) struct Sample {
    pub(crate) rate: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) failed: usize,
}

impl Load<'_> {
    /// Applies the load; fails when a connection breaks.
    pub(crate) fn run(&self) -> Result<Sample> {
        let request = http::get(self.address, self.path, self.key);
        let began = Instant::now();
        let end = began + Duration::from_secs(self.seconds);
        let answers: Result<Vec<(u16, Duration)>> = thread::scope(|scope| {
            let askers: Vec<_> = (0..self.connections)
                .map(|_| scope.spawn(|| ask(self.address, &request, end)))
                .collect();
            let mut answers = Vec::new();
            for asker in askers {
                let asked = asker.join().map_err(|_| anyhow!("an asking thread panicked"))?;
                answers.extend(asked.with_context(|| format!("{} broke off", self.path))?);
            }
            Ok(answers)
        });
        Ok(sample(&answers?, began.elapsed()))
    }
}

fn ask(address: SocketAddr, request: &[u8], end: Instant) -> std::io::Result<Vec<(u16, Duration)>> {
    let mut connection = Connection::open(address)?;
    let mut answers = Vec::with_capacity(1 << 16);
    loop {
        let asked = Instant::now();
        if asked >= end {
            return Ok(answers);
        }
        let status = connection.send(request)?;
        answers.push((status, asked.elapsed()));
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a few million")]
fn sample(answers: &[(u16, Duration)], time: Duration) -> Sample {
    let mut latencies: Vec<Duration> = answers.iter().map(|(_, latency)| *latency).collect();
    latencies.sort();
    let percentile = |percent: usize| {
        let index = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
        latencies.get(index).map_or(f64::NAN, |it| it.as_secs_f64() * 1e3)
    };
    Sample {
        rate: answers.len() as f64 / time.as_secs_f64(),
        p50: percentile(50),
        p99: percentile(99),
        failed: answers.iter().filter(|(status, _)| *status != 200).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_counts_failures_and_ranks_latencies() {
        let answers: Vec<_> = (1..=100)
            .map(|it| (if it == 7 { 500 } else { 200 }, Duration::from_millis(it)))
            .collect();
        let sample = sample(&answers, Duration::from_secs(2));
        assert!((sample.rate - 50.0).abs() < 1e-9);
        assert!((sample.p50 - 51.0).abs() < 1e-9 && (sample.p99 - 100.0).abs() < 1e-9);
        assert_eq!(sample.failed, 1);
    }
}
