//! What an endpoint asks for with `Retry-After` (RFC 9110, 10.2.3).

use std::time::{Duration, SystemTime};

use domain::Timestamp;

use crate::post::Posted;

/// Statuses whose `Retry-After` counts: too many requests, unavailable.
const STATUSES: [u16; 2] = [429, 503];

/// How long the endpoint asks to be left alone; `None`: it does not, or not in a way that can be read.
pub(crate) fn retry_after(posted: &Posted, now: Timestamp) -> Option<Duration> {
    let answer = posted.answer.as_ref().filter(|answer| STATUSES.contains(&answer.status))?;
    let (_, text) = answer.headers.iter().find(|(name, _)| name == "retry-after")?;
    read(text.trim(), now)
}

/// Seconds, or a time.
fn read(text: &str, now: Timestamp) -> Option<Duration> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than fit are very many.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let time = httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let time = Timestamp::from_micros(i64::try_from(time.as_micros()).ok()?);
    Some(time.since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_times_are_read() {
        let now = Timestamp::from_micros(784_111_777_000_000);
        let seconds = |text| read(text, now).map(|wait| wait.as_secs());
        assert_eq!(seconds("0"), Some(0));
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds("99999999999999999999999"), Some(u64::MAX));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(seconds("Sunday, 06-Nov-94 08:50:37 GMT"), Some(60));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0), "it is over");
        for text in ["", "-5", "1.5", "5 s", "soon", "2026-11-23T10:00:00Z"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
