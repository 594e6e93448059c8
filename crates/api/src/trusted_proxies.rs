//! Where a request comes from, behind proxies or not.

use std::{net::IpAddr, str::FromStr};

use http::HeaderMap;
use ipnet::IpNet;

/// Proxies whose word counts of whom they speak for. Nobody else's does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// A text that names no networks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an address nor a network such as 10.0.0.0/8")]
pub struct InvalidProxies(String);

impl TrustedProxies {
    /// The client of a request that came from `peer`: the last address in `X-Forwarded-For` that is no trusted proxy, if `peer`
    /// is one.
    pub(crate) fn client(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let mut client = peer?.to_canonical();
        let mut hops = headers.get_all("x-forwarded-for").iter().rev().flat_map(|it| {
            // What cannot be read ends the chain, as what is not trusted does.
            it.to_str().unwrap_or("?").rsplit(',').map(address)
        });
        while self.contains(client) {
            let Some(Some(hop)) = hops.next() else { break };
            client = hop;
        }
        Some(client)
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|it| it.contains(&address))
    }
}

/// An address of the header: some proxies add the port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|it| it.ip());
    text.parse().ok().or_else(with_port).map(|it: IpAddr| it.to_canonical())
}

impl FromStr for TrustedProxies {
    type Err = InvalidProxies;

    fn from_str(text: &str) -> Result<Self, InvalidProxies> {
        let named = text.split(',').map(str::trim).filter(|it| !it.is_empty());
        let network = |it: &str| {
            let alone = || it.parse::<IpAddr>().ok().map(IpNet::from);
            it.parse().ok().or_else(alone).ok_or_else(|| InvalidProxies(it.to_owned()))
        };
        named.map(network).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    fn client(trusted: &str, peer: &str, forwarded: &[&'static str]) -> String {
        let name = HeaderName::from_static("x-forwarded-for");
        let headers = forwarded.iter().map(|it| (name.clone(), HeaderValue::from_static(it)));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value);
        }
        let trusted: TrustedProxies = trusted.parse().unwrap();
        trusted.client(Some(peer.parse().unwrap()), &map).unwrap().to_string()
    }

    #[test]
    fn only_trusted_proxies_say_who_the_client_is() {
        let chain: &[&str] = &["203.0.113.9, 198.51.100.7", "10.0.0.2"];
        assert_eq!(client("", "10.0.0.1", chain), "10.0.0.1");
        assert_eq!(client("10.0.0.0/8", "192.0.2.1", chain), "192.0.2.1");
        // What is left of the first that is not trusted was sent by the client, who may say anything.
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", chain), "198.51.100.7");
        assert_eq!(client("10.0.0.0/8,198.51.100.7", "10.0.0.1", chain), "203.0.113.9");
        assert_eq!(client("10.0.0.1", "10.0.0.1", chain), "10.0.0.2");
        assert_eq!(client("0.0.0.0/0", "10.0.0.1", chain), "203.0.113.9");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["198.51.100.7, unknown"]), "10.0.0.1");
    }

    #[test]
    fn an_address_may_be_written_in_several_ways() {
        assert_eq!(client("10.0.0.0/8", "::ffff:10.0.0.1", &["198.51.100.7:4711"]), "198.51.100.7");
        assert_eq!(client("::1", "::1", &["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(client("::1", "::1", &["::ffff:198.51.100.7"]), "198.51.100.7");
    }

    #[test]
    fn what_is_no_network_is_refused() {
        assert!(" 10.0.0.0/8 , ::1 ,".parse::<TrustedProxies>().is_ok());
        for bad in ["proxy.internal", "10.0.0.0/33", "10.0.0"] {
            assert_eq!(bad.parse::<TrustedProxies>(), Err(InvalidProxies(bad.to_owned())));
        }
    }
}
