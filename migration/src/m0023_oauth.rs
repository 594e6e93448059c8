//! Authorizations that people are at, what we are to authorization servers, and what these granted.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait, sea_orm::DbErr,
};

use crate::dialect::run;

/// See the module.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0023_oauth"
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

/// Instants are in microseconds since 1970.
const UP: &[&str] = &[
    "CREATE TABLE authorizations (
        pk {pk},
        authorization_id {id},
        state_hash {text} NOT NULL UNIQUE,
        workspace_connector_id {uuid} NOT NULL
            REFERENCES workspace_connectors (workspace_connector_id) ON DELETE CASCADE,
        content {bytes},
        created_at bigint NOT NULL,
        expires_at bigint NOT NULL,
        taken_at bigint
    )",
    "CREATE INDEX idx_authorizations_workspace_connector
        ON authorizations (workspace_connector_id)",
    "CREATE INDEX idx_authorizations_expires_at ON authorizations (expires_at)",
    // Those whose exchange brought a grant that nobody got to connect with.
    "CREATE INDEX idx_authorizations_taken_at ON authorizations (taken_at)
        WHERE taken_at IS NOT NULL AND content IS NOT NULL",
    // Whose grants are to be revoked.
    "CREATE INDEX idx_workspace_connectors_gone
        ON workspace_connectors (workspace_connector_id) WHERE deleted_at IS NOT NULL",
    // The identifier is made of the activation and the issuer: a client is good for one of each.
    "CREATE TABLE oauth_clients (
        pk {pk},
        oauth_client_id {id},
        workspace_connector_id {uuid} NOT NULL
            REFERENCES workspace_connectors (workspace_connector_id) ON DELETE CASCADE,
        issuer {text} NOT NULL,
        client {bytes} NOT NULL
    )",
    "CREATE INDEX idx_oauth_clients_workspace_connector
        ON oauth_clients (workspace_connector_id)",
    // `next_at`: when it is due, or not to be tried before.
    "CREATE TABLE oauth_grants (
        pk {pk},
        workspace_connector_id {uuid} NOT NULL UNIQUE
            REFERENCES workspace_connectors (workspace_connector_id) ON DELETE CASCADE,
        issuer {text} NOT NULL,
        held {bytes} NOT NULL,
        previous {bytes},
        reply {bytes},
        expires_at bigint,
        next_at bigint,
        fence bigint NOT NULL,
        holder {uuid},
        leased_until bigint,
        again_at bigint,
        failures bigint NOT NULL DEFAULT 0,
        refreshed_at bigint NOT NULL
    )",
    // Only what is due is ever looked at.
    "CREATE INDEX idx_oauth_grants_next_at ON oauth_grants (next_at) WHERE next_at IS NOT NULL",
];

const DOWN: &[&str] = &[
    "DROP TABLE oauth_grants",
    "DROP TABLE oauth_clients",
    "DROP INDEX idx_workspace_connectors_gone",
    "DROP TABLE authorizations",
];
