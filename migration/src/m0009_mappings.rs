//! Mappings of streams to target models, the entities that they make, and who receives those.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    sea_orm::{ConnectionTrait, DbBackend, DbErr},
};

use crate::dialect::{Enum, run};

/// See the module.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0009_mappings"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, ENUMS, UP).await?;
        // Not through the dialect: one piece each, with semicolons inside.
        let own = match manager.get_database_backend() {
            DbBackend::Postgres => POSTGRES,
            _ => SQLITE,
        };
        for statement in own {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let own = match manager.get_database_backend() {
            DbBackend::Postgres => POSTGRES_DOWN,
            _ => SQLITE_DOWN,
        };
        run(manager, &[], own).await?;
        run(manager, &[], DOWN).await
    }
}

/// Made by the first migration.
const ENUMS: &[Enum] = &[Enum {
    name: "target_model_enum",
    words: &[
        "company",
        "people",
        "invoice",
        "transaction",
        "account",
        "ledger_account",
        "journal",
        "journal_entry",
        "email",
        "payment_means",
        "invoice_transaction",
        "document",
    ],
}];

const UP: &[&str] = &[
    "CREATE TABLE connector_mappings (
        pk {pk},
        connector_mapping_id {id},
        workspace_connector_pk bigint NOT NULL
            REFERENCES workspace_connectors (pk) ON DELETE CASCADE,
        workspace_pk bigint NOT NULL REFERENCES workspaces (pk) ON DELETE CASCADE,
        stream {text} NOT NULL,
        {enum target_model target_model_enum} NOT NULL,
        expression {text} NOT NULL,
        version integer NOT NULL,
        origin {text} NOT NULL CHECK (origin IN ('suggested', 'written', 'reverted')),
        confidence integer CHECK (confidence BETWEEN 0 AND 1000),
        status {text} NOT NULL CHECK (status IN ('active', 'proposed')),
        needs_regeneration boolean NOT NULL DEFAULT false,
        revision bigint NOT NULL DEFAULT 1,
        created_at {instant} NOT NULL,
        updated_at {instant} NOT NULL,
        deleted_at {instant}
    )",
    "CREATE UNIQUE INDEX uq_connector_mappings_live
        ON connector_mappings (workspace_connector_pk, stream, target_model)
        WHERE deleted_at IS NULL",
    "CREATE INDEX idx_connector_mappings_workspace
        ON connector_mappings (workspace_pk, created_at)",
    // How far a wording has come, and how it did: a new one begins with the first record.
    "CREATE TABLE connector_mapping_versions (
        pk {pk},
        connector_mapping_pk bigint NOT NULL
            REFERENCES connector_mappings (pk) ON DELETE CASCADE,
        version integer NOT NULL,
        expression {text} NOT NULL,
        origin {text} NOT NULL CHECK (origin IN ('suggested', 'written', 'reverted')),
        confidence integer,
        position_generation bigint NOT NULL DEFAULT 0,
        position_key {text},
        mapped bigint NOT NULL DEFAULT 0,
        persisted bigint NOT NULL DEFAULT 0,
        failed bigint NOT NULL DEFAULT 0,
        last_persist_count bigint NOT NULL DEFAULT 0,
        last_run_pk bigint,
        created_at {instant} NOT NULL,
        UNIQUE (connector_mapping_pk, version)
    )",
    // Instants are in microseconds since 1970.
    "CREATE TABLE unmapped_records (
        pk {pk},
        connector_mapping_pk bigint NOT NULL
            REFERENCES connector_mappings (pk) ON DELETE CASCADE,
        record_id {uuid} NOT NULL,
        record_key {text} NOT NULL,
        reason {text} NOT NULL,
        first_seen_at bigint NOT NULL,
        last_seen_at bigint NOT NULL,
        UNIQUE (connector_mapping_pk, record_id)
    )",
    "CREATE TABLE entities (
        pk {pk},
        entity_id {id},
        workspace_pk bigint NOT NULL REFERENCES workspaces (pk) ON DELETE CASCADE,
        workspace_connector_pk bigint NOT NULL
            REFERENCES workspace_connectors (pk) ON DELETE CASCADE,
        {enum target_model target_model_enum} NOT NULL,
        record_id {uuid} NOT NULL,
        stream {text} NOT NULL,
        record_key {text} NOT NULL,
        item integer NOT NULL,
        external_id {text},
        payload {json} NOT NULL,
        hash {bytes} NOT NULL,
        revision bigint NOT NULL DEFAULT 1,
        first_seen_at {instant} NOT NULL,
        last_seen_at {instant} NOT NULL,
        deleted_at {instant}
    )",
    // `record_id` stands for activation, stream, key and model: keys may be too long for an index of so much.
    "CREATE UNIQUE INDEX uq_entities_record ON entities (record_id, workspace_pk, item)",
    "CREATE INDEX idx_entities_activation ON entities (workspace_connector_pk)",
    "CREATE INDEX idx_entities_workspace ON entities (workspace_pk, target_model, last_seen_at)",
    "CREATE TABLE entity_workspace_connectors (
        pk {pk},
        entity_pk bigint NOT NULL REFERENCES entities (pk) ON DELETE CASCADE,
        workspace_connector_pk bigint NOT NULL
            REFERENCES workspace_connectors (pk) ON DELETE CASCADE,
        direction {text} NOT NULL CHECK (direction IN ('input', 'output')),
        stream {text} NOT NULL,
        record_key {text} NOT NULL,
        run_pk bigint,
        first_seen_at bigint NOT NULL,
        last_seen_at bigint NOT NULL,
        UNIQUE (entity_pk, workspace_connector_pk, direction)
    )",
    "CREATE INDEX idx_entity_workspace_connectors_activation
        ON entity_workspace_connectors (workspace_connector_pk, last_seen_at)",
    "CREATE TABLE workspace_connector_sync_targets (
        pk {pk},
        workspace_connector_sync_target_id {id},
        workspace_connector_pk bigint NOT NULL
            REFERENCES workspace_connectors (pk) ON DELETE CASCADE,
        workspace_pk bigint NOT NULL REFERENCES workspaces (pk) ON DELETE CASCADE,
        revision bigint NOT NULL DEFAULT 1,
        created_at {instant} NOT NULL,
        updated_at {instant} NOT NULL,
        deleted_at {instant}
    )",
    "CREATE UNIQUE INDEX idx_wcst_unique_active
        ON workspace_connector_sync_targets (workspace_connector_pk, workspace_pk)
        WHERE deleted_at IS NULL",
    "CREATE INDEX idx_wcst_workspace ON workspace_connector_sync_targets (workspace_pk)",
    "ALTER TABLE workspace_connector_sync_logs
        ADD COLUMN entities_written bigint NOT NULL DEFAULT 0",
    "ALTER TABLE workspace_connector_sync_logs
        ADD COLUMN entities_unchanged bigint NOT NULL DEFAULT 0",
    "ALTER TABLE workspace_connector_sync_logs
        ADD COLUMN entities_deleted bigint NOT NULL DEFAULT 0",
    "ALTER TABLE workspace_connector_sync_logs
        ADD COLUMN entities_failed bigint NOT NULL DEFAULT 0",
];

// Each activation is its own first target, those that are there already too.
const POSTGRES: &[&str] = &[
    "INSERT INTO workspace_connector_sync_targets
        (workspace_connector_pk, workspace_pk, created_at, updated_at)
    SELECT pk, workspace_pk, created_at, created_at FROM workspace_connectors",
    "CREATE FUNCTION target_own_workspace() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO workspace_connector_sync_targets
            (workspace_connector_pk, workspace_pk, created_at, updated_at)
        VALUES (NEW.pk, NEW.workspace_pk, NEW.created_at, NEW.created_at);
        RETURN NULL;
    END $$",
    "CREATE TRIGGER target_own_workspace AFTER INSERT ON workspace_connectors
        FOR EACH ROW EXECUTE FUNCTION target_own_workspace()",
];

const SQLITE: &[&str] = &[
    "INSERT INTO workspace_connector_sync_targets
        (workspace_connector_sync_target_id, workspace_connector_pk, workspace_pk, created_at,
        updated_at)
    SELECT randomblob(16), pk, workspace_pk, created_at, created_at FROM workspace_connectors",
    "CREATE TRIGGER target_own_workspace AFTER INSERT ON workspace_connectors
    BEGIN
        INSERT INTO workspace_connector_sync_targets
            (workspace_connector_sync_target_id, workspace_connector_pk, workspace_pk, created_at,
            updated_at)
        VALUES (randomblob(16), NEW.pk, NEW.workspace_pk, NEW.created_at, NEW.created_at);
    END",
];

const POSTGRES_DOWN: &[&str] = &[
    "DROP TRIGGER target_own_workspace ON workspace_connectors",
    "DROP FUNCTION target_own_workspace()",
];

const SQLITE_DOWN: &[&str] = &["DROP TRIGGER target_own_workspace"];

const DOWN: &[&str] = &[
    "ALTER TABLE workspace_connector_sync_logs DROP COLUMN entities_failed",
    "ALTER TABLE workspace_connector_sync_logs DROP COLUMN entities_deleted",
    "ALTER TABLE workspace_connector_sync_logs DROP COLUMN entities_unchanged",
    "ALTER TABLE workspace_connector_sync_logs DROP COLUMN entities_written",
    "DROP TABLE workspace_connector_sync_targets",
    "DROP TABLE entity_workspace_connectors",
    "DROP TABLE entities",
    "DROP TABLE unmapped_records",
    "DROP TABLE connector_mapping_versions",
    "DROP TABLE connector_mappings",
];
