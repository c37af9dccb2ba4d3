//! Taking what is held, settling it, and finding what is to end.

use std::sync::Arc;

use history::{
    model::{HoldReason, OpenEvent, Record, What},
    store::{Held, Store, TakeHeld},
};
use uuid::Uuid;

use crate::known::{cancelled, delivery, entries, event, failed, held, may_send, record, standing, stands};

type Any = Arc<dyn Store>;

const TAKE: TakeHeld = TakeHeld {
    held: Held::ForNews,
    early: false,
    config_version: 3,
    held_before: 0,
    now: 100,
    leased_until: 200,
    limit: 10,
};

async fn held_webhooks(store: &Any) -> Vec<i64> {
    store.held_webhooks(Held::ForNews, i64::MAX).await.unwrap()
}

async fn hold(store: &Any, webhooks: &[i64]) {
    store.open(vec![event(1, webhooks)], 5).await.unwrap();
    store.record(webhooks.iter().map(|webhook| record(*webhook, 1, held(3))).collect()).await.unwrap();
}

pub(crate) async fn held_deliveries_are_taken_once_and_settled(store: Any) {
    hold(&store, &[2, 1, 5]).await;
    assert_eq!(held_webhooks(&store).await, [1, 2, 5]);
    let taken = store.take_held(&[1], TAKE).await.unwrap();
    assert_eq!(taken.len(), 1);
    assert_eq!((taken[0].delivery.clone(), taken[0].number, taken[0].generation), (delivery(1), 1, 1));
    assert_eq!(taken[0].body.as_deref(), Some(&b"{\"id\":1}"[..]));
    assert!(store.take_held(&[1], TAKE).await.unwrap().is_empty(), "it is leased");
    store.released(&taken).await.unwrap();
    assert_eq!(held_webhooks(&store).await, [2, 5]);
    let found = entries(store.as_ref()).await;
    let released = found.iter().find(|entry| entry.delivery.webhook_id == 1).unwrap();
    assert_eq!(released.held, None);
    store.released(&[]).await.unwrap();
}

pub(crate) async fn a_hold_under_a_newer_configuration_is_not_taken(store: Any) {
    hold(&store, &[1]).await;
    let older = TakeHeld { config_version: 2, ..TAKE };
    assert!(store.take_held(&[1], older).await.unwrap().is_empty());
    // Known still not long after: that version was lost. It is held at 1000.
    assert!(store.take_held(&[1], TakeHeld { held_before: 1000, ..older }).await.unwrap().is_empty());
    let taken = store.take_held(&[1], TakeHeld { held_before: 1001, ..older }).await.unwrap();
    assert_eq!(taken.len(), 1);
    store.not_released(&taken).await.unwrap();
    assert_eq!(store.take_held(&[1], TAKE).await.unwrap().len(), 1);
}

pub(crate) async fn a_hold_shows_why(store: Any) {
    hold(&store, &[1]).await;
    let reason = async || entries(store.as_ref()).await[0].held;
    assert_eq!(reason().await, Some(HoldReason::Inactive));
    let unknown = What::Hold { reason: HoldReason::UnknownWebhook, due_at: 1000, config_version: 4 };
    store.record(vec![record(1, 1, unknown)].into()).await.unwrap();
    assert_eq!(reason().await, Some(HoldReason::UnknownWebhook));
    store.record(vec![record(1, 1, held(3))].into()).await.unwrap();
    assert_eq!(reason().await, Some(HoldReason::UnknownWebhook), "the newer one counts");
    store.record(vec![record(1, 1, held(5))].into()).await.unwrap();
    assert_eq!(reason().await, Some(HoldReason::Inactive));
}

pub(crate) async fn a_lease_that_was_not_settled_runs_out(store: Any) {
    hold(&store, &[1]).await;
    let lost = store.take_held(&[1], TAKE).await.unwrap();
    let again = store.take_held(&[1], TakeHeld { now: 200, leased_until: 300, ..TAKE }).await.unwrap();
    assert_eq!((lost[0].generation, again[0].generation), (1, 2));
    assert!(!may_send(store.as_ref(), 1, 1, 1).await);
    assert!(may_send(store.as_ref(), 1, 1, 2).await);
    // Whoever comes too late settles nothing.
    store.released(&lost).await.unwrap();
    assert_eq!(held_webhooks(&store).await, [1]);
    store.released(&again).await.unwrap();
    assert!(held_webhooks(&store).await.is_empty());
}

pub(crate) async fn a_hold_during_a_release_is_not_lost(store: Any) {
    hold(&store, &[1]).await;
    let taken = store.take_held(&[1], TAKE).await.unwrap();
    // The dispatcher got the message at once and held it again, before the release was settled.
    store.record(vec![record(1, 1, held(3))].into()).await.unwrap();
    store.released(&taken).await.unwrap();
    assert_eq!(held_webhooks(&store).await, [1]);
    let later = TakeHeld { now: 200, leased_until: 300, ..TAKE };
    assert_eq!(store.take_held(&[1], later).await.unwrap()[0].generation, 2);
    // An attempt that was recorded meanwhile is not undone.
    let taken = store.take_held(&[1], TakeHeld { now: 300, leased_until: 400, ..TAKE }).await.unwrap();
    store.record(vec![record(1, 1, failed(10, 50))].into()).await.unwrap();
    store.released(&taken).await.unwrap();
    assert_eq!(standing(store.as_ref()).await, stands(&[(1, 1, "failed"), (1, 2, "pending")]));
}

pub(crate) async fn what_was_not_published_is_taken_again_with_a_new_generation(store: Any) {
    hold(&store, &[1]).await;
    let taken = store.take_held(&[1], TAKE).await.unwrap();
    store.not_released(&taken).await.unwrap();
    assert!(!may_send(store.as_ref(), 1, 1, 1).await, "history has it");
    assert_eq!(store.take_held(&[1], TAKE).await.unwrap()[0].generation, 2);
}

pub(crate) async fn a_hold_under_no_newer_configuration_than_its_release_rests_until_the_lease_is_over(store: Any) {
    const RELEASE: TakeHeld = TakeHeld { config_version: 6, ..TAKE };
    // Before the release is settled, and after.
    for (webhook_id, version, settled) in [(1, 5, false), (2, 5, true), (3, 6, false), (4, 6, true)] {
        hold(&store, &[webhook_id]).await;
        let taken = store.take_held(&[webhook_id], RELEASE).await.unwrap();
        if settled {
            store.released(&taken).await.unwrap();
        }
        store.record(vec![record(webhook_id, 1, held(version))].into()).await.unwrap();
        if !settled {
            store.released(&taken).await.unwrap();
        }
        assert!(held_webhooks(&store).await.contains(&webhook_id), "the hold is not lost");
        assert!(!may_send(store.as_ref(), webhook_id, 1, 1).await, "history has it");
        let early = TakeHeld { now: 199, ..RELEASE };
        assert!(store.take_held(&[webhook_id], early).await.unwrap().is_empty(), "it would be held again at once");
        let later = TakeHeld { now: 200, leased_until: 300, ..RELEASE };
        let taken = store.take_held(&[webhook_id], later).await.unwrap();
        assert_eq!(taken[0].generation, 2);
        // A change since then, known to whoever holds it, ends the rest.
        store.released(&taken).await.unwrap();
        store.record(vec![record(webhook_id, 1, held(7))].into()).await.unwrap();
        assert!(
            store.take_held(&[webhook_id], TakeHeld { now: 201, ..RELEASE }).await.unwrap().is_empty(),
            "it is of the future"
        );
        let newer = TakeHeld { config_version: 8, now: 201, leased_until: 301, ..RELEASE };
        assert_eq!(store.take_held(&[webhook_id], newer).await.unwrap().len(), 1);
    }
}

pub(crate) async fn each_delivery_is_taken_with_its_own_body(store: Any) {
    let of = |number: u128, instance: &str| {
        let mut event = event(number, &[1]);
        event.key.event_id = Uuid::from_u128(number);
        event.key.instance = instance.into();
        event.bodies[0].1 = format!("{instance} {number}").into();
        event
    };
    let mut events: Vec<OpenEvent> = (1..=130).map(|number| of(number, "default")).collect();
    events.push(of(500, "acme"));
    let record_of = |event: &OpenEvent| Record { delivery: event.delivery(1, "generic"), ..record(1, 1, held(3)) };
    let mut records: Vec<Record> = events.iter().map(record_of).collect();
    // One that has no body yet.
    records.push(record_of(&of(900, "default")));
    store.open(events, 5).await.unwrap();
    store.record(records.into()).await.unwrap();
    let taken = store.take_held(&[1], TakeHeld { limit: 1000, ..TAKE }).await.unwrap();
    assert_eq!(taken.len(), 132);
    for released in taken {
        let number = released.delivery.event_id.as_u128();
        let expected = (number != 900).then(|| format!("{} {number}", released.delivery.instance));
        assert_eq!(released.body, expected.map(Into::into));
    }
}

pub(crate) async fn waits_of_webhooks_and_long_waits_are_found(store: Any) {
    hold(&store, &[1, 2]).await;
    store.record(vec![record(3, 1, failed(2000, 5000))].into()).await.unwrap();
    let deleted = [("default".to_owned(), 1), ("default".to_owned(), 3), ("acme".to_owned(), 2)];
    let mut waiting = store.waiting_for(&deleted, 10).await.unwrap();
    waiting.sort_by_key(|waiting| waiting.delivery.webhook_id);
    let found: Vec<_> = waiting.iter().map(|waiting| (waiting.delivery.webhook_id, waiting.number)).collect();
    assert_eq!(found, [(1, 1), (3, 2)]);
    assert_eq!(store.waiting_for(&deleted, 1).await.unwrap().len(), 1);
    assert!(store.waiting_for(&[], 1).await.unwrap().is_empty());

    assert!(store.held_since(1000, 10).await.unwrap().is_empty());
    let held = store.held_since(1001, 10).await.unwrap();
    assert_eq!(held.len(), 2);
    let ended = held.iter().map(|held| record(held.delivery.webhook_id, held.number, cancelled(3000))).collect();
    store.record(ended).await.unwrap();
    assert!(held_webhooks(&store).await.is_empty());
    let expected = [(1, 1, "failed"), (2, 1, "failed"), (3, 1, "failed"), (3, 2, "pending")];
    assert_eq!(standing(store.as_ref()).await, stands(&expected));
    store.ping().await.unwrap();
}
