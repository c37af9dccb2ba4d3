//! The trace context of an event, which is kept for what may be sent from here.

use std::sync::Arc;

use bytes::Bytes;
use history::{
    model::{Delivery, EventKey, Record, What},
    store::{Held, Store, TakeHeld, TakeTests},
};
use uuid::Uuid;

use crate::known::{SIGHT, cancelled, delivered, delivery_of, failed, held, press_on, record};

type Any = Arc<dyn Store>;

const TAKE: TakeHeld = TakeHeld {
    held: Held::ForNews,
    early: false,
    config_version: 3,
    held_before: 0,
    now: 5000,
    leased_until: 6000,
    limit: 100,
};

/// The delivery of an event of this number, with a trace of its own.
fn traced(number: u128) -> Delivery {
    Delivery { trace: format!("trace {number}").into(), ..delivery_of(Uuid::from_u128(number), 1) }
}

fn of(delivery: Delivery, number: i32, what: What) -> Record {
    Record { delivery, body: Bytes::from_static(b"{}"), ..record(1, number, what) }
}

/// What is kept of the event of this number under the name of traces.
async fn kept(store: &Any, number: u128) -> Option<Bytes> {
    let event = EventKey { instance: "default".into(), event_id: Uuid::from_u128(number) };
    store.body(&event, "trace", SIGHT).await.unwrap()
}

pub(crate) async fn what_is_held_is_taken_with_its_trace(store: Any) {
    let untraced = Delivery { trace: Bytes::new(), ..traced(3) };
    let records = [of(traced(1), 1, held(3)), of(traced(2), 1, held(3)), of(untraced, 1, held(3))];
    store.record(records.into()).await.unwrap();
    // What comes later does not change it.
    let other = Delivery { trace: "another".into(), ..traced(1) };
    store.record(vec![of(other, 1, held(2))].into()).await.unwrap();
    let mut taken = store.take_held(&[1], TAKE).await.unwrap();
    taken.sort_by_key(|taken| taken.delivery.event_id);
    let found: Vec<_> = taken.iter().map(|taken| (taken.delivery.trace.clone(), taken.body.clone())).collect();
    let body = || Some(Bytes::from_static(b"{}"));
    assert_eq!(found, [("trace 1".into(), body()), ("trace 2".into(), body()), (Bytes::new(), body())]);
}

pub(crate) async fn what_failed_is_retried_in_its_trace(store: Any) {
    store.record(vec![of(traced(1), 1, failed(2000, 0))].into()).await.unwrap();
    let taken = store.retry(press_on(&traced(1), 3000, 4000)).await.unwrap().unwrap();
    assert_eq!((taken.delivery, taken.number), (traced(1), 2));
}

pub(crate) async fn a_test_keeps_its_trace(store: Any) {
    let test = Delivery { is_test: true, ..traced(1) };
    let taken = store.queue_test(test.clone(), Bytes::from_static(b"{}"), 2000, 3000).await.unwrap().unwrap();
    assert_eq!(taken.delivery, test);
    let again = TakeTests { config_version: 3, now: 5000, leased_until: 6000, limit: 10 };
    assert_eq!(store.take_tests(again).await.unwrap()[0].delivery, test);
}

pub(crate) async fn what_is_over_keeps_none_beside_its_entry(store: Any) {
    let records =
        [of(traced(1), 1, delivered(2000)), of(traced(2), 1, cancelled(2000)), of(traced(3), 1, failed(1, 2))];
    store.record(records.into()).await.unwrap();
    assert_eq!(
        [kept(&store, 1).await, kept(&store, 2).await, kept(&store, 3).await],
        [None, None, Some("trace 3".into())]
    );
}
