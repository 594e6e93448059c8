//! What purged activations left behind with providers, until these were told.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait, sea_orm::DbErr,
};

use crate::dialect::run;

/// See the module.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0025_oauth_leftovers"
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
    // No reference to other tables: what is here has outlived its activation. Each row is a grant or a client.
    "CREATE TABLE oauth_leftovers (
        pk {pk},
        workspace_connector_id {uuid} NOT NULL,
        workspace_id {uuid} NOT NULL,
        organization_id {uuid} NOT NULL,
        name {text} NOT NULL,
        issuer {text} NOT NULL,
        held {bytes},
        oauth_client_id {uuid},
        client {bytes},
        CHECK ((held IS NULL) <> (client IS NULL)),
        CHECK ((oauth_client_id IS NULL) = (client IS NULL))
    )",
    "CREATE INDEX idx_oauth_leftovers_workspace_connector
        ON oauth_leftovers (workspace_connector_id)",
];

const DOWN: &[&str] = &["DROP TABLE oauth_leftovers"];
