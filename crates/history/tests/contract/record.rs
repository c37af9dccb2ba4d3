//! Writing records, and what may be sent after them.

use std::sync::Arc;

use history::{
    model::{CheckItem, Checked, Record, What},
    store::{Held, Store, TakeHeld},
};
use uuid::Uuid;

use crate::known::{
    EVENT, cancelled, delivered, delivery, delivery_of, entries, event, failed, held, may_send, record, standing,
    stands,
};

type Any = Arc<dyn Store>;

pub(crate) async fn a_failed_attempt_waits_for_the_next_and_a_delivered_one_ends(store: Any) {
    store.open(vec![event(1, &[1])], 5).await.unwrap();
    store.record(vec![record(1, 1, failed(2000, 5000))].into()).await.unwrap();
    let found = entries(store.as_ref()).await;
    // Newest first: the wait began when the attempt ended.
    assert_eq!((found[0].number, found[0].time, found[0].due_at), (2, 2007, Some(5000)));
    assert_eq!((found[1].number, found[1].time, found[1].response_code), (1, 2000, 500));
    store.record(vec![record(1, 2, delivered(6000))].into()).await.unwrap();
    assert_eq!(standing(store.as_ref()).await, stands(&[(1, 1, "failed"), (1, 2, "delivered")]));
    store.record(Vec::new().into()).await.unwrap();
}

pub(crate) async fn a_record_brings_what_was_never_opened(store: Any) {
    let mut unopened = record(1, 1, failed(2000, 5000));
    unopened.body = "body".into();
    let mut held = record(2, 1, held(3));
    held.body = "body".into();
    store.record(vec![unopened, held].into()).await.unwrap();
    assert_eq!(standing(store.as_ref()).await, stands(&[(1, 1, "failed"), (1, 2, "pending"), (2, 1, "pending")]));
    let whole = store.delivery("default", delivery(1).id, crate::known::SIGHT).await.unwrap().unwrap();
    assert_eq!(whole.body.unwrap(), "body");
    let whole = store.delivery("default", delivery(2).id, crate::known::SIGHT).await.unwrap().unwrap();
    assert!(whole.entries[0].entry.held.is_some());
}

pub(crate) async fn the_better_account_of_an_attempt_stands(store: Any) {
    // A crash repeated the attempt, and the repeat was better.
    store.record(vec![record(1, 1, failed(10, 50))].into()).await.unwrap();
    store.record(vec![record(1, 1, delivered(20))].into()).await.unwrap();
    store.record(vec![record(1, 1, failed(5, 50))].into()).await.unwrap();
    // It was cancelled while it was on the wire.
    store.record(vec![record(2, 1, failed(10, 50)), record(2, 2, cancelled(60))].into()).await.unwrap();
    store.record(vec![record(2, 2, failed(55, 99))].into()).await.unwrap();
    // It turned out to be the last.
    store.record(vec![record(3, 1, failed(10, 50))].into()).await.unwrap();
    store.record(vec![record(3, 1, failed(20, 0))].into()).await.unwrap();
    let expected = [(1, 1, "delivered"), (2, 1, "failed"), (2, 2, "failed"), (3, 1, "failed")];
    assert_eq!(standing(store.as_ref()).await, stands(&expected));
    let whole = store.delivery("default", delivery(2).id, crate::known::SIGHT).await.unwrap().unwrap();
    assert!(whole.entries[1].made && whole.entries[1].entry.time == 55);
    assert!(!may_send(store.as_ref(), 3, 2, 0).await);
}

/// Everything that happens to a delivery, and then some.
fn story(event_id: Uuid) -> Vec<Record> {
    let of =
        |webhook, number, what| Record { delivery: delivery_of(event_id, webhook), ..record(webhook, number, what) };
    vec![
        of(1, 1, failed(10, 50)),
        of(1, 2, held(3)),
        of(1, 2, failed(60, 90)),
        of(1, 2, failed(61, 90)),
        of(1, 3, delivered(95)),
        of(2, 1, held(3)),
        of(2, 1, held(4)),
        of(2, 1, failed(10, 50)),
        of(3, 1, failed(10, 50)),
        of(3, 2, cancelled(20)),
        of(4, 1, failed(10, 50)),
        of(4, 2, held(9)),
    ]
}

pub(crate) async fn records_in_any_order_give_the_same_rows(store: Any) {
    let mut seed = 7u64;
    let mut expected = None;
    for round in 0..12u128 {
        let event_id = Uuid::from_u128(100 + round);
        let mut records: Vec<Record> = story(event_id);
        records.extend(story(event_id));
        if round > 0 {
            for last in (1..records.len()).rev() {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                records.swap(last, usize::try_from(seed >> 33).unwrap() % (last + 1));
            }
        }
        for batch in records.chunks(1 + usize::try_from(round).unwrap() % 5) {
            store.record(batch.to_vec().into()).await.unwrap();
        }
        let mut rows = Vec::new();
        for webhook in 1..=4 {
            let id = delivery_of(event_id, webhook).id;
            for entry in store.delivery("default", id, crate::known::SIGHT).await.unwrap().unwrap().entries {
                let entry = entry.entry;
                rows.push((webhook, entry.number, entry.status, entry.time, entry.due_at, entry.held, entry.error));
            }
        }
        assert_eq!(expected.get_or_insert_with(|| rows.clone()), &rows, "round {round}");
    }
}

pub(crate) async fn many_writers_on_the_same_deliveries_leave_none_waiting(store: Any) {
    let mut calls = tokio::task::JoinSet::new();
    for writer in 0..12usize {
        let store = Arc::clone(&store);
        calls.spawn(async move {
            for round in 0..4usize {
                let mut records: Vec<Record> = (0..60)
                    .flat_map(|webhook| {
                        [
                            record(webhook, 1, failed(10, 50)),
                            record(webhook, 2, held(3)),
                            record(webhook, 2, failed(60, 90)),
                            record(webhook, 3, delivered(95)),
                        ]
                    })
                    .collect();
                let shift = (writer * 37 + round * 11) % records.len();
                records.rotate_left(shift);
                if writer % 2 == 0 {
                    records.reverse();
                }
                for batch in records.chunks(23) {
                    store.record(batch.to_vec().into()).await.unwrap();
                }
                if writer % 3 == 0 {
                    let webhooks: Vec<i64> = (0..60).collect();
                    let mut late = event(1, &webhooks);
                    late.redelivered = round % 2 == 0;
                    store.open(vec![late], 5).await.unwrap();
                }
            }
        });
    }
    calls.join_all().await;
    let expected: Vec<_> = (0..60)
        .flat_map(|webhook| [(webhook, 1, "failed"), (webhook, 2, "failed"), (webhook, 3, "delivered")])
        .collect();
    assert_eq!(standing(store.as_ref()).await, stands(&expected));
}

pub(crate) async fn large_batches_and_odd_texts_are_stored(store: Any) {
    let records: Vec<Record> = (0..777)
        .map(|webhook| {
            let mut record = record(webhook, 1, failed(10, 50));
            if let What::Attempt(attempt) = &mut record.what {
                attempt.error = "'; DROP TABLE attempts; -- \u{1f980}".into();
                attempt.response_body = vec![0, 255, b'\''].into();
            }
            record
        })
        .collect();
    store.record(records.into()).await.unwrap();
    let query = history::store::ListQuery { limit: 5000, ..crate::known::all() };
    assert_eq!(store.list(&query).await.unwrap().0.len(), 2 * 777);
}

pub(crate) async fn what_is_recorded_waited_for_otherwise_or_older_is_not_sent(store: Any) {
    // Nothing is known: its record may be on its way.
    assert!(may_send(store.as_ref(), 1, 1, 0).await);
    store.open(vec![event(1, &[1, 2, 3])], 5).await.unwrap();
    assert!(may_send(store.as_ref(), 1, 1, 0).await);
    store.record(vec![record(1, 1, failed(10, 50)), record(2, 1, delivered(10))].into()).await.unwrap();
    assert!(!may_send(store.as_ref(), 1, 1, 0).await, "recorded");
    assert!(may_send(store.as_ref(), 1, 2, 0).await, "waited for");
    assert!(may_send(store.as_ref(), 1, 3, 0).await, "its record may be on its way");
    assert!(!may_send(store.as_ref(), 2, 2, 0).await, "ended");
    store.record(vec![record(3, 1, held(3))].into()).await.unwrap();
    assert!(!may_send(store.as_ref(), 3, 1, 0).await, "history has it");
    let take = TakeHeld {
        held: Held::ForNews,
        early: false,
        config_version: 3,
        held_before: 0,
        now: 10,
        leased_until: 20,
        limit: 10,
    };
    let taken = store.take_held(&[3], take).await.unwrap();
    assert!(!may_send(store.as_ref(), 3, 1, 0).await, "queued again since");
    assert!(may_send(store.as_ref(), 3, 1, 1).await, "just being queued again");
    store.released(&taken).await.unwrap();
    assert!(!may_send(store.as_ref(), 3, 1, 0).await, "queued again since");
    assert!(may_send(store.as_ref(), 3, 1, 1).await);
    assert_eq!(store.check(&[]).await.unwrap(), []);
    assert_eq!(delivery(3).event_id, EVENT);
}

pub(crate) async fn it_is_known_whether_the_attempt_before_was_recorded(store: Any) {
    let known = async |webhook_id: i64, number: i32| {
        let item = CheckItem { delivery_id: delivery(webhook_id).id, number, generation: 0, matched_at: 1000 };
        store.check(&[item]).await.unwrap()[0]
    };
    let unrecorded = Checked { send: true, previous_recorded: false };
    assert_eq!(known(1, 2).await, unrecorded, "nothing is known");
    store.open(vec![event(1, &[1, 2])], 5).await.unwrap();
    assert_eq!(known(1, 2).await, unrecorded, "the first is waited for");
    store.record(vec![record(1, 1, failed(10, 50)), record(2, 1, cancelled(10))].into()).await.unwrap();
    assert_eq!(known(1, 2).await, Checked { send: true, previous_recorded: true });
    assert_eq!(known(1, 3).await, unrecorded, "the second is waited for");
    assert_eq!(known(2, 2).await, Checked { send: false, previous_recorded: false }, "an end is no attempt");
    // One that is recorded late stands, whatever came after it.
    store.record(vec![record(1, 3, failed(30, 0)), record(1, 2, failed(20, 25))].into()).await.unwrap();
    store.record(vec![record(2, 1, failed(5, 8))].into()).await.unwrap();
    let rows = stands(&[(1, 1, "failed"), (1, 2, "failed"), (1, 3, "failed"), (2, 1, "failed")]);
    assert_eq!(standing(store.as_ref()).await, rows);
    assert_eq!(known(2, 2).await, Checked { send: false, previous_recorded: true });
}
