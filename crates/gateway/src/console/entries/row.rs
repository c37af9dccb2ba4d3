//! An entry as it is shown: an attempt, made or waited for.

use domain::ErrorClass;
use proto::v1::{DeliveryStatus, Entry};

use crate::console::{
    names::event_title,
    text::Text,
    when::{When, duration, when},
};

/// The attempts of the article's schedule: the first one, and three retries.
const ATTEMPTS: i32 = 4;

/// An entry.
pub(super) struct Row {
    pub(super) delivery_id: String,
    pub(super) attempt: i32,
    pub(super) time: Option<When>,
    pub(super) title: Text,
    pub(super) code: Option<i32>,
    pub(super) duration: Option<String>,
    pub(super) status: Standing,
    pub(super) is_test: bool,
    pub(super) orphaned: bool,
    pub(super) error: Text,
    pub(super) error_class: Text,
    pub(super) waits_for: Text,
    pub(super) due: Option<When>,
    pub(super) url: Text,
    pub(super) remote_address: Text,
    pub(super) webhook_id: i64,
    /// The webhook's name, where the list is of all.
    pub(super) webhook: Option<Text>,
    /// Whether the delivery has failed for good with this attempt, as far as the entry tells.
    pub(super) may_retry: bool,
}

/// Where an attempt or a delivery stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) class: &'static str,
    pub(super) title: &'static str,
}

impl Standing {
    pub(super) fn of(status: i32) -> Self {
        // A service that is newer than this one may know more.
        match DeliveryStatus::try_from(status) {
            Ok(DeliveryStatus::Delivered) => Self { class: "good", title: "Delivered" },
            Ok(DeliveryStatus::Failed) => Self { class: "bad", title: "Failed" },
            Ok(DeliveryStatus::Pending) => Self { class: "wait", title: "Pending" },
            _ => Self { class: "off", title: "Unknown" },
        }
    }

    pub(super) fn is_pending(self) -> bool {
        self.class == "wait"
    }

    pub(super) fn is_failed(self) -> bool {
        self.class == "bad"
    }
}

impl Row {
    pub(super) fn of(entry: &Entry) -> Self {
        let status = Standing::of(entry.status);
        let cancelled = entry.error_class == ErrorClass::Cancelled.name();
        let made = !status.is_pending() && !cancelled;
        let permanent = entry.error_class == ErrorClass::ClientError.name()
            || entry.error_class == ErrorClass::AddressRefused.name()
            || entry.attempt >= ATTEMPTS;
        Self {
            delivery_id: entry.delivery_id.clone(),
            attempt: entry.attempt,
            time: when(entry.time),
            title: Text::line(event_title(&entry.event_type)),
            code: Some(entry.response_code).filter(|code| *code != 0),
            duration: made.then(|| duration(entry.duration_us)),
            status,
            is_test: entry.is_test,
            orphaned: entry.orphaned,
            error: Text::line(entry.error.clone()),
            error_class: Text::line(entry.error_class.clone()),
            waits_for: Text::line(entry.waits_for.clone()),
            due: when(entry.due_at),
            url: Text::line(entry.url.clone()),
            remote_address: Text::line(entry.remote_address.clone()),
            webhook_id: entry.webhook_id,
            webhook: None,
            may_retry: status.is_failed() && !entry.is_test && !cancelled && permanent,
        }
    }
}

/// The entries of a page, newest first. Of a delivery the newest one alone can say that it has failed for good.
pub(super) fn rows(entries: &[Entry]) -> Vec<Row> {
    let mut seen: Vec<&str> = Vec::new();
    let mut rows = Vec::new();
    for entry in entries {
        let mut row = Row::of(entry);
        if seen.contains(&entry.delivery_id.as_str()) {
            row.may_retry = false;
        }
        seen.push(&entry.delivery_id);
        rows.push(row);
    }
    rows
}
