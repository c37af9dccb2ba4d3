//! Endpoints that keep failing.

use std::{collections::HashMap, time::Instant};

use blackbox::receiver::Receiver;
use broker::Lane;
use domain::{Clock as _, SystemClock, Timestamp};
use prost::Message as _;
use proto::internal::v1::{DeliveryTask, Hold, HoldReason, attempt_record::What};

use crate::world::{BREAKER_AFTER, Bench, LIMIT, delivery_task, webhook};

/// What became of tasks of webhook 1, sent one after the other.
struct Sender {
    bench: Bench,
    sent: u64,
}

impl Sender {
    /// Sends a task for a webhook; how long it waits if it was put off, or whether it was delivered.
    async fn send(&mut self, webhook_id: i64, change: impl FnOnce(&mut DeliveryTask)) -> Result<bool, Hold> {
        self.sent += 1;
        let mut task = delivery_task(webhook_id, self.sent.into());
        change(&mut task);
        self.bench.send(Lane::DeliverSlow, self.sent, false, task.encode_to_vec()).await;
        match self.bench.recorded().await.what.unwrap() {
            What::Attempt(attempt) => Ok(attempt.delivered),
            What::Hold(hold) => Err(hold),
            What::Cancel(cancel) => panic!("{cancel:?}"),
        }
    }
}

fn is_put_off(outcome: &Result<bool, Hold>) -> bool {
    outcome.as_ref().is_err_and(|hold| hold.reason() == HoldReason::Failing)
}

#[tokio::test]
async fn attempts_to_an_endpoint_that_keeps_failing_are_spaced_until_one_succeeds() {
    let receiver = Receiver::start().await;
    receiver.script("/in", 503);
    let hooks = vec![webhook(1, &receiver.url("/in"), &["*"]), webhook(2, &receiver.url("/well"), &["*"])];
    let mut sender = Sender { bench: Bench::start(hooks, 10), sent: 0 };
    let begun = Instant::now();
    while begun.elapsed() <= BREAKER_AFTER || sender.sent < 20 {
        assert!(matches!(sender.send(1, |_| {}).await, Ok(false)), "it has only begun to fail");
    }
    // The dispatcher's time began a little later, with the first failure.
    let mut outcome = sender.send(1, |_| {}).await;
    while !is_put_off(&outcome) {
        assert!(begun.elapsed() < LIMIT, "nothing is put off");
        outcome = sender.send(1, |_| {}).await;
    }
    let mut put_off: Vec<_> = outcome.err().into_iter().collect();
    let spaced = Instant::now();
    let before = receiver.count("/in");
    while put_off.len() < 30 {
        assert!(spaced.elapsed() < LIMIT, "nothing more is put off");
        match sender.send(1, |_| {}).await {
            outcome if is_put_off(&outcome) => put_off.extend(outcome.err()),
            outcome => assert!(matches!(outcome, Ok(false)), "{outcome:?}"),
        }
    }
    let turns = spaced.elapsed().as_millis() / 100;
    let attempts = receiver.count("/in") - before;
    assert!(attempts as u128 <= turns + 7, "{attempts} attempts in {turns} turns");
    // Each has a turn of its own.
    let mut due: Vec<_> = put_off.iter().map(|hold| hold.due_at).collect();
    assert!(due.is_sorted() && due[29] - due[0] >= 2_000_000, "{due:?}");
    due.dedup();
    assert_eq!(due.len(), 30);
    let last = Timestamp::from_micros(due[29]).since(SystemClock.now());
    assert!(last.as_secs() < 10, "{last:?}");
    // Others are not concerned, and what somebody asks for is made at once.
    assert!(matches!(sender.send(2, |_| {}).await, Ok(true)));
    assert!(matches!(sender.send(1, |task| task.manual = true).await, Ok(false)));
    assert!(is_put_off(&sender.send(1, |_| {}).await));
    receiver.script("/in", 200);
    let test = |task: &mut DeliveryTask| task.delivery.as_mut().unwrap().is_test = true;
    assert!(matches!(sender.send(1, test).await, Ok(true)));
    let mut delivered = HashMap::new();
    for _ in 0..20 {
        *delivered.entry(sender.send(1, |_| {}).await.is_ok_and(|delivered| delivered)).or_insert(0) += 1;
    }
    assert_eq!(delivered, HashMap::from([(true, 20)]), "one success is enough");
}

#[tokio::test]
async fn what_history_brings_back_takes_its_turn_and_comes_again_soon_if_there_is_none() {
    let receiver = Receiver::start().await;
    receiver.script("/in", 503);
    let mut sender = Sender { bench: Bench::start(vec![webhook(1, &receiver.url("/in"), &["*"])], 10), sent: 0 };
    let begun = Instant::now();
    while !is_put_off(&sender.send(1, |_| {}).await) {
        assert!(begun.elapsed() < LIMIT, "nothing is put off");
    }
    let hold = loop {
        assert!(begun.elapsed() < LIMIT, "whatever comes back is sent");
        match sender.send(1, |task| task.generation = 1).await {
            Ok(delivered) => assert!(!delivered),
            Err(hold) => break hold,
        }
    };
    assert_eq!(hold.reason(), HoldReason::Failing);
    let wait = Timestamp::from_micros(hold.due_at).since(SystemClock.now());
    assert!(wait.as_millis() <= 1000, "{wait:?}");
}
