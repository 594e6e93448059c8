//! The list of migrations.

use sea_orm_migration::{MigrationTrait, MigratorTrait, async_trait};

use crate::{
    m0001_platform, m0002_syncs, m0003_files, m0004_run_control, m0005_schedules, m0006_changes,
    m0008_diagnostics, m0009_mappings, m0011_parts, m0012_stale, m0013_loads, m0016_entities,
    m0018_first_load, m0019_forgetting, m0020_keys, m0021_credentials, m0022_audit_chain,
    m0023_oauth, m0024_on_collapse, m0025_oauth_leftovers, m0026_oauth_telling, m0027_oauth_owners,
    m0028_oauth_refusals,
};

/// All migrations, oldest first.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_platform::Migration),
            Box::new(m0002_syncs::Migration),
            Box::new(m0003_files::Migration),
            Box::new(m0004_run_control::Migration),
            Box::new(m0005_schedules::Migration),
            Box::new(m0006_changes::Migration),
            Box::new(m0008_diagnostics::Migration),
            Box::new(m0009_mappings::Migration),
            Box::new(m0011_parts::Migration),
            Box::new(m0012_stale::Migration),
            Box::new(m0013_loads::Migration),
            Box::new(m0016_entities::Migration),
            Box::new(m0018_first_load::Migration),
            Box::new(m0019_forgetting::Migration),
            Box::new(m0020_keys::Migration),
            Box::new(m0021_credentials::Migration),
            Box::new(m0022_audit_chain::Migration),
            Box::new(m0023_oauth::Migration),
            Box::new(m0024_on_collapse::Migration),
            Box::new(m0025_oauth_leftovers::Migration),
            Box::new(m0026_oauth_telling::Migration),
            Box::new(m0027_oauth_owners::Migration),
            Box::new(m0028_oauth_refusals::Migration),
        ]
    }
}
