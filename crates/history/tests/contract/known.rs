//! Events, deliveries and records that tests work with.

use bytes::Bytes;
use history::{
    model::{Attempt, CheckItem, Delivery, EventKey, HoldReason, OpenEvent, Opened, Record, Retry, What},
    store::{Entry, ListQuery, Page, Sight, Store},
};
use uuid::Uuid;

pub(crate) const EVENT: Uuid = Uuid::from_u128(0xe);
/// Everything is seen.
pub(crate) const SIGHT: Sight = Sight { from: i64::MIN, now: 0 };

/// The delivery of [`EVENT`] to a webhook.
pub(crate) fn delivery(webhook_id: i64) -> Delivery {
    delivery_of(EVENT, webhook_id)
}

pub(crate) fn delivery_of(event_id: Uuid, webhook_id: i64) -> Delivery {
    Delivery {
        id: domain::delivery_id(event_id, webhook_id),
        instance: "default".into(),
        webhook_id,
        event_id,
        event_type: "run.completed".into(),
        project_id: 1,
        matched_at: 1000,
        format: "generic".into(),
        is_test: false,
        trace: Bytes::new(),
    }
}

/// [`EVENT`] for these webhooks; its id is the publisher's.
pub(crate) fn event(publish: u128, webhooks: &[i64]) -> OpenEvent {
    OpenEvent {
        key: EventKey { instance: "default".into(), event_id: EVENT },
        publish_id: Uuid::from_u128(publish),
        claim: true,
        redelivered: false,
        event_type: "run.completed".into(),
        project_id: 1,
        matched_at: 1000,
        bodies: vec![("generic".into(), Bytes::from_static(b"{\"id\":1}"))],
        skipped: Vec::new(),
        deliveries: webhooks.iter().map(|webhook| (*webhook, "generic".to_owned())).collect(),
    }
}

/// What a redelivered event answers when it is still to be sent to these webhooks.
pub(crate) fn unsent(webhooks: &[i64]) -> Opened {
    Opened::Redelivered(webhooks.iter().map(|webhook| (*webhook, "generic".to_owned())).collect())
}

pub(crate) fn record(webhook_id: i64, number: i32, what: What) -> Record {
    Record { delivery: delivery(webhook_id), number, body: Bytes::new(), what }
}

pub(crate) fn failed(started_at: i64, next_due_at: i64) -> What {
    What::Attempt(Box::new(Attempt {
        started_at,
        duration_us: 7,
        response_code: 500,
        error_class: "server_error".into(),
        error: "answered 500".into(),
        next_due_at,
        ..Attempt::default()
    }))
}

pub(crate) fn delivered(started_at: i64) -> What {
    What::Attempt(Box::new(Attempt {
        started_at,
        duration_us: 7,
        delivered: true,
        response_code: 200,
        ..Attempt::default()
    }))
}

pub(crate) const fn held(config_version: i64) -> What {
    What::Hold { reason: HoldReason::Inactive, due_at: 1000, config_version }
}

pub(crate) fn cancelled(at: i64) -> What {
    What::Cancel { at, error_class: "cancelled".into(), error: "webhook deleted".into() }
}

/// A press on *Retry*.
pub(crate) fn press_on(delivery: &Delivery, called_at: i64, leased_until: i64) -> Retry {
    let Delivery { id, matched_at, ref instance, .. } = *delivery;
    Retry { instance: instance.clone(), delivery_id: id, matched_at, called_at, leased_until }
}

pub(crate) fn all() -> ListQuery {
    ListQuery {
        instance: "default".into(),
        webhook_id: None,
        projects: None,
        status: None,
        event_type: None,
        from: None,
        to: None,
        is_test: None,
        sight: SIGHT,
        page: Page::Newest,
        limit: 1000,
    }
}

/// All entries of the instance, newest first.
pub(crate) async fn entries(store: &dyn Store) -> Vec<Entry> {
    let (entries, more) = store.list(&all()).await.unwrap();
    assert!(!more);
    entries
}

/// Webhook, attempt and status of each entry, oldest delivery's first by webhook.
pub(crate) async fn standing(store: &dyn Store) -> Vec<(i64, i32, String)> {
    let mut found: Vec<_> = entries(store)
        .await
        .into_iter()
        .map(|entry| (entry.delivery.webhook_id, entry.number, format!("{:?}", entry.status).to_lowercase()))
        .collect();
    found.sort();
    found
}

pub(crate) fn stands(rows: &[(i64, i32, &str)]) -> Vec<(i64, i32, String)> {
    rows.iter().map(|(webhook, number, status)| (*webhook, *number, (*status).to_owned())).collect()
}

pub(crate) async fn may_send(store: &dyn Store, webhook_id: i64, number: i32, generation: i32) -> bool {
    let item = CheckItem { delivery_id: delivery(webhook_id).id, number, generation, matched_at: 1000 };
    store.check(&[item]).await.unwrap()[0].send
}

/// The same, of a delivery that was not queued again.
pub(crate) async fn may_send_delivery(store: &dyn Store, delivery: &Delivery, number: i32) -> bool {
    let item = CheckItem { delivery_id: delivery.id, number, generation: 0, matched_at: delivery.matched_at };
    store.check(&[item]).await.unwrap()[0].send
}
