//! How far a replay has come, and what came of it.

use anyhow::Context as _;
use serde_json::Value;

use crate::{commands::progress::bar, out::escape};

/// A replay as the server tells it.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) id: String,
    state: String,
    reason: String,
    total: i64,
    queued: i64,
    delivered: i64,
    failed: i64,
    pending: i64,
    has_ended: bool,
}

impl Progress {
    /// From an answer.
    pub(super) fn read(answer: &Value) -> anyhow::Result<Self> {
        let result = &answer["result"];
        let text = |name: &str| result[name].as_str().map(str::to_owned);
        let number =
            |name: &str| result[name].as_i64().with_context(|| format!("the server's answer has no number `{name}`"));
        Ok(Self {
            id: text("id").context("the server's answer has no id of a replay")?,
            state: text("state").unwrap_or_default(),
            reason: text("reason").unwrap_or_default(),
            total: number("total")?,
            queued: number("queued")?,
            delivered: number("delivered")?,
            failed: number("failed")?,
            pending: number("pending")?,
            has_ended: result["ended_at"].is_string(),
        })
    }

    pub(super) fn is_over(&self) -> bool {
        self.has_ended
    }

    pub(super) fn is_all_delivered(&self) -> bool {
        self.state == "done" && self.delivered == self.total
    }

    /// One line, while it goes on.
    pub(super) fn line(&self) -> String {
        let Self { total, delivered, failed, pending, .. } = self;
        format!("{}: {delivered} delivered, {failed} failed again, {pending} pending", bar(delivered + failed, *total))
    }

    /// One line at the end.
    pub(super) fn summary(&self) -> String {
        let Self { state, total, delivered, failed, pending, .. } = self;
        let mut text = format!("{}: {delivered} of {total} delivered, {failed} failed again", escape(state));
        if *pending > 0 {
            text.push_str(&format!(", {pending} still under way"));
        }
        let rest = total - self.queued;
        if rest > 0 {
            let why = if state == "done" { "were tried again otherwise meanwhile" } else { "got no attempt" };
            text.push_str(&format!(", {rest} {why}"));
        }
        if !self.reason.is_empty() {
            text.push_str(&format!(" ({})", escape(&self.reason)));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn progress(changes: &[(&str, Value)]) -> Progress {
        let mut result = json!({
            "id": "a", "state": "running", "reason": null, "total": 8, "queued": 6, "delivered": 3, "failed": 1,
            "pending": 2, "ended_at": null,
        });
        for (name, value) in changes {
            result[name] = value.clone();
        }
        Progress::read(&json!({"result": result})).unwrap()
    }

    #[test]
    fn a_line_says_how_far_it_is() {
        let expected = "[############------------]  50% of 8: 3 delivered, 1 failed again, 2 pending";
        assert_eq!(progress(&[]).line(), expected);
        assert!(progress(&[("total", json!(0))]).line().contains("100% of 0"));
    }

    #[test]
    fn a_summary_says_what_came_of_it() {
        let done = [("state", json!("done")), ("ended_at", json!("2026-11-23T08:15:00Z"))];
        let all = [("queued", json!(8)), ("delivered", json!(8)), ("failed", json!(0)), ("pending", json!(0))];
        let whole = progress(&[done.clone().as_slice(), &all].concat());
        assert_eq!(whole.summary(), "done: 8 of 8 delivered, 0 failed again");
        assert!(whole.is_over() && whole.is_all_delivered());
        let part = progress(&[done.as_slice(), &[("pending", json!(0)), ("queued", json!(4))]].concat());
        assert_eq!(part.summary(), "done: 3 of 8 delivered, 1 failed again, 4 were tried again otherwise meanwhile");
        assert!(part.is_over() && !part.is_all_delivered());
        let cancelled = progress(&[("state", json!("cancelled")), ("reason", json!("webhook deleted\u{1b}"))]);
        let expected = "cancelled: 3 of 8 delivered, 1 failed again, 2 still under way, 2 got no attempt";
        assert_eq!(cancelled.summary(), format!("{expected} (webhook deleted\\u{{1b}})"));
        assert!(!cancelled.is_over() && !cancelled.is_all_delivered());
        assert!(Progress::read(&json!({"result": {"id": "a"}})).is_err());
    }
}
