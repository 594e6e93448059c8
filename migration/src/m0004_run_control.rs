//! Stopping runs, and runs that kill their workers.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait, sea_orm::DbErr,
};

use crate::dialect::run;

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0004_run_control"
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

const UP: &[&str] = &[
    "ALTER TABLE workspace_connector_sync_logs ADD COLUMN was_degraded boolean NOT NULL DEFAULT false",
    "ALTER TABLE workspace_connector_sync_logs ADD COLUMN is_unwanted boolean NOT NULL DEFAULT false",
    "ALTER TABLE workspace_connector_sync_logs ADD COLUMN crashes integer NOT NULL DEFAULT 0",
];

const DOWN: &[&str] = &[
    "ALTER TABLE workspace_connector_sync_logs DROP COLUMN crashes",
    "ALTER TABLE workspace_connector_sync_logs DROP COLUMN is_unwanted",
    "ALTER TABLE workspace_connector_sync_logs DROP COLUMN was_degraded",
];
