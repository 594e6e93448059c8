//! The records that runs bring in, on either database.
//!
//! Both adapters do the same: look up what the stream holds under the keys of a commit, [plan](merge) what becomes of
//! each row, and write that. Rows that are known to be new skip the look. Reading is the same on both, over sessions.

mod changes;
mod feed;
mod forgetting;
mod lifecycle;
mod merge;
mod parts;
mod postgres;
pub(crate) mod predicate;
mod reading;
mod search;
mod sqlite;
mod stream;

use std::sync::Arc;

use linkspan_sdk::RecordStore;

use self::{postgres::PostgresRecords, sqlite::SqliteRecords};
use crate::database::{Database, Pools};

/// The record store over `db`.
pub(crate) fn record_store(db: &Database) -> Arc<dyn RecordStore> {
    match db.pools() {
        Pools::Postgres(pool) => Arc::new(PostgresRecords::new(db.clone(), pool.clone())),
        Pools::Sqlite { writer, .. } => Arc::new(SqliteRecords::new(db.clone(), writer.clone())),
    }
}
