//! What is not the public Internet: the IANA special-purpose address registries, and what they leave out.
//!
//! Source: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and its updates), the multicast and reserved
//! space of the address space registries, and a cloud's metadata address that lies in public space.
//!
//! Stricter than the registries' "globally reachable", because no receiver of webhooks lives there and the nearest node
//! that answers may be one of the own network: AS112, AMT relays, the anycast addresses of PCP, TURN and DNS-SD (all of
//! 192.0.0.0/24 and 2001::/23), ORCHIDs and drone ids, which are identifiers and no places. For comparison, `tests/iana.rs`
//! states the registries once more.
//!
//! An IPv6 address that holds an IPv4 address is judged by what becomes of it on its way: a translator or a tunnel may
//! turn it into that address. Prefixes that networks choose for their own NAT64 look like any other address and are not
//! known here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

const V4_CLOSED: [Ipv4Net; 19] = [
    // This network.
    v4([0, 0, 0, 0], 8),
    // Private use.
    v4([10, 0, 0, 0], 8),
    // Shared address space; a metadata address (100.100.100.200).
    v4([100, 64, 0, 0], 10),
    // Loopback.
    v4([127, 0, 0, 0], 8),
    // A cloud's metadata and DNS address in public space.
    v4([168, 63, 129, 16], 32),
    // Link local; metadata addresses (169.254.169.254 and others).
    v4([169, 254, 0, 0], 16),
    // Private use.
    v4([172, 16, 0, 0], 12),
    // IETF protocol assignments; a metadata address (192.0.0.192).
    v4([192, 0, 0, 0], 24),
    // Documentation.
    v4([192, 0, 2, 0], 24),
    // AS112.
    v4([192, 31, 196, 0], 24),
    // AMT.
    v4([192, 52, 193, 0], 24),
    // 6to4 relays.
    v4([192, 88, 99, 0], 24),
    // Private use.
    v4([192, 168, 0, 0], 16),
    // AS112.
    v4([192, 175, 48, 0], 24),
    // Benchmarking.
    v4([198, 18, 0, 0], 15),
    // Documentation.
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    // Multicast.
    v4([224, 0, 0, 0], 4),
    // Reserved; broadcast.
    v4([240, 0, 0, 0], 4),
];

/// Of all IPv6 only this is global unicast. Outside lie loopback, unique local, link and site local, multicast, IPv4
/// that is mapped, translated or compatible, NAT64 for local use (64:ff9b:1::/48), discard, segment routing, and what
/// nobody has.
const V6_GLOBAL: Ipv6Net = v6([0x2000, 0, 0], 3);

const V6_CLOSED: [Ipv6Net; 5] = [
    // IETF protocol assignments: Teredo, benchmarking, AMT, AS112, ORCHIDs.
    v6([0x2001, 0, 0], 23),
    // Documentation.
    v6([0x2001, 0xdb8, 0], 32),
    // 6to4: a relay unpacks the IPv4 address in it. Retired (RFC 7526), so that nothing is lost.
    v6([0x2002, 0, 0], 16),
    // AS112.
    v6([0x2620, 0x4f, 0x8000], 48),
    // Documentation.
    v6([0x3fff, 0, 0], 20),
];

/// NAT64's well-known prefix: a translator makes IPv4 of it. Networks without IPv4 reach all of it so.
const V6_NAT64: Ipv6Net = v6([0x64, 0xff9b, 0], 96);

const fn v4([a, b, c, d]: [u8; 4], bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6([a, b, c]: [u16; 3], bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), bits)
}

/// Whether an address belongs to the public Internet.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !V4_CLOSED.iter().any(|network| network.contains(&address))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if V6_NAT64.contains(&address) {
        return is_public_v4(last_v4(address));
    }
    let outer = V6_GLOBAL.contains(&address) && !V6_CLOSED.iter().any(|network| network.contains(&address));
    outer && (!is_isatap(address) || is_public_v4(last_v4(address)))
}

/// ISATAP (RFC 5214): below any prefix, a site's router unpacks the IPv4 address in it.
const fn is_isatap(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [_, _, _, _, 0 | 0x200, 0x5efe, _, _])
}

const fn last_v4(address: Ipv6Addr) -> Ipv4Addr {
    let [.., a, b, c, d] = address.octets();
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("::ffff:0:8.8.8.8", false),
            ("2606:4700:4700::1111", true),
            ("2606:4700::5efe:10.0.0.1", false),
            ("2606:4700::200:5efe:10.0.0.1", false),
            ("2606:4700::5efe:8.8.8.8", true),
            ("2606:4700::5eff:10.0.0.1", true),
            ("4000::1", false),
            ("fe80::1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }
}
