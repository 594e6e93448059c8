//! Entities that nothing stands for any more, what identifies those of a list, their change feed, and one live filter for
//! each connector and workspace.

mod triggers;

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    sea_orm::{ConnectionTrait, DbBackend, DbErr},
};

use crate::dialect::run;

/// See the module.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0016_entities"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (set_aside, triggers) = match manager.get_database_backend() {
            DbBackend::Postgres => (POSTGRES_SET_ASIDE, triggers::POSTGRES),
            _ => (SQLITE_SET_ASIDE, triggers::SQLITE),
        };
        run(manager, &[], UP).await?;
        run(manager, &[], &[set_aside]).await?;
        run(manager, &[], ONE_FILTER).await?;
        // Not through the dialect: one piece each, with semicolons inside.
        for trigger in triggers {
            manager.get_connection().execute_unprepared(trigger).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let triggers = match manager.get_database_backend() {
            DbBackend::Postgres => triggers::POSTGRES_DOWN,
            _ => triggers::SQLITE_DOWN,
        };
        run(manager, &[], triggers).await?;
        run(manager, &[], DOWN).await
    }
}

const UP: &[&str] = &[
    // One row for each activation some of whose entities may have nothing left that stands for them, and up to where they were looked at.
    "CREATE TABLE entity_withdrawals (
        workspace_connector_pk bigint PRIMARY KEY
            REFERENCES workspace_connectors (pk) ON DELETE CASCADE,
        entity_pk bigint NOT NULL DEFAULT 0
    )",
    "CREATE TABLE entity_feeds (
        workspace_pk bigint PRIMARY KEY REFERENCES workspaces (pk) ON DELETE CASCADE,
        entry bigint NOT NULL
    )",
    // The numbers, in the feed of the workspace, of the write in which it appeared and of the last one. What is there already is the first.
    "ALTER TABLE entities ADD COLUMN added_entry bigint NOT NULL DEFAULT 1",
    "ALTER TABLE entities ADD COLUMN entry bigint NOT NULL DEFAULT 1",
    "INSERT INTO entity_feeds (workspace_pk, entry) SELECT DISTINCT workspace_pk, 1 FROM entities",
    // What names an object among those of its record: what the source calls it, else its place.
    "ALTER TABLE entities ADD COLUMN identity {text} NOT NULL DEFAULT ''",
    "UPDATE entities SET identity = CASE
        WHEN external_id IS NULL OR EXISTS (SELECT 1 FROM entities o
            WHERE o.record_id = entities.record_id AND o.workspace_pk = entities.workspace_pk
                AND o.external_id = entities.external_id AND o.pk <> entities.pk
                AND (o.deleted_at IS NULL
                    OR (entities.deleted_at IS NOT NULL AND o.pk < entities.pk)))
        THEN '#' || item ELSE 'id ' || external_id END",
    "DROP INDEX uq_entities_record",
    "CREATE INDEX idx_entities_record ON entities (record_id, workspace_pk)",
    "CREATE INDEX idx_entities_entry ON entities (workspace_pk, entry, pk)",
    "DROP INDEX idx_entities_activation",
    "CREATE INDEX idx_entities_activation ON entities (workspace_connector_pk, pk)",
    // Targets and mappings may have been deleted before.
    "INSERT INTO entity_withdrawals (workspace_connector_pk)
        SELECT DISTINCT workspace_connector_pk FROM entities",
];

/// Of several live filters the oldest is the one that counts: it stays, so that nothing passes that did not.
macro_rules! set_aside_sql {
    ($now:literal) => {
        concat!(
            "UPDATE connector_filters SET deleted_at = ",
            $now,
            ", updated_at = ",
            $now,
            ", revision = revision + 1 WHERE deleted_at IS NULL ",
            "AND EXISTS (SELECT 1 FROM connector_filters o ",
            "WHERE o.connector_pk = connector_filters.connector_pk ",
            "AND coalesce(o.workspace_pk, 0) = coalesce(connector_filters.workspace_pk, 0) ",
            "AND o.deleted_at IS NULL AND (o.created_at, o.pk) < ",
            "(connector_filters.created_at, connector_filters.pk))"
        )
    };
}

const POSTGRES_SET_ASIDE: &str = set_aside_sql!("CURRENT_TIMESTAMP");
const SQLITE_SET_ASIDE: &str = set_aside_sql!("strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')");

const ONE_FILTER: &[&str] = &[
    "CREATE UNIQUE INDEX uq_connector_filters_live
        ON connector_filters (connector_pk, workspace_pk) WHERE deleted_at IS NULL",
    // Nothing equals no workspace.
    "CREATE UNIQUE INDEX uq_connector_filters_template
        ON connector_filters (connector_pk) WHERE deleted_at IS NULL AND workspace_pk IS NULL",
];

const DOWN: &[&str] = &[
    "DROP INDEX uq_connector_filters_template",
    "DROP INDEX uq_connector_filters_live",
    "DROP INDEX idx_entities_activation",
    "CREATE INDEX idx_entities_activation ON entities (workspace_connector_pk)",
    "DROP INDEX idx_entities_entry",
    "DROP INDEX idx_entities_record",
    // Mappings make them again, if they still do.
    "DELETE FROM entities WHERE EXISTS (SELECT 1 FROM entities o
        WHERE o.record_id = entities.record_id AND o.workspace_pk = entities.workspace_pk
            AND o.item = entities.item AND o.pk < entities.pk)",
    "CREATE UNIQUE INDEX uq_entities_record ON entities (record_id, workspace_pk, item)",
    "ALTER TABLE entities DROP COLUMN identity",
    "ALTER TABLE entities DROP COLUMN entry",
    "ALTER TABLE entities DROP COLUMN added_entry",
    "DROP TABLE entity_feeds",
    "DROP TABLE entity_withdrawals",
];
