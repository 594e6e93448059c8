//! What came of a simulation.

use std::{collections::BTreeMap, fmt};

use serde_json::{Value, json};

use super::{
    provider::Book,
    story::{Plan, Story},
};

/// What came of a simulation.
#[derive(Debug)]
pub(crate) struct Report {
    story: Story,
    seed: u64,
    nodes: usize,
    /// Tokens that the server handed out for a refresh.
    pub(crate) refreshes: u64,
    /// Attempts that were begun.
    pub(crate) attempts: u64,
    /// Processes that died, each with all that it was at.
    pub(crate) crashes: u64,
    /// What died, by the step at which it did.
    died_at: BTreeMap<&'static str, u64>,
    /// Attempts that were so slow that another took over.
    pub(crate) stalls: u64,
    /// Answers of the server that never arrived.
    pub(crate) lost_replies: u64,
    /// Requests that the server turned away or never saw.
    failures: u64,
    /// Tokens and codes that were used though they were spent, and could not be used again.
    pub(crate) spent_twice: u64,
    /// Attempts that died between the server's commit and ours.
    pub(crate) answers_died: u64,
    /// Grants that were lost.
    pub(crate) lost: u64,
    /// Those of them that left a `need_reconnect` and an event in the audit trail.
    pub(crate) lost_with_notice: u64,
    /// Tokens that were handed out after the server had revoked them, before anybody could know: of grants that are lost.
    pub(crate) outdated: u64,
    /// Tokens that were handed out and are none, and what did not end as it should.
    pub(crate) broken: u64,
    /// What else happened, and how often.
    pub(crate) events: BTreeMap<&'static str, u64>,
}

/// The steps of a refresh that goes well, all places to die.
pub(crate) const REFRESHING: &[&str] = &[
    "grant: before",
    "grant: after",
    "lease: before",
    "lease: after",
    "ask: on its way",
    "ask: answered",
    "journal: before",
    "journal: after",
    "settle: before",
    "settle: after",
    "release: before",
    "release: after",
];

impl Report {
    /// Nothing has happened yet.
    pub(crate) fn of(plan: &Plan, nodes: usize) -> Self {
        Self {
            story: plan.story,
            seed: plan.seed,
            nodes,
            refreshes: 0,
            attempts: 0,
            crashes: 0,
            died_at: BTreeMap::new(),
            stalls: 0,
            lost_replies: 0,
            failures: 0,
            spent_twice: 0,
            answers_died: 0,
            lost: 0,
            lost_with_notice: 0,
            outdated: 0,
            broken: 0,
            events: BTreeMap::new(),
        }
    }

    /// Something died at `step`. Empty: it had not begun.
    pub(crate) fn died(&mut self, step: &'static str) {
        if !step.is_empty() {
            *self.died_at.entry(step).or_default() += 1;
        }
    }

    /// How much died at `step` so far.
    pub(crate) fn deaths(&self, step: &str) -> u64 {
        self.died_at.get(step).copied().unwrap_or_default()
    }

    /// Something happened that is worth counting.
    pub(crate) fn count(&mut self, event: &'static str) {
        *self.events.entry(event).or_default() += 1;
    }

    /// Takes over what the server has counted.
    pub(crate) fn read(&mut self, book: &Book) {
        self.refreshes = book.refreshed;
        self.lost_replies = book.lost_replies;
        self.failures = book.failures;
        self.spent_twice = book.double_spent;
    }

    /// # Panics
    ///
    /// When a grant was lost, or a token spent twice, or handed out that did not work.
    pub(crate) fn assert_lossless(&self) {
        let harm = (self.lost, self.lost_with_notice, self.spent_twice, self.outdated, self.broken);
        assert_eq!(harm, (0, 0, 0, 0, 0), "{self}");
    }

    /// # Panics
    ///
    /// When a grant was lost without notice, or for another reason than that an answer was: each of those takes one at most.
    pub(crate) fn assert_lost_with_notice(&self) {
        assert_eq!((self.lost_with_notice, self.broken), (self.lost, 0), "{self}");
        assert!(self.lost <= self.answers_died + self.lost_replies, "{self}");
        assert!(self.spent_twice <= self.lost, "each is one that was lost: {self}");
        assert!(self.outdated == 0 || self.lost > 0, "{self}");
    }

    /// # Panics
    ///
    /// When nothing died at one of `steps` that is not one of `spared`.
    pub(crate) fn assert_crashed_everywhere(&self, steps: &[&str], spared: &[&str]) {
        for step in steps {
            assert!(self.deaths(step) > 0 || spared.contains(step), "{step}: {self}");
        }
    }

    /// For machines.
    pub(crate) fn json(&self) -> Value {
        json!({
            "story": self.story.name(),
            "is_lossless": self.story.is_lossless(),
            "seed": self.seed,
            "nodes": self.nodes,
            "refreshes": self.refreshes,
            "attempts": self.attempts,
            "crashes": self.crashes,
            "died_at": self.died_at,
            "stalls": self.stalls,
            "failures": self.failures,
            "lost_replies": self.lost_replies,
            "answers_died": self.answers_died,
            "lost": self.lost,
            "lost_with_notice": self.lost_with_notice,
            "spent_twice": self.spent_twice,
            "outdated": self.outdated,
            "broken": self.broken,
            "events": self.events,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.json())
    }
}
