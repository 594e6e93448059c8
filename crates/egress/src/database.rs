//! The policy for hosts that other libraries dial: databases and SFTP servers.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use linkspan_domain::ports::OutboundError;
use url::Host;

use crate::{
    deadline::Deadline,
    policy::EgressPolicy,
    resolver::{GuardedResolver, LookupError, Resolver, SystemResolver},
};

/// How long a name may take to resolve.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether hosts of databases are under the egress policy (`LINKSPAN_EGRESS_DATABASES`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DatabaseHosts {
    /// Any host may be dialled: databases mostly live in private networks.
    #[default]
    Exempt,
    /// The same policy as for HTTP.
    Guarded,
}

/// The setting is neither `exempt` nor `guarded`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("database hosts are either `exempt` from the egress policy or `guarded` by it")]
pub struct InvalidDatabaseHosts;

impl FromStr for DatabaseHosts {
    type Err = InvalidDatabaseHosts;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "exempt" => Ok(Self::Exempt),
            "guarded" => Ok(Self::Guarded),
            _ => Err(InvalidDatabaseHosts),
        }
    }
}

/// Says whether a database or SFTP host may be dialled.
#[derive(Clone)]
pub struct HostGuard {
    resolver: GuardedResolver,
    databases: DatabaseHosts,
}

impl HostGuard {
    /// A guard that asks the operating system for addresses.
    pub fn new(policy: EgressPolicy, databases: DatabaseHosts) -> Self {
        Self::with_resolver(policy, databases, Arc::new(SystemResolver))
    }

    /// A guard that asks `resolver` for addresses.
    pub fn with_resolver(
        policy: EgressPolicy,
        databases: DatabaseHosts,
        resolver: Arc<dyn Resolver>,
    ) -> Self {
        Self { resolver: GuardedResolver { policy: Arc::new(policy), resolver }, databases }
    }

    /// Succeeds if a driver may dial `host`.
    ///
    /// A driver resolves the name a second time, so a name whose owner changes its answer in between is not caught;
    /// a driver that takes addresses should be given those of [`HostGuard::addresses`] instead.
    ///
    /// While databases are exempt nothing is resolved and everything is permitted. Otherwise fails as
    /// [`HostGuard::addresses`] does.
    pub async fn permit_host(&self, host: &str, port: u16) -> Result<(), OutboundError> {
        match self.databases {
            DatabaseHosts::Exempt => Ok(()),
            DatabaseHosts::Guarded => self.addresses(host, port).await.map(drop),
        }
    }

    /// The addresses at which `host` may be dialled, all of them inside the policy unless databases are exempt.
    ///
    /// Fails with [`OutboundError::Refused`] for a host outside the policy, [`OutboundError::InvalidUrl`] for
    /// text that is no host (a socket path, say), [`OutboundError::Unreachable`] for a name that does not
    /// resolve, and [`OutboundError::TimedOut`] when that takes longer than ten seconds.
    pub async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, OutboundError> {
        let addresses = match parse(host)? {
            Host::Ipv4(address) => self.literal(IpAddr::V4(address))?,
            Host::Ipv6(address) => self.literal(IpAddr::V6(address))?,
            Host::Domain(name) => {
                let deadline = Deadline::after(LOOKUP_TIMEOUT);
                deadline
                    .hold(host, self.lookup(&name))
                    .await?
                    .map_err(|failure| failure.at(host))?
            }
        };
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }

    fn literal(&self, address: IpAddr) -> Result<Vec<IpAddr>, OutboundError> {
        match (self.databases, self.resolver.policy.refusal(address)) {
            (DatabaseHosts::Guarded, Some(reason)) => {
                Err(OutboundError::Refused { host: address.to_string(), reason })
            }
            _ => Ok(vec![address]),
        }
    }

    async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, LookupError> {
        match self.databases {
            DatabaseHosts::Guarded => self.resolver.addresses(name).await,
            DatabaseHosts::Exempt => {
                self.resolver.resolver.addresses(name).await.map_err(LookupError::Failed)
            }
        }
    }
}

/// Reads a host as URLs have it, so that `127.1` and `0x7f000001` are the addresses that a driver will see in them.
fn parse(host: &str) -> Result<Host, OutboundError> {
    // Settings name IPv6 hosts with and without brackets.
    if let Ok(address) = host.parse() {
        return Ok(Host::Ipv6(address));
    }
    Host::parse(host)
        .map_err(|_| OutboundError::InvalidUrl("the host is neither a name nor an address"))
}
