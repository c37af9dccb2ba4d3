//! Keys: what is sealed with which, and which process has which.

use std::{sync::Arc, time::Duration};

use subscription::{
    KeyId,
    store::{KeyReader, ResealedSecret, SealedWebhook, Store, Write},
};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::backend::{Backend, NOON, create, delete, entry, instance, reach, webhooks};

/// Creates a webhook whose secrets are these bytes.
async fn create_with(store: &dyn Store, of: &str, secrets: &[u8]) -> i64 {
    let id = create(store, of, None).await.id;
    put(store, of, id, secrets).await;
    id
}

async fn put(store: &dyn Store, of: &str, id: i64, secrets: &[u8]) {
    let mut change = store.begin(&instance(of)).await.unwrap();
    let found = change.webhook(&reach(of, None), id).await.unwrap().unwrap();
    let webhook = SealedWebhook { credentials: secrets.to_vec(), ..found };
    change.write(&[Write { id, webhook: Some(webhook), entry: entry("updated") }]).await.unwrap();
    change.commit().await.unwrap();
}

async fn secrets(store: &dyn Store, id: i64) -> Vec<u8> {
    let all = webhooks(store.changes(0, 1_000).await.unwrap());
    all.into_iter().find(|changed| changed.id == id).unwrap().webhook.unwrap().credentials
}

pub(crate) async fn what_is_sealed_otherwise_is_found(backend: &impl Backend) {
    let store = backend.store().await;
    let mut ids = Vec::new();
    for (of, secrets) in [("a", b"old-1"), ("b", b"new-2"), ("a", b"old-3"), ("b", b"OLD-4"), ("c", b"ne\x00\x01-")] {
        ids.push(create_with(&*store, of, secrets).await);
    }
    let gone = create_with(&*store, "a", b"old-6").await;
    assert!(delete(&*store, &reach("a", None), gone).await.unwrap());

    let first = store.sealed_otherwise(b"new", i64::MIN, 2).await.unwrap();
    let found: Vec<_> =
        first.iter().map(|found| (found.webhook, found.instance.as_str(), found.sealed.as_slice())).collect();
    assert_eq!(found, [(ids[0], "a", b"old-1".as_slice()), (ids[2], "a", b"old-3")]);
    let rest = store.sealed_otherwise(b"new", ids[2], 100).await.unwrap();
    assert_eq!(rest.iter().map(|found| found.webhook).collect::<Vec<_>>(), [ids[3], ids[4]]);
    assert!(store.sealed_otherwise(b"new", ids[4], 100).await.unwrap().is_empty());

    let mut counts = store.secrets_by_prefix(3).await.unwrap();
    counts.sort();
    let expected: [(&[u8], u64); 4] = [(b"OLD", 1), (b"ne\x00", 1), (b"new", 1), (b"old", 2)];
    assert_eq!(counts, expected.map(|(prefix, count)| (prefix.to_vec(), count)));
}

pub(crate) async fn secrets_are_replaced_if_they_are_what_they_were(backend: &impl Backend) {
    let store = backend.store().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(create_with(&*store, "acme", b"old").await);
    }
    put(&*store, "acme", ids[1], b"changed").await;
    let version = store.changes(0, 10).await.unwrap().version;
    let replace = |webhook: i64, old: &[u8], new: &[u8]| ResealedSecret { webhook, old: old.into(), new: new.into() };
    let batch: Vec<_> = ids.iter().rev().map(|id| replace(*id, b"old", b"new\0\xff")).collect();
    assert_eq!(store.replace_secrets(&batch).await.unwrap(), 2);
    assert_eq!(store.replace_secrets(&batch).await.unwrap(), 0);
    assert_eq!(store.replace_secrets(&[]).await.unwrap(), 0);
    assert_eq!(secrets(&*store, ids[0]).await, b"new\0\xff");
    assert_eq!(secrets(&*store, ids[1]).await, b"changed");
    assert_eq!(store.changes(0, 10).await.unwrap().version, version, "it is no change of a webhook");
}

/// Those who change webhooks, and those who seal them anew, wait for each other and lose nothing.
pub(crate) async fn replacing_goes_on_beside_changes(backend: &impl Backend) {
    const ROUNDS: usize = 20;
    let stores = [backend.store().await, backend.store().await];
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(create_with(&*stores[0], "acme", b"0").await);
    }
    let mut tasks = JoinSet::new();
    for id in ids.clone() {
        let store = Arc::clone(&stores[0]);
        tasks.spawn(async move {
            for _ in 0..ROUNDS {
                let mut change = store.begin(&instance("acme")).await.unwrap();
                let mut found = change.webhook(&reach("acme", None), id).await.unwrap().unwrap();
                found.credentials.push(b'c');
                change.write(&[Write { id, webhook: Some(found), entry: entry("updated") }]).await.unwrap();
                change.commit().await.unwrap();
            }
            0
        });
    }
    for order in [1, -1] {
        let store = Arc::clone(&stores[1]);
        tasks.spawn(async move {
            let mut replaced = 0;
            for _ in 0..ROUNDS {
                let mut batch: Vec<_> = store.sealed_otherwise(b"none", 0, 100).await.unwrap();
                batch.sort_by_key(|found| found.webhook * order);
                let anew = |old: &[u8]| [old, b"r"].concat();
                let batch: Vec<_> = batch
                    .into_iter()
                    .map(|found| ResealedSecret { webhook: found.webhook, new: anew(&found.sealed), old: found.sealed })
                    .collect();
                replaced += store.replace_secrets(&batch).await.unwrap();
            }
            replaced
        });
    }
    let replaced: u64 = tasks.join_all().await.into_iter().sum();
    let mut marks = (0, 0);
    for id in ids {
        let secrets = secrets(&*stores[0], id).await;
        marks.0 += secrets.iter().filter(|byte| **byte == b'c').count();
        marks.1 += secrets.iter().filter(|byte| **byte == b'r').count();
    }
    assert_eq!(marks, (5 * ROUNDS, usize::try_from(replaced).unwrap()));
}

pub(crate) async fn the_key_check_is_replaced_if_it_is_what_it_was(backend: &impl Backend) {
    let store = backend.store().await;
    assert_eq!(store.sealed_check().await.unwrap(), None);
    assert!(!store.replace_check(b"", b"new").await.unwrap());
    store.key_check(b"first").await.unwrap();
    assert!(!store.replace_check(b"other", b"new").await.unwrap());
    assert!(store.replace_check(b"first", b"new\0\xff").await.unwrap());
    assert_eq!(store.sealed_check().await.unwrap().as_deref(), Some(b"new\0\xff".as_slice()));
    assert_eq!(store.key_check(b"first").await.unwrap(), b"new\0\xff");
}

pub(crate) async fn processes_are_there_until_they_end(backend: &impl Backend) {
    let store = backend.store().await;
    let (one, two) = (KeyId::from_bytes([0, 1, 2, 255]), KeyId::from_bytes([9; 4]));
    let after = |seconds| NOON.plus(Duration::from_secs(seconds));
    let reader = |number: u128, seconds| KeyReader {
        process: Uuid::from_u128(number),
        host: format!("host-{number}"),
        keys: vec![one, two],
        sealing: vec![one],
        seen_at: after(seconds),
    };
    for reader in [reader(2, 5), reader(1, 0), reader(3, 9)] {
        store.announce(&reader, NOON).await.unwrap();
    }
    assert_eq!(store.readers(NOON).await.unwrap(), [reader(1, 0), reader(2, 5), reader(3, 9)]);
    assert_eq!(store.readers(after(5)).await.unwrap(), [reader(2, 5), reader(3, 9)]);
    let changed = KeyReader { keys: vec![two], sealing: vec![two, one], ..reader(1, 20) };
    store.announce(&changed, after(6)).await.unwrap();
    assert_eq!(store.readers(NOON).await.unwrap(), [changed.clone(), reader(3, 9)]);
    store.withdraw(Uuid::from_u128(3)).await.unwrap();
    assert_eq!(store.readers(NOON).await.unwrap(), [changed]);
}

pub(crate) async fn a_rotation_is_remembered_until_it_ends(backend: &impl Backend) {
    let store = backend.store().await;
    assert_eq!(store.rotation().await.unwrap(), None);
    for target in [Some(KeyId::from_bytes([0, 1, 2, 255])), Some(KeyId::from_bytes([9; 4])), None, None] {
        store.set_rotation(target).await.unwrap();
        assert_eq!(store.rotation().await.unwrap(), target);
        assert_eq!(backend.store().await.rotation().await.unwrap(), target);
    }
}
