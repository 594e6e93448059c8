//! Runs, the streams that they load, and the records that they bring in.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    sea_orm::{ConnectionTrait, DbBackend, DbErr},
};

use crate::dialect::run;

/// See the module.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0002_syncs"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, &[], UP).await?;
        let own = match manager.get_database_backend() {
            DbBackend::Postgres => POSTGRES,
            _ => SQLITE,
        };
        run(manager, &[], own).await?;
        run(manager, &[], RECORDS).await?;
        // Not through the dialect: one piece each, with semicolons inside.
        let triggers = match manager.get_database_backend() {
            DbBackend::Postgres => POSTGRES_TRIGGERS,
            _ => SQLITE_TRIGGERS,
        };
        for trigger in triggers {
            manager.get_connection().execute_unprepared(trigger).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, &[], DOWN).await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            run(manager, &[], &["DROP FUNCTION forget_records_of_stream()"]).await?;
        }
        Ok(())
    }
}

// `lease_until`, `synced_at` and `met_all_at` are microseconds since 1970: they are compared in SQL, and never listed.
const UP: &[&str] = &[
    "CREATE TABLE workspace_connector_sync_logs (
        pk {pk},
        workspace_connector_sync_log_id {id},
        workspace_connector_pk bigint NOT NULL
            REFERENCES workspace_connectors (pk) ON DELETE CASCADE,
        workspace_pk bigint NOT NULL REFERENCES workspaces (pk) ON DELETE CASCADE,
        status {text} NOT NULL DEFAULT 'scheduled'
            CHECK (status IN ('scheduled', 'in_progress', 'success', 'error')),
        trigger_type {text} NOT NULL
            CHECK (trigger_type IN ('manual', 'schedule', 'api', 'webhook', 'resume')),
        mode {text} NOT NULL CHECK (mode IN ('incremental', 'full')),
        streams {json} NOT NULL DEFAULT '[]',
        records_read bigint NOT NULL DEFAULT 0,
        records_written bigint NOT NULL DEFAULT 0,
        records_unchanged bigint NOT NULL DEFAULT 0,
        records_deleted bigint NOT NULL DEFAULT 0,
        records_quarantined bigint NOT NULL DEFAULT 0,
        bytes_read bigint NOT NULL DEFAULT 0,
        error_code {text},
        error {text},
        worker {text},
        lease_until bigint,
        fence bigint NOT NULL DEFAULT 0,
        revision bigint NOT NULL DEFAULT 1,
        started_at {instant},
        completed_at {instant},
        created_at {instant} NOT NULL,
        updated_at {instant} NOT NULL,
        CHECK ((worker IS NULL) = (lease_until IS NULL))
    )",
    "CREATE UNIQUE INDEX uq_workspace_connector_sync_logs_active
        ON workspace_connector_sync_logs (workspace_connector_pk)
        WHERE status IN ('scheduled', 'in_progress')",
    "CREATE INDEX idx_workspace_connector_sync_logs_active
        ON workspace_connector_sync_logs (created_at)
        WHERE status IN ('scheduled', 'in_progress')",
    "CREATE INDEX idx_workspace_connector_sync_logs_activation
        ON workspace_connector_sync_logs (workspace_connector_pk, created_at)",
    "CREATE INDEX idx_workspace_connector_sync_logs_workspace
        ON workspace_connector_sync_logs (workspace_pk, created_at)",
    "CREATE TABLE workspace_connector_streams (
        pk {pk},
        workspace_connector_pk bigint NOT NULL
            REFERENCES workspace_connectors (pk) ON DELETE CASCADE,
        stream {text} NOT NULL,
        cursor_column {text},
        cursor_after {text},
        generation integer NOT NULL DEFAULT 0,
        last_generation integer NOT NULL DEFAULT 0,
        loading_generation integer,
        loading_run_pk bigint,
        loaded bigint NOT NULL DEFAULT 0,
        records bigint NOT NULL DEFAULT 0,
        synced_at bigint,
        met_all_at bigint,
        UNIQUE (workspace_connector_pk, stream)
    )",
];

// A record costs as little as it can: no identifier of its own, one index, and no foreign keys, which PostgreSQL would
// check row by row; a trigger on the streams stands in for those. Fixed columns come first, by falling size.
const POSTGRES: &[&str] = &[
    "CREATE TABLE records (
        run_pk bigint NOT NULL,
        first_seen_at {instant} NOT NULL,
        last_seen_at {instant} NOT NULL,
        deleted_at {instant},
        stream_pk integer NOT NULL,
        generation integer NOT NULL,
        hash {bytes} NOT NULL,
        key {text} NOT NULL,
        payload {json} NOT NULL,
        PRIMARY KEY (stream_pk, key)
    )",
    "CREATE TABLE seen_records (
        pk {pk},
        stream_pk integer NOT NULL,
        keys text[] NOT NULL
    )",
];

// Instants are microseconds since 1970: a third of the text's size, twice in each record.
const SQLITE: &[&str] = &[
    "CREATE TABLE records (
        run_pk bigint NOT NULL,
        first_seen_at bigint NOT NULL,
        last_seen_at bigint NOT NULL,
        deleted_at bigint,
        stream_pk integer NOT NULL,
        generation integer NOT NULL,
        hash {bytes} NOT NULL,
        key {text} NOT NULL,
        payload {json} NOT NULL,
        PRIMARY KEY (stream_pk, key)
    )",
    "CREATE TABLE seen_records (
        pk {pk},
        stream_pk integer NOT NULL,
        keys {json} NOT NULL
    )",
];

const RECORDS: &[&str] = &[
    "CREATE INDEX idx_seen_records_stream ON seen_records (stream_pk)",
    "CREATE TABLE staged_records (
        stream_pk integer NOT NULL,
        hash {bytes} NOT NULL,
        key {text} NOT NULL,
        payload {json} NOT NULL,
        PRIMARY KEY (stream_pk, key)
    )",
    "CREATE TABLE quarantined_records (
        pk {pk},
        run_pk bigint NOT NULL,
        first_seen_at bigint NOT NULL,
        last_seen_at bigint NOT NULL,
        stream_pk integer NOT NULL,
        hash {bytes} NOT NULL,
        key {text},
        payload {text} NOT NULL,
        reason {text} NOT NULL,
        UNIQUE (stream_pk, hash)
    )",
];

const POSTGRES_TRIGGERS: &[&str] = &[
    "CREATE FUNCTION forget_records_of_stream() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        DELETE FROM records WHERE stream_pk = OLD.pk;
        DELETE FROM staged_records WHERE stream_pk = OLD.pk;
        DELETE FROM seen_records WHERE stream_pk = OLD.pk;
        DELETE FROM quarantined_records WHERE stream_pk = OLD.pk;
        RETURN NULL;
    END $$",
    "CREATE TRIGGER forget_records AFTER DELETE ON workspace_connector_streams
        FOR EACH ROW EXECUTE FUNCTION forget_records_of_stream()",
];

const SQLITE_TRIGGERS: &[&str] =
    &["CREATE TRIGGER forget_records AFTER DELETE ON workspace_connector_streams
    BEGIN
        DELETE FROM records WHERE stream_pk = OLD.pk;
        DELETE FROM staged_records WHERE stream_pk = OLD.pk;
        DELETE FROM seen_records WHERE stream_pk = OLD.pk;
        DELETE FROM quarantined_records WHERE stream_pk = OLD.pk;
    END"];

const DOWN: &[&str] = &[
    "DROP TABLE quarantined_records",
    "DROP TABLE staged_records",
    "DROP TABLE seen_records",
    "DROP TABLE records",
    "DROP TABLE workspace_connector_streams",
    "DROP TABLE workspace_connector_sync_logs",
];
