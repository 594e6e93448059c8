//! The tables, one file each: entity and mapping.

pub(crate) mod api_key;
pub(crate) mod audit_event;
pub(crate) mod connection_test;
pub(crate) mod connector;
pub(crate) mod connector_filter;
pub(crate) mod connector_mapping;
pub(crate) mod credential_version;
pub(crate) mod diagnostic;
pub(crate) mod entity;
pub(crate) mod entity_source;
pub(crate) mod file;
pub(crate) mod key_rotation;
pub(crate) mod mapping_version;
pub(crate) mod organization;
pub(crate) mod person;
pub(crate) mod person_workspace;
pub(crate) mod provider;
pub(crate) mod provider_connector;
pub(crate) mod setting;
pub(crate) mod sync_log;
pub(crate) mod sync_target;
pub(crate) mod unmapped_record;
pub(crate) mod workspace;
pub(crate) mod workspace_connector;
