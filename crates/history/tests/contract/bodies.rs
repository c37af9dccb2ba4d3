//! Bodies of events, those that nobody gets among them.

use std::sync::Arc;

use history::{
    model::{Delivery, EventKey, OpenEvent, Opened, Record, What},
    store::Store,
};
use uuid::Uuid;

use crate::known::{SIGHT, delivered, delivery, delivery_of, event, held, record, standing, unsent};

type Any = Arc<dyn Store>;

/// The body that is stored of an event.
async fn body(store: &Any, key: &EventKey, format: &str) -> Option<String> {
    let body = store.body(key, format, SIGHT).await.unwrap();
    body.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

/// An event of this id for these webhooks, with this generic body.
fn with(id: u128, webhooks: &[i64], content: &str) -> OpenEvent {
    let mut event = event(id, webhooks);
    event.key.event_id = Uuid::from_u128(id);
    event.bodies[0].1 = content.to_owned().into();
    event
}

fn unclaimed(event: OpenEvent) -> OpenEvent {
    OpenEvent { claim: false, ..event }
}

pub(crate) async fn the_generic_body_of_an_event_is_kept_whatever_is_delivered(store: Any) {
    let events = [with(1, &[], "claimed"), unclaimed(with(2, &[], "not claimed")), with(3, &[7], "delivered")];
    let mut slack = with(4, &[], "slack");
    slack.deliveries = vec![(7, "slack".into())];
    slack.bodies.push(("slack".into(), "blocks".into()));
    let mut again = unclaimed(with(5, &[], "redelivered, never opened"));
    again.redelivered = true;
    let all = [events.to_vec(), vec![slack.clone(), again]].concat();
    assert_eq!(store.open(all.clone(), 5).await.unwrap(), vec![Opened::New; 5]);
    for event in &all {
        let expected = String::from_utf8(event.bodies[0].1.to_vec()).unwrap();
        assert_eq!(body(&store, &event.key, "generic").await, Some(expected));
    }
    assert_eq!(body(&store, &slack.key, "slack").await.as_deref(), Some("blocks"));
    assert_eq!(standing(store.as_ref()).await.len(), 2, "what nobody gets is no entry");
    let never = EventKey { event_id: Uuid::from_u128(6), ..slack.key };
    assert_eq!(body(&store, &never, "generic").await, None);
}

pub(crate) async fn bodies_in_other_formats_are_kept_for_deliveries_only(store: Any) {
    let mut event = with(1, &[7], "generic");
    event.bodies.push(("slack".into(), "blocks".into()));
    assert_eq!(store.open(vec![event.clone()], 5).await.unwrap(), [Opened::New]);
    assert_eq!(body(&store, &event.key, "generic").await.as_deref(), Some("generic"));
    assert_eq!(body(&store, &event.key, "slack").await, None);
}

pub(crate) async fn the_first_content_of_an_event_wins(store: Any) {
    let first = with(1, &[], "first");
    let others = [with(2, &[], "others")].map(|mut other| {
        other.key = first.key.clone();
        other
    });
    let mut again = with(1, &[7], "again");
    again.redelivered = true;
    // In one batch, and in batches after it.
    let batch = vec![first.clone(), others[0].clone()];
    assert_eq!(store.open(batch, 5).await.unwrap(), [Opened::New, Opened::Duplicate]);
    assert_eq!(store.open(others.to_vec(), 6).await.unwrap(), [Opened::Duplicate]);
    assert_eq!(store.open(vec![again], 7).await.unwrap(), [unsent(&[])]);
    assert_eq!(body(&store, &first.key, "generic").await.as_deref(), Some("first"));

    let unclaimed_first = unclaimed(with(3, &[], "first"));
    let mut unclaimed_again = unclaimed(with(3, &[], "again"));
    unclaimed_again.redelivered = true;
    assert_eq!(store.open(vec![unclaimed_first.clone()], 5).await.unwrap(), [Opened::New]);
    assert_eq!(store.open(vec![unclaimed_again], 6).await.unwrap(), [unsent(&[])]);
    assert_eq!(body(&store, &unclaimed_first.key, "generic").await.as_deref(), Some("first"));

    // It was sent while history was away: what its record brought was first.
    let mut sent = record(1, 1, delivered(10));
    sent.body = "recorded".into();
    store.record(vec![sent].into()).await.unwrap();
    let mut late = event(9, &[1]);
    (late.claim, late.redelivered) = (false, true);
    store.open(vec![late], 8).await.unwrap();
    assert_eq!(body(&store, &delivery(1).event(), "generic").await.as_deref(), Some("recorded"));
}

pub(crate) async fn what_was_recorded_before_it_was_opened_gets_its_bodies(store: Any) {
    for (number, claim) in [(1, true), (2, false)] {
        let mut sent = OpenEvent { claim, redelivered: true, ..with(number, &[], "sent") };
        for (webhook_id, format) in [(1, "slack"), (2, "teams")] {
            sent.deliveries.push((webhook_id, format.into()));
            sent.bodies.push((format.into(), "sent".into()));
        }
        let of = |webhook_id: i64, format: &str, what: What| {
            let delivery = Delivery { format: format.into(), ..delivery_of(sent.key.event_id, webhook_id) };
            Record { delivery, ..record(webhook_id, 1, what) }
        };
        store.record(vec![of(1, "slack", held(3)), of(2, "teams", delivered(10))].into()).await.unwrap();
        store.open(vec![sent.clone()], 5).await.unwrap();
        for format in ["generic", "slack", "teams"] {
            assert!(body(&store, &sent.key, format).await.is_some(), "{format}");
        }
    }
}

pub(crate) async fn a_body_is_its_instances_own(store: Any) {
    let own = with(1, &[], "own");
    let mut theirs = with(2, &[], "theirs");
    theirs.key = EventKey { instance: "acme".into(), ..own.key.clone() };
    assert_eq!(store.open(vec![theirs.clone()], 5).await.unwrap(), [Opened::New]);
    assert_eq!(body(&store, &own.key, "generic").await, None);
    assert_eq!(store.open(vec![own.clone()], 5).await.unwrap(), [Opened::New]);
    assert_eq!(body(&store, &own.key, "generic").await.as_deref(), Some("own"));
    assert_eq!(body(&store, &theirs.key, "generic").await.as_deref(), Some("theirs"));
}
