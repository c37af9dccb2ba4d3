//! Plans and projects of instances.

use domain::Plan;
use subscription::store::{Changed, Page, Project, Store, ToldPlan};

use crate::backend::{Backend, create, delete, instance, reach, set_active};

const ALL: Page = Page { offset: 0, limit: 100 };

fn project(id: i64, name: &str) -> Project {
    Project { id, version: 1, name: name.into(), url: format!("https://testmo.example/{id}"), deleted: false }
}

fn deleted(id: i64) -> Project {
    Project { id, version: 2, name: String::new(), url: String::new(), deleted: true }
}

async fn put(store: &dyn Store, of: &str, project: &Project) {
    let mut change = store.begin(&instance(of)).await.unwrap();
    change.put_project(project).await.unwrap();
    change.commit().await.unwrap();
}

pub(crate) async fn plans_are_remembered(backend: &impl Backend) {
    let store = backend.store().await;
    for (plan, version) in [("starter", 3), ("business", 7)] {
        let told = ToldPlan { plan: plan.parse::<Plan>().unwrap(), version };
        let mut change = store.begin(&instance("acme")).await.unwrap();
        assert_ne!(change.plan(), Some(&told));
        change.put_plan(&told).await.unwrap();
        assert_eq!(change.plan(), Some(&told));
        change.commit().await.unwrap();
        assert_eq!(store.begin(&instance("acme")).await.unwrap().plan(), Some(&told));
        assert_eq!(store.begin(&instance("other")).await.unwrap().plan(), None);
        assert_eq!(store.plan(&instance("acme")).await.unwrap(), Some(told));
        assert_eq!(store.plan(&instance("other")).await.unwrap(), None);
    }
    assert_eq!(store.changes(0, 10).await.unwrap().version, 0, "nobody follows plans");
}

pub(crate) async fn projects_are_remembered(backend: &impl Backend) {
    let store = backend.store().await;
    for told in [project(1, "One"), Project { version: 2, ..project(1, "Eins") }, deleted(1), project(1, "Again")] {
        put(&*store, "acme", &told).await;
        let mut change = store.begin(&instance("acme")).await.unwrap();
        assert_eq!(change.project(1).await.unwrap(), Some(told));
        assert_eq!(change.project(2).await.unwrap(), None);
        drop(change);
        assert_eq!(store.begin(&instance("other")).await.unwrap().project(1).await.unwrap(), None);
    }
    for id in [9, 4] {
        put(&*store, "acme", &deleted(id)).await;
    }
    put(&*store, "other", &deleted(5)).await;
    let mut change = store.begin(&instance("acme")).await.unwrap();
    assert_eq!(change.deleted_projects(&[1, 9, 5, 4, 7]).await.unwrap(), [4, 9]);
    assert!(change.deleted_projects(&[]).await.unwrap().is_empty());
}

pub(crate) async fn directories_have_pages_by_name(backend: &impl Backend) {
    let store = backend.store().await;
    for (id, name) in [(1, "delta"), (2, "Alpha"), (3, "charlie"), (4, "Bravo"), (5, "alpha")] {
        put(&*store, "acme", &project(id, name)).await;
    }
    put(&*store, "acme", &deleted(6)).await;
    put(&*store, "other", &project(7, "Zulu")).await;
    for (own, offset, limit, expected, total) in [
        (None, 0, 100, vec![2, 5, 4, 3, 1], 5),
        (None, 1, 2, vec![5, 4], 5),
        (Some([1, 2, 6, 7].as_slice()), 0, 100, vec![2, 1], 2),
        (Some(&[]), 0, 100, vec![], 0),
    ] {
        let listed = store.projects(&reach("acme", own), Page { offset, limit }).await.unwrap();
        let ids: Vec<_> = listed.items.iter().map(|project| project.id).collect();
        assert_eq!((ids, listed.total), (expected, total), "{own:?}");
    }
    let zulu = store.projects(&reach("other", None), ALL).await.unwrap();
    assert_eq!(zulu.items, [project(7, "Zulu")]);
}

pub(crate) async fn deletions_of_projects_are_told(backend: &impl Backend) {
    let store = backend.store().await;
    let mut expected = Vec::new();
    for id in 1..=5 {
        put(&*store, "acme", &project(id, "told")).await;
        create(&*store, "acme", None).await;
        put(&*store, "acme", &deleted(id)).await;
        expected.extend([(2 * id - 1, None), (2 * id, Some(id))]);
    }
    for limit in [1, 3, 10, 100] {
        let (mut seen, mut since) = (Vec::new(), 0);
        loop {
            let page = store.changes(since, limit).await.unwrap();
            assert!(page.items.len() <= limit as usize);
            since = page.version;
            seen.extend(page.items.iter().map(|item| match item {
                Changed::Webhook(webhook) => (webhook.version, None),
                Changed::ProjectDeleted { version, instance, project } => {
                    assert_eq!(instance.as_str(), "acme");
                    (*version, Some(*project))
                }
            }));
            if !page.more {
                break;
            }
        }
        assert_eq!((since, &seen), (10, &expected), "{limit}");
    }
    // One that is there again is not told any more.
    put(&*store, "acme", &project(5, "again")).await;
    assert_eq!(store.changes(0, 100).await.unwrap().items.len(), 9);
}

pub(crate) async fn webhooks_are_found_by_what_changes_them(backend: &impl Backend) {
    let store = backend.store().await;
    let mut ids = Vec::new();
    for projects in [None, Some([1].as_slice()), Some(&[1, 2]), Some(&[12, 21]), Some(&[]), Some(&[1])] {
        ids.push(create(&*store, "acme", projects).await.id);
    }
    create(&*store, "other", Some(&[1])).await;
    set_active(&*store, &reach("acme", None), ids[1], false).await.unwrap();
    delete(&*store, &reach("acme", None), ids[5]).await.unwrap();
    let mut change = store.begin(&instance("acme")).await.unwrap();
    let found =
        |list: Vec<subscription::store::SealedWebhook>| list.iter().map(|sealed| sealed.webhook.id).collect::<Vec<_>>();
    assert_eq!(found(change.active_webhooks().await.unwrap()), [ids[0], ids[2], ids[3], ids[4]]);
    assert_eq!(found(change.webhooks_of(1).await.unwrap()), [ids[1], ids[2]]);
    assert!(change.webhooks_of(3).await.unwrap().is_empty());
}
