//! Which addresses and names may be connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};
use url::{Host, Url};

use super::{InvalidTarget, address, is_within};

/// Names that are internal wherever they are looked up (RFC 6761, RFC 6762, RFC 8375, ICANN 2024), and the usual second
/// name of loopback. Names that merely tend to be internal (`.lan`, `.corp`) are judged by their addresses.
const INTERNAL: [&str; 5] = ["localhost", "local", "internal", "home.arpa", "localdomain"];

/// Such a name means what the resolver's search list makes of it; no public host has one.
const WITHOUT_DOT: &str = "a name without a dot";

/// Which addresses may be connected to.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    allowed: Vec<IpNet>,
}

impl AddressPolicy {
    /// The public Internet, and what the operator of the service has opened (`delivery.allow_networks`).
    ///
    /// A network of IPv4 is opened however an address of it is spelled, IPv4-mapped IPv6 included, which is the same
    /// packet on the wire. It does not open what stands in an IPv6 address for a translator or a tunnel (NAT64, 6to4,
    /// ISATAP): that stands elsewhere, and *its* 10.0.0.1 is another host. Such addresses are opened as the IPv6
    /// networks that they are, such as `64:ff9b::a01:0/112`.
    #[must_use]
    pub fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed: allowed.into_iter().map(canonical).collect() }
    }

    /// Whether an address may be connected to.
    #[must_use]
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allowed.iter().any(|network| network.contains(&address)) || address::is_public(address)
    }

    /// Checks one address.
    ///
    /// # Errors
    /// [`InvalidTarget::Address`], if it may not be connected to.
    pub fn check(&self, address: IpAddr) -> Result<(), InvalidTarget> {
        if self.permits(address) { Ok(()) } else { Err(InvalidTarget::Address(address)) }
    }

    /// What can be said of a URL's host without looking it up: the addresses of a literal, or nothing for a name that
    /// is to be looked up and [`AddressPolicy::check`]ed.
    ///
    /// # Errors
    /// A literal address or a name that may not be connected to.
    pub fn check_host(&self, url: &Url) -> Result<Vec<IpAddr>, InvalidTarget> {
        let addresses = match url.host().ok_or(InvalidTarget::Host)? {
            Host::Ipv4(address) => vec![IpAddr::V4(address)],
            Host::Ipv6(address) => vec![IpAddr::V6(address)],
            Host::Domain(name) => self.check_name(name)?,
        };
        addresses.iter().try_for_each(|address| self.check(*address))?;
        Ok(addresses)
    }

    /// What can be said of a host name without looking it up: the addresses of `localhost`, or nothing for a name that
    /// is to be looked up and [`AddressPolicy::check`]ed.
    ///
    /// # Errors
    /// A name that is internal by definition. Once an operator has opened a network, its hosts may be named like that
    /// (`jenkins`, `jenkins.internal`), so that only their addresses count.
    pub fn check_name(&self, name: &str) -> Result<Vec<IpAddr>, InvalidTarget> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let internal = INTERNAL.into_iter().find(|domain| is_within(&name, domain));
        match internal.or_else(|| (!name.contains('.')).then_some(WITHOUT_DOT)) {
            None => Ok(Vec::new()),
            // Whatever a resolver says of it: it is this host.
            Some("localhost") if self.permits(Ipv4Addr::LOCALHOST.into()) => Ok(vec![Ipv4Addr::LOCALHOST.into()]),
            Some("localhost") if self.permits(Ipv6Addr::LOCALHOST.into()) => Ok(vec![Ipv6Addr::LOCALHOST.into()]),
            Some(kind) if kind != "localhost" && !self.allowed.is_empty() => Ok(Vec::new()),
            Some(kind) => Err(InvalidTarget::InternalName(kind)),
        }
    }
}

/// A network of mapped addresses is a network of IPv4; as the former nothing would be found in it.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else { return network };
    let v4 = mapped.addr().to_ipv4_mapped().zip(mapped.prefix_len().checked_sub(96));
    v4.and_then(|(address, bits)| Ipv4Net::new(address, bits).ok()).map_or(network, IpNet::V4)
}
