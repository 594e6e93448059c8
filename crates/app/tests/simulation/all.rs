//! Processes that refresh grants and crash, on a clock and by a chance of their own.

mod play;
mod provider;
mod report;
mod stage;

pub(crate) use play::{Plan, Unsurvivable, play};
pub(crate) use provider::Model;
pub(crate) use report::Report;
