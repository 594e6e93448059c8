//! Rotations of the master key, and how often keys have sealed.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait, sea_orm::DbErr,
};

use crate::dialect::run;

/// See the module.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0020_keys"
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
    "CREATE TABLE key_rotations (
        pk {pk},
        key_rotation_id {id},
        organization_pk bigint NOT NULL REFERENCES organizations (pk) ON DELETE CASCADE,
        status {text} NOT NULL CHECK (status IN ('running', 'done', 'failed')),
        to_key {text} NOT NULL,
        from_keys {json} NOT NULL,
        total bigint NOT NULL,
        rotated bigint NOT NULL,
        skipped bigint NOT NULL,
        failed bigint NOT NULL,
        failures {json} NOT NULL,
        worker {text},
        lease_until bigint,
        revision bigint NOT NULL,
        created_at {instant} NOT NULL,
        updated_at {instant} NOT NULL,
        completed_at {instant}
    )",
    "CREATE UNIQUE INDEX uq_key_rotations_running ON key_rotations (status)
        WHERE status = 'running'",
    "CREATE TABLE key_usage (
        pk {pk},
        key_id {bytes} NOT NULL,
        purpose {text} NOT NULL,
        sealed bigint NOT NULL CHECK (sealed >= 0),
        updated_at bigint NOT NULL,
        UNIQUE (key_id, purpose)
    )",
    // Keys have sealed what is there, at least: the identifier of the key is bytes 2 to 5 of a blob.
    "INSERT INTO key_usage (key_id, purpose, sealed, updated_at)
        SELECT substr(secrets, 2, 4), 'credentials', count(*), 0 FROM workspace_connectors
        WHERE length(secrets) >= 5 GROUP BY substr(secrets, 2, 4)",
];

const DOWN: &[&str] = &["DROP TABLE key_usage", "DROP TABLE key_rotations"];
