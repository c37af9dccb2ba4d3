//! Attempts that somebody asks for: retries of what has failed for good, and test payloads.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use history::{
    model::{Delivery, HoldReason, NoRetry, Retry, What},
    store::{Held, Released, Store, TakeHeld, TakeTests},
};
use uuid::Uuid;

use crate::known::{
    cancelled, delivered, delivery, delivery_of, entries, event, failed, held, may_send, record, standing, stands,
};

type Any = Arc<dyn Store>;

const TAKE: TakeHeld = TakeHeld {
    held: Held::UntilTime,
    early: false,
    config_version: 3,
    held_before: 0,
    now: 5000,
    leased_until: 6000,
    limit: 10,
};
const TESTS: TakeTests = TakeTests { config_version: 3, now: 5000, leased_until: 6000, limit: 10 };

fn press(called_at: i64) -> Retry {
    Retry {
        instance: "default".into(),
        delivery_id: delivery(1).id,
        matched_at: 1000,
        called_at,
        leased_until: called_at + 1000,
    }
}

/// The delivery to webhook 1 has failed for good, at 2007.
async fn failed_for_good(store: &Any) {
    store.open(vec![event(1, &[1])], 5).await.unwrap();
    store.record(vec![record(1, 1, failed(2000, 0))].into()).await.unwrap();
}

async fn refused(store: &Any, called_at: i64) -> NoRetry {
    store.retry(press(called_at)).await.unwrap().unwrap_err()
}

async fn pressed(store: &Any, called_at: i64) -> Released {
    store.retry(press(called_at)).await.unwrap().unwrap()
}

pub(crate) async fn what_failed_for_good_waits_for_the_attempt_that_is_asked_for(store: Any) {
    failed_for_good(&store).await;
    let taken = pressed(&store, 3000).await;
    assert_eq!((taken.number, taken.generation, taken.manual, taken.leased_until), (2, 1, true, 4000));
    assert_eq!((taken.delivery.clone(), taken.body.as_deref()), (delivery(1), Some(&b"{\"id\":1}"[..])));
    assert_eq!(standing(&*store).await, stands(&[(1, 1, "failed"), (1, 2, "pending")]));
    // This attempt and no other: not one that was queued by itself, and not a later one.
    for (number, generation, sent) in [(2, 1, true), (2, 0, false), (1, 1, false), (3, 1, false)] {
        assert_eq!(may_send(&*store, 1, number, generation).await, sent, "{number} {generation}");
    }
    store.released(&[taken]).await.unwrap();
    assert!(may_send(&*store, 1, 2, 1).await);
    assert!(!may_send(&*store, 1, 3, 0).await);
    // It ends with it, and can be asked for again.
    store.record(vec![record(1, 2, failed(3500, 0))].into()).await.unwrap();
    assert_eq!(standing(&*store).await, stands(&[(1, 1, "failed"), (1, 2, "failed")]));
    assert!(!may_send(&*store, 1, 2, 1).await && !may_send(&*store, 1, 3, 1).await);
    assert_eq!(pressed(&store, 4000).await.number, 3);
    store.record(vec![record(1, 3, delivered(4100))].into()).await.unwrap();
    assert_eq!(refused(&store, 5000).await, NoRetry::Delivered);
}

pub(crate) async fn of_presses_at_once_one_makes_an_attempt(store: Any) {
    failed_for_good(&store).await;
    for number in 2..5 {
        let at = i64::from(number) * 1000 + 1000;
        let presses = join_all((0..10).map(|_| store.retry(press(at)))).await;
        let taken: Vec<_> = presses.into_iter().filter_map(|pressed| pressed.unwrap().ok()).collect();
        assert_eq!(taken.iter().map(|taken| taken.number).collect::<Vec<_>>(), [number]);
        store.released(&taken).await.unwrap();
        store.record(vec![record(1, number, failed(at + 10, 0))].into()).await.unwrap();
        // One that had been on its way for longer than the attempt took.
        assert_eq!(refused(&store, at).await, NoRetry::Overtaken);
    }
    assert_eq!(entries(&*store).await.len(), 4);
}

pub(crate) async fn what_is_not_over_or_not_there_is_not_retried(store: Any) {
    assert_eq!(refused(&store, 3000).await, NoRetry::Pending, "nothing is known of it");
    store.open(vec![event(1, &[1])], 5).await.unwrap();
    assert_eq!(refused(&store, 3000).await, NoRetry::Pending);
    store.record(vec![record(1, 1, failed(2000, 9000))].into()).await.unwrap();
    assert_eq!(refused(&store, 3000).await, NoRetry::Pending);
    store.record(vec![record(1, 2, cancelled(2500))].into()).await.unwrap();
    let elsewhere = Retry { instance: "other".into(), ..press(3000) };
    assert_eq!(store.retry(elsewhere).await.unwrap().unwrap_err(), NoRetry::Pending);
    assert_eq!(pressed(&store, 3000).await.number, 3);
    assert_eq!(standing(&*store).await, stands(&[(1, 1, "failed"), (1, 2, "failed"), (1, 3, "pending")]));
    // Recorded without what was sent.
    store.record(vec![record(2, 1, failed(2000, 0))].into()).await.unwrap();
    let of_2 = Retry { delivery_id: delivery(2).id, ..press(3000) };
    assert!(store.retry(of_2.clone()).await.unwrap().is_ok(), "the body is its event's");
    let other = Uuid::from_u128(0xf);
    let bodiless = history::model::Record { delivery: delivery_of(other, 2), ..record(2, 1, failed(2000, 0)) };
    store.record(vec![bodiless].into()).await.unwrap();
    let retry = Retry { delivery_id: delivery_of(other, 2).id, ..of_2 };
    assert_eq!(store.retry(retry).await.unwrap().unwrap_err(), NoRetry::Bodiless);
}

pub(crate) async fn a_retry_that_was_not_queued_is_taken_again_and_late_records_do_not_end_it(store: Any) {
    failed_for_good(&store).await;
    pressed(&store, 3000).await;
    assert_eq!(entries(&*store).await[0].held, Some(HoldReason::Requested));
    assert!(store.take_held(&[1], TakeHeld { now: 3999, ..TAKE }).await.unwrap().is_empty(), "it is leased");
    // What was under way before, and comes late: it says nothing of this attempt.
    let late = [record(1, 1, held(2)), record(1, 1, cancelled(1000)), record(1, 1, failed(2000, 0))];
    store.record(late.into()).await.unwrap();
    let taken = store.take_held(&[1], TAKE).await.unwrap();
    assert_eq!((taken[0].number, taken[0].generation, taken[0].manual), (2, 2, true));
    store.released(&taken).await.unwrap();
    // The webhook was deactivated in between.
    store.record(vec![record(1, 2, held(4))].into()).await.unwrap();
    assert_eq!(entries(&*store).await[0].held, Some(HoldReason::Inactive));
    let again = TakeHeld { held: Held::ForNews, config_version: 5, now: 7000, leased_until: 8000, ..TAKE };
    let taken = store.take_held(&[1], again).await.unwrap();
    assert_eq!((taken[0].number, taken[0].generation, taken[0].manual), (2, 3, true));
    assert!(may_send(&*store, 1, 2, 3).await && !may_send(&*store, 1, 2, 2).await);
    // Deleting ends it, and an outcome of what was on the wire ends all.
    store.record(vec![record(1, 1, delivered(2000))].into()).await.unwrap();
    assert_eq!(standing(&*store).await, stands(&[(1, 1, "delivered")]));
    assert!(!may_send(&*store, 1, 2, 3).await);
}

fn test_of(number: u128) -> Delivery {
    Delivery { is_test: true, ..delivery_of(Uuid::from_u128(number), 1) }
}

pub(crate) async fn a_test_is_pending_and_taken_at_once_and_only_once(store: Any) {
    let body = Bytes::from_static(b"{}");
    let taken = store.queue_test(test_of(1), body.clone(), 2000, 3000).await.unwrap().unwrap();
    assert_eq!((taken.number, taken.generation, taken.manual, taken.leased_until), (1, 1, true, 3000));
    assert_eq!((taken.delivery.clone(), taken.body.clone()), (test_of(1), Some(body.clone())));
    let entry = entries(&*store).await.remove(0);
    assert!(entry.delivery.is_test && entry.held == Some(HoldReason::Requested));
    assert!(store.queue_test(test_of(1), body.clone(), 2000, 3000).await.unwrap().is_none(), "it is known");
    store.released(&[taken]).await.unwrap();
    let done = history::model::Record { delivery: test_of(1), ..record(1, 1, failed(2100, 0)) };
    store.record(vec![done].into()).await.unwrap();
    assert!(store.queue_test(test_of(1), body, 2000, 3000).await.unwrap().is_none(), "it is over");
    assert_eq!(entries(&*store).await.len(), 1);
    assert!(store.take_tests(TESTS).await.unwrap().is_empty());
}

pub(crate) async fn held_tests_are_taken_whatever_they_are_held_for(store: Any) {
    let body = Bytes::from_static(b"{}");
    for number in 1..=4 {
        let taken = store.queue_test(test_of(number), body.clone(), 2000, 3000).await.unwrap().unwrap();
        // The last was not published before the program ended.
        if number < 4 {
            store.released(&[taken]).await.unwrap();
        }
    }
    let of = |number, what| history::model::Record { delivery: test_of(number), ..record(1, 1, what) };
    let busy = What::Hold { reason: HoldReason::Busy, due_at: 5001, config_version: 2 };
    store.record(vec![of(1, held(2)), of(2, busy), record(2, 1, held(2))].into()).await.unwrap();
    let numbers = |taken: Vec<Released>| {
        let mut numbers: Vec<_> = taken.iter().map(|taken| taken.delivery.event_id.as_u128()).collect();
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(numbers(store.take_tests(TakeTests { now: 2999, ..TESTS }).await.unwrap()), [1], "one is leased");
    assert_eq!(numbers(store.take_tests(TESTS).await.unwrap()), [4], "the time of one has not come");
    let later = TakeTests { now: 6000, leased_until: 7000, ..TESTS };
    assert_eq!(numbers(store.take_tests(TakeTests { limit: 2, ..later }).await.unwrap()).len(), 2);
    let rest = store.take_tests(later).await.unwrap();
    assert!(rest[0].manual && rest[0].body.is_some());
    assert_eq!(rest.len(), 1);
    assert!(store.take_tests(later).await.unwrap().is_empty(), "all are leased");
    // Held under no newer configuration than it was taken under, it rests, so that nothing circles.
    store.released(&rest).await.unwrap();
    let number = rest[0].delivery.event_id.as_u128();
    store.record(vec![of(number, held(3))].into()).await.unwrap();
    let soon = TakeTests { now: 6999, leased_until: 7999, ..TESTS };
    assert!(store.take_tests(soon).await.unwrap().is_empty());
}
