//! The egress policy as connectors with drivers of their own see it.

use async_trait::async_trait;
use linkspan_domain::ports::OutboundError;
use linkspan_egress::{DatabaseHosts, EgressPolicy};
use linkspan_sdk::{Failure, HostGuard, Permit};

/// Asks the egress policy before a driver dials.
pub(crate) struct GuardedHosts {
    guard: linkspan_egress::HostGuard,
    hosts: DatabaseHosts,
}

impl GuardedHosts {
    /// Under `policy`, unless `hosts` are exempt from it.
    pub(crate) fn new(policy: EgressPolicy, hosts: DatabaseHosts) -> Self {
        Self { guard: linkspan_egress::HostGuard::new(policy, hosts), hosts }
    }
}

#[async_trait]
impl HostGuard for GuardedHosts {
    async fn permit(&self, host: &str, port: u16) -> Result<Permit, Failure> {
        match self.hosts {
            DatabaseHosts::Exempt => Ok(Permit::Open),
            DatabaseHosts::Guarded => match self.guard.addresses(host, port).await {
                Ok(addresses) => Ok(Permit::Pinned(addresses)),
                Err(refused @ (OutboundError::Refused { .. } | OutboundError::InvalidUrl(_))) => {
                    Err(Failure::Refused(refused.to_string()))
                }
                Err(error) => Err(Failure::unavailable(host, error)),
            },
        }
    }
}
