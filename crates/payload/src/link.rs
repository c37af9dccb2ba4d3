//! Addresses that messages may link to.

use url::Url;

/// Longer ones are not linked to: Discord takes no more, and browsers hardly do. In characters, all ASCII.
const MAX: usize = 2048;

/// An `http` or `https` address in ASCII, without a character that ends or splits a link in any target's markup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link(String);

impl Link {
    /// The address of an entity; `None` where it has none that may be linked to.
    ///
    /// User names in addresses are refused, because they make one host look like another.
    pub(crate) fn new(address: &str) -> Option<Self> {
        if address.len() > MAX || address.contains(|letter: char| letter.is_control() || letter.is_whitespace()) {
            return None;
        }
        let url = Url::parse(address).ok()?;
        let fits = matches!(url.scheme(), "http" | "https") && url.has_host();
        if !fits || !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        // What needs no change is kept as it was written, so that receivers can compare it. Browsers forgive more in what
        // stands before the path than the targets do.
        let plain = address.chars().all(is_plain)
            && (address.starts_with("https://") || address.starts_with("http://"))
            && authority(address).eq_ignore_ascii_case(authority(url.as_str()));
        let text = if plain { address.to_owned() } else { encode(url.as_str()) };
        (text.len() <= MAX).then_some(Self(text))
    }

    /// Whether Discord takes it as the address of an embed: it refuses a message with a host that has no dot, for one.
    pub(crate) fn suits_embeds(&self) -> bool {
        let host = authority(&self.0).split(':').next().unwrap_or_default();
        let fits = |label: &str| {
            let letters = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            letters && (1..=63).contains(&label.len())
        };
        host.len() <= 253 && host.contains('.') && host.split('.').all(fits)
    }

    /// The address.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Host and port.
fn authority(url: &str) -> &str {
    let (_, rest) = url.split_once("://").unwrap_or_default();
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "-._~:/?#@!$&+,;=%".contains(letter)
}

/// Everything else, brackets of IPv6 hosts aside, as `%XX`.
fn encode(url: &str) -> String {
    let mut out = String::with_capacity(url.len() + 16);
    let path = url.find("://").and_then(|start| url[start + 3..].find('/').map(|end| start + 3 + end));
    for (index, byte) in url.bytes().enumerate() {
        let letter = char::from(byte);
        if is_plain(letter) || (matches!(letter, '[' | ']') && path.is_none_or(|path| index < path)) {
            out.push(letter);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(address: &str) -> Option<String> {
        Link::new(address).map(|link| link.0)
    }

    #[test]
    fn good_addresses_are_kept_as_they_are() {
        for address in ["https://example.com", "http://example.com:8080/a?b=1&c=%20#d", "https://a.b/~x/y_z;k=v"] {
            assert_eq!(link(address).as_deref(), Some(address));
        }
    }

    #[test]
    fn what_could_break_markup_is_encoded() {
        let cases = [
            ("https://a.b/x)y(z", "https://a.b/x%29y%28z"),
            ("https://a.b/?q=<b>|*[c]'`\\", "https://a.b/?q=%3Cb%3E%7C%2A%5Bc%5D%27%60%5C"),
            ("https://münchen.de/ü", "https://xn--mnchen-3ya.de/%C3%BC"),
            ("HTTPS://A.B", "https://a.b/"),
            ("https:///a.b/c", "https://a.b/c"),
            ("https://@a.b/c", "https://a.b/c"),
            ("https:a.b/c", "https://a.b/c"),
            ("https://a.b\\\\@c.d/", "https://a.b//@c.d/"),
            ("http://[2001:db8::1]/[x]", "http://[2001:db8::1]/%5Bx%5D"),
        ];
        for (address, expected) in cases {
            assert_eq!(link(address).as_deref(), Some(expected));
        }
    }

    #[test]
    fn addresses_that_discord_refuses_are_known() {
        let suits = |address: &str| Link::new(address).unwrap().suits_embeds();
        assert!(["https://a.b", "https://a.b:8080/c", "http://192.0.2.1/", "https://a.b?c"].into_iter().all(suits));
        let long = format!("http://{}.b/", "a".repeat(64));
        let refused = ["http://testmo/a.b", "http://localhost:8080", "http://[2001:db8::1]/a.b", "http://testmo./"];
        assert!(!refused.into_iter().chain(["http://a_b.c/", "http://a..b/", &long]).any(suits));
    }

    #[test]
    fn other_addresses_are_no_links() {
        let long = format!("https://a.b/{}", "x".repeat(MAX));
        let wide = format!("https://a.b/{}", "ü".repeat(400));
        let cases =
            ["", "javascript:alert(1)", "data:text/html,x", "ftp://a.b/", "//a.b", "/a", "https://", &long, &wide];
        for address in cases {
            assert_eq!(link(address), None, "{address}");
        }
        for address in ["https://testmo.net@evil.example/", "https://a:b@c.d/", "https://a.b/x y", "java\nscript:x"] {
            assert_eq!(link(address), None, "{address}");
        }
    }
}
