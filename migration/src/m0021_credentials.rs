//! The versions of the credentials of activations.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait, sea_orm::DbErr,
};

use crate::dialect::{Enum, create_enums, drop_enums, run};

/// See the module.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0021_credentials"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_enums(manager, ENUMS).await?;
        run(manager, ENUMS, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, &[], &["DROP TABLE credential_versions"]).await?;
        drop_enums(manager, ENUMS).await
    }
}

const ENUMS: &[Enum] = &[
    Enum { name: "credential_state_enum", words: &["active", "inactive", "revoked"] },
    Enum { name: "credential_test_enum", words: &["passed", "failed", "skipped", "rollback"] },
];

/// Secrets that are there already have no version before they are next changed: who seals them is not at hand here.
const UP: &[&str] = &[
    "CREATE TABLE credential_versions (
        pk {pk},
        credential_version_id {id},
        workspace_connector_pk bigint NOT NULL
            REFERENCES workspace_connectors (pk) ON DELETE CASCADE,
        number bigint NOT NULL,
        {enum state credential_state_enum} NOT NULL,
        {enum test_status credential_test_enum} NOT NULL,
        reason {text},
        actor_type {text} NOT NULL,
        actor_id {uuid},
        config {json},
        secrets {bytes},
        secret_pointers {json},
        revision bigint NOT NULL DEFAULT 1,
        created_at {instant} NOT NULL,
        superseded_at {instant},
        expires_at {instant},
        revoked_at {instant},
        UNIQUE (workspace_connector_pk, number),
        CHECK ((state = 'inactive') = (secrets IS NOT NULL)),
        CHECK ((state = 'inactive') = (expires_at IS NOT NULL)),
        CHECK ((state = 'revoked') = (revoked_at IS NOT NULL))
    )",
    "CREATE UNIQUE INDEX uq_credential_versions_active
        ON credential_versions (workspace_connector_pk) WHERE state = 'active'",
    "CREATE INDEX idx_credential_versions_expiring
        ON credential_versions (expires_at) WHERE state = 'inactive'",
];
