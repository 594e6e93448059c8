//! Name resolution under the policy.

use std::{io, net::IpAddr, net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use linkspan_domain::ports::OutboundError;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::net::lookup_host;

use crate::policy::{EgressPolicy, name_refusal};

/// Turns a name into addresses.
///
/// # Contract
///
/// - The answer holds every address that the name leads to, aliases followed.
/// - An unknown name is an error or an empty answer.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// The addresses of `host`.
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of the operating system: DNS, and whatever else it is set up to ask.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Why a name led to no address that may be dialled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookupError {
    #[error("an address of the host is outside the egress policy: {0}")]
    Refused(&'static str),
    #[error("the name could not be resolved")]
    Failed(#[source] io::Error),
    #[error("the name has no address")]
    NoAddress,
}

impl LookupError {
    /// The same, as the port says it.
    pub(crate) fn at(self, host: &str) -> OutboundError {
        match self {
            Self::Refused(reason) => OutboundError::Refused { host: host.to_owned(), reason },
            Self::Failed(_) | Self::NoAddress => {
                OutboundError::Unreachable { host: host.to_owned(), source: Box::new(self) }
            }
        }
    }
}

/// A resolver whose answers all lie inside the policy.
#[derive(Clone)]
pub(crate) struct GuardedResolver {
    pub(crate) policy: Arc<EgressPolicy>,
    pub(crate) resolver: Arc<dyn Resolver>,
}

impl GuardedResolver {
    /// The addresses of `host`, or a refusal when any of them is outside the policy.
    ///
    /// A mixed answer is refused whole: dialling the permitted part would let whoever owns the name choose, by
    /// dropping connections, which address is tried next.
    pub(crate) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, LookupError> {
        if let Some(reason) = name_refusal(host) {
            return Err(LookupError::Refused(reason));
        }
        let addresses = self.resolver.addresses(host).await.map_err(LookupError::Failed)?;
        if let Some(reason) = addresses.iter().find_map(|address| self.policy.refusal(*address)) {
            return Err(LookupError::Refused(reason));
        }
        if addresses.is_empty() { Err(LookupError::NoAddress) } else { Ok(addresses) }
    }
}

/// The connector dials what this answers, so what was checked is what is dialled.
impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses = resolver.addresses(name.as_str()).await?;
            // Port 0 stands for the port of the URL.
            Ok(Box::new(addresses.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs)
        })
    }
}
