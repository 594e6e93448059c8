//! What runs notice, and what they remember of streams so that they can notice it.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait, sea_orm::DbErr,
};

use crate::dialect::run;

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0008_diagnostics"
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
    // The run is named, not referred to: both go with their activation.
    "CREATE TABLE connector_sync_diagnostics (
        pk {pk},
        connector_sync_diagnostic_id {id},
        workspace_connector_pk bigint NOT NULL
            REFERENCES workspace_connectors (pk) ON DELETE CASCADE,
        workspace_pk bigint NOT NULL REFERENCES workspaces (pk) ON DELETE CASCADE,
        workspace_connector_sync_log_id {uuid},
        stream {text},
        target_model {text},
        reason {text} NOT NULL,
        class {text} NOT NULL CHECK (class IN ('data_loss', 'informational')),
        detail {text} NOT NULL,
        created_at {instant} NOT NULL
    )",
    "CREATE INDEX idx_connector_sync_diagnostics_activation
        ON connector_sync_diagnostics (workspace_connector_pk, created_at)",
    "CREATE INDEX idx_connector_sync_diagnostics_workspace
        ON connector_sync_diagnostics (workspace_pk, created_at)",
    "ALTER TABLE workspace_connector_streams ADD COLUMN memory {json}",
];

const DOWN: &[&str] = &[
    "ALTER TABLE workspace_connector_streams DROP COLUMN memory",
    "DROP TABLE connector_sync_diagnostics",
];
