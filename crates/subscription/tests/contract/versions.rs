//! Changes by version: who follows them misses nothing.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use subscription::store::Store;
use tokio::task::JoinSet;

use crate::backend::{Backend, create, delete, reach, set_active, webhooks};

pub(crate) async fn changes_come_in_pages(backend: &impl Backend) {
    let store = backend.store().await;
    let empty = store.changes(0, 10).await.unwrap();
    assert_eq!((empty.version, empty.items.len(), empty.more), (0, 0, false));

    let mut ids = Vec::new();
    for instance in ["a", "b", "a", "c", "b"] {
        ids.push(create(&*store, instance, Some(&[5])).await.id);
    }
    let newest = set_active(&*store, &reach("a", None), ids[0], false).await.unwrap().unwrap().version;
    ids.rotate_left(1);

    let mut seen = Vec::new();
    let mut since = 0;
    for (length, more) in [(2, true), (2, true), (1, false)] {
        let page = store.changes(since, 2).await.unwrap();
        assert_eq!((page.items.len(), page.more), (length, more));
        assert!(page.items.iter().all(|item| item.version() > since && item.version() <= page.version));
        since = page.version;
        seen.extend(webhooks(page));
    }
    assert_eq!(since, newest);
    assert_eq!(seen.iter().map(|webhook| webhook.id).collect::<Vec<_>>(), ids);
    assert_eq!(seen.iter().map(|webhook| webhook.instance.as_str()).collect::<Vec<_>>(), ["b", "a", "c", "b", "a"]);
    let last = seen[4].webhook.as_ref().unwrap();
    assert!(!last.webhook.active && seen[0].webhook.as_ref().unwrap().webhook.active);
    assert_eq!((last.webhook.kind.as_str(), last.credentials.as_slice()), ("generic", [0, 1, 255].as_slice()));
    let nothing = store.changes(since, 2).await.unwrap();
    assert_eq!((nothing.version, nothing.items.len(), nothing.more), (since, 0, false));
}

pub(crate) async fn a_version_from_the_future_means_all(backend: &impl Backend) {
    let store = backend.store().await;
    let webhook = create(&*store, "acme", None).await;
    let changes = store.changes(1_000_000, 10).await.unwrap();
    assert_eq!((changes.version, changes.items.len(), changes.more), (webhook.version, 1, false));
}

/// Writers in two processes (two stores), each of which also checks that a change that returned is answered to whoever
/// asks from then on; and a follower beside them.
pub(crate) async fn a_follower_misses_nothing(backend: &impl Backend) {
    const WRITERS: usize = 8;
    const EACH: usize = 12;
    let stores = [backend.store().await, backend.store().await];
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        writers.spawn(write(Arc::clone(&stores[number % 2]), format!("i{number}"), EACH));
    }
    let done = Arc::new(AtomicBool::new(false));
    let mut followers = JoinSet::new();
    for store in stores.clone() {
        followers.spawn(follow(store, Arc::clone(&done)));
    }
    let mut expected = HashMap::new();
    for last_versions in writers.join_all().await {
        expected.extend(last_versions);
    }
    done.store(true, Ordering::SeqCst);
    assert_eq!(expected.len(), WRITERS * EACH);
    for seen in followers.join_all().await {
        assert_eq!(seen, expected);
    }
}

/// Creates webhooks, switches every second one, deletes every third; answers the last version of each.
async fn write(store: Arc<dyn Store>, instance: String, count: usize) -> HashMap<i64, i64> {
    let reach = reach(&instance, None);
    let mut versions = HashMap::new();
    for number in 0..count {
        let webhook = create(&*store, &instance, None).await;
        let mut version = webhook.version;
        let changes = store.changes(version - 1, 1_000).await.unwrap();
        assert!(webhooks(changes).iter().any(|changed| changed.id == webhook.id), "a save is answered from then on");
        if number % 2 == 0 {
            version = set_active(&*store, &reach, webhook.id, false).await.unwrap().unwrap().version;
        }
        if number % 3 == 0 {
            assert!(delete(&*store, &reach, webhook.id).await.unwrap());
            let changes = store.changes(version, 1_000).await.unwrap();
            let tombstone = webhooks(changes).into_iter().find(|changed| changed.id == webhook.id).unwrap();
            assert!(tombstone.webhook.is_none());
            version = tombstone.version;
        }
        versions.insert(webhook.id, version);
    }
    versions
}

/// Follows in small pages until there is nothing more after the writers are done; answers the last version of each.
async fn follow(store: Arc<dyn Store>, done: Arc<AtomicBool>) -> HashMap<i64, i64> {
    let mut seen = HashMap::new();
    let mut since = 0;
    loop {
        let last_round = done.load(Ordering::SeqCst);
        let page = store.changes(since, 5).await.unwrap();
        let mut before = since;
        let (version, more) = (page.version, page.more);
        for webhook in webhooks(page) {
            assert!(webhook.version > before, "versions ascend");
            before = webhook.version;
            seen.insert(webhook.id, webhook.version);
        }
        assert!(version >= before);
        since = version;
        if last_round && !more {
            return seen;
        }
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn the_same_change_at_once_happens_once(backend: &impl Backend) {
    let stores = [backend.store().await, backend.store().await];
    let webhook = create(&*stores[0], "acme", None).await;
    let mut calls = JoinSet::new();
    for number in 0..10 {
        let store = Arc::clone(&stores[number % 2]);
        calls.spawn(async move { set_active(&*store, &reach("acme", None), webhook.id, false).await });
    }
    for answer in calls.join_all().await {
        assert_eq!(answer.unwrap().unwrap().version, webhook.version + 1);
    }
    let mut calls = JoinSet::new();
    for number in 0..10 {
        let store = Arc::clone(&stores[number % 2]);
        calls.spawn(async move { delete(&*store, &reach("acme", None), webhook.id).await });
    }
    let deleted = calls.join_all().await.into_iter().filter(|answer| matches!(answer, Ok(true))).count();
    assert_eq!(deleted, 1);
    assert_eq!(stores[0].changes(0, 10).await.unwrap().version, webhook.version + 2);
}
