//! Fixtures, in-memory stores and port contracts, for tests only.

pub mod client_keys;
pub mod contract;
mod database;
pub mod fixtures;
mod foreign;
mod grants;
pub mod journal;
mod outbound;
mod random;
mod world;

pub use database::{Make, TestDatabase, TestMysql, TestPostgres};
pub use foreign::{ForeignServer, browse};
pub use grants::MemoryGrants;
pub use outbound::{Answer, Answers, SeenRequest};
pub use random::Random;
pub use world::RealTime;
