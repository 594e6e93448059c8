//! Uploaded files. Their bytes lie in a folder.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait, sea_orm::DbErr,
};

use crate::dialect::run;

/// See the module.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0003_files"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, &[], UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, &[], &["DROP TABLE files"]).await
    }
}

const UP: &[&str] = &[
    "CREATE TABLE files (
        pk {pk},
        file_id {id},
        workspace_pk bigint NOT NULL REFERENCES workspaces (pk) ON DELETE CASCADE,
        name {text} NOT NULL,
        bytes bigint NOT NULL CHECK (bytes >= 0),
        sha256 {text} NOT NULL,
        revision bigint NOT NULL DEFAULT 1,
        created_at {instant} NOT NULL,
        updated_at {instant} NOT NULL,
        deleted_at {instant}
    )",
    "CREATE INDEX idx_files_workspace ON files (workspace_pk, created_at)",
];
