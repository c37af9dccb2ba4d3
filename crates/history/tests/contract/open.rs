//! Opening events.

use std::sync::Arc;

use history::{
    model::{EventKey, Opened},
    store::Store,
};
use uuid::Uuid;

use crate::known::{EVENT, delivered, delivery, event, failed, record, standing, stands, unsent};

type Any = Arc<dyn Store>;

pub(crate) async fn a_new_event_is_pending_for_each_of_its_webhooks(store: Any) {
    let mut unclaimed = event(1, &[3, 1, 3]);
    unclaimed.claim = false;
    assert_eq!(store.open(vec![unclaimed], 5).await.unwrap(), [Opened::New]);
    assert_eq!(standing(store.as_ref()).await, stands(&[(1, 1, "pending"), (3, 1, "pending")]));
    assert_eq!(store.open(Vec::new(), 5).await.unwrap(), []);
    let whole = store.delivery("default", delivery(1).id, crate::known::SIGHT).await.unwrap().unwrap();
    assert_eq!(whole.body.unwrap(), "{\"id\":1}");
    assert_eq!(whole.entries[0].entry.due_at, Some(1000));
}

pub(crate) async fn an_id_published_again_is_a_duplicate_and_changes_nothing(store: Any) {
    assert_eq!(store.open(vec![event(1, &[1])], 5).await.unwrap(), [Opened::New]);
    let mut again = event(2, &[1, 2]);
    again.bodies[0].1 = "other".into();
    assert_eq!(store.open(vec![again.clone()], 6).await.unwrap(), [Opened::Duplicate]);
    again.redelivered = true;
    assert_eq!(store.open(vec![again], 6).await.unwrap(), [Opened::Duplicate]);
    assert_eq!(standing(store.as_ref()).await, stands(&[(1, 1, "pending")]));
    let whole = store.delivery("default", delivery(1).id, crate::known::SIGHT).await.unwrap().unwrap();
    assert_eq!(whole.body.unwrap(), "{\"id\":1}");
}

pub(crate) async fn one_id_twice_in_a_batch_is_opened_once(store: Any) {
    let events = vec![event(1, &[1]), event(2, &[1, 2]), event(1, &[1])];
    let opened = store.open(events, 5).await.unwrap();
    assert_eq!(opened, [Opened::New, Opened::Duplicate, unsent(&[])]);
    assert_eq!(standing(store.as_ref()).await, stands(&[(1, 1, "pending")]));
}

pub(crate) async fn of_publishes_opened_at_once_one_wins(store: Any) {
    let mut calls = tokio::task::JoinSet::new();
    for publish in 1..=16u128 {
        let store = Arc::clone(&store);
        // Each batch has the same ids in another order.
        let mut batch: Vec<_> = (0..40u128)
            .map(|number| {
                let mut event = event(publish, &[1, 2]);
                event.key.event_id = Uuid::from_u128((number * (2 * publish + 1)) % 40);
                event
            })
            .collect();
        batch.dedup_by_key(|event| event.key.event_id);
        calls.spawn(async move {
            let ids: Vec<Uuid> = batch.iter().map(|event| event.key.event_id).collect();
            let opened = store.open(batch, 5).await.unwrap();
            ids.into_iter().zip(opened).filter(|(_, opened)| *opened == Opened::New).map(|(id, _)| id).collect()
        });
    }
    let winners: Vec<Vec<Uuid>> = calls.join_all().await;
    let mut won: Vec<Uuid> = winners.into_iter().flatten().collect();
    let count = won.len();
    won.sort();
    won.dedup();
    assert_eq!(won.len(), count, "an id was opened twice");
    assert_eq!(standing(store.as_ref()).await.len(), 2 * count);
}

pub(crate) async fn a_redelivered_event_sends_what_is_not_recorded(store: Any) {
    for claim in [true, false] {
        let mut first = event(1, &[1, 2, 3]);
        first.claim = claim;
        first.key.event_id = if claim { EVENT } else { Uuid::from_u128(9) };
        assert_eq!(store.open(vec![first.clone()], 5).await.unwrap(), [Opened::New]);
        let mut recorded = record(2, 1, failed(10, 50));
        recorded.delivery = first.delivery(2, "generic");
        let mut ended = record(3, 1, delivered(10));
        ended.delivery = first.delivery(3, "generic");
        store.record(vec![recorded, ended].into()).await.unwrap();
        first.redelivered = true;
        let opened = store.open(vec![first], 6).await.unwrap();
        assert_eq!(opened, [unsent(&[1])], "claim: {claim}");
    }
}

pub(crate) async fn a_redelivered_event_is_sent_in_the_format_that_it_was_opened_with(store: Any) {
    store.open(vec![event(1, &[1])], 5).await.unwrap();
    // The type of webhook 1 was changed since, and webhook 2 is new.
    let mut again = event(1, &[2]);
    again.deliveries.push((1, "slack".into()));
    again.redelivered = true;
    assert_eq!(store.open(vec![again.clone()], 6).await.unwrap(), [unsent(&[1])]);
    again.claim = false;
    again.deliveries = vec![(1, "slack".into()), (3, "slack".into())];
    let expected = Opened::Redelivered(vec![(1, "generic".into()), (3, "slack".into())]);
    assert_eq!(store.open(vec![again], 6).await.unwrap(), [expected]);
}

pub(crate) async fn a_redelivered_event_that_was_never_opened_is_new(store: Any) {
    for (claim, id) in [(true, 1), (false, 2)] {
        let mut first = event(1, &[1]);
        (first.claim, first.redelivered, first.key.event_id) = (claim, true, Uuid::from_u128(id));
        assert_eq!(store.open(vec![first], 6).await.unwrap(), [Opened::New]);
    }
    assert_eq!(standing(store.as_ref()).await.len(), 2);
}

pub(crate) async fn a_redelivered_event_that_was_sent_in_part_without_history_sends_the_rest(store: Any) {
    let mut sent = record(1, 1, delivered(10));
    sent.body = "{\"id\":1}".into();
    store.record(vec![sent].into()).await.unwrap();
    let mut redelivered = event(1, &[1, 2]);
    redelivered.redelivered = true;
    let opened = store.open(vec![redelivered], 6).await.unwrap();
    assert_eq!(opened, [unsent(&[2])]);
    assert_eq!(standing(store.as_ref()).await, stands(&[(1, 1, "delivered"), (2, 1, "pending")]));
}

pub(crate) async fn an_event_without_deliveries_claims_its_id(store: Any) {
    assert_eq!(store.open(vec![event(1, &[])], 5).await.unwrap(), [Opened::New]);
    assert_eq!(store.open(vec![event(2, &[1])], 5).await.unwrap(), [Opened::Duplicate]);
    let mut redelivered = event(1, &[1]);
    redelivered.redelivered = true;
    // A webhook made since is not reached.
    assert_eq!(store.open(vec![redelivered], 5).await.unwrap(), [unsent(&[])]);
    assert!(standing(store.as_ref()).await.is_empty());
}

pub(crate) async fn an_event_opened_after_its_attempt_was_recorded_does_not_wait(store: Any) {
    store.record(vec![record(1, 1, failed(10, 0)), record(2, 1, failed(10, 90))].into()).await.unwrap();
    let mut late = event(1, &[1, 2, 3]);
    late.claim = false;
    assert_eq!(store.open(vec![late], 5).await.unwrap(), [Opened::New]);
    let expected = [(1, 1, "failed"), (2, 1, "failed"), (2, 2, "pending"), (3, 1, "pending")];
    assert_eq!(standing(store.as_ref()).await, stands(&expected));
}

pub(crate) async fn instances_do_not_share_ids_or_bodies(store: Any) {
    let mut other = event(2, &[2]);
    other.key = EventKey { instance: "acme".into(), event_id: EVENT };
    other.bodies[0].1 = "theirs".into();
    let opened = store.open(vec![event(1, &[1]), other.clone()], 5).await.unwrap();
    assert_eq!(opened, [Opened::New, Opened::New]);
    let theirs = other.delivery(2, "generic").id;
    assert_eq!(store.delivery("acme", theirs, crate::known::SIGHT).await.unwrap().unwrap().body.unwrap(), "theirs");
    assert!(store.delivery("default", theirs, crate::known::SIGHT).await.unwrap().is_none());
    assert!(store.delivery("acme", delivery(1).id, crate::known::SIGHT).await.unwrap().is_none());
    other.redelivered = true;
    assert_eq!(store.open(vec![other], 5).await.unwrap(), [unsent(&[2])]);
}

pub(crate) async fn claims_are_forgotten_when_they_are_old(store: Any) {
    for (number, now) in [(1, 10), (2, 20), (3, 30)] {
        let mut event = event(number, &[]);
        event.key.event_id = Uuid::from_u128(number);
        store.open(vec![event], now).await.unwrap();
    }
    assert_eq!(store.forget_claims(30, 1).await.unwrap(), 1);
    assert_eq!(store.forget_claims(30, 10).await.unwrap(), 1);
    assert_eq!(store.forget_claims(30, 10).await.unwrap(), 0);
    let mut kept = event(9, &[]);
    kept.key.event_id = Uuid::from_u128(3);
    assert_eq!(store.open(vec![kept.clone()], 40).await.unwrap(), [Opened::Duplicate]);
    kept.key.event_id = Uuid::from_u128(1);
    assert_eq!(store.open(vec![kept], 40).await.unwrap(), [Opened::New]);
}
