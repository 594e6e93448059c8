//! What streams and change feeds forget: tombstones that nobody waits for, and old entries; and under what a stream was read in
//! full last.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait, sea_orm::DbErr,
};

use crate::dialect::run;

/// See the module.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0019_forgetting"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, &[], UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, &[], DOWN).await
    }
}

/// Entries that are there already count as old. The source of a push is no foreign key: keys of streams are never given out again.
const UP: &[&str] = &[
    "ALTER TABLE workspace_connector_streams ADD COLUMN purged_entry bigint NOT NULL DEFAULT 0",
    "ALTER TABLE workspace_connector_streams ADD COLUMN pruned_entry bigint NOT NULL DEFAULT 0",
    "ALTER TABLE workspace_connector_streams ADD COLUMN source_stream_pk bigint",
    "ALTER TABLE workspace_connector_streams ADD COLUMN loaded_basis text",
    "CREATE INDEX idx_workspace_connector_streams_source
        ON workspace_connector_streams (source_stream_pk) WHERE source_stream_pk IS NOT NULL",
    "ALTER TABLE change_feed_entries ADD COLUMN created_at bigint NOT NULL DEFAULT 0",
    "CREATE INDEX idx_records_deleted ON records (stream_pk, deleted_at)
        WHERE deleted_at IS NOT NULL",
];

const DOWN: &[&str] = &[
    "DROP INDEX idx_records_deleted",
    "ALTER TABLE change_feed_entries DROP COLUMN created_at",
    "DROP INDEX idx_workspace_connector_streams_source",
    "ALTER TABLE workspace_connector_streams DROP COLUMN loaded_basis",
    "ALTER TABLE workspace_connector_streams DROP COLUMN source_stream_pk",
    "ALTER TABLE workspace_connector_streams DROP COLUMN pruned_entry",
    "ALTER TABLE workspace_connector_streams DROP COLUMN purged_entry",
];
