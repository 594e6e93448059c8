//! Whoever takes away, or brings back, what entities stand on says so, by whichever way it is written.
//!
//! An entity stands on its activation, on the mapping of its stream to its model, and on the target that is its workspace. To
//! take one away waits for pages of the activation that are being written, which know nothing of it yet. To bring one back
//! waits for entities that are being withdrawn, and begins the search for others anew.

pub(super) const POSTGRES: &[&str] = &[
    "CREATE FUNCTION withdraw_entities(activation bigint) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM 1 FROM connector_mappings WHERE workspace_connector_pk = activation
            ORDER BY pk FOR SHARE;
        INSERT INTO entity_withdrawals (workspace_connector_pk) VALUES (activation)
            ON CONFLICT (workspace_connector_pk) DO UPDATE SET entity_pk = 0;
    END $$",
    "CREATE FUNCTION keep_entities(activation bigint) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE entity_withdrawals SET entity_pk = 0 WHERE workspace_connector_pk = activation;
    END $$",
    "CREATE FUNCTION map_anew(activation bigint) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE connector_mapping_versions v SET position_generation = 0, position_key = NULL,
            mapped = 0, persisted = 0, failed = 0
        FROM connector_mappings m
        WHERE m.pk = v.connector_mapping_pk AND m.version = v.version
            AND m.workspace_connector_pk = activation;
    END $$",
    "CREATE FUNCTION part_of_activation_changed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.deleted_at IS NULL THEN
            PERFORM keep_entities(NEW.workspace_connector_pk);
        ELSE
            PERFORM withdraw_entities(NEW.workspace_connector_pk);
        END IF;
        RETURN NULL;
    END $$",
    "CREATE FUNCTION activation_changed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.deleted_at IS NULL THEN
            PERFORM keep_entities(NEW.pk);
            PERFORM map_anew(NEW.pk);
        ELSE
            PERFORM withdraw_entities(NEW.pk);
        END IF;
        RETURN NULL;
    END $$",
    "CREATE FUNCTION receiver_changed() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE activation bigint;
    BEGIN
        FOR activation IN SELECT t.workspace_connector_pk FROM workspace_connector_sync_targets t
            WHERE t.workspace_pk = NEW.pk AND t.deleted_at IS NULL ORDER BY 1
        LOOP
            IF NEW.deleted_at IS NULL THEN
                PERFORM keep_entities(activation);
                PERFORM map_anew(activation);
            ELSE
                PERFORM withdraw_entities(activation);
            END IF;
        END LOOP;
        RETURN NULL;
    END $$",
    "CREATE TRIGGER target_is_new AFTER INSERT ON workspace_connector_sync_targets
        FOR EACH ROW EXECUTE FUNCTION part_of_activation_changed()",
    "CREATE TRIGGER target_comes_or_goes
        AFTER UPDATE OF deleted_at ON workspace_connector_sync_targets
        FOR EACH ROW WHEN ((OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL))
        EXECUTE FUNCTION part_of_activation_changed()",
    "CREATE TRIGGER mapping_is_new AFTER INSERT ON connector_mappings
        FOR EACH ROW EXECUTE FUNCTION part_of_activation_changed()",
    "CREATE TRIGGER mapping_comes_or_goes AFTER UPDATE OF deleted_at ON connector_mappings
        FOR EACH ROW WHEN ((OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL))
        EXECUTE FUNCTION part_of_activation_changed()",
    "CREATE TRIGGER activation_comes_or_goes AFTER UPDATE OF deleted_at ON workspace_connectors
        FOR EACH ROW WHEN ((OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL))
        EXECUTE FUNCTION activation_changed()",
    "CREATE TRIGGER receiver_comes_or_goes AFTER UPDATE OF deleted_at ON workspaces
        FOR EACH ROW WHEN ((OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL))
        EXECUTE FUNCTION receiver_changed()",
];

pub(super) const POSTGRES_DOWN: &[&str] = &[
    "DROP TRIGGER receiver_comes_or_goes ON workspaces",
    "DROP TRIGGER activation_comes_or_goes ON workspace_connectors",
    "DROP TRIGGER mapping_comes_or_goes ON connector_mappings",
    "DROP TRIGGER mapping_is_new ON connector_mappings",
    "DROP TRIGGER target_comes_or_goes ON workspace_connector_sync_targets",
    "DROP TRIGGER target_is_new ON workspace_connector_sync_targets",
    "DROP FUNCTION receiver_changed()",
    "DROP FUNCTION activation_changed()",
    "DROP FUNCTION part_of_activation_changed()",
    "DROP FUNCTION map_anew(bigint)",
    "DROP FUNCTION keep_entities(bigint)",
    "DROP FUNCTION withdraw_entities(bigint)",
];

/// SQLite has no functions, and one writer, for whom nobody has to wait.
pub(super) const SQLITE: &[&str] = &[
    "CREATE TRIGGER target_goes AFTER UPDATE OF deleted_at ON workspace_connector_sync_targets
        WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL
    BEGIN
        INSERT INTO entity_withdrawals (workspace_connector_pk) VALUES (NEW.workspace_connector_pk)
            ON CONFLICT (workspace_connector_pk) DO UPDATE SET entity_pk = 0;
    END",
    "CREATE TRIGGER mapping_goes AFTER UPDATE OF deleted_at ON connector_mappings
        WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL
    BEGIN
        INSERT INTO entity_withdrawals (workspace_connector_pk) VALUES (NEW.workspace_connector_pk)
            ON CONFLICT (workspace_connector_pk) DO UPDATE SET entity_pk = 0;
    END",
    "CREATE TRIGGER activation_goes AFTER UPDATE OF deleted_at ON workspace_connectors
        WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL
    BEGIN
        INSERT INTO entity_withdrawals (workspace_connector_pk) VALUES (NEW.pk)
            ON CONFLICT (workspace_connector_pk) DO UPDATE SET entity_pk = 0;
    END",
    "CREATE TRIGGER activation_comes AFTER UPDATE OF deleted_at ON workspace_connectors
        WHEN OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL
    BEGIN
        UPDATE connector_mapping_versions SET position_generation = 0, position_key = NULL,
            mapped = 0, persisted = 0, failed = 0
        WHERE EXISTS (SELECT 1 FROM connector_mappings m
            WHERE m.pk = connector_mapping_versions.connector_mapping_pk
                AND m.version = connector_mapping_versions.version
                AND m.workspace_connector_pk = NEW.pk);
    END",
    "CREATE TRIGGER receiver_goes AFTER UPDATE OF deleted_at ON workspaces
        WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL
    BEGIN
        INSERT INTO entity_withdrawals (workspace_connector_pk)
            SELECT t.workspace_connector_pk FROM workspace_connector_sync_targets t
            WHERE t.workspace_pk = NEW.pk AND t.deleted_at IS NULL
            ON CONFLICT (workspace_connector_pk) DO UPDATE SET entity_pk = 0;
    END",
    "CREATE TRIGGER receiver_comes AFTER UPDATE OF deleted_at ON workspaces
        WHEN OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL
    BEGIN
        UPDATE connector_mapping_versions SET position_generation = 0, position_key = NULL,
            mapped = 0, persisted = 0, failed = 0
        WHERE EXISTS (SELECT 1 FROM connector_mappings m
            JOIN workspace_connector_sync_targets t
                ON t.workspace_connector_pk = m.workspace_connector_pk
            WHERE m.pk = connector_mapping_versions.connector_mapping_pk
                AND m.version = connector_mapping_versions.version
                AND t.workspace_pk = NEW.pk AND t.deleted_at IS NULL);
    END",
];

pub(super) const SQLITE_DOWN: &[&str] = &[
    "DROP TRIGGER receiver_comes",
    "DROP TRIGGER receiver_goes",
    "DROP TRIGGER activation_comes",
    "DROP TRIGGER activation_goes",
    "DROP TRIGGER mapping_goes",
    "DROP TRIGGER target_goes",
];
