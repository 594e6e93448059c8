//! Organizations, workspaces, people, API keys.

pub(super) const UP: &[&str] = &[
    "CREATE TABLE organizations (
        pk {pk},
        organization_id {id},
        name {text} NOT NULL,
        revision bigint NOT NULL DEFAULT 1,
        created_at {instant} NOT NULL,
        updated_at {instant} NOT NULL,
        deleted_at {instant}
    )",
    // A workspace with others below it cannot be purged.
    "CREATE TABLE workspaces (
        pk {pk},
        workspace_id {id},
        organization_pk bigint NOT NULL REFERENCES organizations (pk) ON DELETE RESTRICT,
        parent_pk bigint REFERENCES workspaces (pk) ON DELETE RESTRICT,
        name {text} NOT NULL,
        slug {text} NOT NULL,
        external_workspace_id {text},
        revision bigint NOT NULL DEFAULT 1,
        created_at {instant} NOT NULL,
        updated_at {instant} NOT NULL,
        deleted_at {instant}
    )",
    "CREATE UNIQUE INDEX uq_workspaces_slug_live ON workspaces (organization_pk, slug)
        WHERE deleted_at IS NULL",
    "CREATE INDEX idx_workspaces_organization_created_at ON workspaces (organization_pk, created_at)",
    "CREATE INDEX idx_workspaces_parent ON workspaces (parent_pk)",
    "CREATE TABLE people (
        pk {pk},
        person_id {id},
        organization_pk bigint NOT NULL REFERENCES organizations (pk) ON DELETE RESTRICT,
        name {text} NOT NULL,
        email {text} NOT NULL,
        role {text} NOT NULL CHECK (role IN ('admin', 'designer', 'analyst', 'viewer')),
        revision bigint NOT NULL DEFAULT 1,
        created_at {instant} NOT NULL,
        updated_at {instant} NOT NULL,
        deleted_at {instant}
    )",
    "CREATE UNIQUE INDEX uq_people_email_live ON people (organization_pk, lower(email))
        WHERE deleted_at IS NULL",
    "CREATE TABLE person_workspaces (
        person_pk bigint NOT NULL REFERENCES people (pk) ON DELETE CASCADE,
        workspace_pk bigint NOT NULL REFERENCES workspaces (pk) ON DELETE CASCADE,
        PRIMARY KEY (person_pk, workspace_pk)
    )",
    "CREATE INDEX idx_person_workspaces_workspace ON person_workspaces (workspace_pk)",
    // The keys of a purged person go with them: without a person they would be service keys. The workspaces are a list
    // of identifiers: an empty list means all, so a purged workspace must not empty it.
    "CREATE TABLE api_keys (
        pk {pk},
        api_key_id {id},
        organization_pk bigint NOT NULL REFERENCES organizations (pk) ON DELETE RESTRICT,
        person_pk bigint REFERENCES people (pk) ON DELETE CASCADE,
        name {text} NOT NULL,
        prefix {text} NOT NULL,
        hash {text} NOT NULL,
        permissions {json} NOT NULL,
        workspaces {json} NOT NULL,
        expires_at {instant},
        last_used_at {instant},
        revision bigint NOT NULL DEFAULT 1,
        created_at {instant} NOT NULL,
        updated_at {instant} NOT NULL,
        deleted_at {instant}
    )",
    "CREATE UNIQUE INDEX uq_api_keys_hash ON api_keys (hash)",
    "CREATE INDEX idx_api_keys_organization ON api_keys (organization_pk, deleted_at)",
    "CREATE INDEX idx_api_keys_person ON api_keys (person_pk)",
];
