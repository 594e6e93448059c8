//! Grants outlive whatever happens to the processes that refresh them: as many crashes as a gate has time for.
//! `cargo xtask bench refresh-simulation` does the same a million times.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

#[path = "simulation/all.rs"]
mod simulation;

use simulation::{Report, Story};

const REFRESHES: u64 = 7_000;

fn tell(story: Story, seed: u64) -> Report {
    let refreshes = if story == Story::Life { REFRESHES / 3 } else { REFRESHES };
    let report = story.tell(refreshes, seed, |_| {});
    println!("{report}");
    story.assert(&report);
    assert!(report.crashes > 100, "{report}");
    report
}

#[test]
fn no_crash_loses_a_grant_or_spends_a_token_twice_where_the_server_tolerates_lost_replies() {
    let report = tell(Story::Tolerant, 1);
    assert!(report.lost_replies > 50, "{report}");
}

#[test]
fn no_crash_that_can_be_survived_loses_a_grant_where_the_server_revokes_at_once() {
    tell(Story::StrictSpared, 2);
}

#[test]
fn a_grant_that_no_client_can_keep_ends_in_need_reconnect_and_never_silently() {
    let report = tell(Story::Strict, 3);
    assert!(report.answers_died > 10, "{report}");
}

#[test]
fn no_crash_loses_a_grant_where_the_token_just_rotated_out_works_for_a_minute() {
    let report = tell(Story::Graceful, 4);
    assert!(report.answers_died > 10 && report.lost_replies > 50, "{report}");
}

#[test]
fn a_minute_of_grace_that_several_crashes_use_up_ends_in_need_reconnect() {
    let report = tell(Story::GracefulUnspared, 5);
    assert!(report.answers_died > 10, "{report}");
}

#[test]
fn no_crash_loses_what_a_person_granted_or_leaves_what_nobody_needs() {
    let report = tell(Story::Life, 6);
    for event in ["connected", "disconnected", "restored with its grant", "purged", "revoked"] {
        assert!(report.events.get(event).is_some_and(|it| *it > 10), "{event}: {report}");
    }
}

#[test]
fn the_same_story_comes_again() {
    for story in Story::ALL {
        let [one, other] = [(); 2].map(|()| story.tell(300, 7, |_| {}).json());
        assert_eq!(one, other);
    }
}
