//! Refreshes grants a million times on four nodes that die, and prints what came of it: `cargo xtask bench refresh-simulation`.
//!
//! The stories go to standard error, and one JSON object with their sums to standard output.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "it is a test at length"
)]

#[path = "../tests/simulation/all.rs"]
mod simulation;

use std::time::Instant;

use simulation::{Model, Plan, Report, Unsurvivable, play};

fn main() {
    let refreshes = std::env::args().nth(1).map_or(1_000_000, |it| it.parse().unwrap());
    let tolerant = story(Model::Tolerant, Unsurvivable::Occur, half(refreshes), 11);
    tolerant.assert_lossless();
    tolerant.assert_crashed_everywhere(&[]);
    let strict = story(Model::Strict, Unsurvivable::Excluded, half(refreshes), 12);
    strict.assert_lossless();
    strict.assert_crashed_everywhere(&["ask: answered", "journal: before"]);
    let hopeless = story(Model::Strict, Unsurvivable::Occur, refreshes / 10, 13);
    assert_eq!(hopeless.lost_with_notice, hopeless.lost, "{hopeless}");
    assert!(hopeless.lost <= hopeless.unsurvivable, "{hopeless}");
    let sum = |of: fn(&Report) -> u64| of(&tolerant) + of(&strict);
    println!(
        "{{\"refreshes\":{},\"lost\":{},\"double_spent\":{},\"crashes\":{}}}",
        sum(|it| it.refreshes),
        sum(|it| it.lost),
        sum(|it| it.double_spent),
        sum(|it| it.crashes)
    );
}

/// Half of it, rounded up: two halves are not less than the whole.
fn half(refreshes: u64) -> u64 {
    refreshes.div_ceil(2)
}

/// Plays one story, and says how far it is.
fn story(model: Model, unsurvivable: Unsurvivable, refreshes: u64, seed: u64) -> Report {
    let began = Instant::now();
    let report = play(&Plan { model, unsurvivable, refreshes, seed }, |refreshed| {
        let seconds = began.elapsed().as_secs_f64();
        eprintln!("{model:?} server, seed {seed}: {refreshed} of {refreshes} after {seconds:.0} s");
    });
    eprintln!("{report}\n  in {:.0} s", began.elapsed().as_secs_f64());
    report
}
