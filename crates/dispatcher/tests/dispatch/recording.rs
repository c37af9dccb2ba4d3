//! What is recorded of an attempt beside what it came to.

use std::sync::atomic::Ordering;

use blackbox::receiver::{Answer, Receiver};
use broker::{Lane, Settlement};
use prost::Message as _;
use proto::{
    convert::traceparent,
    internal::v1::{Attempt, AttemptRecord, DeliveryTask, SkipReason, WebhookConfig, attempt_record::What},
};

use crate::world::{Bench, FIRST_RENDERED, TRACE, event, task, webhook};

fn attempt(record: AttemptRecord) -> Attempt {
    match record.what {
        Some(What::Attempt(attempt)) => attempt,
        other => panic!("no attempt: {other:?}"),
    }
}

#[tokio::test]
async fn each_attempt_has_its_timings_its_digest_its_secret_and_its_trace() {
    let receiver = Receiver::start().await;
    receiver.script("/in", [500, 200]);
    let mut hook = webhook(1, &receiver.url("/in"), &["*"]);
    hook.secrets[0].id = 5;
    let mut bench = Bench::start(vec![hook], 10);
    bench.send(Lane::Events, 1, false, event(false)).await;
    let first = bench.recorded().await;
    bench.settled().await;
    bench.send(Lane::DeliverSlow, 2, false, task(1, 2)).await;
    let second = bench.recorded().await;

    let published = bench.world.published.lock().unwrap().remove(0);
    let retry = DeliveryTask::decode(published.body).unwrap();
    assert_eq!(published.traceparent, traceparent(TRACE));
    for delivery in [&first.delivery, &second.delivery, &retry.delivery] {
        assert_eq!(delivery.as_ref().unwrap().trace, TRACE);
    }
    let received = receiver.requests("/in");
    assert_eq!(received[1].body, FIRST_RENDERED.as_bytes());
    for (record, request, fresh) in [(first, &received[0], true), (second, &received[1], false)] {
        let attempt = attempt(record);
        assert_eq!(attempt.body_sha256, domain::body_sha256(&request.body).as_slice());
        assert_eq!(attempt.secret_ids, [5]);
        let timings = attempt.timings.unwrap();
        assert_eq!((timings.connect_us.is_some(), timings.connection_reused), (fresh, !fresh), "{timings:?}");
        assert!(timings.first_byte_us.is_some_and(|first| first <= attempt.duration_us), "{timings:?}");
    }
}

/// The retry that is queued after a first attempt to [`Receiver::start`]'s `/in`, which fails; with the record of that.
async fn queued_retry(receiver: &Receiver) -> (Vec<u8>, AttemptRecord) {
    let mut bench = Bench::start(vec![webhook(1, &receiver.url("/in"), &["*"])], 10);
    bench.send(Lane::Events, 1, false, event(false)).await;
    let record = bench.recorded().await;
    let published = bench.world.published.lock().unwrap().remove(0);
    (published.body.into(), record)
}

#[tokio::test]
async fn a_retry_brings_the_record_of_a_dispatcher_that_died_before_it_could() {
    let receiver = Receiver::start().await;
    receiver.script("/in", [500, 200, 200]);
    let (retry, first) = queued_retry(&receiver).await;
    let mut bench = Bench::start(vec![webhook(1, &receiver.url("/in"), &["*"])], 10);
    bench.send(Lane::DeliverSlow, 2, true, retry.clone()).await;
    assert_eq!(bench.recorded().await, first, "before its own");
    assert_eq!(bench.recorded().await.number, 2);
    assert_eq!(bench.settled().await, (2, Settlement::Ack));

    // It does so when it is not to be made itself.
    let mut bench = Bench::start(vec![webhook(1, &receiver.url("/in"), &["*"])], 10);
    *bench.world.checked.lock().unwrap() = (false, false);
    bench.send(Lane::DeliverSlow, 3, true, retry.clone()).await;
    assert_eq!(bench.recorded().await, first);
    assert_eq!(bench.settled().await, (3, Settlement::Ack));

    *bench.world.checked.lock().unwrap() = (true, true);
    bench.send(Lane::DeliverSlow, 4, true, retry).await;
    assert_eq!(bench.recorded().await.number, 2, "history has the first");
    assert_eq!(receiver.requests("/in").len(), 3);
}

#[tokio::test]
async fn what_is_recorded_here_is_not_recorded_again_by_its_retry() {
    let receiver = Receiver::start().await;
    receiver.script("/in", [500, 200]);
    let mut bench = Bench::start(vec![webhook(1, &receiver.url("/in"), &["*"])], 10);
    bench.send(Lane::Events, 1, false, event(false)).await;
    assert_eq!(bench.recorded().await.number, 1);
    let retry = bench.world.published.lock().unwrap().remove(0);
    bench.send(Lane::DeliverSlow, 2, false, retry.body.into()).await;
    assert_eq!(bench.recorded().await.number, 2, "history does not know the first yet");
}

#[tokio::test]
async fn what_is_dispatched_without_history_it_is_told_of_before_the_event_is_acknowledged() {
    let receiver = Receiver::start().await;
    let inactive = WebhookConfig { active: false, ..webhook(2, &receiver.url("/in"), &["*"]) };
    let mut bench = Bench::start(vec![webhook(1, &receiver.url("/in"), &["*"]), inactive], 10);
    bench.world.without_history.store(true, Ordering::SeqCst);
    bench.send(Lane::Events, 1, false, event(true)).await;
    assert_eq!(bench.recorded().await.number, 1, "it does not wait for history");
    assert!(bench.opened().0.is_empty() && bench.unsettled(), "and history is still to be told");
    bench.world.telling.add_permits(1);
    assert_eq!(bench.settled().await, (1, Settlement::Ack));
    let told = bench.world.opened.lock().unwrap().concat();
    assert!(told[0].claim && told[0].redelivered, "as it may be known by its attempts: {told:?}");
    assert_eq!(bench.opened(), (vec![(1, "generic".to_owned())], vec!["generic".to_owned()]));
    assert_eq!(bench.skipped(), [(2, SkipReason::Inactive)]);
}

#[tokio::test]
async fn a_retry_that_waits_for_long_waits_with_little() {
    let receiver = Receiver::start().await;
    let long = Answer::status(500).body("x".repeat(64 << 10));
    receiver.script("/in", [long.clone(), long]);
    let mut bench = Bench::start(vec![webhook(1, &receiver.url("/in"), &["*"])], 10);
    bench.send(Lane::Events, 1, false, event(false)).await;
    bench.settled().await;
    bench.send(Lane::DeliverSlow, 2, false, task(1, 2)).await;
    bench.settled().await;
    for (retry, kept) in [(0, 64 << 10), (1, 4 << 10)] {
        assert_eq!(attempt(bench.recorded().await).response_body.len(), 64 << 10);
        let published = bench.world.published.lock().unwrap()[retry].clone();
        let previous = DeliveryTask::decode(published.body).unwrap().previous.unwrap().attempt.unwrap();
        assert_eq!((previous.response_body.len(), previous.response_truncated), (kept, retry == 1));
    }
}
