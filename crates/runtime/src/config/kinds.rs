//! Types of configured values, each with its text form.

use std::{fmt, str::FromStr, time::Duration};

use domain::RetrySchedule;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use url::Url;

/// A length of time, written as `10s`, `500ms`, `2m` or `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(pub Duration);

impl Period {
    /// Of so many seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a length of time, such as 500ms, 10s, 2m or 1h");
        let digits = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
        let millis = match &text[digits..] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(wrong()),
        };
        number.checked_mul(millis).map(|millis| Self(Duration::from_millis(millis))).ok_or_else(wrong)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            millis if !millis.is_multiple_of(1_000) => write!(formatter, "{millis}ms"),
            millis if millis == 0 || !millis.is_multiple_of(60_000) => write!(formatter, "{}s", millis / 1_000),
            millis if !millis.is_multiple_of(3_600_000) => write!(formatter, "{}m", millis / 60_000),
            millis => write!(formatter, "{}h", millis / 3_600_000),
        }
    }
}

/// The waits of the retry schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule(pub RetrySchedule);

/// A network, written as `10.0.0.0/8` or as a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(pub IpNet);

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let single = || text.parse::<std::net::IpAddr>().map(IpNet::from);
        let network = text.parse::<IpNet>().or_else(|_| single());
        network.map(Self).map_err(|_| format!("`{text}` is not a network, such as 10.1.0.0/16 or 127.0.0.1"))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A URL that may hold a password, also in its query; shown without it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// Its scheme, such as `postgres`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.0.split_once(':').map_or("", |(scheme, _)| scheme)
    }

    /// Whether there is a password in it, but for its query.
    pub(super) fn has_password(&self) -> bool {
        parse(&self.0).is_ok_and(|url| url.password().is_some())
    }

    /// The same with this password; `None`: it names no user, or no host.
    pub(super) fn with_password(&self, password: &str) -> Option<Self> {
        let mut url = parse(&self.0).ok().filter(|url| !url.username().is_empty())?;
        // As it is: whoever connects decodes it.
        url.set_password(Some(&password.replace('%', "%25"))).ok()?;
        Some(Self(url.into()))
    }

    /// The whole URL, for connecting.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(mut url) = parse(&self.0) else { return formatter.write_str(MASK) };
        if url.password().is_some() {
            // A URL that has a password can have another.
            let _ = url.set_password(Some(MASK));
        }
        if let Some(query) = url.query() {
            let masked: Vec<String> = query.split('&').map(mask_value).collect();
            url.set_query(Some(&masked.join("&")));
        }
        url.set_fragment(None);
        formatter.write_str(&url.as_str().replace("%E2%80%A6", MASK))
    }
}

/// What stands for what is not shown.
const MASK: &str = "…";

/// A part of a query without its value, which may be a password; without a name all of it may be.
fn mask_value(part: &str) -> String {
    part.split_once('=').map_or_else(|| MASK.to_owned(), |(name, _)| format!("{name}={MASK}"))
}

/// Reads a URL that names a host; `user:password@host` without `//` is none, although it can be read as one. The text
/// itself may hold a password: errors do not repeat it.
fn parse(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("must be a URL: {error}"))?;
    if url.cannot_be_a_base() { Err("must be a URL with // before its host".to_owned()) } else { Ok(url) }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for SecretUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SecretUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).map_err(D::Error::custom)?;
        Ok(Self(text))
    }
}

macro_rules! as_text {
    ($($kind:ident),+) => { $(
        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )+ };
}

as_text!(Period, Network);

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.waits().iter().copied().map(Period))
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let waits = Vec::<Period>::deserialize(deserializer)?;
        let schedule = RetrySchedule::new(waits.into_iter().map(|wait| wait.0).collect());
        schedule.map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_read_and_written() {
        for text in ["0s", "500ms", "10s", "90s", "2m", "61m", "120h"] {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
        assert_eq!("60m".parse::<Period>().unwrap().to_string(), "1h");
        for text in ["", "10", "s", "-1s", "1.5s", "2 m", "99999999999999999h"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }

    #[test]
    fn passwords_do_not_show() {
        let url = SecretUrl("amqp://user:hunter2@host:5672/vhost".into());
        assert_eq!(format!("{url} {url:?}"), "amqp://user:…@host:5672/vhost amqp://user:…@host:5672/vhost");
        for (text, shown) in [
            ("postgres://user@host/d?password=hunter2", "postgres://user@host/d?password=…"),
            ("postgres://host/d?a=1&pass%77ord=hunter2&hunter2", "postgres://host/d?a=…&pass%77ord=…&…"),
            ("postgres://host/d?password==hunter2#hunter2", "postgres://host/d?password=…"),
            ("postgres:user:hunter2@host/d", "…"),
            ("hunter2", "…"),
        ] {
            assert_eq!(SecretUrl(text.into()).to_string(), shown);
        }
    }
}
