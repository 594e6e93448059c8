//! Tenancy, catalog, activations, audit trail and idempotency keys.

mod activations;
mod catalog;
mod tenancy;
mod trail;

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    sea_orm::{ConnectionTrait, DbBackend, DbErr},
};

use crate::dialect::{Enum, create_enums, drop_enums, run};

/// See the module.
pub(crate) struct Migration;

/// The closed sets of words. `target_model_enum` has no column yet: connectors keep a list of its words as JSON.
const ENUMS: &[Enum] = &[
    Enum {
        name: "provider_type_enum",
        words: &["apideck", "chift", "well", "plaid_eu", "plaid_us"],
    },
    Enum {
        name: "status_type_enum",
        words: &["available", "coming_soon", "unavailable", "maintenance"],
    },
    Enum { name: "direction_enum", words: &["input", "output"] },
    Enum {
        name: "authorization_flow_enum",
        words: &[
            "none",
            "redirect",
            "oauth-manual",
            "oauth-dcr",
            "oauth-cimd",
            "api-key",
            "external-api-key",
            "wsse",
        ],
    },
    Enum { name: "transport_enum", words: &["mcp", "api"] },
    Enum {
        name: "status_enum",
        words: &[
            "enabled",
            "disabled",
            "to_configure",
            "processing",
            "error",
            "need_reconnect",
            "suspended",
            "degraded",
        ],
    },
    Enum {
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
    },
];

/// The tables, none before what it refers to.
const TABLES: &[&str] = &[
    "organizations",
    "workspaces",
    "people",
    "person_workspaces",
    "api_keys",
    "connectors",
    "providers",
    "provider_connectors",
    "workspace_connectors",
    "connector_filters",
    "connection_tests",
    "audit_events",
    "idempotency_keys",
    "settings",
];

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0001_platform"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_enums(manager, ENUMS).await?;
        for part in [tenancy::UP, catalog::UP, activations::UP, trail::UP] {
            run(manager, ENUMS, part).await?;
        }
        let guard = match manager.get_database_backend() {
            DbBackend::Postgres => trail::APPEND_ONLY_POSTGRES,
            _ => trail::APPEND_ONLY_SQLITE,
        };
        // Not through the dialect: braces mean nothing here.
        for statement in guard {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES.iter().rev() {
            run(manager, ENUMS, &[&format!("DROP TABLE {table}")]).await?;
        }
        if manager.get_database_backend() == DbBackend::Postgres {
            run(manager, ENUMS, &["DROP FUNCTION refuse_change()"]).await?;
        }
        drop_enums(manager, ENUMS).await
    }
}
