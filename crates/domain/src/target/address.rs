//! The IANA special-purpose address registries: what is not the public Internet.
//!
//! Source: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and its updates), multicast and reserved
//! space, and the cloud metadata addresses that lie in public space.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::LazyLock,
};

use ipnet::{Ipv4Net, Ipv6Net};

const V4_BLOCKED: &[(&str, &str)] = &[
    ("0.0.0.0/8", "this network"),
    ("10.0.0.0/8", "private use"),
    ("100.64.0.0/10", "shared address space; holds the metadata address 100.100.100.200"),
    ("127.0.0.0/8", "loopback"),
    ("168.63.129.16/32", "a cloud's metadata and DNS address in public space"),
    ("169.254.0.0/16", "link local; holds the metadata address 169.254.169.254"),
    ("172.16.0.0/12", "private use"),
    ("192.0.0.0/24", "IETF protocol assignments"),
    ("192.0.2.0/24", "documentation"),
    ("192.31.196.0/24", "AS112"),
    ("192.52.193.0/24", "AMT"),
    ("192.88.99.0/24", "6to4 relay"),
    ("192.168.0.0/16", "private use"),
    ("192.175.48.0/24", "AS112"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved, broadcast"),
];

/// Outside these nothing of IPv6 is public.
const V6_GLOBAL: &str = "2000::/3";

const V6_BLOCKED: &[(&str, &str)] = &[
    ("2001::/23", "IETF protocol assignments: Teredo, benchmarking, ORCHID"),
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "6to4: holds an IPv4 address"),
    ("2620:4f:8000::/48", "AS112"),
    ("3fff::/20", "documentation"),
];

/// NAT64's well-known prefix: holds an IPv4 address, which decides.
const V6_NAT64: &str = "64:ff9b::/96";

struct Tables {
    v4_blocked: Vec<Ipv4Net>,
    v6_global: Vec<Ipv6Net>,
    v6_blocked: Vec<Ipv6Net>,
    v6_nat64: Vec<Ipv6Net>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    // The constants are proven by the tests below; a network that did not parse would be missing there.
    let v6 = |list: &[&str]| list.iter().filter_map(|text| text.parse().ok()).collect();
    let names = |list: &[(&'static str, &str)]| list.iter().map(|(text, _)| *text).collect::<Vec<_>>();
    Tables {
        v4_blocked: names(V4_BLOCKED).into_iter().filter_map(|text| text.parse().ok()).collect(),
        v6_global: v6(&[V6_GLOBAL]),
        v6_blocked: v6(&names(V6_BLOCKED)),
        v6_nat64: v6(&[V6_NAT64]),
    }
});

/// Whether an address belongs to the public Internet.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !TABLES.v4_blocked.iter().any(|network| network.contains(&address))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let within = |networks: &[Ipv6Net]| networks.iter().any(|network| network.contains(&address));
    if within(&TABLES.v6_nat64) {
        let [.., a, b, c, d] = address.octets();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    within(&TABLES.v6_global) && !within(&TABLES.v6_blocked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_hold_every_line() {
        assert_eq!(TABLES.v4_blocked.len(), V4_BLOCKED.len());
        assert_eq!(TABLES.v6_blocked.len(), V6_BLOCKED.len());
        assert_eq!((TABLES.v6_global.len(), TABLES.v6_nat64.len()), (1, 1));
    }

    #[test]
    fn edges_of_ranges() {
        for (address, public) in [
            ("9.255.255.255", true),
            ("10.0.0.0", false),
            ("11.0.0.0", true),
            ("100.63.255.255", true),
            ("100.127.255.255", false),
            ("172.15.255.255", true),
            ("172.31.255.255", false),
            ("172.32.0.0", true),
            ("223.255.255.255", true),
            ("224.0.0.0", false),
            ("64:ff9b::7f00:1", false),
            ("64:ff9b::808:808", true),
            ("64:ff9b:1::808:808", false),
            ("::ffff:8.8.8.8", true),
            ("::8.8.8.8", false),
            ("2606:4700:4700::1111", true),
            ("4000::1", false),
            ("fe80::1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }
}
