//! Changes of records, numbered: the generation in which a record appeared, and the change feed of each workspace.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    sea_orm::{ConnectionTrait, DbBackend, DbErr},
};

use crate::dialect::run;

/// See the module.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0006_changes"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, &[], UP).await?;
        for trigger in of(manager, POSTGRES_TRIGGERS, SQLITE_TRIGGERS) {
            manager.get_connection().execute_unprepared(trigger).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in of(manager, POSTGRES_DOWN, SQLITE_DOWN) {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        run(manager, &[], DOWN).await
    }
}

fn of<'a>(
    manager: &SchemaManager,
    postgres: &'a [&'a str],
    sqlite: &'a [&'a str],
) -> &'a [&'a str] {
    match manager.get_database_backend() {
        DbBackend::Postgres => postgres,
        _ => sqlite,
    }
}

const UP: &[&str] = &[
    "ALTER TABLE records ADD COLUMN added_generation integer NOT NULL DEFAULT 0",
    "CREATE INDEX idx_records_generation ON records (stream_pk, generation, key)",
    "CREATE TABLE change_feeds (
        workspace_pk bigint PRIMARY KEY REFERENCES workspaces (pk) ON DELETE CASCADE,
        entry bigint NOT NULL
    )",
    "CREATE TABLE change_feed_entries (
        workspace_pk bigint NOT NULL REFERENCES workspaces (pk) ON DELETE CASCADE,
        entry bigint NOT NULL,
        stream_pk bigint NOT NULL,
        generation integer NOT NULL,
        PRIMARY KEY (workspace_pk, entry)
    )",
    "CREATE INDEX idx_change_feed_entries_stream ON change_feed_entries (stream_pk, entry)",
    // What is there already is one entry for each stream.
    "INSERT INTO change_feed_entries (workspace_pk, entry, stream_pk, generation)
        SELECT w.workspace_pk, row_number() OVER (PARTITION BY w.workspace_pk ORDER BY s.pk),
            s.pk, s.generation
        FROM workspace_connector_streams s
        JOIN workspace_connectors w ON w.pk = s.workspace_connector_pk
        WHERE s.generation > 0",
    "INSERT INTO change_feeds (workspace_pk, entry)
        SELECT workspace_pk, max(entry) FROM change_feed_entries GROUP BY workspace_pk",
];

const POSTGRES_TRIGGERS: &[&str] = &[
    "CREATE FUNCTION forget_changes_of_stream() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        DELETE FROM change_feed_entries WHERE stream_pk = OLD.pk;
        RETURN NULL;
    END $$",
    "CREATE TRIGGER forget_changes AFTER DELETE ON workspace_connector_streams
        FOR EACH ROW EXECUTE FUNCTION forget_changes_of_stream()",
];

const SQLITE_TRIGGERS: &[&str] =
    &["CREATE TRIGGER forget_changes AFTER DELETE ON workspace_connector_streams
    BEGIN
        DELETE FROM change_feed_entries WHERE stream_pk = OLD.pk;
    END"];

const POSTGRES_DOWN: &[&str] = &[
    "DROP TRIGGER forget_changes ON workspace_connector_streams",
    "DROP FUNCTION forget_changes_of_stream()",
];

const SQLITE_DOWN: &[&str] = &["DROP TRIGGER forget_changes"];

const DOWN: &[&str] = &[
    "DROP TABLE change_feed_entries",
    "DROP TABLE change_feeds",
    "DROP INDEX idx_records_generation",
    "ALTER TABLE records DROP COLUMN added_generation",
];
