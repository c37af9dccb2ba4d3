//! Webhooks: what is kept of them, and for whom.

use domain::{Identity, Role};
use subscription::store::{Page, WebhookFilter, Write};

use crate::backend::{Backend, NOON, create, delete, entry, instance, reach, sample, set_active, webhooks};

const ALL: Page = Page { offset: 0, limit: 100 };

fn any() -> WebhookFilter {
    WebhookFilter::default()
}

pub(crate) async fn what_is_created_is_read_back(backend: &impl Backend) {
    let store = backend.store().await;
    let some = create(&*store, "acme", Some(&[3, 7])).await;
    let all = create(&*store, "acme", None).await;
    assert!(all.id > some.id && all.version > some.version);
    for (webhook, projects) in [(&some, Some([3, 7].as_slice())), (&all, None)] {
        let mut expected = sample(webhook.id, projects).webhook;
        expected.version = webhook.version;
        assert_eq!(store.webhook(&reach("acme", None), webhook.id).await.unwrap(), Some(expected));
    }
    let listed = store.webhooks(&reach("acme", None), &any(), ALL).await.unwrap();
    assert_eq!((listed.items, listed.total), (vec![some, all], 2));
}

/// Every column; several in one write.
pub(crate) async fn what_is_replaced_is_read_back(backend: &impl Backend) {
    let store = backend.store().await;
    let (first, second) = (create(&*store, "acme", None).await, create(&*store, "acme", None).await);
    let mut other = sample(first.id, Some(&[]));
    other.webhook = subscription::store::Webhook {
        name: "Other".into(),
        url: "http://other.example/".into(),
        kind: "slack".into(),
        events: vec!["*".into()],
        allow_insecure: true,
        send_traceparent: true,
        headers: Vec::new(),
        filter: Vec::new(),
        active: false,
        inactive_reason: "projects_deleted".into(),
        secret_masked: "whsec_…xyz=".into(),
        secret_id: 4,
        previous_secret_expires_at: Some(NOON),
        updated_at: NOON.plus(std::time::Duration::from_secs(1)),
        endpoint_since: NOON.plus(std::time::Duration::from_secs(2)),
        ..other.webhook
    };
    other.credentials = vec![9, 0, 8];
    let mut change = store.begin(&instance("acme")).await.unwrap();
    let writes = [
        Write { id: second.id, webhook: None, entry: entry("deleted") },
        Write { id: first.id, webhook: Some(other.clone()), entry: entry("updated") },
    ];
    let version = change.write(&writes).await.unwrap();
    other.webhook.version = version + 1;
    assert_eq!(change.webhook(&reach("acme", None), first.id).await.unwrap().as_ref(), Some(&other));
    change.commit().await.unwrap();
    assert_eq!(store.webhook(&reach("acme", None), first.id).await.unwrap().as_ref(), Some(&other.webhook));
    assert_eq!(store.webhook(&reach("acme", None), second.id).await.unwrap(), None);
    let changed = webhooks(store.changes(second.version, 10).await.unwrap());
    let versions: Vec<_> = changed.iter().map(|changed| (changed.id, changed.version)).collect();
    assert_eq!(versions, [(second.id, version), (first.id, version + 1)]);
    assert_eq!(changed[1].webhook.as_ref(), Some(&other));
}

pub(crate) async fn lists_are_filtered(backend: &impl Backend) {
    let store = backend.store().await;
    let mut ids = Vec::new();
    for projects in [None, Some([1].as_slice()), Some(&[1, 2]), Some(&[]), Some(&[12])] {
        ids.push(create(&*store, "acme", projects).await.id);
    }
    create(&*store, "other", None).await;
    set_active(&*store, &reach("acme", None), ids[2], false).await.unwrap();
    let text = |text: &str| WebhookFilter { text: Some(text.into()), ..any() };
    for (filter, expected) in [
        (any(), vec![0, 1, 2, 3, 4]),
        (WebhookFilter { active: Some(true), ..any() }, vec![0, 1, 3, 4]),
        (WebhookFilter { active: Some(false), ..any() }, vec![2]),
        (WebhookFilter { kind: Some("generic".into()), ..any() }, vec![0, 1, 2, 3, 4]),
        (WebhookFilter { kind: Some("slack".into()), ..any() }, vec![]),
        (WebhookFilter { project: Some(1), ..any() }, vec![0, 1, 2]),
        (WebhookFilter { project: Some(2), active: Some(true), ..any() }, vec![0]),
        (text("EXAMPLE.com/hoo"), vec![0, 1, 2, 3, 4]),
        (text("\"ä\\\" 100% _"), vec![0, 1, 2, 3, 4]),
        // Nothing has a meaning of its own.
        (text("c%i"), vec![]),
        (text("c_"), vec![]),
        (text("c\\i"), vec![]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|index: usize| ids[index]).collect();
        let listed = store.webhooks(&reach("acme", None), &filter, ALL).await.unwrap();
        let found: Vec<_> = listed.items.iter().map(|webhook| webhook.id).collect();
        assert_eq!((found.len() as i64, &found), (listed.total, &expected), "{filter:?}");
        let own = store.webhooks(&reach("acme", Some(&[1])), &filter, ALL).await.unwrap();
        assert!(own.items.iter().all(|webhook| webhook.id == ids[1]), "{filter:?}");
        assert_eq!(own.total == 1, expected.contains(&ids[1]), "{filter:?}");
    }
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
        let listed = store.webhooks(&reach, &any(), ALL).await.unwrap();
        assert_eq!(listed.items.iter().map(|webhook| webhook.id).collect::<Vec<_>>(), expected, "{own:?}");
        assert_eq!(usize::try_from(listed.total), Ok(expected.len()), "{own:?}");

        for webhook in webhooks.iter().chain([&foreign]) {
            let within = expected.contains(&webhook.id);
            assert_eq!(store.webhook(&reach, webhook.id).await.unwrap().is_some(), within, "{own:?}");
            let mut change = store.begin(&reach.instance).await.unwrap();
            assert_eq!(change.webhook(&reach, webhook.id).await.unwrap().is_some(), within, "{own:?}");
            drop(change);
            assert_eq!(store.log(&reach, webhook.id, ALL).await.unwrap().is_some(), within, "{own:?}");
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
            let page = store.webhooks(&reach("acme", own), &any(), Page { offset, limit: 3 }).await.unwrap();
            assert_eq!((page.items.len(), page.total), (length, 7));
            found.extend(page.items.iter().map(|webhook| webhook.id));
        }
        assert_eq!(found, ids);
    }
}

pub(crate) async fn deletion_leaves_an_empty_tombstone(backend: &impl Backend) {
    let store = backend.store().await;
    let reach = reach("acme", None);
    let created = create(&*store, "acme", None).await;
    let kept = create(&*store, "acme", None).await;
    assert!(delete(&*store, &reach, created.id).await.unwrap());
    assert!(!delete(&*store, &reach, created.id).await.unwrap());
    assert_eq!(store.webhook(&reach, created.id).await.unwrap(), None);
    assert_eq!(set_active(&*store, &reach, created.id, true).await.unwrap(), None);
    let listed = store.webhooks(&reach, &any(), ALL).await.unwrap();
    assert_eq!((listed.items, listed.total), (vec![kept.clone()], 1));

    let changes = store.changes(kept.version, 10).await.unwrap();
    let version = changes.version;
    let changed = webhooks(changes);
    assert_eq!(changed.len(), 1);
    let tombstone = &changed[0];
    assert_eq!((tombstone.id, tombstone.instance.as_str(), tombstone.version), (created.id, "acme", version));
    assert!(tombstone.webhook.is_none());
    for text in ["", "CI", "example"] {
        let filter = WebhookFilter { text: Some(text.into()), ..any() };
        assert_eq!(store.webhooks(&reach, &filter, ALL).await.unwrap().total, 1);
    }
}

pub(crate) async fn ids_are_not_used_again(backend: &impl Backend) {
    let store = backend.store().await;
    let first = create(&*store, "acme", None).await;
    assert!(delete(&*store, &reach("acme", None), first.id).await.unwrap());
    let second = create(&*store, "other", None).await;
    assert!(first.id >= 1 && second.id > first.id);
}
