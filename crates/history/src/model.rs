//! What history is told, as its stores take it: checked, and free of what a database refuses.
//!
//! Times are microseconds since the Unix epoch.

use bytes::Bytes;
use domain::{SkipReason, TraceContext};
use uuid::Uuid;

/// Whose an event is, and which: publishers choose event ids, so an id alone says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventKey {
    /// The instance.
    pub instance: String,
    /// The event's id.
    pub event_id: Uuid,
}

/// One event for one webhook.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Delivery {
    /// Its id.
    #[sqlx(rename = "delivery_id")]
    pub id: Uuid,
    /// Its instance.
    pub instance: String,
    /// Its webhook.
    pub webhook_id: i64,
    /// Its event.
    pub event_id: Uuid,
    /// The event's type.
    pub event_type: String,
    /// The event's project.
    pub project_id: i64,
    /// When it was matched.
    pub matched_at: i64,
    /// The format of its body.
    pub format: String,
    /// Whether it is a test payload.
    pub is_test: bool,
    /// The trace context of its event, as messages have it; empty: not known. No column has it; see `opening.rs`.
    #[sqlx(skip)]
    pub trace: Bytes,
}

impl Delivery {
    /// The event that it delivers.
    #[must_use]
    pub fn event(&self) -> EventKey {
        EventKey { instance: self.instance.clone(), event_id: self.event_id }
    }
}

/// What became of an attempt, or of the wait for one.
#[derive(Clone, Debug)]
pub struct Record {
    /// The delivery.
    pub delivery: Delivery,
    /// Which attempt: 1, 2, …
    pub number: i32,
    /// The body, where it may not be stored yet; empty otherwise.
    pub body: Bytes,
    /// What became of it.
    pub what: What,
}

/// See [`Record`].
#[derive(Clone, Debug)]
pub enum What {
    /// It was made.
    Attempt(Box<Attempt>),
    /// It waits here until it is released.
    Hold {
        /// Why.
        reason: HoldReason,
        /// When to go on, were it not for the reason.
        due_at: i64,
        /// The configuration version that was in force.
        config_version: i64,
    },
    /// It will never be made; the delivery has failed.
    Cancel {
        /// When.
        at: i64,
        /// One word.
        error_class: String,
        /// For people.
        error: String,
    },
}

impl What {
    /// Whether there may be another attempt: by itself, or because somebody asks for it.
    #[must_use]
    pub fn may_go_on(&self) -> bool {
        match self {
            Self::Attempt(attempt) => !attempt.delivered,
            Self::Hold { .. } => true,
            Self::Cancel { .. } => false,
        }
    }
}

/// An attempt that was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    /// When it started.
    pub started_at: i64,
    /// How long it took, in microseconds.
    pub duration_us: i64,
    /// Whether the answer was 2xx.
    pub delivered: bool,
    /// The HTTP status; 0: none.
    pub response_code: i32,
    /// One word; empty: no error.
    pub error_class: String,
    /// For people.
    pub error: String,
    /// Where it was posted to, secret parts masked.
    pub url: String,
    /// The address connected to; empty: none.
    pub remote_address: String,
    /// The encoded `StoredRequest`; see `stored.rs`.
    pub request_headers: Vec<u8>,
    /// The encoded `testmo.webhooks.v1.HttpResponse` without its body.
    pub response_headers: Vec<u8>,
    /// What was received.
    pub response_body: Bytes,
    /// Whether there was more.
    pub response_truncated: bool,
    /// When the next attempt is due; 0: there is none.
    pub next_due_at: i64,
    /// Why that waits here; `None`: it has a message of its own.
    pub next_held: Option<HoldReason>,
    /// The attempt's span, if the collector of traces is told of it; not kept.
    pub span: Option<TraceContext>,
}

/// An event about to be dispatched.
#[derive(Clone, Debug)]
pub struct OpenEvent {
    /// Which.
    pub key: EventKey,
    /// Fresh with each publish.
    pub publish_id: Uuid,
    /// Whether its id came from the publisher.
    pub claim: bool,
    /// Whether its message may have been worked on before.
    pub redelivered: bool,
    /// Its type.
    pub event_type: String,
    /// Its project.
    pub project_id: i64,
    /// When it was matched.
    pub matched_at: i64,
    /// Format and content of its bodies.
    pub bodies: Vec<(String, Bytes)>,
    /// Webhook and format of its deliveries.
    pub deliveries: Vec<(i64, String)>,
    /// The webhooks that it would go to, were they active, each with the reason why it is not.
    pub skipped: Vec<(i64, SkipReason)>,
}

impl OpenEvent {
    /// The delivery to a webhook.
    #[must_use]
    pub fn delivery(&self, webhook_id: i64, format: &str) -> Delivery {
        Delivery {
            id: domain::delivery_id(self.key.event_id, webhook_id),
            instance: self.key.instance.clone(),
            webhook_id,
            event_id: self.key.event_id,
            event_type: self.event_type.clone(),
            project_id: self.project_id,
            matched_at: self.matched_at,
            format: format.to_owned(),
            is_test: false,
            trace: Bytes::new(),
        }
    }
}

/// One more attempt of a delivery that has failed for good.
#[derive(Clone, Debug)]
pub struct Retry {
    /// The delivery's instance.
    pub instance: String,
    /// The delivery.
    pub delivery_id: Uuid,
    /// When it was matched.
    pub matched_at: i64,
    /// When it was asked for.
    pub called_at: i64,
    /// Until when nobody else queues it.
    pub leased_until: i64,
}

/// Why there is no further attempt of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRetry {
    /// It waits for an attempt.
    Pending,
    /// It was delivered.
    Delivered,
    /// An attempt has ended after the retry was asked for, so that it cannot have been meant.
    Overtaken,
    /// What was sent is not stored.
    Bodiless,
    /// It has had as many attempts as it may have.
    Exhausted,
}

/// What is to be done with an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// Send all its deliveries.
    New,
    /// Its id was published before; send nothing.
    Duplicate,
    /// It was opened before by the same publish; send to these webhooks (ascending), to each in the format that it was
    /// opened with.
    Redelivered(Vec<(i64, String)>),
}

/// A delivery about to be sent.
#[derive(Clone, Copy, Debug)]
pub struct CheckItem {
    /// Which.
    pub delivery_id: Uuid,
    /// The attempt about to be made.
    pub number: i32,
    /// How often it had been queued again.
    pub generation: i32,
    /// When it was matched.
    pub matched_at: i64,
}

/// What history says of an attempt about to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Whether to make it.
    pub send: bool,
    /// Whether the attempt before it is recorded.
    pub previous_recorded: bool,
}

/// What a delivery waits with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WaitState {
    /// With its event's message.
    Event,
    /// With a message of its own.
    Message,
    /// Here, until it is released.
    Held,
}

impl WaitState {
    /// As it is stored.
    #[must_use]
    pub const fn code(self) -> i16 {
        match self {
            Self::Event => 0,
            Self::Message => 1,
            Self::Held => 2,
        }
    }

    /// From what is stored.
    #[must_use]
    pub const fn from_code(code: i16) -> Self {
        match code {
            0 => Self::Event,
            2 => Self::Held,
            _ => Self::Message,
        }
    }
}

/// Why a delivery is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldReason {
    /// Its webhook is inactive.
    Inactive,
    /// The dispatcher does not know its webhook.
    UnknownWebhook,
    /// Its endpoint is slow, and has as many attempts under way as it may have.
    Busy,
    /// Its endpoint asked for it (`Retry-After`).
    RetryAfter,
    /// Nothing was heard of it for longer than it may take: its message is taken for lost.
    Overdue,
    /// Somebody asked for an attempt, which is being queued.
    Requested,
    /// Its endpoint keeps failing, so that attempts to it are spaced.
    Failing,
}

impl HoldReason {
    /// As it is stored; 0 is for what is not held.
    #[must_use]
    pub const fn code(self) -> i16 {
        match self {
            Self::Inactive => 1,
            Self::UnknownWebhook => 2,
            Self::Busy => 3,
            Self::RetryAfter => 4,
            Self::Overdue => 5,
            Self::Requested => 6,
            Self::Failing => 7,
        }
    }

    /// From what is stored.
    #[must_use]
    pub const fn from_code(code: i16) -> Self {
        match code {
            2 => Self::UnknownWebhook,
            3 => Self::Busy,
            4 => Self::RetryAfter,
            5 => Self::Overdue,
            6 => Self::Requested,
            7 => Self::Failing,
            _ => Self::Inactive,
        }
    }

    /// Whether it waits for a time, not for news of its webhook. The stores know them by their code, from 3 on.
    #[must_use]
    pub const fn is_timed(self) -> bool {
        matches!(self, Self::Busy | Self::RetryAfter | Self::Overdue | Self::Requested | Self::Failing)
    }
}

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Waits for its attempt.
    Pending,
    /// The endpoint answered 2xx.
    Delivered,
    /// It did not.
    Failed,
}
