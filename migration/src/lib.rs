//! Append-only migrations of the Linkspan database, for SQLite and PostgreSQL.
//!
//! Each is one SQL text per table, rendered for the database at hand. A migration that was released is
//! history: it is never edited, and it imports nothing that may change under it but the dialect.

mod dialect;
mod m0001_platform;
mod m0002_syncs;
mod m0003_files;
mod m0004_run_control;
mod m0005_schedules;
mod m0006_changes;
mod m0008_diagnostics;
mod m0009_mappings;
mod m0011_parts;
mod m0012_stale;
mod m0013_loads;
mod m0016_entities;
mod m0018_first_load;
mod m0019_forgetting;
mod m0020_keys;
mod m0021_credentials;
mod m0022_audit_chain;
mod m0023_oauth;
mod m0024_on_collapse;
mod m0025_oauth_leftovers;
mod m0026_oauth_telling;
mod m0027_oauth_owners;
mod m0028_oauth_refusals;
mod migrator;

pub use migrator::Migrator;
pub use sea_orm_migration::MigratorTrait;
