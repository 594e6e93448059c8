//! Nouns, rules and ports of Linkspan: the crate that teams embed.
//!
//! Nothing here does I/O, reads a clock or knows a framework.

pub mod ports;
mod secret;

pub use secret::{MASK, Secret, is_mask};
