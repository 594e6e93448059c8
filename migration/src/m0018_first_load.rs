//! What a first full load writes is left out of the index of changes: to load it costs no index then.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait, sea_orm::DbErr,
};

use crate::dialect::run;

/// See the module.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0018_first_load"
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
    "DROP INDEX idx_records_generation",
    "CREATE INDEX idx_records_generation ON records (stream_pk, generation, key) \
        WHERE generation > 1",
];

const DOWN: &[&str] = &[
    "DROP INDEX idx_records_generation",
    "CREATE INDEX idx_records_generation ON records (stream_pk, generation, key)",
];
