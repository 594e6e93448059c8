//! The one outbound HTTP client and its policy against server-side request forgery.
//!
//! 1. Only `http` and `https` URLs without user information are requested.
//! 2. A host that is an address, however it is spelled, is checked before anything is sent.
//! 3. A host that is a name is resolved here; one answer outside the policy refuses the whole name.
//! 4. The addresses that were checked are the addresses that are dialled: nothing resolves twice.
//! 5. Public means global unicast: no private, shared, link-local, reserved, translated or multicast range.
//! 6. Metadata services are refused by name and by address; allowing one takes an entry for that very address.
//! 7. Operators open other networks one by one ([`EgressPolicy`], `LINKSPAN_EGRESS_ALLOW`).
//! 8. Each of at most [`MAX_REDIRECTS`] redirects passes the same checks; none leads from `https` to `http`.
//! 9. Across origins only harmless headers travel on; proxies, cookies and `Alt-Svc` do not exist here.
//! 10. Time covers the whole exchange, size counts what was decompressed, and errors name hosts, never URLs.
//!
//! Hosts of databases and of SFTP servers, which other libraries dial, pass [`HostGuard`].

mod address;
mod body;
mod client;
mod database;
mod deadline;
mod hop;
mod policy;
mod resolver;

pub use address::is_public;
pub use client::{ClientError, GuardedClient, MAX_REDIRECTS};
pub use database::{DatabaseHosts, HostGuard, InvalidDatabaseHosts};
pub use policy::{EgressPolicy, InvalidNetworks};
pub use resolver::{Resolver, SystemResolver};
