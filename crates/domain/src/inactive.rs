//! Why a webhook is inactive, where that was not an operator's doing: what is saved with it, shown, and recognised by its
//! beginning.

/// The plan of its instance has lost webhooks.
pub const PLAN_DOWNGRADED: &str = "plan_downgraded";
/// Its last project was deleted.
pub const PROJECTS_DELETED: &str = "projects_deleted";
/// Its endpoint has failed for too long; what was failing follows, see [`endpoint_failing`].
pub const ENDPOINT_FAILING: &str = "endpoint_failing";

/// The longest text of an error in a reason, in characters.
const LONGEST_ERROR: usize = 300;

/// The reason for a webhook whose endpoint has failed since `since` (RFC 3339), with the last error in one line.
#[must_use]
pub fn endpoint_failing(since: &str, last_error: &str) -> String {
    let words: Vec<&str> = last_error
        .split(|letter: char| letter.is_whitespace() || letter.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    let line = words.join(" ");
    let error = match line.char_indices().nth(LONGEST_ERROR) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    };
    format!("{ENDPOINT_FAILING}: no attempt has succeeded since {since}; last error: {error}")
}

/// What a reason is recognised by: the part before its details.
#[must_use]
pub fn code(reason: &str) -> &str {
    reason.split_once(':').map_or(reason, |(code, _)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_of_limited_length_and_recognised() {
        let reason = endpoint_failing("2026-11-24T01:00:00Z", "timeout:\n no  answer\u{0}within 10 s");
        assert_eq!(
            reason,
            "endpoint_failing: no attempt has succeeded since 2026-11-24T01:00:00Z; last error: timeout: no answer within 10 s"
        );
        assert_eq!(code(&reason), ENDPOINT_FAILING);
        assert_eq!(code(PLAN_DOWNGRADED), PLAN_DOWNGRADED);
        let long = endpoint_failing("now", &"ä".repeat(1000));
        assert!(long.ends_with("ä…") && long.matches('ä').count() == LONGEST_ERROR, "{long}");
    }
}
