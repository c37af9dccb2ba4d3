//! Where a delivery may go: the URL's own rules, and the address policy against server-side request forgery.
//!
//! The policy is asked twice: when a webhook is saved, and at every attempt about the address that is really dialled
//! (`dispatcher::client`), so that a name that changes its mind gains nothing.

mod address;
mod policy;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use url::{Host, Url};

pub use self::policy::AddressPolicy;

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
    /// An Office 365 connector as target of type `teams`.
    #[error(
        "must not be an Office 365 connector, which Microsoft has retired; make a webhook with Workflows (Power \
         Automate) in Teams and use its URL"
    )]
    RetiredConnector,
    /// A host name that is internal by definition.
    #[error("must not lead to an internal host name ({0})")]
    InternalName(&'static str),
    /// An address outside the public Internet.
    #[error("must not lead to a private, internal or reserved address ({0})")]
    Address(IpAddr),
}

/// In characters, as written and as sent.
const LONGEST: usize = 2_048;

/// Checks the rules of a URL that need no look-up.
///
/// # Errors
/// The first rule that it breaks.
pub fn parse(text: &str, kind: WebhookKind, allow_insecure: bool) -> Result<Url, InvalidTarget> {
    if text.chars().count() > LONGEST {
        return Err(InvalidTarget::TooLong);
    }
    let text = text.trim();
    let syntax = |fault: &str| InvalidTarget::Syntax(fault.to_owned());
    // The parser drops the one and turns the other into a slash: the host would not be the one that people read.
    if text.chars().any(char::is_control) {
        return Err(syntax("it holds control characters such as tabs or line breaks"));
    }
    if text.contains('\\') {
        return Err(syntax("it holds a backslash; write / or, within a query, %5C"));
    }
    let url = Url::parse(text).map_err(|error| syntax(&error.to_string()))?;
    check_scheme(&url, kind, allow_insecure)?;
    // What the parser makes of `https:host` or `https:////host` is not what others make of it.
    let authority = text[url.scheme().len()..].strip_prefix("://").and_then(|rest| rest.split(['/', '?', '#']).next());
    let Some(authority) = authority.filter(|authority| !authority.is_empty()) else {
        return Err(syntax("write it as https://host/path"));
    };
    if authority.contains('@') {
        return Err(InvalidTarget::UserInfo);
    }
    if url.fragment().is_some() {
        return Err(InvalidTarget::Fragment);
    }
    if url.port() == Some(0) {
        return Err(InvalidTarget::Port);
    }
    match url.host() {
        Some(Host::Domain(name)) if !is_host_name(name) => return Err(InvalidTarget::Host),
        Some(_) => {}
        None => return Err(InvalidTarget::Host),
    }
    // What is read must be good enough to be written again.
    if url.as_str().len() > LONGEST {
        return Err(InvalidTarget::TooLong);
    }
    if kind == WebhookKind::Teams && is_retired_connector(&url) {
        Err(InvalidTarget::RetiredConnector)
    } else {
        Ok(url)
    }
}

fn check_scheme(url: &Url, kind: WebhookKind, allow_insecure: bool) -> Result<(), InvalidTarget> {
    match url.scheme() {
        "https" => Ok(()),
        "http" if kind != WebhookKind::Generic => {
            Err(InvalidTarget::Scheme("must use https:// with this type of webhook"))
        }
        "http" if !allow_insecure => {
            Err(InvalidTarget::Scheme("must use https://, or set allow_insecure to permit http://"))
        }
        "http" => Ok(()),
        _ => Err(InvalidTarget::Scheme("must use https://")),
    }
}

/// Office 365 connectors had `https://TENANT.webhook.office.com/webhookb2/…`, and before
/// `https://outlook.office.com/webhook/…`.
fn is_retired_connector(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    let tenant = ["webhook.office.com", "webhook.office365.com"].iter().any(|domain| is_within(host, domain));
    let old = ["outlook.office.com", "outlook.office365.com"].contains(&host);
    tenant || (old && url.path().to_ascii_lowercase().starts_with("/webhook"))
}

/// Names that look like those of hosts and are outside the DNS: asking a resolver for them tells it what it should not
/// know (RFC 7686, RFC 9476). Other names that nobody has (`.invalid`, `.test`) just do not resolve.
const NOT_IN_DNS: [&str; 2] = ["onion", "alt"];

/// The rules of host names (RFC 1123), and underscores, which container networks and some public names have.
fn is_host_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label) && !NOT_IN_DNS.iter().any(|suffix| is_within(name, suffix))
}

/// Whether a name is a domain or below it.
fn is_within(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
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
    if let Some(query) = url.query() {
        // As written: decoded, it could hold line breaks. A part without a name may be the secret itself.
        let part = |part: &str| part.split_once('=').map_or("…".to_owned(), |(name, _)| format!("{name}=…"));
        let parts: Vec<String> = query.split('&').map(part).collect();
        shown.set_query(None);
        return format!("{shown}?{}", parts.join("&"));
    }
    shown.into()
}
