//! What a source finds in its system.

use std::fmt;

use linkspan_domain::StreamSpec;
use serde::Serialize;

/// The streams of a system, and what is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Discovered {
    /// The streams.
    pub streams: Vec<StreamSpec>,
    /// What the credentials show, but is no stream.
    pub left_out: LeftOut,
}

impl From<Vec<StreamSpec>> for Discovered {
    /// The streams of a system that has nothing else.
    fn from(streams: Vec<StreamSpec>) -> Self {
        Self { streams, left_out: LeftOut::default() }
    }
}

/// What is no stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut(pub Vec<Omitted>);

/// Something that is no stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Omitted {
    /// What its system calls it.
    pub name: String,
    /// Why it is none.
    pub reason: Omission,
}

/// Why something is no stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Omission {
    /// Its name has characters that the name of a stream does not have.
    CharactersInName,
    /// The credentials may not read it.
    MissingPermission,
}

impl Omission {
    /// Why things are left out, and what to do about it.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::CharactersInName => (
                "for characters in the name that no stream has",
                "rename them, or make views of them with other names",
            ),
            Self::MissingPermission => (
                "because the credentials may not read them",
                "grant SELECT on those that are needed",
            ),
        }
    }
}

impl LeftOut {
    /// So many are named in a message.
    const NAMED: usize = 10;

    /// Whether everything is a stream.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is left out for `reason`, if anything is.
    fn sentence(&self, reason: Omission) -> Option<String> {
        let tables: Vec<_> = self.0.iter().filter(|it| it.reason == reason).collect();
        let were = match tables.len() {
            0 => return None,
            1 => "table was",
            _ => "tables were",
        };
        let named = tables.iter().take(Self::NAMED).map(|it| format!("{:?}", it.name));
        let named = named.collect::<Vec<_>>().join(", ");
        let more = match tables.len().saturating_sub(Self::NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let ((why, mend), count) = (reason.words(), tables.len());
        Some(format!("{count} {were} left out {why}: {named}{more}; {mend}"))
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons = [Omission::CharactersInName, Omission::MissingPermission];
        let sentences = reasons.into_iter().filter_map(|it| self.sentence(it));
        f.write_str(&sentences.collect::<Vec<_>>().join(". "))
    }
}
