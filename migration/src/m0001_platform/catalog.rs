//! Connectors, document-capture providers, and their pairing.

pub(super) const UP: &[&str] = &[
    "CREATE TABLE connectors (
        pk {pk},
        connector_id {id},
        name {text} NOT NULL,
        {enum provider provider_type_enum} NOT NULL,
        category_id {text} NOT NULL,
        service_id {text} NOT NULL,
        external_connector_id {text},
        slug {text},
        {enum status status_type_enum} NOT NULL DEFAULT 'unavailable',
        {enum seeded_status status_type_enum},
        {enum direction direction_enum} NOT NULL DEFAULT 'input',
        {enum authorization_flow authorization_flow_enum} NOT NULL DEFAULT 'none',
        {enum transport transport_enum} NOT NULL DEFAULT 'api',
        auth_config {json},
        supported_target_models {json} NOT NULL DEFAULT '[]',
        connector_type {text} NOT NULL,
        description {text},
        tags {json} NOT NULL DEFAULT '[]',
        logo_url {text},
        docs_url {text},
        data_domains {json} NOT NULL DEFAULT '[]',
        version {text},
        notes {text},
        revision bigint NOT NULL DEFAULT 1,
        created_at {instant} NOT NULL,
        updated_at {instant} NOT NULL,
        deleted_at {instant}
    )",
    "CREATE INDEX idx_connectors_status ON connectors (status)",
    "CREATE INDEX idx_connectors_direction_status ON connectors (direction, status)",
    "CREATE INDEX idx_connectors_status_created_at ON connectors (status, created_at DESC)
        WHERE deleted_at IS NULL",
    "CREATE UNIQUE INDEX uq_connectors_service_live ON connectors (provider, service_id, direction)
        WHERE deleted_at IS NULL",
    "CREATE INDEX idx_connectors_type ON connectors (connector_type)",
    "CREATE INDEX idx_connectors_created_at ON connectors (created_at DESC, connector_id)
        WHERE deleted_at IS NULL",
    "CREATE TABLE providers (
        pk {pk},
        provider_id {id},
        name {text} NOT NULL,
        slug {text} NOT NULL,
        url {text},
        logo_url {text},
        category {text},
        countries {json} NOT NULL DEFAULT '[]',
        blueprint {json},
        skill {text},
        revision bigint NOT NULL DEFAULT 1,
        created_at {instant} NOT NULL,
        updated_at {instant} NOT NULL,
        deleted_at {instant}
    )",
    "CREATE UNIQUE INDEX uq_providers_slug_live ON providers (slug) WHERE deleted_at IS NULL",
    "CREATE TABLE provider_connectors (
        pk {pk},
        provider_connector_id {id},
        provider_pk bigint NOT NULL REFERENCES providers (pk) ON DELETE CASCADE,
        connector_pk bigint NOT NULL REFERENCES connectors (pk) ON DELETE CASCADE,
        revision bigint NOT NULL DEFAULT 1,
        created_at {instant} NOT NULL,
        updated_at {instant} NOT NULL,
        deleted_at {instant}
    )",
    "CREATE UNIQUE INDEX uq_provider_connectors_connector_live ON provider_connectors (connector_pk)
        WHERE deleted_at IS NULL",
    "CREATE INDEX idx_provider_connectors_provider ON provider_connectors (provider_pk)",
    "CREATE INDEX idx_provider_connectors_connector ON provider_connectors (connector_pk)",
];
