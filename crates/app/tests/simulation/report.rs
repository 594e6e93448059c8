//! What came of a simulation.

use std::{collections::BTreeMap, fmt};

use super::provider::Model;

/// What came of a simulation.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) model: Model,
    /// What chance began with: the same story comes again from it.
    pub(crate) seed: u64,
    /// Tokens that the server handed out for a refresh.
    pub(crate) refreshes: u64,
    /// Attempts that were begun.
    pub(crate) attempts: u64,
    /// Processes that died, each with all that it was at.
    pub(crate) crashes: u64,
    /// Attempts that died, by the step at which they did.
    pub(crate) died_at: BTreeMap<&'static str, u64>,
    /// Attempts that were so slow that another took over.
    pub(crate) stalls: u64,
    /// Answers of the server that never arrived.
    pub(crate) lost_replies: u64,
    /// Requests that the server turned away or never saw.
    pub(crate) failures: u64,
    /// Tokens that were used though they were spent, and could not be used again.
    pub(crate) double_spent: u64,
    /// Attempts that died between the server's commit and ours, with a server that revokes at once.
    pub(crate) unsurvivable: u64,
    /// Grants that were lost.
    pub(crate) lost: u64,
    /// Those of them that left a `need_reconnect` and an event in the audit trail.
    pub(crate) lost_with_notice: u64,
    /// Tokens that were handed out and did not work, and activations that did not end as they should.
    pub(crate) broken: u64,
}

/// The steps of a refresh that goes well, all places to die.
const STEPS: &[&str] = &[
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
    pub(crate) fn of(model: Model, seed: u64) -> Self {
        Self {
            model,
            seed,
            refreshes: 0,
            attempts: 0,
            crashes: 0,
            died_at: BTreeMap::new(),
            stalls: 0,
            lost_replies: 0,
            failures: 0,
            double_spent: 0,
            unsurvivable: 0,
            lost: 0,
            lost_with_notice: 0,
            broken: 0,
        }
    }

    /// # Panics
    ///
    /// When a grant was lost, or a token spent twice.
    pub(crate) fn assert_lossless(&self) {
        assert_eq!((self.lost, self.double_spent, self.broken), (0, 0, 0), "{self}");
    }

    /// # Panics
    ///
    /// When nothing died at some step that is not one of `spared`.
    pub(crate) fn assert_crashed_everywhere(&self, spared: &[&str]) {
        for step in STEPS {
            let died = self.died_at.get(step).copied().unwrap_or_default();
            assert!(died > 0 || spared.contains(step), "{step}: {self}");
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:?} server, seed {}: {} refreshes in {} attempts, {} lost, {} double-spent, {} broken",
            self.model,
            self.seed,
            self.refreshes,
            self.attempts,
            self.lost,
            self.double_spent,
            self.broken
        )?;
        writeln!(
            f,
            "  {} crashes, {} stalls, {} failures, {} lost replies; {} crashes that no client survives",
            self.crashes, self.stalls, self.failures, self.lost_replies, self.unsurvivable
        )?;
        let died = self.died_at.iter().map(|(step, count)| format!("{step} {count}"));
        write!(f, "  attempts that died at: {}", died.collect::<Vec<_>>().join(", "))
    }
}
