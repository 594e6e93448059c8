//! What of a filter a source takes over.

/// What becomes of one part of a filter at the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// Nothing: it is evaluated where the records arrive.
    Not,
    /// Exactly those records arrive of which it holds.
    Exactly(Statement),
    /// All records arrive of which it holds, and a few more: it is evaluated where they arrive as well.
    Roughly(Statement),
}

/// What the source is asked, for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// In the source's language, with places for the values: `"amount" >= $1`.
    pub text: String,
    /// The values, in the order of their places.
    pub values: Vec<String>,
}

impl Pushed {
    /// What the source is asked, if it is asked anything.
    pub const fn statement(&self) -> Option<&Statement> {
        match self {
            Self::Not => None,
            Self::Exactly(it) | Self::Roughly(it) => Some(it),
        }
    }
}
