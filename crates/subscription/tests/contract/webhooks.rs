//! Webhooks: what is kept of them, and for whom.

use std::time::Duration;

use domain::{Identity, Role, Scope};
use subscription::store::Page;

use crate::backend::{Backend, NOON, create, reach};

const ALL: Page = Page { offset: 0, limit: 100 };

pub(crate) async fn what_is_created_is_read_back(backend: &impl Backend) {
    let store = backend.store().await;
    let created = create(&*store, "acme", Some(&[3, 7])).await;
    assert_eq!((created.name.as_str(), created.kind.as_str()), ("CI", "generic"));
    assert_eq!(created.url, "https://example.com/hook?a=b");
    assert_eq!(created.events, ["run.completed", "case.created"]);
    assert_eq!(created.scope, Scope::Projects(vec![3, 7]));
    assert!(created.active && !created.allow_insecure);
    assert_eq!(created.secret_masked, "whsec_…abc=");
    assert_eq!((created.created_at, created.updated_at), (NOON, NOON));

    let all = create(&*store, "acme", None).await;
    assert_eq!(all.scope, Scope::All);
    assert!(all.id > created.id && all.version > created.version);
    for webhook in [&created, &all] {
        assert_eq!(store.webhook(&reach("acme", None), webhook.id).await.unwrap().as_ref(), Some(webhook));
    }
    let listed = store.webhooks(&reach("acme", None), ALL).await.unwrap();
    assert_eq!((listed.items, listed.total), (vec![created, all], 2));
}

pub(crate) async fn reach_is_what_the_caller_manages(backend: &impl Backend) {
    let store = backend.store().await;
    let mut webhooks = Vec::new();
    for scope in [None, Some([].as_slice()), Some(&[1]), Some(&[1, 2]), Some(&[2, 3]), Some(&[3]), Some(&[10, 12])] {
        webhooks.push(create(&*store, "acme", scope).await);
    }
    let foreign = create(&*store, "other", Some(&[1])).await;
    for own in [None, Some([].as_slice()), Some(&[1]), Some(&[1, 2]), Some(&[1, 2, 3]), Some(&[0, 10, 11, 12])] {
        let reach = reach("acme", own);
        let role = own.map_or(Role::SystemAdmin, |own| Role::ProjectAdmin(own.to_vec()));
        let caller = Identity { role, instance: None, name: String::new() };
        let expected: Vec<i64> =
            webhooks.iter().filter(|webhook| caller.manages(&webhook.scope)).map(|webhook| webhook.id).collect();
        let listed = store.webhooks(&reach, ALL).await.unwrap();
        assert_eq!(listed.items.iter().map(|webhook| webhook.id).collect::<Vec<_>>(), expected, "{own:?}");
        assert_eq!(usize::try_from(listed.total), Ok(expected.len()), "{own:?}");

        for webhook in webhooks.iter().chain([&foreign]) {
            let within = expected.contains(&webhook.id);
            assert_eq!(store.webhook(&reach, webhook.id).await.unwrap().is_some(), within, "{own:?}");
            let changed = store.set_active(&reach, webhook.id, true, NOON).await.unwrap();
            assert_eq!(changed.is_some(), within, "{own:?}");
            if !within {
                assert!(!store.delete_webhook(&reach, webhook.id, NOON).await.unwrap(), "{own:?}");
            }
        }
    }
    assert!(store.webhook(&reach("other", None), foreign.id).await.unwrap().is_some());
}

pub(crate) async fn lists_have_pages(backend: &impl Backend) {
    let store = backend.store().await;
    let mut ids = Vec::new();
    for _ in 0..7 {
        ids.push(create(&*store, "acme", Some(&[1])).await.id);
        create(&*store, "acme", Some(&[2])).await;
    }
    for own in [Some([1].as_slice()), Some(&[1, 3])] {
        let mut found = Vec::new();
        for (offset, length) in [(0, 3), (3, 3), (6, 1), (9, 0)] {
            let page = store.webhooks(&reach("acme", own), Page { offset, limit: 3 }).await.unwrap();
            assert_eq!((page.items.len(), page.total), (length, 7));
            found.extend(page.items.iter().map(|webhook| webhook.id));
        }
        assert_eq!(found, ids);
    }
}

pub(crate) async fn activation_changes_once(backend: &impl Backend) {
    let store = backend.store().await;
    let reach = reach("acme", None);
    let created = create(&*store, "acme", None).await;
    let later = NOON.plus(Duration::from_secs(1));

    let same = store.set_active(&reach, created.id, true, later).await.unwrap().unwrap();
    assert_eq!(same, created);
    let paused = store.set_active(&reach, created.id, false, later).await.unwrap().unwrap();
    assert!(!paused.active && paused.version > created.version);
    assert_eq!((paused.created_at, paused.updated_at), (NOON, later));
    let again = store.set_active(&reach, created.id, false, later.plus(Duration::from_secs(1))).await.unwrap().unwrap();
    assert_eq!(again, paused);
    assert_eq!(store.changes(paused.version, 10).await.unwrap().version, paused.version);
    let resumed = store.set_active(&reach, created.id, true, later).await.unwrap().unwrap();
    assert!(resumed.active && resumed.version > paused.version);
    assert_eq!(store.webhook(&reach, created.id).await.unwrap(), Some(resumed));
    assert_eq!(store.set_active(&reach, created.id + 1, true, later).await.unwrap(), None);
}

pub(crate) async fn deletion_leaves_an_empty_tombstone(backend: &impl Backend) {
    let store = backend.store().await;
    let reach = reach("acme", None);
    let created = create(&*store, "acme", None).await;
    let kept = create(&*store, "acme", None).await;
    assert!(store.delete_webhook(&reach, created.id, NOON).await.unwrap());
    assert!(!store.delete_webhook(&reach, created.id, NOON).await.unwrap());
    assert_eq!(store.webhook(&reach, created.id).await.unwrap(), None);
    assert_eq!(store.set_active(&reach, created.id, true, NOON).await.unwrap(), None);
    let listed = store.webhooks(&reach, ALL).await.unwrap();
    assert_eq!((listed.items, listed.total), (vec![kept.clone()], 1));

    let changes = store.changes(kept.version, 10).await.unwrap();
    assert_eq!(changes.webhooks.len(), 1);
    let tombstone = &changes.webhooks[0];
    assert_eq!((tombstone.id, tombstone.instance.as_str(), tombstone.version), (created.id, "acme", changes.version));
    assert!(tombstone.target.is_none());
}

pub(crate) async fn ids_are_not_used_again(backend: &impl Backend) {
    let store = backend.store().await;
    let first = create(&*store, "acme", None).await;
    assert!(store.delete_webhook(&reach("acme", None), first.id, NOON).await.unwrap());
    let reserved = store.next_webhook_id().await.unwrap();
    let second = create(&*store, "other", None).await;
    assert!(first.id >= 1 && reserved > first.id && second.id > reserved);
}
