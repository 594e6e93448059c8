//! The records that runs bring in, on either database.
//!
//! Both adapters do the same: look up what the stream holds under the keys of a commit, [plan](merge) what becomes of
//! each row, and write that. Rows that are known to be new skip the look.

mod feed;
mod merge;
mod parts;
mod postgres;
pub(crate) mod predicate;
mod search;
mod sqlite;
mod stream;

use std::sync::Arc;

use linkspan_sdk::RecordStore;

use self::{postgres::PostgresRecords, sqlite::SqliteRecords};
use crate::database::Pools;

/// The record store over `pools`.
pub(crate) fn record_store(pools: &Pools) -> Arc<dyn RecordStore> {
    match pools {
        Pools::Postgres(pool) => Arc::new(PostgresRecords::new(pool.clone())),
        Pools::Sqlite { readers, writer, .. } => {
            Arc::new(SqliteRecords::new(readers.clone(), writer.clone()))
        }
    }
}
