//! Lists and whole deliveries.

use std::sync::Arc;

use history::{
    model::{Attempt, Record, Status, What},
    store::{Entry, ListQuery, Page, Store},
};

use crate::known::{all, delivered, delivery, failed, held, record};

type Any = Arc<dyn Store>;

async fn fill(store: &Any) {
    let mut records: Vec<Record> =
        (1..=20).map(|webhook| record(webhook, 1, failed(webhook / 3 * 100, 5000))).collect();
    records.extend((1..=10).map(|webhook| record(webhook, 2, delivered(5000 + webhook / 4))));
    records.extend((1..=5).map(|webhook| record(20 + webhook, 1, held(1))));
    store.record(records.into()).await.unwrap();
}

/// Walks through all pages, in one direction and back.
async fn walk(store: &Any, query: ListQuery) -> Vec<Entry> {
    let mut query = query;
    let (mut found, mut more) = store.list(&query).await.unwrap();
    while more {
        query.page = Page::OlderThan(found.last().unwrap().position());
        let page = store.list(&query).await.unwrap();
        found.extend(page.0);
        more = page.1;
    }
    query.page = Page::NewerThan(found.last().unwrap().position());
    let (mut back, mut more) = store.list(&query).await.unwrap();
    while more {
        query.page = Page::NewerThan(back.first().unwrap().position());
        let page = store.list(&query).await.unwrap();
        back.splice(0..0, page.0);
        more = page.1;
    }
    assert_eq!(back, found[..found.len() - 1]);
    found
}

pub(crate) async fn pages_hold_every_entry_once_in_order(store: Any) {
    fill(&store).await;
    let expected = store.list(&all()).await.unwrap().0;
    assert_eq!(expected.len(), 20 + 10 + 10 + 5);
    assert!(expected.windows(2).all(|pair| pair[0].position() > pair[1].position()));
    for limit in [1, 7, 44, 45, 46] {
        assert_eq!(walk(&store, ListQuery { limit, ..all() }).await, expected, "limit {limit}");
    }
    for status in [Status::Pending, Status::Delivered, Status::Failed] {
        let wanted: Vec<_> = expected.iter().filter(|entry| entry.status == status).cloned().collect();
        assert_eq!(walk(&store, ListQuery { limit: 3, status: Some(status), ..all() }).await, wanted);
    }
}

pub(crate) async fn filters_and_instances_are_kept_apart(store: Any) {
    fill(&store).await;
    let mut theirs = record(1, 1, failed(9, 50));
    theirs.delivery.instance = "acme".into();
    theirs.delivery.id = uuid::Uuid::from_u128(77);
    let mut other_project = record(50, 1, delivered(9));
    other_project.delivery.project_id = 2;
    store.record(vec![theirs, other_project].into()).await.unwrap();
    let count = async |query: ListQuery| store.list(&query).await.unwrap().0.len();
    assert_eq!(count(all()).await, 46);
    assert_eq!(count(ListQuery { instance: "acme".into(), ..all() }).await, 2);
    assert_eq!(count(ListQuery { webhook_id: Some(1), ..all() }).await, 2);
    assert_eq!(count(ListQuery { webhook_id: Some(20), ..all() }).await, 2);
    assert_eq!(count(ListQuery { webhook_id: Some(50), ..all() }).await, 1);
    assert_eq!(count(ListQuery { webhook_id: Some(50), projects: Some(vec![1]), ..all() }).await, 0);
    assert_eq!(count(ListQuery { projects: Some(vec![2, 3]), ..all() }).await, 1);
    assert_eq!(count(ListQuery { projects: Some(vec![]), ..all() }).await, 0);
    assert_eq!(count(ListQuery { event_type: Some("run.completed".into()), ..all() }).await, 46);
    assert_eq!(count(ListQuery { event_type: Some("run.created".into()), ..all() }).await, 0);
    assert_eq!(count(ListQuery { is_test: Some(true), ..all() }).await, 0);
    assert_eq!(count(ListQuery { is_test: Some(false), webhook_id: Some(1), ..all() }).await, 2);
    // From a time on, until before another: attempts when they started, waits since when they are.
    assert_eq!(count(ListQuery { from: Some(600), to: Some(5000), status: Some(Status::Failed), ..all() }).await, 3);
    assert_eq!(count(ListQuery { to: Some(600), status: Some(Status::Failed), ..all() }).await, 17);
    assert_eq!(count(ListQuery { from: Some(601), to: Some(5000), status: Some(Status::Pending), ..all() }).await, 8);
}

pub(crate) async fn a_delivery_has_everything(store: Any) {
    let attempt = Attempt {
        started_at: 2000,
        duration_us: 1234,
        delivered: false,
        response_code: 503,
        error_class: "server_error".into(),
        error: "answered 503".into(),
        url: "https://example.com/?token=***".into(),
        remote_address: "203.0.113.7:443".into(),
        request_headers: vec![1, 2, 3],
        response_headers: vec![0, 255],
        response_body: vec![0xff, 0, 7].into(),
        response_truncated: true,
        next_due_at: 9000,
        next_held: None,
        span: None,
    };
    let mut first = record(1, 1, What::Attempt(Box::new(attempt)));
    first.body = "sent".into();
    first.delivery.is_test = true;
    store.record(vec![first.clone()].into()).await.unwrap();
    let whole = store.delivery("default", delivery(1).id, crate::known::SIGHT).await.unwrap().unwrap();
    assert_eq!(whole.delivery, first.delivery);
    assert_eq!(whole.body.as_deref(), Some(&b"sent"[..]));
    let [made, waits] = whole.entries.as_slice() else { panic!("{whole:?}") };
    assert!(made.made && made.entry.response_truncated);
    assert_eq!((made.request_headers.as_slice(), made.response_headers.as_slice()), (&[1, 2, 3][..], &[0, 255][..]));
    assert_eq!(made.response_body, [0xff, 0, 7]);
    assert_eq!((made.entry.duration_us, made.entry.response_code), (1234, 503));
    assert_eq!(
        (made.entry.url.as_str(), made.entry.remote_address.as_str()),
        ("https://example.com/?token=***", "203.0.113.7:443")
    );
    assert_eq!((waits.entry.status, waits.entry.number, waits.entry.due_at), (Status::Pending, 2, Some(9000)));
    assert!(store.delivery("default", uuid::Uuid::from_u128(5), crate::known::SIGHT).await.unwrap().is_none());
}

pub(crate) async fn a_delivery_that_goes_on_is_never_seen_ended(store: Any) {
    store.record(vec![record(1, 1, failed(1000, 5000))].into()).await.unwrap();
    let recorded = std::cell::Cell::new(false);
    let write = async {
        for number in 2..=60 {
            let what = failed(1000 + i64::from(number), 5000);
            store.record(vec![record(1, number, what)].into()).await.unwrap();
        }
        recorded.set(true);
    };
    let read = async {
        while !recorded.get() {
            let whole = store.delivery("default", delivery(1).id, crate::known::SIGHT).await.unwrap().unwrap();
            let last = whole.entries.last().unwrap();
            assert_eq!(last.entry.status, Status::Pending, "after {} attempts", whole.entries.len());
        }
    };
    tokio::join!(write, read);
}
