//! How often a server refused a grant since it was refreshed: how often it could not be had says nothing about that.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait, sea_orm::DbErr,
};

use crate::dialect::run;

/// See the module.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0028_oauth_refusals"
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

const UP: &[&str] = &["ALTER TABLE oauth_grants ADD COLUMN refusals bigint NOT NULL DEFAULT 0"];

const DOWN: &[&str] = &["ALTER TABLE oauth_grants DROP COLUMN refusals"];
