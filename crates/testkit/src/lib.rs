//! Fixtures, in-memory stores and port contracts, for tests only.

mod outbound;

pub use outbound::{Answer, Answers, SeenRequest};
