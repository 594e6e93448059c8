//! Processes that refresh grants and crash, on a clock and by a chance of their own.

mod life;
mod pace;
mod play;
mod provider;
mod report;
mod store;
mod story;
mod world;

pub(crate) use report::Report;
pub(crate) use story::Story;
