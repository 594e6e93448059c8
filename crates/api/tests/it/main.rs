//! The whole API over a temporary SQLite database, with every answer held against the OpenAPI document.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, clippy::similar_names)]

mod access;
mod composition;
mod contract;
mod credentials;
mod documents;
mod errors;
mod events;
mod files;
mod filter_plans;
mod idempotency;
mod keys;
mod lists;
mod mappings;
mod negotiation;
mod oauth;
mod permissions;
mod platform;
mod provider;
mod records;
mod schedules;
mod secrets;
mod server;
mod shop;
mod tenancy;
mod writes;
