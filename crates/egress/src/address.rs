//! Which addresses are on the public internet, and what the others are for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

const METADATA: &str = "cloud metadata service";

/// IPv4 blocks that are not the public internet.
///
/// From the IANA IPv4 Special-Purpose Address Registry (RFC 6890 and its updates) and RFC 5771 for multicast.
const SPECIAL_V4: &[(Ipv4Net, &str)] = &[
    (v4([0, 0, 0, 0], 8), "this network"),
    (v4([10, 0, 0, 0], 8), "private network"),
    (v4([100, 64, 0, 0], 10), "shared address space"),
    (v4([127, 0, 0, 0], 8), "loopback"),
    (v4([169, 254, 0, 0], 16), "link-local"),
    (v4([172, 16, 0, 0], 12), "private network"),
    (v4([192, 0, 0, 0], 24), "protocol assignments"),
    (v4([192, 0, 2, 0], 24), "documentation"),
    (v4([192, 88, 99, 0], 24), "6to4 relay"),
    (v4([192, 168, 0, 0], 16), "private network"),
    (v4([198, 18, 0, 0], 15), "benchmarking"),
    (v4([198, 51, 100, 0], 24), "documentation"),
    (v4([203, 0, 113, 0], 24), "documentation"),
    (v4([224, 0, 0, 0], 4), "multicast"),
    (v4([240, 0, 0, 0], 4), "reserved"),
];

/// IPv6 blocks that are not the public internet, the narrow ones first.
///
/// From the IANA IPv6 Special-Purpose Address Registry. Ranges that carry an IPv4 address inside are refused whole:
/// what a translator on the way makes of them cannot be seen from here.
const SPECIAL_V6: &[(Ipv6Net, &str)] = &[
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), "unspecified"),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "loopback"),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 96), "IPv4-compatible"),
    (v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96), "IPv4-mapped"),
    (v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96), "IPv4-translated"),
    (v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96), "NAT64"),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), "NAT64"),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), "Teredo"),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), "protocol assignments"),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), "documentation"),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), "6to4"),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "documentation"),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), "private network"),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "link-local"),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), "site-local"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "multicast"),
];

/// The only IPv6 block that IANA hands out for global unicast.
const GLOBAL_UNICAST_V6: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// Addresses at which clouds hand credentials to whoever asks.
const METADATA_V4: &[Ipv4Addr] = &[
    Ipv4Addr::new(169, 254, 169, 254), // AWS, Azure, Google, OCI, DigitalOcean and others
    Ipv4Addr::new(169, 254, 170, 2),   // AWS ECS task credentials
    Ipv4Addr::new(169, 254, 170, 23),  // AWS EKS pod identity
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba
    Ipv4Addr::new(168, 63, 129, 16),   // Azure WireServer, in a public block
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle Cloud Classic
];

const METADATA_V6: &[Ipv6Addr] = &[
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), // AWS
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),  // AWS EKS pod identity
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),  // Google
];

/// Whether `address` is global unicast: a host that anybody on the internet could reach.
pub fn is_public(address: IpAddr) -> bool {
    special_use(address).is_none()
}

/// Whether a cloud's metadata service answers at `address`.
pub(crate) fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => METADATA_V4.contains(&address),
        IpAddr::V6(address) => METADATA_V6.contains(&address),
    }
}

/// What `address` is for when it is not on the public internet.
pub(crate) fn special_use(address: IpAddr) -> Option<&'static str> {
    if is_metadata(address) {
        return Some(METADATA);
    }
    match address {
        IpAddr::V4(address) => {
            SPECIAL_V4.iter().find(|(block, _)| block.contains(&address)).map(|(_, usage)| *usage)
        }
        IpAddr::V6(address) => special_use_v6(address),
    }
}

fn special_use_v6(address: Ipv6Addr) -> Option<&'static str> {
    if let Some((_, usage)) = SPECIAL_V6.iter().find(|(block, _)| block.contains(&address)) {
        return Some(usage);
    }
    if !GLOBAL_UNICAST_V6.contains(&address) {
        return Some("not global unicast");
    }
    // ISATAP (RFC 5214) hides an IPv4 address behind this interface identifier, under any prefix.
    let [.., high, low, _, _] = address.segments();
    (matches!(high, 0 | 0x200) && low == 0x5efe).then_some("ISATAP")
}

const fn v4(octets: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::from_octets(octets), prefix)
}

const fn v6(segments: [u16; 8], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::from_segments(segments), prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(addresses: &[&str], expected: Option<&str>) {
        for address in addresses {
            assert_eq!(special_use(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn hosts_of_the_internet_are_public() {
        check(
            &[
                "1.1.1.1",
                "8.8.8.8",
                "9.255.255.255",
                "11.0.0.0",
                "100.63.255.255",
                "100.128.0.0",
                "126.255.255.255",
                "128.0.0.0",
                "169.253.255.255",
                "169.255.0.0",
                "172.15.255.255",
                "172.32.0.0",
                "192.0.1.0",
                "192.0.3.0",
                "192.88.98.255",
                "192.88.100.0",
                "192.167.255.255",
                "192.169.0.0",
                "198.17.255.255",
                "198.20.0.0",
                "198.51.99.255",
                "203.0.112.255",
                "203.0.114.0",
                "223.255.255.255",
                "168.63.129.15",
                "2606:4700:4700::1111",
                "2001:200::1",
                "2001:db7::1",
                "2001:db9::1",
                "2003::1",
                "2a00:1450:4001:81b::200e",
                "3ffe::1",
                "3fff:1000::1",
            ],
            None,
        );
    }

    #[test]
    fn both_ends_of_every_v4_block_are_refused() {
        for (block, usage) in SPECIAL_V4 {
            for address in [block.network(), block.broadcast()] {
                let found = special_use(address.into());
                assert_eq!(found, Some(*usage), "{address}");
            }
        }
    }

    #[test]
    fn both_ends_of_every_v6_block_are_refused() {
        for (block, _) in SPECIAL_V6 {
            for address in [block.network(), block.broadcast()] {
                assert!(!is_public(address.into()), "{address}");
            }
        }
    }

    #[test]
    fn every_v4_range_says_what_it_is() {
        check(&["0.0.0.0", "0.1.2.3"], Some("this network"));
        check(&["10.1.2.3", "172.20.0.1", "192.168.1.1"], Some("private network"));
        check(&["100.64.0.1", "100.127.255.254"], Some("shared address space"));
        check(&["127.0.0.1", "127.255.255.254"], Some("loopback"));
        check(&["169.254.0.1"], Some("link-local"));
        check(&["192.0.0.1", "192.0.0.170"], Some("protocol assignments"));
        check(&["192.0.2.1", "198.51.100.1", "203.0.113.1"], Some("documentation"));
        check(&["192.88.99.1"], Some("6to4 relay"));
        check(&["198.18.0.1", "198.19.255.254"], Some("benchmarking"));
        check(&["224.0.0.1", "239.255.255.255"], Some("multicast"));
        check(&["240.0.0.1", "255.255.255.255"], Some("reserved"));
    }

    #[test]
    fn every_v6_range_says_what_it_is() {
        check(&["::"], Some("unspecified"));
        check(&["::1"], Some("loopback"));
        check(&["::7f00:1", "::808:808"], Some("IPv4-compatible"));
        check(&["::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:8.8.8.8"], Some("IPv4-mapped"));
        check(&["::ffff:0:10.0.0.1"], Some("IPv4-translated"));
        check(&["64:ff9b::10.0.0.1", "64:ff9b:1::1", "64:ff9b:1:2:3:4:5:6"], Some("NAT64"));
        check(&["2001::1", "2001:0:4136:e378::1"], Some("Teredo"));
        check(&["2001:2::1", "2001:10::1", "2001:20::1"], Some("protocol assignments"));
        check(&["2001:db8::1", "3fff::1"], Some("documentation"));
        check(&["2002:7f00:1::1"], Some("6to4"));
        check(&["fc00::1", "fdff::1"], Some("private network"));
        check(&["fe80::1", "febf::1"], Some("link-local"));
        check(&["fec0::1", "feff::1"], Some("site-local"));
        check(&["ff02::1", "ff0e::1"], Some("multicast"));
        check(&["100::1", "5f00::1", "4000::1", "64:ff9b:2::1"], Some("not global unicast"));
        check(&["2606:4700::5efe:a00:1", "2606:4700::200:5efe:a00:1"], Some("ISATAP"));
    }

    #[test]
    fn metadata_services_are_known_by_address() {
        check(
            &[
                "169.254.169.254",
                "169.254.170.2",
                "169.254.170.23",
                "100.100.100.200",
                "168.63.129.16",
                "192.0.0.192",
                "fd00:ec2::254",
                "fd00:ec2::23",
                "fd20:ce::254",
            ],
            Some(METADATA),
        );
    }
}
