//! The audit trail, idempotency keys, settings of the platform.

pub(super) const UP: &[&str] = &[
    // No reference to other tables: what was done stays known when its object is purged.
    "CREATE TABLE audit_events (
        pk {pk},
        audit_event_id {id},
        organization_id {uuid} NOT NULL,
        workspace_id {uuid},
        actor_type {text} NOT NULL CHECK (actor_type IN ('person', 'api_key', 'system')),
        actor_id {uuid},
        action {text} NOT NULL,
        resource_type {text} NOT NULL,
        resource_id {uuid},
        details {json} NOT NULL,
        ip_address {text},
        trace_id {text} NOT NULL,
        created_at {instant} NOT NULL
    )",
    "CREATE INDEX idx_audit_events_organization_created_at
        ON audit_events (organization_id, created_at DESC, audit_event_id)",
    "CREATE INDEX idx_audit_events_resource ON audit_events (resource_id)",
    // Unfulfilled while the resource is null. A key that ran out is free.
    "CREATE TABLE idempotency_keys (
        pk {pk},
        scope {text} NOT NULL,
        idempotency_key {text} NOT NULL,
        fingerprint {text} NOT NULL,
        token {uuid} NOT NULL,
        resource_type {text},
        resource_id {uuid},
        created_at {instant} NOT NULL,
        expires_at {instant} NOT NULL,
        UNIQUE (scope, idempotency_key),
        CHECK ((resource_type IS NULL) = (resource_id IS NULL))
    )",
    "CREATE INDEX idx_idempotency_keys_expires_at ON idempotency_keys (expires_at)",
    "CREATE TABLE settings (
        pk {pk},
        name {text} NOT NULL UNIQUE,
        value {json} NOT NULL,
        updated_at {instant} NOT NULL
    )",
];

pub(super) const APPEND_ONLY_POSTGRES: &[&str] = &[
    "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
        END
    $$",
    "CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
];

pub(super) const APPEND_ONLY_SQLITE: &[&str] = &[
    "CREATE TRIGGER audit_events_no_update BEFORE UPDATE ON audit_events
        BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END",
    "CREATE TRIGGER audit_events_no_delete BEFORE DELETE ON audit_events
        BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END",
];
