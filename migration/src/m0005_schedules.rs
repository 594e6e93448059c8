//! When activations sync by themselves.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait, sea_orm::DbErr,
};

use crate::dialect::run;

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0005_schedules"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, &[], UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, &[], &["DROP TABLE schedules"]).await
    }
}

const UP: &[&str] = &[
    // Instants are in microseconds since 1970.
    "CREATE TABLE schedules (
        pk {pk},
        workspace_connector_pk bigint NOT NULL UNIQUE
            REFERENCES workspace_connectors (pk) ON DELETE CASCADE,
        cron {text},
        time_zone {text},
        interval_secs bigint,
        mode {text} NOT NULL CHECK (mode IN ('incremental', 'full')),
        next_run_at bigint,
        last_started_at bigint,
        last_skipped_at bigint,
        created_at bigint NOT NULL,
        updated_at bigint NOT NULL,
        CHECK ((cron IS NULL) = (time_zone IS NULL)),
        CHECK ((cron IS NULL) <> (interval_secs IS NULL))
    )",
    // Only what is due is ever looked at.
    "CREATE INDEX idx_schedules_next_run_at ON schedules (next_run_at)
        WHERE next_run_at IS NOT NULL",
];
