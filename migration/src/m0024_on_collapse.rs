//! What happens when a wording of a mapping persists far fewer records than the one before. And an index, since records that
//! were kept aside are looked for by their keys, as others are.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait, sea_orm::DbErr,
};

use crate::dialect::run;

/// See the module.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0024_on_collapse"
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
    "ALTER TABLE connector_mappings
        ADD COLUMN on_collapse {text} NOT NULL DEFAULT 'revert'
            CHECK (on_collapse IN ('revert', 'keep'))",
    "CREATE INDEX idx_quarantined_records_key ON quarantined_records (stream_pk, key)",
];

const DOWN: &[&str] = &[
    "DROP INDEX idx_quarantined_records_key",
    "ALTER TABLE connector_mappings DROP COLUMN on_collapse",
];
