//! The sync engine: runs, checkpoints, cursors.
//!
//! An [`Engine`] works on one run: it reads each stream through its connector type, turns columns into records, and keeps
//! them checkpoint by checkpoint, while it holds the run's lease. A [`Worker`] finds runs for it.

mod chunk;
mod encode;
mod engine;
mod failure;
mod lease;
mod load;
mod openings;
mod outcome;
mod plan;
mod progress;
mod worker;

#[cfg(test)]
mod fakes;
#[cfg(test)]
mod tests;

pub use engine::{Engine, EnginePorts, Ran};
pub use openings::{OpenError, Opened, Openings};
pub use progress::{Progress, Stage};
pub use worker::{Bell, Worker, WorkerSettings};
