//! A store that says nothing.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::*;
use crate::{
    model::{CheckItem, Checked, Delivery, EventKey, NoRetry, OpenEvent, Opened, Retry},
    replay::{Counted, NewReplay, Replay, Selection, Step},
    store::{
        Completion, Endpoint, Entry, Exported, FailingEndpoint, Held, ListQuery, NewestAttempt, Position, Released,
        Settings, Sight, Stats, StatsQuery, TakeHeld, TakeTests, Waiting, WholeDelivery,
    },
};

const NOTHING: StoreError = StoreError::Silent { seconds: 0 };

/// Never answers its first write.
#[derive(Default)]
struct Silent {
    tried: AtomicUsize,
}

#[async_trait]
impl Store for Silent {
    async fn open(&self, _: Vec<OpenEvent>, _: i64) -> Result<Vec<Opened>, StoreError> {
        Err(NOTHING)
    }

    async fn record(&self, _: Arc<[Record]>) -> Result<(), StoreError> {
        if self.tried.fetch_add(1, Ordering::SeqCst) == 0 {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn check(&self, _: &[CheckItem]) -> Result<Vec<Checked>, StoreError> {
        Err(NOTHING)
    }

    async fn list(&self, _: &ListQuery) -> Result<(Vec<Entry>, bool), StoreError> {
        Err(NOTHING)
    }

    async fn export(&self, _: &ListQuery, _: mpsc::Sender<Exported>) -> Result<Completion, StoreError> {
        Err(NOTHING)
    }

    async fn cursor_key(&self) -> Result<Vec<u8>, StoreError> {
        Err(NOTHING)
    }

    async fn delivery(&self, _: &str, _: Uuid, _: Sight) -> Result<Option<WholeDelivery>, StoreError> {
        Err(NOTHING)
    }

    async fn settings(&self, _: &str) -> Result<Settings, StoreError> {
        Err(NOTHING)
    }

    async fn set_retention(&self, _: &str, _: i32, _: i64) -> Result<Settings, StoreError> {
        Err(NOTHING)
    }

    async fn clear(&self, _: &str, _: i64) -> Result<(), StoreError> {
        Err(NOTHING)
    }

    async fn tidy(&self, _: i64) -> Result<bool, StoreError> {
        Err(NOTHING)
    }

    async fn body(&self, _: &EventKey, _: &str, _: Sight) -> Result<Option<Bytes>, StoreError> {
        Err(NOTHING)
    }

    async fn held_webhooks(&self, _: Held, _: i64) -> Result<Vec<i64>, StoreError> {
        Err(NOTHING)
    }

    async fn newest_attempts(&self, _: &[(String, i64)]) -> Result<Vec<NewestAttempt>, StoreError> {
        Err(NOTHING)
    }

    async fn failing(&self, _: &[Endpoint], _: i64) -> Result<Vec<FailingEndpoint>, StoreError> {
        Err(NOTHING)
    }

    async fn take_held(&self, _: &[i64], _: TakeHeld) -> Result<Vec<Released>, StoreError> {
        Err(NOTHING)
    }

    async fn take_tests(&self, _: TakeTests) -> Result<Vec<Released>, StoreError> {
        Err(NOTHING)
    }

    async fn queue_test(&self, _: Delivery, _: Bytes, _: i64, _: i64) -> Result<Option<Released>, StoreError> {
        Err(NOTHING)
    }

    async fn retry(&self, _: Retry) -> Result<Result<Released, NoRetry>, StoreError> {
        Err(NOTHING)
    }

    async fn count_failed(&self, _: &Selection, _: Position) -> Result<Counted, StoreError> {
        Err(NOTHING)
    }

    async fn start_replay(&self, _: NewReplay) -> Result<Option<Replay>, StoreError> {
        Err(NOTHING)
    }

    async fn replays(&self, _: &str, _: i64) -> Result<Vec<Replay>, StoreError> {
        Err(NOTHING)
    }

    async fn replay(&self, _: &str, _: Uuid) -> Result<Option<Replay>, StoreError> {
        Err(NOTHING)
    }

    async fn cancel_replay(&self, _: Uuid, _: &str) -> Result<bool, StoreError> {
        Err(NOTHING)
    }

    async fn unfinished_replays(&self) -> Result<Vec<(Uuid, i64)>, StoreError> {
        Err(NOTHING)
    }

    async fn advance_replay(&self, _: Step) -> Result<bool, StoreError> {
        Err(NOTHING)
    }

    async fn released(&self, _: &[Released]) -> Result<(), StoreError> {
        Err(NOTHING)
    }

    async fn not_released(&self, _: &[Released]) -> Result<(), StoreError> {
        Err(NOTHING)
    }

    async fn waiting_for(&self, _: &[(String, i64)], _: i64) -> Result<Vec<Waiting>, StoreError> {
        Err(NOTHING)
    }

    async fn held_since(&self, _: i64, _: i64) -> Result<Vec<Waiting>, StoreError> {
        Err(NOTHING)
    }

    async fn clock_was_set_back(&self, _: i64, _: i64) -> Result<u64, StoreError> {
        Err(NOTHING)
    }

    async fn hold_overdue(&self, _: i64, _: i64, _: i64) -> Result<u64, StoreError> {
        Err(NOTHING)
    }

    async fn forget_claims(&self, _: i64, _: i64) -> Result<u64, StoreError> {
        Err(NOTHING)
    }

    async fn stats(&self, _: &StatsQuery) -> Result<Vec<Stats>, StoreError> {
        Err(NOTHING)
    }

    async fn forget_counts(&self, _: i64, _: i64) -> Result<u64, StoreError> {
        Err(NOTHING)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Err(NOTHING)
    }
}

#[tokio::test]
async fn a_write_that_is_never_answered_is_tried_again() {
    let store = Silent::default();
    let metrics = Metrics::new(Arc::new(domain::SystemClock));
    let patience = Duration::from_millis(50);
    let writer = Writer { store: &store, clock: &domain::SystemClock, metrics: &metrics, patience };
    let written = tokio::time::timeout(Duration::from_secs(20), writer.record(Vec::new().into())).await;
    assert!(matches!(written, Ok(Ok(()))), "{written:?}");
    assert_eq!(store.tried.load(Ordering::SeqCst), 2);
}
