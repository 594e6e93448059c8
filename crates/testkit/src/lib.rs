//! Fixtures, in-memory stores and port contracts, for tests only.

pub mod contract;
pub mod fixtures;
mod mysql;
mod outbound;
mod postgres;

pub use mysql::TestMysql;
pub use outbound::{Answer, Answers, SeenRequest};
pub use postgres::TestPostgres;
