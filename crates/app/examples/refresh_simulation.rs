//! Refreshes grants a million times on four nodes that die, and says what came of it: `cargo xtask bench refresh-simulation`.
//!
//! How far it is goes to standard error, and what came of each story to standard output, as JSON. A story whose promise is broken
//! ends it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "it is a test at length"
)]

#[path = "../tests/simulation/all.rs"]
mod simulation;

use std::time::Instant;

use serde_json::{Value, json};
use simulation::{Report, Story};

fn main() {
    let refreshes = std::env::args().nth(1).map_or(1_000_000, |it| it.parse().unwrap());
    let stories: Vec<_> = Story::ALL
        .into_iter()
        .zip(11..)
        .map(|(story, seed)| tell(story, refreshes, seed))
        .collect();
    println!("{}", json!({ "stories": stories }));
}

/// Plays one story to its share of `refreshes`, and says how far it is.
fn tell(story: Story, refreshes: u64, seed: u64) -> Value {
    let share = match story {
        // Of these three nothing is lost that anybody could have kept: together they are not less than the whole.
        Story::Tolerant | Story::StrictSpared | Story::Graceful => refreshes.div_ceil(3),
        Story::Strict | Story::GracefulUnspared | Story::Life => refreshes / 20,
    };
    let began = Instant::now();
    let report: Report = story.tell(share, seed, |refreshed| {
        let seconds = began.elapsed().as_secs_f64();
        eprintln!("{}: {refreshed} of {share} after {seconds:.0} s", story.name());
    });
    story.assert(&report);
    report.json()
}
