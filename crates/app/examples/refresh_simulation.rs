//! Refreshes grants a million times while processes die, and prints what came of it: `cargo xtask bench refresh-simulation`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "it is a test at length"
)]

#[path = "../tests/simulation/all.rs"]
mod simulation;

use simulation::{Model, Plan, Unsurvivable, play};

fn main() {
    let refreshes = std::env::args().nth(1).map_or(1_000_000, |it| it.parse().unwrap());
    let play = |model, unsurvivable, refreshes, seed| {
        let report = play(&Plan { model, unsurvivable, refreshes, seed });
        println!("{report}");
        report
    };
    let tolerant = play(Model::Tolerant, Unsurvivable::Occur, refreshes / 2, 11);
    tolerant.assert_lossless();
    tolerant.assert_crashed_everywhere(&[]);
    let strict = play(Model::Strict, Unsurvivable::Excluded, refreshes / 2, 12);
    strict.assert_lossless();
    strict.assert_crashed_everywhere(&["ask: answered", "journal: before"]);
    let hopeless = play(Model::Strict, Unsurvivable::Occur, refreshes / 10, 13);
    assert_eq!(hopeless.lost_with_notice, hopeless.lost, "{hopeless}");
    assert!(hopeless.lost <= hopeless.unsurvivable, "{hopeless}");
}
