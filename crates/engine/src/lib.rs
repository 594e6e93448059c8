//! The sync engine: runs, checkpoints, cursors.

mod engine;
mod openings;
mod progress;

pub use engine::{Engine, EnginePorts, Ran};
pub use openings::{OpenError, Opened, Openings};
pub use progress::{Progress, Stage};
