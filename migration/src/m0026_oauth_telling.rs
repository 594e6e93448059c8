//! All that is left behind with providers, also what was in flight, until these were told: at least once.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait, sea_orm::DbErr,
};

use crate::dialect::run;

/// See the module.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0026_oauth_telling"
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
    "DROP INDEX idx_oauth_leftovers_workspace_connector",
    "ALTER TABLE oauth_leftovers RENAME TO oauth_leftovers_before",
    // No reference to other tables: what is here has outlived its activation. Each row is a grant, with the one before it and
    // the reply that nobody read, or what an exchange brought, or a client. `again_at` is in microseconds since 1970.
    "CREATE TABLE oauth_leftovers (
        pk {pk},
        workspace_connector_id {uuid} NOT NULL,
        workspace_id {uuid} NOT NULL,
        organization_id {uuid} NOT NULL,
        name {text} NOT NULL,
        issuer {text},
        held {bytes},
        previous {bytes},
        reply {bytes},
        authorization_id {uuid},
        answer {bytes},
        oauth_client_id {uuid},
        client {bytes},
        again_at bigint NOT NULL DEFAULT 0,
        tries bigint NOT NULL DEFAULT 0,
        CHECK (((held IS NOT NULL) AND (answer IS NULL) AND (client IS NULL))
            OR ((held IS NULL) AND (answer IS NOT NULL) AND (client IS NULL))
            OR ((held IS NULL) AND (answer IS NULL) AND (client IS NOT NULL))),
        CHECK ((held IS NOT NULL) OR (previous IS NULL AND reply IS NULL)),
        CHECK ((issuer IS NULL) = (answer IS NOT NULL)),
        CHECK ((authorization_id IS NULL) = (answer IS NULL)),
        CHECK ((oauth_client_id IS NULL) = (client IS NULL))
    )",
    "INSERT INTO oauth_leftovers (workspace_connector_id, workspace_id, organization_id, name, issuer, held, oauth_client_id, client)
        SELECT workspace_connector_id, workspace_id, organization_id, name, issuer, held, oauth_client_id, client
        FROM oauth_leftovers_before ORDER BY pk",
    "DROP TABLE oauth_leftovers_before",
    "CREATE INDEX idx_oauth_leftovers_workspace_connector
        ON oauth_leftovers (workspace_connector_id)",
    "CREATE INDEX idx_oauth_leftovers_again_at ON oauth_leftovers (again_at)",
];

/// What the table had no place for goes: its providers are not told.
const DOWN: &[&str] = &[
    "DROP INDEX idx_oauth_leftovers_again_at",
    "DROP INDEX idx_oauth_leftovers_workspace_connector",
    "ALTER TABLE oauth_leftovers RENAME TO oauth_leftovers_after",
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
    "INSERT INTO oauth_leftovers (workspace_connector_id, workspace_id, organization_id, name, issuer, held, oauth_client_id, client)
        SELECT workspace_connector_id, workspace_id, organization_id, name, issuer, held, oauth_client_id, client
        FROM oauth_leftovers_after WHERE answer IS NULL ORDER BY pk",
    "DROP TABLE oauth_leftovers_after",
    "CREATE INDEX idx_oauth_leftovers_workspace_connector
        ON oauth_leftovers (workspace_connector_id)",
];
