//! The whole API over a temporary SQLite database, with every answer held against the OpenAPI document.

mod contract;
mod documents;
mod errors;
mod idempotency;
mod lists;
mod negotiation;
mod permissions;
mod platform;
mod secrets;
mod server;
mod tenancy;
mod writes;
