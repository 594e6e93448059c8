//! What a source finds in its system.

use std::fmt;

use linkspan_domain::StreamSpec;
use serde::Serialize;

/// The streams of a system, and what is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Discovered {
    /// The streams.
    pub streams: Vec<StreamSpec>,
    /// What is no stream, though the credentials may read it.
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
}

impl LeftOut {
    /// So many are named in a message.
    const NAMED: usize = 10;

    /// Whether everything is a stream.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().take(Self::NAMED).map(|it| format!("{:?}", it.name));
        let (count, names) = (self.0.len(), names.collect::<Vec<_>>().join(", "));
        let (were, more) = match count {
            1 => ("table was", String::new()),
            _ if count > Self::NAMED => {
                ("tables were", format!(" and {} more", count - Self::NAMED))
            }
            _ => ("tables were", String::new()),
        };
        write!(
            f,
            "{count} {were} left out for characters in the name that no stream has: {names}{more}; rename them, or make \
             views of them with other names"
        )
    }
}
