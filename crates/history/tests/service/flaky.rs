//! A store that fails when told to.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use history::{
    model::{CheckItem, Checked, Delivery, EventKey, NoRetry, OpenEvent, Opened, Record, Retry},
    replay::{Counted, NewReplay, Replay, Selection, Step},
    store::{
        Completion, Endpoint, Entry, Exported, FailingEndpoint, Held, ListQuery, NewestAttempt, Position, Released,
        Settings, Sight, Stats, StatsQuery, Store, StoreError, TakeHeld, TakeTests, Waiting, WholeDelivery,
    },
};
use tokio::sync::mpsc;
use uuid::Uuid;

/// A store that fails while it is told to.
pub(crate) struct Flaky {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) fails: AtomicBool,
    pub(crate) tried: AtomicUsize,
}

#[async_trait]
impl Store for Flaky {
    async fn open(&self, events: Vec<OpenEvent>, now: i64) -> Result<Vec<Opened>, StoreError> {
        self.store.open(events, now).await
    }

    async fn record(&self, records: Arc<[Record]>) -> Result<(), StoreError> {
        self.tried.fetch_add(1, Ordering::SeqCst);
        if self.fails.load(Ordering::SeqCst) {
            let (address, reason) = ("test".to_owned(), "told to".to_owned());
            return Err(StoreError::Failed { address, reason, setting: "none" });
        }
        if records.iter().any(|record| record.number == 99) {
            return Err(StoreError::Refused { address: "test".to_owned(), reason: "99".to_owned() });
        }
        self.store.record(records).await
    }

    async fn check(&self, items: &[CheckItem]) -> Result<Vec<Checked>, StoreError> {
        self.store.check(items).await
    }

    async fn list(&self, query: &ListQuery) -> Result<(Vec<Entry>, bool), StoreError> {
        self.store.list(query).await
    }

    async fn export(&self, query: &ListQuery, parts: mpsc::Sender<Exported>) -> Result<Completion, StoreError> {
        self.store.export(query, parts).await
    }

    async fn cursor_key(&self) -> Result<Vec<u8>, StoreError> {
        self.store.cursor_key().await
    }

    async fn delivery(&self, instance: &str, id: Uuid, sight: Sight) -> Result<Option<WholeDelivery>, StoreError> {
        self.store.delivery(instance, id, sight).await
    }

    async fn body(&self, event: &EventKey, format: &str, sight: Sight) -> Result<Option<Bytes>, StoreError> {
        self.store.body(event, format, sight).await
    }

    async fn settings(&self, instance: &str) -> Result<Settings, StoreError> {
        self.store.settings(instance).await
    }

    async fn set_retention(&self, instance: &str, days: i32, now: i64) -> Result<Settings, StoreError> {
        self.store.set_retention(instance, days, now).await
    }

    async fn clear(&self, instance: &str, now: i64) -> Result<(), StoreError> {
        self.store.clear(instance, now).await
    }

    async fn tidy(&self, now: i64) -> Result<bool, StoreError> {
        self.store.tidy(now).await
    }

    async fn held_webhooks(&self, held: Held, due_by: i64) -> Result<Vec<i64>, StoreError> {
        self.store.held_webhooks(held, due_by).await
    }

    async fn newest_attempts(&self, webhooks: &[(String, i64)]) -> Result<Vec<NewestAttempt>, StoreError> {
        self.store.newest_attempts(webhooks).await
    }

    async fn failing(&self, endpoints: &[Endpoint], apart: i64) -> Result<Vec<FailingEndpoint>, StoreError> {
        self.store.failing(endpoints, apart).await
    }

    async fn take_held(&self, webhooks: &[i64], take: TakeHeld) -> Result<Vec<Released>, StoreError> {
        self.store.take_held(webhooks, take).await
    }

    async fn take_tests(&self, take: TakeTests) -> Result<Vec<Released>, StoreError> {
        self.store.take_tests(take).await
    }

    async fn queue_test(
        &self,
        delivery: Delivery,
        body: Bytes,
        now: i64,
        leased_until: i64,
    ) -> Result<Option<Released>, StoreError> {
        self.store.queue_test(delivery, body, now, leased_until).await
    }

    async fn retry(&self, retry: Retry) -> Result<Result<Released, NoRetry>, StoreError> {
        self.store.retry(retry).await
    }

    async fn count_failed(&self, wanted: &Selection, after: Position) -> Result<Counted, StoreError> {
        self.store.count_failed(wanted, after).await
    }

    async fn start_replay(&self, new: NewReplay) -> Result<Option<Replay>, StoreError> {
        self.store.start_replay(new).await
    }

    async fn replays(&self, instance: &str, webhook_id: i64) -> Result<Vec<Replay>, StoreError> {
        self.store.replays(instance, webhook_id).await
    }

    async fn replay(&self, instance: &str, id: Uuid) -> Result<Option<Replay>, StoreError> {
        self.store.replay(instance, id).await
    }

    async fn cancel_replay(&self, id: Uuid, reason: &str) -> Result<bool, StoreError> {
        self.store.cancel_replay(id, reason).await
    }

    async fn unfinished_replays(&self) -> Result<Vec<(Uuid, i64)>, StoreError> {
        self.store.unfinished_replays().await
    }

    async fn advance_replay(&self, step: Step) -> Result<bool, StoreError> {
        self.store.advance_replay(step).await
    }

    async fn released(&self, released: &[Released]) -> Result<(), StoreError> {
        self.store.released(released).await
    }

    async fn not_released(&self, released: &[Released]) -> Result<(), StoreError> {
        self.store.not_released(released).await
    }

    async fn waiting_for(&self, webhooks: &[(String, i64)], limit: i64) -> Result<Vec<Waiting>, StoreError> {
        self.store.waiting_for(webhooks, limit).await
    }

    async fn held_since(&self, before: i64, limit: i64) -> Result<Vec<Waiting>, StoreError> {
        self.store.held_since(before, limit).await
    }

    async fn clock_was_set_back(&self, now: i64, tolerance: i64) -> Result<u64, StoreError> {
        self.store.clock_was_set_back(now, tolerance).await
    }

    async fn hold_overdue(&self, before: i64, now: i64, limit: i64) -> Result<u64, StoreError> {
        self.store.hold_overdue(before, now, limit).await
    }

    async fn forget_claims(&self, before: i64, limit: i64) -> Result<u64, StoreError> {
        self.store.forget_claims(before, limit).await
    }

    async fn stats(&self, query: &StatsQuery) -> Result<Vec<Stats>, StoreError> {
        self.store.stats(query).await
    }

    async fn forget_counts(&self, before: i64, limit: i64) -> Result<u64, StoreError> {
        self.store.forget_counts(before, limit).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }
}
