//! What change feeds forget: up to where tombstones of a stream are gone, and how old entries are.

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

/// Entries that are there already count as old.
const UP: &[&str] = &[
    "ALTER TABLE workspace_connector_streams ADD COLUMN purged_entry bigint NOT NULL DEFAULT 0",
    "ALTER TABLE workspace_connector_streams ADD COLUMN pruned_entry bigint NOT NULL DEFAULT 0",
    "ALTER TABLE change_feed_entries ADD COLUMN created_at bigint NOT NULL DEFAULT 0",
];

const DOWN: &[&str] = &[
    "ALTER TABLE change_feed_entries DROP COLUMN created_at",
    "ALTER TABLE workspace_connector_streams DROP COLUMN pruned_entry",
    "ALTER TABLE workspace_connector_streams DROP COLUMN purged_entry",
];
