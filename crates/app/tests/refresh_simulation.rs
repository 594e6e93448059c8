//! Grants outlive whatever happens to the processes that refresh them: as many crashes as a gate has time for.
//! `cargo xtask bench refresh-simulation` does the same a million times.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

#[path = "simulation/all.rs"]
mod simulation;

use simulation::{Model, Plan, Report, Unsurvivable, play};

const REFRESHES: u64 = 7_000;

fn story(model: Model, unsurvivable: Unsurvivable, seed: u64) -> Report {
    let report = play(&Plan { model, unsurvivable, refreshes: REFRESHES, seed }, |_| {});
    println!("{report}");
    report
}

#[test]
fn no_crash_loses_a_grant_or_spends_a_token_twice_where_the_server_tolerates_lost_replies() {
    let report = story(Model::Tolerant, Unsurvivable::Occur, 1);
    report.assert_lossless();
    assert!(report.crashes > 100 && report.lost_replies > 50, "{report}");
    report.assert_crashed_everywhere(&[]);
}

#[test]
fn no_crash_that_can_be_survived_loses_a_grant_where_the_server_revokes_at_once() {
    let report = story(Model::Strict, Unsurvivable::Excluded, 2);
    report.assert_lossless();
    assert!(report.crashes > 100, "{report}");
    report.assert_crashed_everywhere(&["ask: answered", "journal: before"]);
}

#[test]
fn a_grant_that_no_client_can_keep_ends_in_need_reconnect_and_never_silently() {
    let report = story(Model::Strict, Unsurvivable::Occur, 3);
    assert!(report.unsurvivable > 10, "{report}");
    assert_eq!(report.lost_with_notice, report.lost, "{report}");
    assert!(report.lost <= report.unsurvivable, "no other grant is lost: {report}");
}
