//! Records that a full load did not meet, and that stay for a while.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    sea_orm::{DbBackend, DbErr},
};

use crate::dialect::run;

/// See the module.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0012_stale"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = match manager.get_database_backend() {
            DbBackend::Postgres => "ALTER TABLE records ADD COLUMN stale_since timestamptz",
            // As the other instants of records are.
            _ => "ALTER TABLE records ADD COLUMN stale_since bigint",
        };
        run(manager, &[], &[column, INDEX]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, &[], DOWN).await
    }
}

/// Few records are stale, and most streams have none: it costs the others nothing.
const INDEX: &str = "CREATE INDEX idx_records_stale ON records (stream_pk, stale_since)
    WHERE stale_since IS NOT NULL";

const DOWN: &[&str] =
    &["DROP INDEX idx_records_stale", "ALTER TABLE records DROP COLUMN stale_since"];
