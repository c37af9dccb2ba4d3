//! The lane `history`.

use std::{sync::atomic::Ordering, time::Duration};

use broker::Settlement;
use prost::Message as _;
use proto::internal::v1::{AttemptRecord, OpenEvent, OpenOutcome, OpenRequest, RecordBatch};

use crate::recording::open_event;
use crate::started::{Started, delivered, delivery_id, eventually, failed, record};

fn batch(records: Vec<AttemptRecord>) -> RecordBatch {
    RecordBatch { records, opened: Vec::new() }
}

async fn given(history: &Started, tag: u64, body: Vec<u8>) {
    eventually("records are consumed", async || history.queue.give(tag, body.clone())).await;
}

#[tokio::test]
async fn messages_are_acknowledged_when_they_are_committed_and_parked_when_they_cannot_be_read() {
    let history = Started::new().await;
    let good = batch(vec![record(1, 1, failed(0)), record(2, 1, delivered())]);
    let mixed = batch(vec![record(3, 1, delivered()), record(4, 0, delivered())]);
    given(&history, 1, good.encode_to_vec()).await;
    given(&history, 2, vec![0xff, 0xff]).await;
    given(&history, 3, mixed.encode_to_vec()).await;
    given(&history, 4, good.encode_to_vec()).await;
    let late = batch(vec![record(5, 999, delivered())]);
    given(&history, 5, late.encode_to_vec()).await;
    // A message of another schema, all of whose fields are unknown here.
    given(&history, 6, vec![0xf8, 0x01, 0x05]).await;
    eventually("all are settled", async || history.queue.settled().len() == 6).await;
    let mut settled = history.queue.settled();
    settled.sort_by_key(|(tag, _)| *tag);
    assert_eq!((settled[0].1.clone(), settled[3].1.clone()), (Settlement::Ack, Settlement::Ack));
    assert!(matches!(&settled[1].1, Settlement::Park(reason) if reason.contains("not a RecordBatch")));
    assert!(matches!(&settled[2].1, Settlement::Park(reason) if reason.contains("records[1].number")));
    assert!(matches!(&settled[4].1, Settlement::Park(reason) if reason.contains("number: must be 1 to 100")));
    assert!(matches!(&settled[5].1, Settlement::Park(reason) if reason.contains("records: none")));
    for webhook in 1..=3 {
        assert_eq!(history.get("system_admin@acme", delivery_id(webhook)).await.unwrap().entries.len(), 1);
    }
}

#[tokio::test]
async fn while_the_store_fails_nothing_is_acknowledged_and_nothing_spins() {
    let history = Started::new().await;
    history.store.fails.store(true, Ordering::SeqCst);
    let one = batch(vec![record(1, 1, delivered())]);
    given(&history, 1, one.encode_to_vec()).await;
    eventually("it is tried again", async || history.store.tried.load(Ordering::SeqCst) >= 3).await;
    assert!(history.store.tried.load(Ordering::SeqCst) < 10, "the pauses grow");
    assert!(history.queue.settled().is_empty());
    history.store.fails.store(false, Ordering::SeqCst);
    eventually("it is written", async || history.queue.settled() == [(1, Settlement::Ack)]).await;
}

#[tokio::test]
async fn what_the_store_refuses_is_parked_alone() {
    let history = Started::new().await;
    // Held up first, so that the others come together.
    history.store.fails.store(true, Ordering::SeqCst);
    let of = |number| batch(vec![record(1, number, delivered())]).encode_to_vec();
    given(&history, 1, of(1)).await;
    eventually("it is held up", async || history.store.tried.load(Ordering::SeqCst) >= 1).await;
    for (tag, number) in [(2, 2), (3, 99), (4, 3)] {
        given(&history, tag, of(number)).await;
    }
    history.store.fails.store(false, Ordering::SeqCst);
    eventually("all are settled", async || history.queue.settled().len() == 4).await;
    let parked: Vec<_> =
        history.queue.settled().into_iter().filter(|(_, settlement)| *settlement != Settlement::Ack).collect();
    assert!(matches!(parked.as_slice(), [(3, Settlement::Park(_))]), "{parked:?}");
}

#[tokio::test]
async fn of_a_message_with_a_record_that_is_refused_the_others_are_stored() {
    let history = Started::new().await;
    let mixed = batch(vec![record(1, 1, delivered()), record(2, 99, delivered()), record(3, 1, delivered())]);
    given(&history, 1, mixed.encode_to_vec()).await;
    eventually("it is settled", async || history.queue.settled().len() == 1).await;
    let settled = history.queue.settled();
    let named = format!("attempt 99 of delivery {}", delivery_id(2));
    assert!(matches!(&settled[0].1, Settlement::Park(reason) if reason.contains(&named)), "{settled:?}");
    for webhook in [1, 3] {
        assert_eq!(history.get("system_admin@acme", delivery_id(webhook)).await.unwrap().entries.len(), 1);
    }
    assert!(history.get("system_admin@acme", delivery_id(2)).await.is_err());
}

#[tokio::test]
async fn what_was_dispatched_without_history_is_known_from_then_on() {
    let history = Started::new().await;
    let late = OpenEvent { redelivered: true, ..open_event(1) };
    let bad = OpenEvent { event_id: "short".into(), ..open_event(1) };
    let told = RecordBatch { records: vec![record(1, 1, delivered())], opened: vec![late.clone(), bad] };
    given(&history, 1, told.encode_to_vec()).await;
    given(&history, 2, RecordBatch { records: Vec::new(), opened: vec![late] }.encode_to_vec()).await;
    eventually("both are settled", async || history.queue.settled().len() == 2).await;
    let mut settled = history.queue.settled();
    settled.sort_by_key(|(tag, _)| *tag);
    assert!(matches!(&settled[0].1, Settlement::Park(reason) if reason.contains("opened[1].event_id")), "{settled:?}");
    assert_eq!(settled[1].1, Settlement::Ack);
    let delivery = history.get("system_admin@acme", delivery_id(1)).await.unwrap();
    assert_eq!(delivery.entries.len(), 1);
    assert_eq!(delivery.entries[0].request.as_ref().unwrap().body, "{}");
    // Its id is taken.
    let request = OpenRequest { events: vec![open_event(2)] };
    let answer = history.recording.clone().open(request).await.unwrap().into_inner();
    assert_eq!(answer.results[0].outcome(), OpenOutcome::Duplicate);
}

#[tokio::test]
async fn shutdown_gives_back_what_is_not_written() {
    let history = Started::new().await;
    history.store.fails.store(true, Ordering::SeqCst);
    let one = batch(vec![record(1, 1, delivered())]);
    given(&history, 1, one.encode_to_vec()).await;
    eventually("it is tried", async || history.store.tried.load(Ordering::SeqCst) >= 1).await;
    assert!(history.tasks.shut_down(Duration::from_secs(5)).await);
    assert_eq!(history.queue.settled(), [(1, Settlement::Requeue)]);
}
