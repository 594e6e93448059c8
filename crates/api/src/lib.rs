//! The HTTP API: JSON:API 1.1 and its OpenAPI document.
//!
//! Handlers take one of the requests in `request` and answer with one of the answers in `answer`; what the two have in
//! common with all others happens at the `door`.

mod answer;
mod app;
mod body;
mod context;
mod cursor;
mod document;
mod door;
mod etag;
mod include;
mod listing;
mod media_type;
mod memory;
mod openapi;
mod pages;
mod problem;
mod query;
mod request;
mod resource;
mod resources;
mod routes;
mod schema;
mod server;
mod trusted_proxies;
mod view;

pub use app::{App, Limits, Probes};
pub use context::WORKSPACE_HEADER;
pub use openapi::openapi;
pub use server::{ServeError, endpoint, serve};
pub use trusted_proxies::{InvalidProxies, TrustedProxies};
