//! Grants that say themselves whose they are: who leases one looks at no other table.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait, sea_orm::DbErr,
};

use crate::dialect::run;

/// See the module.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0027_oauth_owners"
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
    "DROP INDEX idx_oauth_grants_next_at",
    "ALTER TABLE oauth_grants RENAME TO oauth_grants_before",
    // No activation moves to another workspace, and no workspace to another organization.
    "CREATE TABLE oauth_grants (
        pk {pk},
        workspace_connector_id {uuid} NOT NULL UNIQUE
            REFERENCES workspace_connectors (workspace_connector_id) ON DELETE CASCADE,
        workspace_id {uuid} NOT NULL,
        organization_id {uuid} NOT NULL,
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
    "INSERT INTO oauth_grants (workspace_connector_id, workspace_id, organization_id, issuer, held, previous, reply, expires_at, next_at, fence, holder, leased_until, again_at, failures, refreshed_at)
        SELECT g.workspace_connector_id, k.workspace_id, o.organization_id, g.issuer, g.held, g.previous, g.reply, g.expires_at, g.next_at, g.fence, g.holder, g.leased_until, g.again_at, g.failures, g.refreshed_at
        FROM oauth_grants_before g
        JOIN workspace_connectors w ON w.workspace_connector_id = g.workspace_connector_id
        JOIN workspaces k ON k.pk = w.workspace_pk
        JOIN organizations o ON o.pk = k.organization_pk
        ORDER BY g.pk",
    "DROP TABLE oauth_grants_before",
    NEXT_AT,
];

/// Only what is due is ever looked at.
const NEXT_AT: &str =
    "CREATE INDEX idx_oauth_grants_next_at ON oauth_grants (next_at) WHERE next_at IS NOT NULL";

const DOWN: &[&str] = &[
    "DROP INDEX idx_oauth_grants_next_at",
    "ALTER TABLE oauth_grants RENAME TO oauth_grants_after",
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
    "INSERT INTO oauth_grants (workspace_connector_id, issuer, held, previous, reply, expires_at, next_at, fence, holder, leased_until, again_at, failures, refreshed_at)
        SELECT workspace_connector_id, issuer, held, previous, reply, expires_at, next_at, fence, holder, leased_until, again_at, failures, refreshed_at
        FROM oauth_grants_after ORDER BY pk",
    "DROP TABLE oauth_grants_after",
    NEXT_AT,
];
