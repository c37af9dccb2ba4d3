//! Where a delivery may go: the URL's own rules, and the address policy against server-side request forgery.
//!
//! The policy is asked twice: when a webhook is saved, and at every attempt about the address that is really dialled
//! (`dispatcher::client`), so that a name that changes its mind gains nothing.

mod address;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use url::{Host, Url};

use crate::WebhookKind;

/// A URL that may not be posted to. The text names the rule, never the URL: its path may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTarget {
    /// Not a URL.
    #[error("is not an absolute URL: {0}")]
    Syntax(String),
    /// Over 2,048 characters.
    #[error("must have at most 2,048 characters")]
    TooLong,
    /// A scheme other than those permitted.
    #[error("{0}")]
    Scheme(&'static str),
    /// A user or password in it.
    #[error("must not hold a user name or password; use the signature to authenticate deliveries")]
    UserInfo,
    /// A fragment in it.
    #[error("must not hold a fragment (#…), which would never be sent")]
    Fragment,
    /// Not a real host.
    #[error("must name a real host")]
    Host,
    /// Port 0.
    #[error("must not name port 0")]
    Port,
    /// A host name that is internal by definition.
    #[error("must not lead to an internal host name ({0})")]
    InternalName(&'static str),
    /// An address outside the public Internet.
    #[error("must not lead to a private, internal or reserved address ({0})")]
    Address(IpAddr),
}

/// Checks the rules of a URL that need no look-up.
///
/// # Errors
/// The first rule that it breaks.
pub fn parse(text: &str, kind: WebhookKind, allow_insecure: bool) -> Result<Url, InvalidTarget> {
    if text.chars().count() > 2_048 {
        return Err(InvalidTarget::TooLong);
    }
    let url = Url::parse(text.trim()).map_err(|error| InvalidTarget::Syntax(error.to_string()))?;
    match url.scheme() {
        "https" => {}
        "http" if kind != WebhookKind::Generic => {
            return Err(InvalidTarget::Scheme("must use https:// with this type of webhook"));
        }
        "http" if !allow_insecure => {
            return Err(InvalidTarget::Scheme("must use https://, or set allow_insecure to permit http://"));
        }
        "http" => {}
        _ => return Err(InvalidTarget::Scheme("must use https://")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidTarget::UserInfo);
    }
    if url.fragment().is_some() {
        return Err(InvalidTarget::Fragment);
    }
    if url.port() == Some(0) {
        return Err(InvalidTarget::Port);
    }
    if let Some(Host::Domain(name)) = url.host()
        && !is_host_name(name)
    {
        return Err(InvalidTarget::Host);
    }
    if url.host().is_none() { Err(InvalidTarget::Host) } else { Ok(url) }
}

fn is_host_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// A URL as history, logs and traces may show it: without query values, and without the path where that is the secret.
#[must_use]
pub fn mask(url: &Url, kind: WebhookKind) -> String {
    let mut shown = url.clone();
    if kind != WebhookKind::Generic {
        shown.set_path("");
        shown.set_query(None);
        return format!("{shown}…");
    }
    if url.query().is_some() {
        let names: Vec<String> = url.query_pairs().map(|(name, _)| format!("{name}=…")).collect();
        shown.set_query(None);
        return format!("{shown}?{}", names.join("&"));
    }
    shown.into()
}

/// Names that are internal wherever they are looked up, with the reason (RFC 6761, RFC 6762, RFC 8375, ICANN 2024).
const INTERNAL_SUFFIXES: [&str; 4] = ["localhost", "local", "internal", "home.arpa"];

/// Which addresses may be connected to.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    allowed: Vec<IpNet>,
}

impl AddressPolicy {
    /// The public Internet, and what the operator of the service has opened (`delivery.allow_networks`).
    #[must_use]
    pub const fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
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
    /// A name that is internal by definition.
    pub fn check_name(&self, name: &str) -> Result<Vec<IpAddr>, InvalidTarget> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let internal = INTERNAL_SUFFIXES
            .into_iter()
            .find(|suffix| name == *suffix || name.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.')));
        match internal {
            None => Ok(Vec::new()),
            // Whatever a resolver says of it: it is this host.
            Some("localhost") if self.permits(Ipv4Addr::LOCALHOST.into()) => Ok(vec![Ipv4Addr::LOCALHOST.into()]),
            Some("localhost") if self.permits(Ipv6Addr::LOCALHOST.into()) => Ok(vec![Ipv6Addr::LOCALHOST.into()]),
            // An operator who has opened a private network names its hosts like this.
            Some(suffix) if suffix != "localhost" && !self.allowed.is_empty() => Ok(Vec::new()),
            Some(suffix) => Err(InvalidTarget::InternalName(suffix)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str) -> Result<Vec<IpAddr>, InvalidTarget> {
        AddressPolicy::default().check_host(&parse(text, WebhookKind::Generic, true)?)
    }

    #[test]
    fn the_corpus_gets_its_verdicts() {
        for line in include_str!("corpus.tsv").lines().filter(|line| !line.starts_with('#')) {
            let (expected, url) = line.split_once('\t').unwrap();
            let found = verdict(url);
            assert_eq!(found.is_ok(), expected == "accept", "{url}: {found:?}");
        }
    }

    #[test]
    fn http_needs_consent_and_generic() {
        assert!(parse("http://example.com/", WebhookKind::Generic, false).is_err());
        assert!(parse("http://example.com/", WebhookKind::Slack, true).is_err());
        assert!(parse("https://example.com/", WebhookKind::Slack, false).is_ok());
        let long = format!("https://example.com/{}", "x".repeat(2_048));
        assert_eq!(parse(&long, WebhookKind::Generic, false), Err(InvalidTarget::TooLong));
    }

    #[test]
    fn secret_parts_are_masked() {
        let mask = |text: &str, kind| mask(&Url::parse(text).unwrap(), kind);
        assert_eq!(
            mask("https://a.example/hook?token=x&b", WebhookKind::Generic),
            "https://a.example/hook?token=…&b=…"
        );
        assert_eq!(mask("https://hooks.slack.com/services/T/B/X", WebhookKind::Slack), "https://hooks.slack.com/…");
        assert_eq!(mask("http://a.example:81/", WebhookKind::Generic), "http://a.example:81/");
    }

    #[test]
    fn opened_networks_are_permitted_and_no_others() {
        let policy = AddressPolicy::new(vec!["10.1.0.0/16".parse().unwrap(), "::1/128".parse().unwrap()]);
        for (address, expected) in
            [("10.1.2.3", true), ("::ffff:10.1.2.3", true), ("10.2.0.1", false), ("::1", true), ("127.0.0.1", false)]
        {
            assert_eq!(policy.permits(address.parse().unwrap()), expected, "{address}");
        }
        let url = |text| parse(text, WebhookKind::Generic, true).unwrap();
        assert_eq!(policy.check_host(&url("http://localhost/")), Ok(vec![Ipv6Addr::LOCALHOST.into()]));
        assert_eq!(policy.check_host(&url("http://jenkins.internal/")), Ok(Vec::new()));
    }
}
