//! What every adapter of a port must keep to: one suite for each port, run against each adapter.

mod access;
mod catalog;
mod credentials;
mod diagnostics;
mod grants;
mod idempotency;
mod keys;
mod leftovers;
mod oracle;
mod sealed_grants;
mod store;

pub use access::{access_store, bootstrap};
pub use catalog::catalog_store;
pub use credentials::credential_store;
pub use diagnostics::diagnostic_store;
pub use grants::{answers_are_settled, authorization_store, grant_store, oauth_client_store};
pub use idempotency::idempotency_store;
pub use keys::{key_rotation_store, key_store};
pub use leftovers::{
    LeftBehind, ProviderStores, answers_are_given_up, connected, leftovers,
    replaced_clients_are_left, taken,
};
pub use sealed_grants::{SealedStores, sealed_grants};
pub use store::{Subject, store};
