//! Holds until a time, and what is overdue.

use std::sync::Arc;

use history::{
    model::{Attempt, Delivery, HoldReason, Record, What},
    store::{Held, Store, TakeHeld},
};
use uuid::Uuid;

use crate::known::{cancelled, delivery_of, entries, event, failed, held, may_send, record};

type Any = Arc<dyn Store>;

const TAKE: TakeHeld = TakeHeld {
    held: Held::Busy,
    early: false,
    config_version: 3,
    held_before: 0,
    now: 100,
    leased_until: 200,
    limit: 10,
};

const fn busy(due_at: i64) -> What {
    What::Hold { reason: HoldReason::Busy, due_at, config_version: 3 }
}

fn delivery(number: u128) -> Delivery {
    delivery_of(Uuid::from_u128(number), 1)
}

fn of(number: u128, what: What) -> Record {
    Record { delivery: delivery(number), ..record(1, 1, what) }
}

pub(crate) async fn a_timed_hold_is_taken_when_its_time_has_come(store: Any) {
    store.open(vec![event(1, &[1])], 5).await.unwrap();
    store.record(vec![record(1, 1, busy(100))].into()).await.unwrap();
    assert_eq!(entries(store.as_ref()).await[0].held, Some(HoldReason::Busy));
    let due_by = async |time| store.held_webhooks(Held::Busy, time).await.unwrap();
    assert_eq!((due_by(99).await, due_by(100).await), (vec![], vec![1]));
    assert!(
        store.take_held(&[1], TakeHeld { held: Held::ForNews, ..TAKE }).await.unwrap().is_empty(),
        "it waits for no news"
    );
    assert!(store.take_held(&[1], TakeHeld { now: 99, ..TAKE }).await.unwrap().is_empty());
    let taken = store.take_held(&[1], TAKE).await.unwrap();
    assert_eq!((taken.len(), taken[0].number, taken[0].generation), (1, 1, 1));
    assert!(may_send(store.as_ref(), 1, 1, 1).await && !may_send(store.as_ref(), 1, 1, 0).await);
    assert!(store.take_held(&[1], TakeHeld { now: 199, ..TAKE }).await.unwrap().is_empty(), "it is leased");
    store.released(&taken).await.unwrap();
    // Held again under the same configuration: its time counts, before and after.
    store.record(vec![record(1, 1, busy(150))].into()).await.unwrap();
    let later = TakeHeld { now: 150, leased_until: 250, ..TAKE };
    assert!(store.take_held(&[1], TakeHeld { now: 149, ..later }).await.unwrap().is_empty());
    assert_eq!(store.take_held(&[1], later).await.unwrap()[0].generation, 2);
}

pub(crate) async fn an_attempt_may_leave_its_next_one_here(store: Any) {
    let attempt = Attempt { next_due_at: 500, next_held: Some(HoldReason::RetryAfter), ..Attempt::default() };
    store.open(vec![event(1, &[1])], 5).await.unwrap();
    store.record(vec![record(1, 1, What::Attempt(Box::new(attempt)))].into()).await.unwrap();
    let waiting = entries(store.as_ref()).await.into_iter().find(|entry| entry.number == 2).unwrap();
    assert_eq!((waiting.held, waiting.due_at), (Some(HoldReason::RetryAfter), Some(500)));
    assert!(!may_send(store.as_ref(), 1, 2, 0).await, "history has it");
    let take = TakeHeld { held: Held::UntilTime, leased_until: 600, ..TAKE };
    assert!(store.take_held(&[1], TakeHeld { now: 499, ..take }).await.unwrap().is_empty());
    let taken = store.take_held(&[1], TakeHeld { now: 500, ..take }).await.unwrap();
    assert_eq!((taken[0].number, taken[0].body.is_some()), (2, true));
}

pub(crate) async fn what_was_queued_again_counts_until_something_is_heard_of_it(store: Any) {
    store.record((1..=9).map(|number| of(number, busy(i64::try_from(number).unwrap()))).collect()).await.unwrap();
    let numbers = |taken: &[history::store::Released]| {
        let mut numbers: Vec<_> = taken.iter().map(|taken| taken.delivery.event_id.as_u128()).collect();
        numbers.sort_unstable();
        numbers
    };
    let take = TakeHeld { limit: 4, ..TAKE };
    let first = store.take_held(&[1], take).await.unwrap();
    assert_eq!(numbers(&first), [1, 2, 3, 4], "those that wait longest");
    store.released(&first).await.unwrap();
    assert!(store.take_held(&[1], take).await.unwrap().is_empty());
    // One was sent, one failed and waits for its retry, one was held again.
    let heard = vec![of(1, cancelled(2000)), of(2, failed(2000, 5000)), of(3, busy(90))];
    store.record(heard.into()).await.unwrap();
    assert_eq!(numbers(&store.take_held(&[1], take).await.unwrap()), [5, 6, 7]);
    // Another webhook's are another matter.
    store.record(vec![record(2, 1, busy(1))].into()).await.unwrap();
    assert_eq!(store.take_held(&[2], TakeHeld { limit: 1, ..TAKE }).await.unwrap().len(), 1);
}

pub(crate) async fn what_is_overdue_elsewhere_is_held(store: Any) {
    // With its event's message since 1000, with one of its own until 5000, and held.
    store.open(vec![event(1, &[1, 2, 3])], 5).await.unwrap();
    store.record(vec![record(2, 1, failed(2000, 5000)), record(3, 1, held(3))].into()).await.unwrap();
    let webhooks = async || {
        let (news, overdue) = (Held::ForNews, Held::UntilTime);
        let of = async |held| store.held_webhooks(held, i64::MAX).await.unwrap();
        [of(news).await, of(overdue).await].concat()
    };
    assert_eq!((store.hold_overdue(1000, 6000, 10).await.unwrap(), webhooks().await), (0, vec![3]));
    assert_eq!((store.hold_overdue(5000, 6000, 10).await.unwrap(), webhooks().await), (1, vec![3, 1]));
    assert_eq!((store.hold_overdue(5001, 6000, 10).await.unwrap(), webhooks().await), (1, vec![3, 1, 2]));
    assert_eq!(store.hold_overdue(9000, 6000, 10).await.unwrap(), 0, "held is held");
    for (webhook_id, number) in [(1, 1), (2, 2)] {
        assert!(!may_send(store.as_ref(), webhook_id, number, 0).await, "the message that was lost after all");
        let take = TakeHeld { held: Held::UntilTime, now: 6000, leased_until: 7000, ..TAKE };
        let taken = store.take_held(&[webhook_id], take).await.unwrap();
        assert_eq!((taken[0].number, taken[0].generation), (number, 1));
        store.released(&taken).await.unwrap();
        assert!(may_send(store.as_ref(), webhook_id, number, 1).await);
    }
    assert_eq!(webhooks().await, [3]);
}

pub(crate) async fn what_was_to_wait_by_a_clock_that_was_ahead_waits_from_now_on(store: Any) {
    // Written when the clock stood at 3600, to be taken 7 later; and one that was written in its time.
    let failed = |started_at, next_due_at| {
        let next_held = Some(HoldReason::RetryAfter);
        What::Attempt(Box::new(Attempt { started_at, next_due_at, next_held, ..Attempt::default() }))
    };
    store.record([of(1, failed(3600, 3607)), of(2, failed(90, 120))].into()).await.unwrap();
    assert_eq!(store.clock_was_set_back(100, 5000).await.unwrap(), 0, "it may be another clock that is ahead");
    assert_eq!(store.clock_was_set_back(100, 50).await.unwrap(), 1);
    let take = TakeHeld { held: Held::UntilTime, ..TAKE };
    let taken = async |now| store.take_held(&[1], TakeHeld { now, leased_until: 9000, ..take }).await.unwrap();
    assert!(taken(106).await.is_empty());
    assert_eq!(taken(107).await.len(), 1);
    assert_eq!(taken(120).await.len(), 1);
    // A lease that was taken while the clock was ahead.
    assert!(taken(1000).await.is_empty());
    assert_eq!(store.clock_was_set_back(1000, 50).await.unwrap(), 2);
    assert!(taken(1049).await.is_empty());
    assert_eq!(taken(1050).await.len(), 2);
}
