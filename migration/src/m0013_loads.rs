//! What a full load is read under, and which run read a stream in full last.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait, sea_orm::DbErr,
};

use crate::dialect::run;

/// See the module.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0013_loads"
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

/// The run is no foreign key: keys of runs are never given out again, and one that is gone asks no more.
const UP: &[&str] = &[
    "ALTER TABLE workspace_connector_streams ADD COLUMN loading_basis text",
    "ALTER TABLE workspace_connector_streams ADD COLUMN loaded_by_run_pk bigint",
];

const DOWN: &[&str] = &[
    "ALTER TABLE workspace_connector_streams DROP COLUMN loaded_by_run_pk",
    "ALTER TABLE workspace_connector_streams DROP COLUMN loading_basis",
];
