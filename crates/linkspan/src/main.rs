//! Linkspan: the connector platform that a team runs itself. The composition root.

mod admin_key;
mod bearer_tokens;
mod cli;
mod compose;
mod database_hosts;
mod keys;
mod logging;
mod oauth;
mod registry;
mod role;
mod server;
mod settings;
mod web_address;
mod workshop;
mod world;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    // One TLS stack for the whole process; a second installation can only be of the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    cli::run().await
}
