//! The egress policy: which hosts may be reached.

use std::{net::IpAddr, str::FromStr};

use http::Uri;
use ipnet::IpNet;
use linkspan_domain::ports::OutboundError;
use url::{Host, Url};

use crate::address::{is_metadata, special_use};

/// Names under which clouds offer their metadata services.
const METADATA_NAMES: &[&str] = &[
    "instance-data",
    "instance-data.ec2.internal",
    "metadata",
    "metadata.azure.internal",
    "metadata.goog",
    "metadata.google.internal",
    "metadata.tencentyun.com",
];

/// Which hosts may be reached: the public internet, and the networks that an operator allows on top.
///
/// The default allows nothing on top.
///
/// ```
/// use linkspan_egress::EgressPolicy;
///
/// let policy: EgressPolicy = "10.20.0.0/16, fd12:3456::/32".parse()?;
/// assert!(policy.permits([10, 20, 0, 7].into()));
/// assert!(!policy.permits([10, 21, 0, 7].into()));
/// # Ok::<(), linkspan_egress::InvalidNetworks>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressPolicy {
    allow: Vec<IpNet>,
}

/// Why a list of networks cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNetworks {
    /// An entry is neither an address nor a network.
    #[error("`{entry}` is not a network; write it like 10.0.0.0/8 or fd00::/8")]
    NotANetwork {
        /// The entry as it was written.
        entry: String,
    },
    /// An entry has bits set behind its prefix, so either the address or the prefix is a mistake.
    #[error("`{entry}` is not the start of a network; write {network} to allow all of it")]
    HostBits {
        /// The entry as it was written.
        entry: String,
        /// The network that the entry lies in.
        network: IpNet,
    },
}

impl EgressPolicy {
    /// The public internet and the networks of `allow`.
    ///
    /// An IPv4 network opens that network alone, not the IPv6 addresses that carry it inside.
    pub fn new(allow: Vec<IpNet>) -> Self {
        Self { allow }
    }

    /// Whether connections to `address` are permitted.
    pub fn permits(&self, address: IpAddr) -> bool {
        self.refusal(address).is_none()
    }

    /// Whether `url` may be requested, as far as that can be told without resolving its name.
    ///
    /// Fails with [`OutboundError::InvalidUrl`] when nothing could ever request it, and with
    /// [`OutboundError::Refused`] when its host is outside the policy.
    pub fn check_url(&self, url: &Url) -> Result<(), OutboundError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(OutboundError::InvalidUrl("only http and https are spoken"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OutboundError::InvalidUrl("it carries a user name or a password"));
        }
        let Some(host) = url.host() else {
            return Err(OutboundError::InvalidUrl("it names no host"));
        };
        self.check_host(&host)?;
        // The connector reads the URL once more, with another parser: both must see the same host.
        match Uri::try_from(url.as_str()) {
            Ok(uri) if uri.host() == url.host_str() => Ok(()),
            Ok(_) => Err(OutboundError::InvalidUrl("its host is ambiguous")),
            Err(_) => Err(OutboundError::InvalidUrl("it is too long or malformed")),
        }
    }

    /// Refuses addresses outside the policy and names that are never reached.
    pub(crate) fn check_host<S: AsRef<str>>(&self, host: &Host<S>) -> Result<(), OutboundError> {
        let reason = match host {
            Host::Domain(name) => name_refusal(name.as_ref()),
            Host::Ipv4(address) => self.refusal(IpAddr::V4(*address)),
            Host::Ipv6(address) => self.refusal(IpAddr::V6(*address)),
        };
        match reason {
            None => Ok(()),
            Some(reason) => Err(OutboundError::Refused {
                host: match host {
                    Host::Domain(name) => name.as_ref().to_owned(),
                    Host::Ipv4(address) => address.to_string(),
                    Host::Ipv6(address) => address.to_string(),
                },
                reason,
            }),
        }
    }

    /// Why `address` is not permitted.
    pub(crate) fn refusal(&self, address: IpAddr) -> Option<&'static str> {
        let reason = special_use(address)?;
        let allowed = self.allow.iter().any(|network| {
            // A network that was opened for its hosts does not open the metadata service inside it.
            let exact = network.prefix_len() == network.max_prefix_len();
            network.contains(&address) && (exact || !is_metadata(address))
        });
        (!allowed).then_some(reason)
    }
}

/// Why `name` is not reached, whatever it resolves to.
pub(crate) fn name_refusal(name: &str) -> Option<&'static str> {
    let name = name.trim_end_matches('.');
    METADATA_NAMES
        .iter()
        .any(|metadata| metadata.eq_ignore_ascii_case(name))
        .then_some("metadata services are never reached by name")
}

/// Reads `LINKSPAN_EGRESS_ALLOW`: networks and single addresses, separated by commas.
impl FromStr for EgressPolicy {
    type Err = InvalidNetworks;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(network).collect::<Result<_, _>>().map(Self::new)
    }
}

fn network(entry: &str) -> Result<IpNet, InvalidNetworks> {
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Ok(address.into());
    }
    let Ok(network) = entry.parse::<IpNet>() else {
        return Err(InvalidNetworks::NotANetwork { entry: entry.to_owned() });
    };
    if network != network.trunc() {
        return Err(InvalidNetworks::HostBits {
            entry: entry.to_owned(),
            network: network.trunc(),
        });
    }
    Ok(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(allow: &str) -> EgressPolicy {
        allow.parse().unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_default_permits_the_internet_and_nothing_else() {
        let policy = EgressPolicy::default();
        assert!(policy.permits(address("1.1.1.1")));
        assert!(policy.permits(address("2606:4700:4700::1111")));
        assert!(!policy.permits(address("127.0.0.1")));
        assert!(!policy.permits(address("::1")));
    }

    #[test]
    fn a_list_reads_networks_addresses_and_blanks() {
        let policy = policy(" 10.0.0.0/8 ,192.168.7.9,, fd00:1::/32 , ");
        for permitted in ["10.255.0.1", "192.168.7.9", "fd00:1::7"] {
            assert!(policy.permits(address(permitted)), "{permitted}");
        }
        for refused in ["11.0.0.1".replace("11", "127"), "192.168.7.10".into(), "fd00:2::7".into()]
        {
            assert!(!policy.permits(address(&refused)), "{refused}");
        }
        assert_eq!("".parse(), Ok(EgressPolicy::default()));
    }

    #[test]
    fn an_entry_that_is_no_network_is_named() {
        for entry in
            ["10.0.0.0/33", "10.0.0", "intranet", "10.0.0.0/8;192.168.0.0/16", "0x7f.1", "*"]
        {
            let failure = format!("127.0.0.1,{entry}").parse::<EgressPolicy>().unwrap_err();
            assert_eq!(failure, InvalidNetworks::NotANetwork { entry: entry.to_owned() });
        }
    }

    #[test]
    fn bits_behind_the_prefix_are_a_mistake() {
        let failure = "10.1.2.3/8".parse::<EgressPolicy>().unwrap_err();
        assert_eq!(
            failure.to_string(),
            "`10.1.2.3/8` is not the start of a network; write 10.0.0.0/8 to allow all of it"
        );
    }

    #[test]
    fn allowing_a_network_does_not_open_the_metadata_service_inside_it() {
        let wide = policy("0.0.0.0/0,::/0");
        assert!(wide.permits(address("127.0.0.1")));
        assert!(wide.permits(address("169.254.1.1")));
        for metadata in ["169.254.169.254", "100.100.100.200", "168.63.129.16", "fd00:ec2::254"] {
            assert!(!wide.permits(address(metadata)), "{metadata}");
            assert!(policy(metadata).permits(address(metadata)), "{metadata}");
        }
    }

    #[test]
    fn allowing_a_v4_network_does_not_open_its_v6_spellings() {
        let policy = policy("127.0.0.0/8,10.0.0.0/8");
        for spelling in ["::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::10.0.0.1", "2002:a00:1::"] {
            assert!(!policy.permits(address(spelling)), "{spelling}");
        }
    }
}
