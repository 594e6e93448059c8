//! Where connections that are not HTTP may go.

use std::net::SocketAddr;

use async_trait::async_trait;

use crate::Failure;

/// Says whether a driver that opens its own sockets may connect somewhere.
///
/// # Contract
///
/// - A connector asks before each connection it opens, and connects only where it was permitted to.
/// - A host outside the policy is [`Failure::Refused`]; one that does not resolve is [`Failure::Unavailable`].
#[async_trait]
pub trait HostGuard: Send + Sync {
    /// Whether a connection to `host` and `port` may be opened, and to which addresses.
    async fn permit(&self, host: &str, port: u16) -> Result<Permit, Failure>;
}

/// How a permitted connection is to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permit {
    /// By name: the driver resolves it.
    Open,
    /// To one of these addresses, which were checked; the name serves for TLS only.
    Pinned(Vec<SocketAddr>),
}

/// Lets connections go anywhere: the policy for databases unless an operator says otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenHosts;

#[async_trait]
impl HostGuard for OpenHosts {
    async fn permit(&self, _: &str, _: u16) -> Result<Permit, Failure> {
        Ok(Permit::Open)
    }
}
