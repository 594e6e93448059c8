//! The stores, on SQLite and PostgreSQL.
//!
//! [`connect`] opens a database; [`Database`] hands out the ports over it. Nothing of SeaORM, SQLx or a table leaves this
//! crate.

mod access;
mod asking;
mod audit;
mod column;
mod credentials;
mod database;
mod diagnostics;
mod entities;
mod error;
mod field;
mod grants;
mod idempotency;
mod inspection;
mod instant;
mod key_rotations;
mod keys;
mod list;
mod number;
mod receipt;
mod records;
mod run_queue;
mod schedules;
mod session;
mod snapshots;
mod statements;
mod store;
mod syncs;
mod table;

pub use asking::SearchTime;
pub use database::{Database, PoolSizes, connect, connect_existing, connect_with};
pub use error::{ConnectError, MigrateError};
pub use inspection::{SchemaState, SealedRow};
