//! A million addresses against the registries, stated a second time: as the registries have them, by first and last
//! address, the most specific entry deciding, and apart from it what is refused beyond them and why.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::AddressPolicy;

/// First and last address, name, and whether the registry says "globally reachable" (`N/A` counts as no: it depends on
/// an address within).
type Entry = (&'static str, &'static str, &'static str, bool);

/// IANA IPv4 Special-Purpose Address Registry, and multicast (IPv4 Multicast Address Space Registry).
const IPV4: [Entry; 28] = [
    ("0.0.0.0", "0.255.255.255", "\"This network\" RFC791", false),
    ("0.0.0.0", "0.0.0.0", "\"This host on this network\" RFC1122", false),
    ("10.0.0.0", "10.255.255.255", "Private-Use RFC1918", false),
    ("100.64.0.0", "100.127.255.255", "Shared Address Space RFC6598", false),
    ("127.0.0.0", "127.255.255.255", "Loopback RFC1122", false),
    ("169.254.0.0", "169.254.255.255", "Link Local RFC3927", false),
    ("172.16.0.0", "172.31.255.255", "Private-Use RFC1918", false),
    ("192.0.0.0", "192.0.0.255", "IETF Protocol Assignments RFC6890", false),
    ("192.0.0.0", "192.0.0.7", "IPv4 Service Continuity Prefix RFC7335", false),
    ("192.0.0.8", "192.0.0.8", "IPv4 dummy address RFC7600", false),
    ("192.0.0.9", "192.0.0.9", "Port Control Protocol Anycast RFC7723", true),
    ("192.0.0.10", "192.0.0.10", "Traversal Using Relays around NAT Anycast RFC8155", true),
    ("192.0.0.170", "192.0.0.171", "NAT64/DNS64 Discovery RFC7050", false),
    ("192.0.2.0", "192.0.2.255", "Documentation (TEST-NET-1) RFC5737", false),
    ("192.31.196.0", "192.31.196.255", "AS112-v4 RFC7535", true),
    ("192.52.193.0", "192.52.193.255", "AMT RFC7450", true),
    ("192.88.99.0", "192.88.99.255", "Deprecated (6to4 Relay Anycast) RFC7526", false),
    ("192.88.99.2", "192.88.99.2", "6a44-relay anycast address RFC6751", false),
    ("192.168.0.0", "192.168.255.255", "Private-Use RFC1918", false),
    ("192.175.48.0", "192.175.48.255", "Direct Delegation AS112 Service RFC7534", true),
    ("198.18.0.0", "198.19.255.255", "Benchmarking RFC2544", false),
    ("198.51.100.0", "198.51.100.255", "Documentation (TEST-NET-2) RFC5737", false),
    ("203.0.113.0", "203.0.113.255", "Documentation (TEST-NET-3) RFC5737", false),
    ("224.0.0.0", "239.255.255.255", "Multicast RFC5771", false),
    ("240.0.0.0", "255.255.255.255", "Reserved RFC1112", false),
    ("255.255.255.255", "255.255.255.255", "Limited Broadcast RFC8190", false),
    // Everything else is global unicast.
    ("1.0.0.0", "126.255.255.255", "Unicast", true),
    ("128.0.0.0", "223.255.255.255", "Unicast", true),
];

/// IANA IPv6 Special-Purpose Address Registry, and what the IPv6 address space registry says of the rest.
const IPV6: [Entry; 28] = [
    ("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "Reserved by IETF RFC4291", false),
    ("2000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "Global Unicast RFC4291", true),
    ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "Site-Local (deprecated) RFC3879", false),
    ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "Multicast RFC4291", false),
    ("::1", "::1", "Loopback Address RFC4291", false),
    ("::", "::", "Unspecified Address RFC4291", false),
    ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "IPv4-IPv6 Translat. RFC8215", false),
    ("100::", "100::ffff:ffff:ffff:ffff", "Discard-Only Address Block RFC6666", false),
    ("100:0:0:1::", "100::1:ffff:ffff:ffff:ffff", "Dummy IPv6 Prefix RFC9780", false),
    ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "IETF Protocol Assignments RFC2928", false),
    ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", "TEREDO RFC4380", false),
    ("2001:1::1", "2001:1::1", "Port Control Protocol Anycast RFC7723", true),
    ("2001:1::2", "2001:1::2", "Traversal Using Relays around NAT Anycast RFC8155", true),
    ("2001:1::3", "2001:1::3", "DNS-SD Service Registration Protocol Anycast RFC9665", true),
    ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", "Benchmarking RFC5180", false),
    ("2001:3::", "2001:3:ffff:ffff:ffff:ffff:ffff:ffff", "AMT RFC7450", true),
    ("2001:4:112::", "2001:4:112:ffff:ffff:ffff:ffff:ffff", "AS112-v6 RFC7535", true),
    ("2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", "Deprecated (previously ORCHID) RFC4843", false),
    ("2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", "ORCHIDv2 RFC7343", true),
    ("2001:30::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff", "Drone Remote ID RFC9374", true),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "Documentation RFC3849", false),
    ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "6to4 RFC3056", false),
    ("2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", "Direct Delegation AS112 Service RFC7534", true),
    ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "Documentation RFC9637", false),
    ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "Segment Routing (SRv6) SIDs RFC9602", false),
    ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "Unique-Local RFC4193", false),
    ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "Link-Local Unicast RFC4291", false),
    // "Globally reachable", but its addresses are IPv4 addresses, which decide.
    ("64:ff9b::", "64:ff9b::ffff:ffff", "IPv4-IPv6 Translat. RFC6052", true),
];

/// What is refused although the registries call it reachable, and why.
const STRICTER: [Entry; 12] = [
    ("168.63.129.16", "168.63.129.16", "metadata and DNS of a cloud, reached only from within", false),
    ("192.0.0.9", "192.0.0.9", "anycast: the network's own gateway answers", false),
    ("192.0.0.10", "192.0.0.10", "anycast: the network's own relay answers", false),
    ("192.31.196.0", "192.31.196.255", "anycast DNS sink, often a node of the own network", false),
    ("192.52.193.0", "192.52.193.255", "anycast relay of multicast", false),
    ("192.175.48.0", "192.175.48.255", "anycast DNS sink, often a node of the own network", false),
    ("2001:1::1", "2001:1::3", "anycast: the network's own gateways answer", false),
    ("2001:3::", "2001:3:ffff:ffff:ffff:ffff:ffff:ffff", "anycast relay of multicast", false),
    ("2001:4:112::", "2001:4:112:ffff:ffff:ffff:ffff:ffff", "anycast DNS sink", false),
    ("2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", "identifiers of hosts, no places", false),
    ("2001:30::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff", "identifiers of drones, no places", false),
    ("2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", "anycast DNS sink", false),
];

/// Addresses as numbers; IPv4 as itself.
struct Range {
    v4: bool,
    first: u128,
    last: u128,
    reachable: bool,
}

fn number(text: &str) -> (bool, u128) {
    match text.parse::<IpAddr>().unwrap() {
        IpAddr::V4(address) => (true, u32::from(address).into()),
        IpAddr::V6(address) => (false, address.into()),
    }
}

fn ranges(entries: &[Entry]) -> Vec<Range> {
    let range = |(first, last, name, reachable): &Entry| {
        let ((v4, first), (same, last)) = (number(first), number(last));
        assert!(v4 == same && first <= last, "{name}");
        Range { v4, first, last, reachable: *reachable }
    };
    entries.iter().map(range).collect()
}

struct Statement {
    registries: Vec<Range>,
    stricter: Vec<Range>,
}

impl Statement {
    fn new() -> Self {
        Self { registries: ranges(&[IPV4.as_slice(), &IPV6].concat()), stricter: ranges(&STRICTER) }
    }

    fn says_public(&self, v4: bool, number: u128) -> bool {
        let holds = |range: &&Range| range.v4 == v4 && (range.first..=range.last).contains(&number);
        let narrowest = self.registries.iter().filter(holds).min_by_key(|range| range.last - range.first).unwrap();
        narrowest.reachable && !self.stricter.iter().any(|range| holds(&range))
    }

    fn is_public(&self, address: IpAddr) -> bool {
        let number: u128 = match address {
            IpAddr::V4(address) => return self.says_public(true, u32::from(address).into()),
            IpAddr::V6(address) => address.into(),
        };
        let within = number & 0xffff_ffff;
        match (number >> 32, (number >> 32) & 0xffff_ffff) {
            // ::ffff:0:0/96
            (0xffff, _) => self.says_public(true, within),
            // 64:ff9b::/96 and ISATAP's interface ids, 0:5efe and 200:5efe: both of them must be public.
            (0x64_ff9b_0000_0000_0000_0000, _) | (_, 0x5efe | 0x0200_5efe) => {
                self.says_public(false, number) && self.says_public(true, within)
            }
            _ => self.says_public(false, number),
        }
    }
}

/// `SplitMix64`: the same numbers each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn wide(&mut self) -> u128 {
        (u128::from(self.next()) << 64) | u128::from(self.next())
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    /// At most `off` away from an end of a range, to either side.
    fn near_an_end(&mut self, ranges: &[&Range], off: u64) -> u128 {
        let range = ranges[self.below(ranges.len())];
        let end = if self.next().is_multiple_of(2) { range.first } else { range.last };
        end.wrapping_add((self.next() % (2 * off + 1)).into()).wrapping_sub(off.into())
    }

    fn v4(&mut self, ranges: &[&Range]) -> Ipv4Addr {
        let number = match self.next() % 3 {
            0 => self.near_an_end(ranges, 2),
            1 => self.near_an_end(ranges, 70_000),
            _ => self.wide(),
        };
        Ipv4Addr::from(u32::try_from(number & 0xffff_ffff).unwrap())
    }

    /// Any address of a prefix, or one shortly beyond it.
    fn v6(&mut self, ranges: &[&Range]) -> Ipv6Addr {
        let range = ranges[self.below(ranges.len())];
        let span = range.last - range.first;
        let offset = self.wide() >> (self.next() % 128);
        Ipv6Addr::from(range.first.wrapping_add(offset % span.saturating_mul(2).max(2)))
    }

    /// An IPv6 address with an IPv4 address within, wherever somebody has put one.
    fn embedded(&mut self, v4: &[&Range], v6: &[&Range]) -> Ipv6Addr {
        let inner = u128::from(u32::from(self.v4(v4)));
        let prefix = u128::from(self.v6(v6)) >> 64 << 64;
        let number = match self.next() % 8 {
            0 => inner,
            1 => (0xffff << 32) | inner,
            2 => (0xffff << 48) | inner,
            3 => (0x64_ff9b << 96) | inner,
            4 => (0x64_ff9b_0001 << 80) | inner,
            5 => (0x2002 << 112) | (inner << 80) | u128::from(self.next()),
            6 => prefix | (0x5efe << 32) | inner,
            _ => prefix | (0x0200_5efe << 32) | inner,
        };
        Ipv6Addr::from(number)
    }
}

#[test]
fn a_million_addresses_agree_with_the_registries() {
    let (statement, policy, mut numbers) = (Statement::new(), AddressPolicy::default(), Numbers(7));
    let all = || statement.registries.iter().chain(&statement.stricter);
    let v4: Vec<_> = all().filter(|range| range.v4).collect();
    let v6: Vec<_> = all().filter(|range| !range.v4).collect();
    // Refused and public ones, by family.
    let mut seen = [[0_u32; 2]; 2];
    for count in 0..1_000_000 {
        let address: IpAddr = match count % 5 {
            0 => numbers.v4(&v4).into(),
            1 => Ipv4Addr::from(u32::try_from(numbers.next() >> 32).unwrap()).into(),
            2 => Ipv6Addr::from(numbers.near_an_end(&v6, 2)).into(),
            3 => numbers.v6(&v6).into(),
            _ => numbers.embedded(&v4, &v6).into(),
        };
        let expected = statement.is_public(address);
        assert_eq!(policy.permits(address), expected, "{address}");
        seen[usize::from(address.is_ipv6())][usize::from(expected)] += 1;
    }
    assert!(seen.iter().flatten().all(|count| *count > 50_000), "too few of a kind: {seen:?}");
}

/// Each end of each entry, and its neighbours.
#[test]
fn the_ends_of_all_ranges_agree_with_the_registries() {
    let (statement, policy) = (Statement::new(), AddressPolicy::default());
    for range in statement.registries.iter().chain(&statement.stricter) {
        for end in [range.first, range.last] {
            for number in [end.wrapping_sub(1), end, end.wrapping_add(1)] {
                let v4 = || Ipv4Addr::from(u32::try_from(number & 0xffff_ffff).unwrap());
                let address = if range.v4 { v4().into() } else { Ipv6Addr::from(number).into() };
                assert_eq!(policy.permits(address), statement.is_public(address), "{address}");
            }
        }
    }
}

/// What is listed as an exception is one.
#[test]
fn only_what_the_registries_call_reachable_is_refused_beyond_them() {
    let registries = Statement { stricter: Vec::new(), ..Statement::new() };
    for range in &Statement::new().stricter {
        for number in [range.first, range.last] {
            assert!(registries.says_public(range.v4, number), "{number:x}");
        }
    }
}
