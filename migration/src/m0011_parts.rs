//! The parts of full loads that are read side by side: the plan of a run, and how far it is.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait, sea_orm::DbErr,
};

use crate::dialect::run;

/// See the module.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0011_parts"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, &[], UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, &[], &["DROP TABLE load_parts"]).await
    }
}

const UP: &[&str] = &["CREATE TABLE load_parts (
        run_pk bigint NOT NULL
            REFERENCES workspace_connector_sync_logs (pk) ON DELETE CASCADE,
        stream_pk bigint NOT NULL
            REFERENCES workspace_connector_streams (pk) ON DELETE CASCADE,
        number integer NOT NULL,
        condition {json} NOT NULL,
        is_read boolean NOT NULL DEFAULT false,
        PRIMARY KEY (run_pk, stream_pk, number)
    )"];
