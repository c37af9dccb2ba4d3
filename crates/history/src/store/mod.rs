//! Where history is kept: the [`Store`] port and its adapters for PostgreSQL and SQLite.
//!
//! Both hold the same tables and run the same rules (`merge.rs`, `opening.rs`); they differ in how they keep
//! two writers apart. `tests/contract.rs` holds both to one list of tests.

use std::{cmp::Reverse, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::{
    merge::DELIVERED,
    model::{CheckItem, Checked, Delivery, EventKey, NoRetry, OpenEvent, Opened, Record, Retry},
    replay::{Counted, NewReplay, Replay, Selection, Step},
};

mod check;
mod error;
mod export;
mod held;
mod list;
mod postgres;
mod read;
mod removing;
mod replays;
mod settings;
#[cfg(feature = "sqlite")]
mod sqlite;
mod stretches;

pub(crate) use error::Address;
pub use error::StoreError;
pub use export::{Completion, Exported};
pub use held::{Held, Released, TakeHeld, TakeTests};
use held::{by_kind, held_webhooks};
pub use list::{Entry, ListQuery, Page, Position};
pub use postgres::open_postgres;
pub(crate) use settings::{DAY, GRACE, LONGEST, Mark, MarkRow, Marks};
pub use settings::{RETENTIONS, Settings, Sight};
#[cfg(feature = "sqlite")]
pub use sqlite::open_sqlite;

/// What is known last of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct NewestAttempt {
    /// Its webhook.
    pub webhook_id: i64,
    status: i16,
    /// False: the delivery ended without an attempt.
    pub made: bool,
    started_at: i64,
    /// How long it took, in microseconds.
    pub duration_us: i64,
}

impl NewestAttempt {
    /// Whether the endpoint answered 2xx.
    #[must_use]
    pub const fn delivered(&self) -> bool {
        self.status == DELIVERED
    }

    /// Of each webhook the newest.
    fn of_each(mut attempts: Vec<Self>) -> Vec<Self> {
        // Of two at the same time the failure counts.
        attempts.sort_unstable_by_key(|attempt| (attempt.webhook_id, Reverse(attempt.started_at), attempt.status));
        attempts.dedup_by_key(|attempt| attempt.webhook_id);
        attempts
    }
}

/// An endpoint to be judged.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its instance.
    pub instance: String,
    /// Its webhook.
    pub webhook_id: i64,
    /// Since when it is the endpoint that it is; what was attempted until then does not count.
    pub since: i64,
}

/// An endpoint that has failed for long, without a success between.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct FailingEndpoint {
    /// Its webhook.
    pub webhook_id: i64,
    /// When the first of the failures started.
    pub first_failed_at: i64,
    /// When the last one did.
    pub last_failed_at: i64,
    /// What went wrong last, in one word.
    pub error_class: String,
    /// The same, for people.
    pub error: String,
}

/// A delivery that waits, as far as ending it needs it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Waiting {
    /// The delivery.
    #[sqlx(flatten)]
    pub delivery: Delivery,
    /// The attempt waited for.
    pub number: i32,
    /// Why it is held, if it is.
    pub hold_reason: i16,
}

/// What statistics are wanted of.
#[derive(Clone, Debug)]
pub struct StatsQuery {
    /// The instance.
    pub instance: String,
    /// The webhooks.
    pub webhook_ids: Vec<i64>,
    /// The hours, counted from the Unix epoch.
    pub hours: Range<i64>,
    /// Up to which number deliveries that wait are counted: there may be millions.
    pub pending_limit: i64,
}

/// What is known of a webhook for statistics.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// What was counted in each hour; in no order.
    pub counts: Vec<Count>,
    /// How many deliveries wait, test payloads not among them; at most `pending_limit`.
    pub pending: i64,
    /// Since when the first of them waits.
    pub oldest_pending: Option<i64>,
}

/// How many of something there were in an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, sqlx::FromRow)]
pub struct Count {
    /// The hour, counted from the Unix epoch.
    pub hour: i64,
    /// What, by its code in `counts.rs`.
    pub what: i16,
    /// How many.
    pub count: i64,
}

/// A delivery with all its entries.
#[derive(Clone, Debug)]
pub struct WholeDelivery {
    /// The delivery.
    pub delivery: Delivery,
    /// Its attempts and, at most one and last, what it waits for.
    pub entries: Vec<WholeEntry>,
    /// Its body; `None`: it is not stored.
    pub body: Option<Bytes>,
}

/// An entry with everything that is known of it.
#[derive(Clone, Debug)]
pub struct WholeEntry {
    /// What lists show.
    pub entry: Entry,
    /// Whether a request was sent.
    pub made: bool,
    /// The encoded `StoredRequest`; see `stored.rs`.
    pub request_headers: Vec<u8>,
    /// The encoded `testmo.webhooks.v1.HttpResponse` without its body.
    pub response_headers: Vec<u8>,
    /// What was received.
    pub response_body: Vec<u8>,
}

/// History's database.
///
/// Contract, held by `tests/contract.rs` for every adapter: what returned `Ok` is committed; each call is done whole or
/// not at all; any number of processes may work on the same PostgreSQL database; records commute and may be repeated.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Claims events for their publish and writes what they cause as pending. One result for each event, in order.
    async fn open(&self, events: Vec<OpenEvent>, now: i64) -> Result<Vec<Opened>, StoreError>;

    /// Writes what attempts came to.
    async fn record(&self, records: Arc<[Record]>) -> Result<(), StoreError>;

    /// Whether to send what is about to be sent, and whether the attempt before is recorded. One answer for each item, in
    /// order.
    async fn check(&self, items: &[CheckItem]) -> Result<Vec<Checked>, StoreError>;

    /// A page of entries, newest first, and whether there is more in the page's direction.
    async fn list(&self, query: &ListQuery) -> Result<(Vec<Entry>, bool), StoreError>;

    /// Hands on all entries of a list from its page on, newest first and whole, as they are when this begins.
    async fn export(&self, query: &ListQuery, parts: mpsc::Sender<Exported>) -> Result<Completion, StoreError>;

    /// What cursors are signed with: 32 random bytes, always the same.
    async fn cursor_key(&self) -> Result<Vec<u8>, StoreError>;

    /// A delivery of an instance; `None`: it has none such.
    async fn delivery(&self, instance: &str, id: Uuid, sight: Sight) -> Result<Option<WholeDelivery>, StoreError>;

    /// The body of an event in a format; `None`: it is not stored, or not to be seen.
    async fn body(&self, event: &EventKey, format: &str, sight: Sight) -> Result<Option<Bytes>, StoreError>;

    /// What an instance has decided about its history.
    async fn settings(&self, instance: &str) -> Result<Settings, StoreError>;

    /// Has an instance keep its history for so many days from now on. What that hides stays hidden.
    async fn set_retention(&self, instance: &str, days: i32, now: i64) -> Result<Settings, StoreError>;

    /// Hides all attempts of an instance that are there now. What waits goes on, and what is recorded of it later is seen:
    /// an attempt under way now counts as started at the time of the clear.
    async fn clear(&self, instance: &str, now: i64) -> Result<(), StoreError>;

    /// Gets ready for the days to come, and removes some of what nobody can see any more; answers whether there may be
    /// more to remove at once.
    async fn tidy(&self, now: i64) -> Result<bool, StoreError>;

    /// The webhooks that have held deliveries of a kind that are due by then, ascending.
    async fn held_webhooks(&self, held: Held, due_by: i64) -> Result<Vec<i64>, StoreError>;

    /// The newest attempt of each of these webhooks (instance and id) that has one.
    async fn newest_attempts(&self, webhooks: &[(String, i64)]) -> Result<Vec<NewestAttempt>, StoreError>;

    /// Those of these endpoints with failed attempts at least `apart` microseconds apart, and no delivered one since the
    /// first of them. Of tests only a delivered one counts.
    async fn failing(&self, endpoints: &[Endpoint], apart: i64) -> Result<Vec<FailingEndpoint>, StoreError>;

    /// Takes held deliveries in order to queue them again: their generation grows, and until `leased_until` nobody else
    /// takes them. They stay held until [`Store::released`]. Held again under a configuration older than
    /// `config_version`, they are not taken before `leased_until` either.
    async fn take_held(&self, webhooks: &[i64], take: TakeHeld) -> Result<Vec<Released>, StoreError>;

    /// As [`Store::take_held`], for test payloads of all webhooks, active or not.
    async fn take_tests(&self, take: TakeTests) -> Result<Vec<Released>, StoreError>;

    /// Writes a test payload as pending, with its body, and takes it at once. `None`: it is known already.
    async fn queue_test(
        &self,
        delivery: Delivery,
        body: Bytes,
        now: i64,
        leased_until: i64,
    ) -> Result<Option<Released>, StoreError>;

    /// Has a delivery that has failed for good wait for one more attempt, and takes it at once. Of calls at the same time
    /// one does.
    async fn retry(&self, retry: Retry) -> Result<Result<Released, NoRetry>, StoreError>;

    /// Counts a part of the failed deliveries that are meant, from a position on.
    async fn count_failed(&self, wanted: &Selection, after: Position) -> Result<Counted, StoreError>;

    /// Starts a replay. Of a webhook there is one at a time: if one runs, that is answered, and nothing started.
    async fn start_replay(&self, new: NewReplay) -> Result<Option<Replay>, StoreError>;

    /// The replays of a webhook, newest first; the last hundred.
    async fn replays(&self, instance: &str, webhook_id: i64) -> Result<Vec<Replay>, StoreError>;

    /// A replay of an instance; `None`: it has none such.
    async fn replay(&self, instance: &str, id: Uuid) -> Result<Option<Replay>, StoreError>;

    /// Has a replay ask for nothing more, because of `reason`; false: it is over or cancelled already. What it has asked
    /// for is taken back by its next step.
    async fn cancel_replay(&self, id: Uuid, reason: &str) -> Result<bool, StoreError>;

    /// The replays that are to be moved on, with their webhooks.
    async fn unfinished_replays(&self) -> Result<Vec<(Uuid, i64)>, StoreError>;

    /// Moves a replay on: counts what has ended, has further failed deliveries wait for one more attempt each, or takes
    /// back what it has asked for, or ends it. Answers whether more can be done at once. Of calls at the same time one
    /// does it.
    async fn advance_replay(&self, step: Step) -> Result<bool, StoreError>;

    /// Their messages are durable: they wait no longer here, unless something came in between.
    async fn released(&self, released: &[Released]) -> Result<(), StoreError>;

    /// Their messages were not taken: others may take them at once.
    async fn not_released(&self, released: &[Released]) -> Result<(), StoreError>;

    /// What waits for these webhooks (instance and id), in whatever way; at most `limit`.
    async fn waiting_for(&self, webhooks: &[(String, i64)], limit: i64) -> Result<Vec<Waiting>, StoreError>;

    /// What is held and has waited since before `before`; at most `limit`.
    async fn held_since(&self, before: i64, limit: i64) -> Result<Vec<Waiting>, StoreError>;

    /// For clocks that were set back: what is held since a time that is still to come, by more than `tolerance`, waits from
    /// `now` on as long as it was to wait then, and is not leased for longer than that; answers how many.
    async fn clock_was_set_back(&self, now: i64, tolerance: i64) -> Result<u64, StoreError>;

    /// Holds, as overdue since now, deliveries that wait elsewhere and were due before `before`, at most `limit`; answers
    /// how many.
    async fn hold_overdue(&self, before: i64, now: i64, limit: i64) -> Result<u64, StoreError>;

    /// Forgets claims made before `before`, at most `limit`; answers how many.
    async fn forget_claims(&self, before: i64, limit: i64) -> Result<u64, StoreError>;

    /// What is known of webhooks for statistics: of each, in the order asked for.
    async fn stats(&self, query: &StatsQuery) -> Result<Vec<Stats>, StoreError>;

    /// Forgets counts of hours before `before`, at most `limit` rows; answers how many.
    async fn forget_counts(&self, before: i64, limit: i64) -> Result<u64, StoreError>;

    /// Answers if the database does.
    async fn ping(&self) -> Result<(), StoreError>;
}
