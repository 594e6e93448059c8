//! The resources, one file each.

mod api_keys;
mod audit_chain;
mod audit_events;
mod connection_tests;
mod connector_filters;
mod connector_mappings;
mod connector_types;
mod connectors;
mod credential_versions;
mod diagnostics;
mod entities;
mod entity_changes;
mod entity_query;
mod files;
mod filter_plans;
mod keys;
mod oauth;
mod people;
mod platform;
mod provider_connectors;
mod providers;
mod quarantine;
mod records;
mod schedules;
mod stream_states;
mod streams;
mod sync_logs;
mod sync_targets;
mod target_models;
mod workspace_connectors;
mod workspaces;

use linkspan_app::Patch;
use poem_openapi::Tags;

pub(crate) use connector_types::TypeCapabilities;
pub(crate) use entity_changes::ShownEntityChange;
pub(crate) use quarantine::ShownQuarantined;
pub(crate) use records::{ShownChange, ShownRecord};
pub(crate) use workspace_connectors::ActivationCapabilities;

/// All operations of the API.
pub(crate) type Resources = (
    connectors::Connectors,
    connector_types::ConnectorTypes,
    connector_filters::ConnectorFilters,
    providers::Providers,
    provider_connectors::ProviderConnectors,
    workspace_connectors::Operations,
    // Nested, as tuples of more than twelve have no default.
    (
        diagnostics::Diagnostics,
        files::Files,
        records::Operations,
        schedules::Schedules,
        stream_states::StreamStates,
        sync_logs::SyncLogs,
    ),
    (
        connector_mappings::ConnectorMappings,
        connector_mappings::Suggestions,
        entities::Entities,
        sync_targets::SyncTargets,
        target_models::TargetModels,
    ),
    workspaces::Workspaces,
    people::People,
    api_keys::ApiKeys,
    (
        (audit_events::AuditEvents, audit_chain::AuditChains),
        (keys::Keys, keys::KeyRotations),
        (oauth::Oauth, platform::Platform),
    ),
);

/// How the operations are grouped.
#[derive(Tags)]
enum Tag {
    /// What can be connected.
    Catalog,
    /// What is connected, where, and how it went.
    Activations,
    /// What was brought in.
    Data,
    /// Who may do what, and what they did.
    Organization,
    /// How the platform itself is.
    Platform,
}

/// Puts a new value in the place of an old one, if there is a new one.
fn set<T>(place: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *place = new;
    }
}

/// Puts a new value in the place of an old one, or empties it.
fn empty_or_set<T>(place: &mut Option<T>, patch: Patch<T>) {
    match patch {
        Patch::Keep => {}
        Patch::Clear => *place = None,
        Patch::Set(new) => *place = Some(new),
    }
}
