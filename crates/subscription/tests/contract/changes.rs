//! Changes of an instance: one at a time, as a whole or not at all, each with its entry in the change log.

use std::{sync::Arc, time::Duration};

use subscription::store::{Page, Store, Write};
use tokio::task::JoinSet;

use crate::backend::{Backend, create, delete, entry, instance, reach, sample, set_active, webhooks};

const ALL: Page = Page { offset: 0, limit: 100 };

pub(crate) async fn what_is_dropped_did_not_happen(backend: &impl Backend) {
    let store = backend.store().await;
    let webhook = create(&*store, "acme", Some(&[1])).await;
    let mut change = store.begin(&instance("acme")).await.unwrap();
    let mut other = change.webhook(&reach("acme", None), webhook.id).await.unwrap().unwrap();
    other.webhook.name = "Other".into();
    change.write(&[Write { id: webhook.id, webhook: Some(other), entry: entry("updated") }]).await.unwrap();
    drop(change);
    assert_eq!(store.webhook(&reach("acme", None), webhook.id).await.unwrap().as_ref(), Some(&webhook));
    assert_eq!(store.changes(0, 10).await.unwrap().version, webhook.version);
    assert_eq!(store.log(&reach("acme", None), webhook.id, ALL).await.unwrap().unwrap().total, 1);
    // Nor does it hold up what comes after it.
    assert!(delete(&*store, &reach("acme", None), webhook.id).await.unwrap());
}

/// Each reads a number, waits, and writes the next one.
pub(crate) async fn changes_of_an_instance_wait_for_each_other(backend: &impl Backend) {
    const CHANGES: usize = 20;
    let stores = [backend.store().await, backend.store().await];
    let webhook = create(&*stores[0], "acme", None).await;
    let mut calls = JoinSet::new();
    for number in 0..CHANGES {
        let store = Arc::clone(&stores[number % 2]);
        calls.spawn(async move { count_up(&*store, webhook.id).await });
    }
    calls.join_all().await;
    let counted = stores[0].webhook(&reach("acme", None), webhook.id).await.unwrap().unwrap();
    assert_eq!(counted.events.len(), CHANGES + webhook.events.len());
}

async fn count_up(store: &dyn Store, id: i64) {
    let mut change = store.begin(&instance("acme")).await.unwrap();
    let mut found = change.webhook(&reach("acme", None), id).await.unwrap().unwrap();
    tokio::task::yield_now().await;
    found.webhook.events.push("run.*".into());
    change.write(&[Write { id, webhook: Some(found), entry: entry("updated") }]).await.unwrap();
    change.commit().await.unwrap();
}

/// As long as it has not written, a change holds up nobody else's instance. (A file has one writer.)
pub(crate) async fn changes_of_other_instances_go_on(backend: &impl Backend) {
    let store = backend.store().await;
    let webhook = create(&*store, "acme", None).await;
    let mut change = store.begin(&instance("acme")).await.unwrap();
    assert!(change.webhook(&reach("acme", None), webhook.id).await.unwrap().is_some());
    let all = reach("acme", None);
    let same = set_active(&*store, &all, webhook.id, false);
    let waits = tokio::time::timeout(Duration::from_millis(300), same).await;
    assert!(waits.is_err(), "the instance is locked");
    if backend.has_several_writers() {
        create(&*store, "other", None).await;
    }
    assert!(store.webhook(&all, webhook.id).await.unwrap().unwrap().active, "reading does not wait");
    change.commit().await.unwrap();
}

pub(crate) async fn each_version_has_its_entry(backend: &impl Backend) {
    let store = backend.store().await;
    let (all, own, stranger) = (reach("acme", None), reach("acme", Some(&[1])), reach("other", None));
    let webhook = create(&*store, "acme", Some(&[1])).await;
    create(&*store, "acme", Some(&[1])).await;
    let paused = set_active(&*store, &own, webhook.id, false).await.unwrap().unwrap();
    let log = store.log(&own, webhook.id, ALL).await.unwrap().unwrap();
    let expected = [(paused.version, entry("switched")), (webhook.version, entry("created"))];
    assert_eq!(log.items.into_iter().map(|logged| (logged.version, logged.entry)).collect::<Vec<_>>(), expected);
    assert_eq!(log.total, 2);
    let second = store.log(&own, webhook.id, Page { offset: 1, limit: 1 }).await.unwrap().unwrap();
    assert_eq!((second.items[0].version, second.items.len(), second.total), (webhook.version, 1, 2));
    assert!(store.log(&stranger, webhook.id, ALL).await.unwrap().is_none());

    assert!(delete(&*store, &own, webhook.id).await.unwrap());
    let log = store.log(&all, webhook.id, ALL).await.unwrap().unwrap();
    assert_eq!((log.items[0].entry.action.as_str(), log.total), ("deleted", 3));
    assert!(store.log(&own, webhook.id, ALL).await.unwrap().is_none());
    assert!(store.log(&stranger, webhook.id, ALL).await.unwrap().is_none());
}

pub(crate) async fn many_webhooks_change_in_one_write(backend: &impl Backend) {
    const MANY: i64 = 1_000;
    let store = backend.store().await;
    let mut change = store.begin(&instance("acme")).await.unwrap();
    let mut writes = Vec::new();
    for _ in 0..MANY {
        let id = change.next_webhook_id().await.unwrap();
        writes.push(Write { id, webhook: Some(sample(id, Some(&[1]))), entry: entry("created") });
    }
    assert_eq!(change.write(&writes).await.unwrap(), 1);
    change.commit().await.unwrap();

    let mut change = store.begin(&instance("acme")).await.unwrap();
    let active = change.active_webhooks().await.unwrap();
    assert_eq!(active.len(), writes.len());
    let pause = |mut sealed: subscription::store::SealedWebhook| {
        sealed.webhook.active = false;
        Write { id: sealed.webhook.id, webhook: Some(sealed), entry: entry("paused") }
    };
    let pauses: Vec<_> = active.into_iter().map(pause).collect();
    assert_eq!(change.write(&pauses).await.unwrap(), MANY + 1);
    assert_eq!(change.active_webhooks().await.unwrap(), []);
    change.commit().await.unwrap();
    let changed = webhooks(store.changes(MANY, 2_000).await.unwrap());
    let versions: Vec<_> = changed.iter().map(|changed| changed.version).collect();
    assert_eq!(versions, (MANY + 1..=2 * MANY).collect::<Vec<_>>());
}
