//! Fixtures, in-memory stores and port contracts, for tests only.

pub mod contract;
mod database;
pub mod fixtures;
mod foreign;
mod grants;
pub mod journal;
mod outbound;
mod random;

pub use database::{Make, TestDatabase, TestMysql, TestPostgres};
pub use foreign::{ForeignServer, browse};
pub use grants::MemoryGrants;
pub use outbound::{Answer, Answers, SeenRequest};
pub use random::Random;
