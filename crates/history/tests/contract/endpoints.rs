//! What attempts say of endpoints, and what waits for those that keep failing.

use std::sync::Arc;

use history::{
    model::{Attempt, Delivery, HoldReason, Record, What},
    store::{Endpoint, FailingEndpoint, Held, Store, TakeHeld},
};
use uuid::Uuid;

use crate::known::{cancelled, delivered, delivery_of, entries, failed, record};

type Any = Arc<dyn Store>;

const TAKE: TakeHeld = TakeHeld {
    held: Held::Failing,
    early: false,
    config_version: 3,
    held_before: 0,
    now: 100,
    leased_until: 200,
    limit: 10,
};

const fn put_off(due_at: i64) -> What {
    What::Hold { reason: HoldReason::Failing, due_at, config_version: 3 }
}

/// Of an event of its own.
fn of(number: u128, webhook_id: i64, what: What) -> Record {
    Record { delivery: delivery_of(Uuid::from_u128(number), webhook_id), ..record(webhook_id, 1, what) }
}

async fn taken(store: &Any, take: TakeHeld) -> Vec<u128> {
    let taken = store.take_held(&[1], take).await.unwrap();
    store.released(&taken).await.unwrap();
    let mut numbers: Vec<_> = taken.iter().map(|taken| taken.delivery.event_id.as_u128()).collect();
    numbers.sort_unstable();
    numbers
}

pub(crate) async fn what_is_held_for_a_failing_endpoint_is_taken_in_turn_or_as_a_whole(store: Any) {
    let webhooks = async |held| store.held_webhooks(held, i64::MAX).await.unwrap();
    assert!(webhooks(Held::Failing).await.is_empty());
    let busy = What::Hold { reason: HoldReason::Busy, due_at: 1, config_version: 3 };
    let mut records: Vec<_> =
        (1..=8).map(|number| of(number, 1, put_off(i64::try_from(number).unwrap() * 20))).collect();
    records.extend([of(11, 1, busy.clone()), of(12, 2, busy), of(13, 3, put_off(1))]);
    store.record(records.into()).await.unwrap();
    let shown = entries(store.as_ref()).await.into_iter().filter(|entry| entry.held == Some(HoldReason::Failing));
    assert_eq!(shown.filter_map(|entry| entry.due_at).count(), 9);
    assert_eq!((webhooks(Held::Failing).await, webhooks(Held::Busy).await), (vec![1, 3], vec![1, 2]));
    // Each kind by itself.
    assert_eq!(taken(&store, TakeHeld { held: Held::Busy, ..TAKE }).await, [11]);
    assert_eq!(taken(&store, TakeHeld { held: Held::ForNews, ..TAKE }).await, []);
    store.record(vec![of(11, 1, cancelled(100))].into()).await.unwrap();
    // In their turn, while nothing was heard of those before no more than so many.
    assert_eq!(taken(&store, TakeHeld { now: 39, ..TAKE }).await, [1]);
    assert_eq!(taken(&store, TakeHeld { limit: 3, ..TAKE }).await, [2, 3]);
    assert_eq!(taken(&store, TakeHeld { limit: 3, ..TAKE }).await, []);
    let heard = vec![of(1, 1, failed(100, 5000)), of(2, 1, failed(100, 5000)), of(3, 1, put_off(200))];
    store.record(heard.into()).await.unwrap();
    assert_eq!(taken(&store, TakeHeld { limit: 3, ..TAKE }).await, [4, 5], "what has not come is left");
    assert_eq!(taken(&store, TakeHeld { early: true, ..TAKE }).await, [3, 6, 7, 8], "all are");
    assert_eq!(webhooks(Held::Failing).await, [3]);
}

pub(crate) async fn a_webhook_is_as_well_as_its_newest_attempt(store: Any) {
    let webhooks = [("default".to_owned(), 1), ("default".to_owned(), 3), ("other".to_owned(), 1)];
    let is_well = async || {
        let newest = store.newest_attempts(&webhooks).await.unwrap();
        newest.iter().map(|attempt| (attempt.webhook_id, attempt.delivered(), attempt.made)).collect::<Vec<_>>()
    };
    assert_eq!(is_well().await, [], "nothing is known of it");
    store.record(vec![of(1, 1, delivered(10)), of(2, 2, failed(90, 0)), of(1, 3, cancelled(5))].into()).await.unwrap();
    assert_eq!(is_well().await, [(1, true, true), (3, false, false)]);
    store.record(vec![of(3, 1, failed(20, 500))].into()).await.unwrap();
    assert_eq!(is_well().await, [(1, false, true), (3, false, false)]);
    store.record(vec![of(4, 1, delivered(21)), of(5, 1, failed(19, 500))].into()).await.unwrap();
    assert_eq!(is_well().await, [(1, true, true), (3, false, false)]);
    store.record(vec![of(6, 1, failed(21, 500))].into()).await.unwrap();
    assert_eq!(is_well().await, [(1, false, true), (3, false, false)], "of two at a time the failure");
}

fn endpoint(webhook_id: i64, since: i64) -> Endpoint {
    Endpoint { instance: "default".into(), webhook_id, since }
}

pub(crate) async fn failures_far_enough_apart_without_a_success_between_are_found(store: Any) {
    let other = What::Attempt(Box::new(Attempt {
        started_at: 300,
        error_class: "timeout".into(),
        error: "no answer".into(),
        ..Attempt::default()
    }));
    let records = vec![
        of(1, 1, delivered(50)),
        of(2, 1, failed(100, 0)),
        of(3, 1, other),
        of(4, 1, failed(200, 0)),
        // One, and then silence.
        of(1, 2, failed(10, 0)),
        // One success between.
        of(1, 3, failed(100, 0)),
        of(2, 3, delivered(200)),
        of(3, 3, failed(300, 0)),
        of(1, 4, delivered(100)),
    ];
    store.record(records.into()).await.unwrap();
    let endpoints: Vec<_> = (1..=5).map(|webhook_id| endpoint(webhook_id, 5)).collect();
    let expected = FailingEndpoint {
        webhook_id: 1,
        first_failed_at: 100,
        last_failed_at: 300,
        error_class: "timeout".into(),
        error: "no answer".into(),
    };
    assert_eq!(store.failing(&endpoints, 200).await.unwrap(), [expected]);
    assert_eq!(store.failing(&endpoints, 201).await.unwrap(), []);
    assert_eq!(store.failing(&[], 1).await.unwrap(), []);
    // What was attempted before it was this endpoint does not count.
    assert_eq!(store.failing(&[endpoint(1, 100)], 200).await.unwrap(), []);
    assert_eq!(store.failing(&[endpoint(1, 100)], 100).await.unwrap()[0].first_failed_at, 200);
    // More than one statement asks for.
    let many: Vec<_> = (1..=250).map(|webhook_id| endpoint(webhook_id, 5)).collect();
    let found = store.failing(&many, 200).await.unwrap();
    assert_eq!(found.iter().map(|found| found.webhook_id).collect::<Vec<_>>(), [1]);
    let stranger = Endpoint { instance: "other".into(), ..endpoint(1, 5) };
    assert_eq!(store.failing(&[stranger], 1).await.unwrap(), []);
}

pub(crate) async fn what_says_nothing_of_an_endpoint_does_not_count(store: Any) {
    let test = |record: Record| Record { delivery: Delivery { is_test: true, ..record.delivery }, ..record };
    let records = vec![
        // An end without an attempt, and tests, around a single failure.
        of(1, 1, cancelled(100)),
        test(of(2, 1, failed(150, 0))),
        of(3, 1, failed(200, 0)),
        test(of(4, 1, failed(350, 0))),
        of(5, 1, cancelled(400)),
        // A test that was delivered counts.
        of(1, 2, failed(100, 0)),
        test(of(2, 2, delivered(200))),
        of(3, 2, failed(300, 0)),
    ];
    store.record(records.into()).await.unwrap();
    let endpoints = [endpoint(1, 0), endpoint(2, 0)];
    assert_eq!(store.failing(&endpoints, 1).await.unwrap(), []);
    let same = store.failing(&endpoints, 0).await.unwrap();
    let times: Vec<_> = same.iter().map(|found| (found.first_failed_at, found.last_failed_at)).collect();
    assert_eq!(times, [(200, 200), (300, 300)]);
}
