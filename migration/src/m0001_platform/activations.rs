//! Activations, the filters over their records, and tests of their connections.

pub(super) const UP: &[&str] = &[
    // Sealed secrets and the places they belong to come and go together.
    "CREATE TABLE workspace_connectors (
        pk {pk},
        workspace_connector_id {id},
        connector_pk bigint NOT NULL REFERENCES connectors (pk) ON DELETE CASCADE,
        workspace_pk bigint NOT NULL REFERENCES workspaces (pk) ON DELETE CASCADE,
        person_pk bigint REFERENCES people (pk) ON DELETE SET NULL,
        connector_type {text} NOT NULL,
        connector_type_version {text} NOT NULL,
        name {text} NOT NULL,
        description {text},
        {enum status status_enum} NOT NULL DEFAULT 'to_configure',
        config {json} NOT NULL,
        secrets {bytes},
        secret_pointers {json},
        streams {json} NOT NULL DEFAULT '[]',
        output_schemas {json} NOT NULL DEFAULT '[]',
        labels {json} NOT NULL,
        mock_enabled boolean NOT NULL DEFAULT false,
        log_level {text} NOT NULL DEFAULT 'info'
            CHECK (log_level IN ('trace', 'debug', 'info', 'warn', 'error', 'fatal')),
        installed_capabilities {json},
        revision bigint NOT NULL DEFAULT 1,
        created_at {instant} NOT NULL,
        updated_at {instant} NOT NULL,
        deleted_at {instant},
        CHECK ((secrets IS NULL) = (secret_pointers IS NULL))
    )",
    "CREATE INDEX idx_workspace_connectors_workspace_deleted
        ON workspace_connectors (workspace_pk, deleted_at)",
    "CREATE INDEX idx_workspace_connectors_connector ON workspace_connectors (connector_pk)",
    "CREATE INDEX idx_workspace_connectors_person ON workspace_connectors (person_pk)",
    "CREATE INDEX idx_workspace_connectors_status ON workspace_connectors (status)",
    "CREATE UNIQUE INDEX uq_workspace_connectors_name_live
        ON workspace_connectors (workspace_pk, lower(name)) WHERE deleted_at IS NULL",
    "CREATE TABLE connector_filters (
        pk {pk},
        connector_filter_id {id},
        connector_pk bigint NOT NULL REFERENCES connectors (pk) ON DELETE CASCADE,
        workspace_pk bigint REFERENCES workspaces (pk) ON DELETE CASCADE,
        template boolean NOT NULL DEFAULT false,
        config {json} NOT NULL,
        natural_language {text},
        revision bigint NOT NULL DEFAULT 1,
        created_at {instant} NOT NULL,
        updated_at {instant} NOT NULL,
        deleted_at {instant},
        CHECK (template = (workspace_pk IS NULL))
    )",
    "CREATE INDEX idx_connector_filters_connector_workspace
        ON connector_filters (connector_pk, workspace_pk)",
    "CREATE INDEX idx_connector_filters_workspace ON connector_filters (workspace_pk)",
    "CREATE TABLE connection_tests (
        pk {pk},
        connection_test_id {id},
        workspace_pk bigint NOT NULL REFERENCES workspaces (pk) ON DELETE CASCADE,
        workspace_connector_pk bigint REFERENCES workspace_connectors (pk) ON DELETE CASCADE,
        connector_type {text} NOT NULL,
        ok boolean NOT NULL,
        latency_ms bigint NOT NULL,
        message {text} NOT NULL,
        error {text},
        created_at {instant} NOT NULL
    )",
    "CREATE INDEX idx_connection_tests_activation
        ON connection_tests (workspace_connector_pk, created_at)",
    "CREATE INDEX idx_connection_tests_workspace ON connection_tests (workspace_pk, created_at)",
];
