//! Everything that a list has, as it is at one moment.

use std::sync::Arc;

use history::{
    model::{Record, Status},
    store::{Completion, Exported, ListQuery, Page, Store, WholeEntry},
};
use tokio::sync::mpsc;

use crate::known::{all, delivered, delivery, failed, held, record};

type Any = Arc<dyn Store>;
type Whole = (WholeEntry, Option<bytes::Bytes>);

/// 300 attempts of 200 deliveries, 100 of which wait; each delivery has a body of its own.
async fn fill(store: &Any) {
    let number = |webhook: i64, number, what| Record {
        body: format!("body of {webhook}").into(),
        ..of_own_event(webhook, number, what)
    };
    let mut records: Vec<Record> = (1..=100).map(|webhook| number(webhook, 1, delivered(webhook / 3 * 100))).collect();
    records.extend((101..=200).map(|webhook| number(webhook, 1, failed(webhook / 7 * 100, 9000))));
    records.extend((101..=200).map(|webhook| number(webhook, 2, failed(5000 + webhook, 99000))));
    store.record(records.into()).await.unwrap();
}

fn of_own_event(webhook: i64, number: i32, what: history::model::What) -> Record {
    let event = uuid::Uuid::from_u128(u128::from(webhook.unsigned_abs()));
    Record { delivery: crate::known::delivery_of(event, webhook), ..record(webhook, number, what) }
}

/// What an export hands on; `meanwhile` is done after its first entries.
async fn exported(store: &Any, query: &ListQuery, meanwhile: impl AsyncFnOnce()) -> (i64, Vec<Whole>) {
    let (sender, mut parts) = mpsc::channel(1);
    let read = async {
        let Some(Exported::Total(total)) = parts.recv().await else { panic!("the number comes first") };
        let mut found = Vec::new();
        let mut meanwhile = Some(meanwhile);
        while let Some(part) = parts.recv().await {
            let Exported::Entries(entries) = part else { panic!("the number comes once") };
            assert!(!entries.is_empty());
            found.extend(entries);
            if let Some(meanwhile) = meanwhile.take() {
                meanwhile().await;
            }
        }
        (total, found)
    };
    let (outcome, found) = tokio::join!(store.export(query, sender), read);
    assert_eq!(outcome.unwrap(), Completion::Whole);
    found
}

pub(crate) async fn an_export_has_what_was_there_when_it_began(store: Any) {
    fill(&store).await;
    let (expected, more) = store.list(&all()).await.unwrap();
    assert!(!more && expected.len() == 400);
    let (total, found) = exported(&store, &all(), async || {
        // An attempt for which something waited, a new delivery, and the end of what was failed.
        let records = vec![
            of_own_event(150, 3, delivered(20_000)),
            of_own_event(201, 1, delivered(1)),
            of_own_event(160, 3, held(1)),
            of_own_event(1, 2, delivered(7)),
        ];
        store.record(records.into()).await.unwrap();
    })
    .await;
    assert_eq!(total, 400);
    assert_eq!(found.iter().map(|(whole, _)| whole.entry.clone()).collect::<Vec<_>>(), expected);
    for (whole, body) in &found {
        let sent = format!("body of {}", whole.entry.delivery.webhook_id);
        let expected = (whole.entry.status != Status::Pending).then_some(sent.as_bytes());
        assert_eq!(body.as_deref(), expected, "{:?}", whole.entry);
        assert_eq!(whole.made, body.is_some());
    }
    assert_eq!(exported(&store, &all(), async || ()).await.0, 402);
}

pub(crate) async fn an_export_is_filtered_and_goes_on_anywhere(store: Any) {
    fill(&store).await;
    let (whole, _) = store.list(&all()).await.unwrap();
    for at in [0, 49, 50, 51, 399] {
        let query = ListQuery { page: Page::OlderThan(whole[at].position()), ..all() };
        let (total, found) = exported(&store, &query, async || ()).await;
        assert_eq!(found.iter().map(|(whole, _)| whole.entry.clone()).collect::<Vec<_>>(), whole[at + 1..], "{at}");
        assert_eq!(usize::try_from(total).unwrap(), 399 - at);
    }
    for (query, count) in [
        (ListQuery { status: Some(Status::Failed), ..all() }, 200),
        (ListQuery { status: Some(Status::Pending), webhook_id: Some(150), ..all() }, 1),
        (ListQuery { webhook_id: Some(150), ..all() }, 3),
        (ListQuery { instance: "acme".into(), ..all() }, 0),
    ] {
        let (total, found) = exported(&store, &query, async || ()).await;
        assert_eq!((total, found.len()), (count, usize::try_from(count).unwrap()), "{query:?}");
    }
}

pub(crate) async fn an_export_that_nobody_reads_ends(store: Any) {
    fill(&store).await;
    let (sender, mut parts) = mpsc::channel(1);
    let query = all();
    let (outcome, ()) = tokio::join!(store.export(&query, sender), async {
        drop(parts.recv().await);
        drop(parts);
    });
    assert_eq!(outcome.unwrap(), Completion::Unread);
    // Its connection is free again.
    for _ in 0..20 {
        assert!(store.delivery("default", delivery(1).id, crate::known::SIGHT).await.unwrap().is_none());
    }
}
