//! What an attempt came to, and what follows from it.

use std::time::Duration;

/// How long an attempt may take before its endpoint counts as slow; less, and it does not (any more).
pub const SLOW_AFTER: Duration = Duration::from_secs(1);

/// What follows from an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The endpoint has it.
    Delivered,
    /// It goes on with the retry schedule.
    Retry,
    /// The endpoint has refused it for good.
    Permanent,
}

/// Class of what went wrong, for filters and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The answer was 4xx other than 429.
    ClientError,
    /// The answer was 429.
    RateLimited,
    /// The answer was 5xx.
    ServerError,
    /// The answer was 3xx; redirects are never followed.
    Redirect,
    /// The answer had a status outside 200 to 599.
    UnexpectedStatus,
    /// The host's name did not resolve.
    Dns,
    /// The address may not be connected to.
    AddressRefused,
    /// The connection was refused or could not be made.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The attempt took longer than it may.
    Timeout,
    /// The connection broke, or what came back was not HTTP.
    Protocol,
    /// The attempt was never made, because its webhook was deleted.
    Cancelled,
}

impl ErrorClass {
    /// Its name in history and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientError => "client_error",
            Self::RateLimited => "rate_limited",
            Self::ServerError => "server_error",
            Self::Redirect => "redirect",
            Self::UnexpectedStatus => "unexpected_status",
            Self::Dns => "dns",
            Self::AddressRefused => "address_refused",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether repeating the attempt could help.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::ClientError | Self::AddressRefused | Self::Cancelled => Verdict::Permanent,
            _ => Verdict::Retry,
        }
    }
}

/// What an HTTP status means: `None` is delivered.
#[must_use]
pub const fn classify_status(status: u16) -> Option<ErrorClass> {
    match status {
        200..=299 => None,
        300..=399 => Some(ErrorClass::Redirect),
        429 => Some(ErrorClass::RateLimited),
        400..=499 => Some(ErrorClass::ClientError),
        500..=599 => Some(ErrorClass::ServerError),
        _ => Some(ErrorClass::UnexpectedStatus),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_follow_the_article() {
        let verdict = |status| classify_status(status).map_or(Verdict::Delivered, ErrorClass::verdict);
        for (statuses, expected) in [
            (&[200, 201, 204, 299][..], Verdict::Delivered),
            (&[400, 401, 404, 408, 410, 499], Verdict::Permanent),
            (&[301, 307, 429, 500, 502, 503, 599, 199, 600], Verdict::Retry),
        ] {
            for status in statuses {
                assert_eq!(verdict(*status), expected, "{status}");
            }
        }
    }
}
