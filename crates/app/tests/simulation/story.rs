//! The stories: which server, where processes die, and what must come of it.

use super::{
    life::{self, live},
    play::play,
    provider::Model,
    report::{REFRESHING, Report},
};

/// What to simulate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Story {
    /// The server answers anew until the successor of a spent token was used. Processes die anywhere.
    Tolerant,
    /// It revokes everything when a spent token comes. Nobody dies between its commit and ours.
    StrictSpared,
    /// The same, and they die there, too: no client survives that.
    Strict,
    /// It answers anew for a minute. Processes die anywhere; once an answer was lost, nothing else befalls its grant until
    /// there is another.
    Graceful,
    /// The same, and whatever can go wrong within that minute does.
    GracefulUnspared,
    /// People connect, use, disconnect, restore and purge activations, with a tolerant server. Processes die anywhere.
    Life,
}

/// What is simulated of a story.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) story: Story,
    pub(crate) model: Model,
    pub(crate) deaths: Deaths,
    pub(crate) refreshes: u64,
    /// What chance begins with: the same story comes again from it.
    pub(crate) seed: u64,
}

/// Where processes die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deaths {
    /// At every step, and however often.
    Anywhere,
    /// At every step, but for those between the server's commit and ours.
    SparingAnswers,
    /// At every step; but once an answer was lost, nothing else befalls that grant until there is another.
    OneAtATime,
}

impl Story {
    pub(crate) const ALL: [Self; 6] = [
        Self::Tolerant,
        Self::StrictSpared,
        Self::Strict,
        Self::Graceful,
        Self::GracefulUnspared,
        Self::Life,
    ];

    /// What people call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tolerant => "tolerant server",
            Self::StrictSpared => "strict server, answers spared",
            Self::Strict => "strict server",
            Self::Graceful => "60 s of grace, one blow at a time",
            Self::GracefulUnspared => "60 s of grace",
            Self::Life => "whole life, tolerant server",
        }
    }

    /// Plays it until so many tokens were refreshed. Tells `progress` now and then how many were.
    pub(crate) fn tell(self, refreshes: u64, seed: u64, progress: impl FnMut(u64)) -> Report {
        let (model, deaths) = match self {
            Self::Tolerant | Self::Life => (Model::Tolerant, Deaths::Anywhere),
            Self::StrictSpared => (Model::Strict, Deaths::SparingAnswers),
            Self::Strict => (Model::Strict, Deaths::Anywhere),
            Self::Graceful => (Model::Graceful, Deaths::OneAtATime),
            Self::GracefulUnspared => (Model::Graceful, Deaths::Anywhere),
        };
        let plan = Plan { story: self, model, deaths, refreshes, seed };
        match self {
            Self::Life => live(&plan, progress),
            _ => play(&plan, progress),
        }
    }

    /// # Panics
    ///
    /// When something came of it that the story promises not to happen, or nothing died where something should.
    pub(crate) fn assert(self, report: &Report) {
        if self.is_lossless() {
            report.assert_lossless();
        } else {
            report.assert_lost_with_notice();
        }
        report.assert_crashed_everywhere(REFRESHING, self.spared());
        if self == Self::Life {
            report.assert_crashed_everywhere(life::STEPS, &[]);
        }
    }

    /// Whether nothing is lost, and not just nothing silently.
    pub(crate) const fn is_lossless(self) -> bool {
        !matches!(self, Self::Strict | Self::GracefulUnspared)
    }

    /// The steps at which nothing needs to have died.
    const fn spared(self) -> &'static [&'static str] {
        match self {
            Self::StrictSpared => &["ask: answered", "journal: before"],
            _ => &[],
        }
    }
}
