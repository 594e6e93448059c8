//! The chain of audit events: the number and the hash of each, and where the chain of each organization ends.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait, sea_orm::DbErr,
};

use crate::dialect::run;

/// See the module.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0022_audit_chain"
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

/// Events that are there already have no number: the chain begins with the hash after all of them, which the first event of it takes
/// in.
const UP: &[&str] = &[
    "ALTER TABLE audit_events ADD COLUMN sequence bigint",
    "ALTER TABLE audit_events ADD COLUMN hash {text}",
    "CREATE UNIQUE INDEX idx_audit_events_chain ON audit_events (organization_id, sequence)",
    "CREATE TABLE audit_heads (
        pk {pk},
        organization_id {uuid} NOT NULL UNIQUE,
        sequence bigint NOT NULL,
        hash {text} NOT NULL
    )",
];

const DOWN: &[&str] = &[
    "DROP TABLE audit_heads",
    "DROP INDEX idx_audit_events_chain",
    "ALTER TABLE audit_events DROP COLUMN hash",
    "ALTER TABLE audit_events DROP COLUMN sequence",
];
