//! Pages of lists that are found by their number.

/// Where in a list a page is.
pub(super) struct Paging {
    pub(super) page: i64,
    pub(super) last: i64,
    pub(super) total: i64,
    /// The address without the page's number, to be completed with it.
    base: String,
}

impl Paging {
    pub(super) fn new(page: i32, per_page: i32, total: i64, base: String) -> Self {
        let last = (total.max(1) - 1) / i64::from(per_page) + 1;
        Self { page: i64::from(page), last, total, base }
    }

    pub(super) fn previous(&self) -> Option<String> {
        (self.page > 1).then(|| format!("{}page={}", self.base, (self.page - 1).min(self.last)))
    }

    pub(super) fn next(&self) -> Option<String> {
        (self.page < self.last).then(|| format!("{}page={}", self.base, self.page + 1))
    }
}

/// The number of a page as it stands in an address; what is none is the first.
pub(super) fn number(text: &str) -> i32 {
    text.parse().ok().filter(|page| *page > 0).unwrap_or(1)
}

/// A path with these parameters, those without a value left out; ends so that another one can follow.
pub(super) fn address(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut address = format!("{path}?");
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        address.push_str(name);
        address.push('=');
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => address.push(char::from(byte)),
                _ => address.push_str(&format!("%{byte:02X}")),
            }
        }
        address.push('&');
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_encoded() {
        assert_eq!(address("/", &[("q", "a&b=\"é\""), ("type", "")]), "/?q=a%26b%3D%22%C3%A9%22&");
        let paging = Paging::new(2, 25, 60, address("/", &[]));
        assert_eq!(
            (paging.last, paging.previous(), paging.next()),
            (3, Some("/?page=1".into()), Some("/?page=3".into()))
        );
        assert_eq!(Paging::new(9, 25, 60, address("/", &[])).previous().as_deref(), Some("/?page=3"));
        assert_eq!(["", "0", "-1", "x", "7"].map(number), [1, 1, 1, 1, 7]);
    }
}
