//! The stores, on databases of their own: a file for SQLite, a new database for PostgreSQL.
//!
//! PostgreSQL is looked for at `LINKSPAN_TEST_POSTGRES_URL`, else at 127.0.0.1:5432 as `postgres`.
#![allow(clippy::unwrap_used, clippy::panic)]

mod activation;
mod audit_chain;
mod changes;
mod contracts;
mod entities;
mod entity_changes;
mod forgetting;
mod leftovers;
mod loads;
mod migrations;
mod operation;
mod place;
mod records;
mod schedules;
mod scratch;
mod search;
mod snapshots;
mod stale;
mod syncs;
mod withdrawals;
