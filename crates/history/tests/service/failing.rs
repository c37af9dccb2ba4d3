//! Endpoints that keep failing: what waits for them, and what becomes of their webhooks.

use std::time::Duration;

use broker::Lane;
use domain::{Clock as _, Timestamp};
use proto::{
    convert::{from_timestamp, uuid_bytes},
    internal::v1::{Attempt, AttemptRecord, Hold, HoldReason, attempt_record::What},
    v1::DeliveryStatus,
};
use uuid::Uuid;

use crate::{
    doubles::{webhook, webhook_since},
    started::{START, Started, delivered, delivered_at, eventually, failed, hold_for, record},
};

const PATIENCE: Duration = Duration::from_secs(2);
const MICROS: i64 = 2_000_000;

/// Of an event of its own.
fn of(event: u128, webhook_id: i64, what: What) -> AttemptRecord {
    let mut record = record(webhook_id, 1, what);
    let delivery = record.delivery.as_mut().unwrap();
    delivery.event_id = uuid_bytes(Uuid::from_u128(event));
    delivery.delivery_id = uuid_bytes(domain::delivery_id(Uuid::from_u128(event), webhook_id));
    record
}

fn failed_at(started_at: i64) -> What {
    let What::Attempt(attempt) = failed(0) else { unreachable!() };
    What::Attempt(Attempt { started_at, ..attempt })
}

fn failed_after(started_at: i64, duration_us: i64) -> What {
    let What::Attempt(attempt) = failed_at(started_at) else { unreachable!() };
    What::Attempt(Attempt { duration_us, ..attempt })
}

/// Two failures of a webhook, so far apart.
async fn fail(history: &Started, webhook_id: i64, apart: i64) {
    history
        .record(vec![of(1, webhook_id, failed_at(START + 10)), of(2, webhook_id, failed_at(START + 10 + apart))])
        .await;
}

/// Who was to be deactivated.
fn webhooks(history: &Started) -> Vec<i64> {
    history.subscription.failing().iter().map(|request| request.webhook_id).collect()
}

#[tokio::test]
async fn the_webhook_of_an_endpoint_that_fails_for_too_long_is_deactivated() {
    let history = Started::with(&[], PATIENCE).await;
    let version = history.subscription.save(webhook_since(1, START));
    history.subscription.save(webhook_since(2, START));
    history.subscription.save(webhook(3, true));
    history.subscription.save(webhook_since(4, START + 10));
    fail(&history, 2, MICROS - 1).await;
    fail(&history, 3, MICROS).await;
    fail(&history, 4, MICROS).await;
    fail(&history, 1, MICROS).await;
    eventually("it is told", async || webhooks(&history) == [1]).await;
    let told = history.subscription.failing().remove(0);
    assert_eq!((told.instance.as_str(), told.version), ("acme", version));
    assert_eq!(told.failing_since.map(|at| from_timestamp(&at)), Some(Timestamp::from_micros(START + 10)));
    assert_eq!(told.last_error, "server_error: answered \u{fffd} 500");
    // Whoever comes later shows that the others were judged as well: too short, of unknown age, and another endpoint since.
    history.subscription.save(webhook_since(5, START));
    fail(&history, 5, MICROS).await;
    eventually("it is told", async || webhooks(&history).len() > 1).await;
    assert_eq!(webhooks(&history), [1, 5], "each once: it is inactive then");
}

#[tokio::test]
async fn activating_starts_anew_and_a_success_too() {
    let history = Started::with(&[], PATIENCE).await;
    history.subscription.save(webhook_since(1, START));
    fail(&history, 1, MICROS).await;
    eventually("it is told", async || webhooks(&history) == [1]).await;
    history.subscription.save(webhook_since(1, START + MICROS + 20));
    history.record(vec![of(3, 1, failed_at(START + MICROS + 30))]).await;
    history.subscription.save(webhook_since(2, START));
    history.record(vec![of(9, 2, delivered())]).await;
    fail(&history, 2, MICROS).await;
    history.subscription.save(webhook_since(3, START));
    fail(&history, 3, MICROS).await;
    eventually("a round is over", async || webhooks(&history).contains(&3)).await;
    assert_eq!(webhooks(&history), [1, 3]);
    history.record(vec![of(4, 1, failed_at(START + MICROS + 30 + MICROS))]).await;
    eventually("it is told", async || webhooks(&history) == [1, 3, 1]).await;
}

/// Puts deliveries of webhook 1 off, in order.
async fn put_off(history: &Started, events: std::ops::Range<u128>) {
    let records = events.map(|event| of(event, 1, hold_for(HoldReason::Failing, 1)));
    history.record(records.collect()).await;
}

#[tokio::test]
async fn what_waits_for_a_failing_endpoint_comes_by_and_by_and_at_once_when_it_is_well() {
    let history = Started::new().await;
    let version = history.subscription.save(webhook(1, true));
    history.record(vec![of(1, 1, failed_at(START + 10))]).await;
    put_off(&history, 10..40).await;
    let queued = || history.queue.tasks().len();
    eventually("some are queued", async || queued() == 5).await;
    // Nothing was heard of them, so that a further round brings nothing but what waits for something else.
    history.record(vec![of(50, 1, hold_for(HoldReason::Inactive, version))]).await;
    eventually("a round is over", async || queued() > 5).await;
    assert_eq!(queued(), 6);
    // What came of one that was queued.
    let heard = |task: usize, what: What| {
        let delivery = history.queue.tasks().remove(task).delivery;
        AttemptRecord { delivery, ..record(1, 1, what) }
    };
    history.record((0..6).map(|task| heard(task, failed_at(START + 11))).collect()).await;
    eventually("the next are queued", async || queued() == 11).await;
    history.record(vec![heard(10, delivered())]).await;
    eventually("all are queued", async || queued() == 31).await;
    let published = history.queue.published.lock().unwrap().clone();
    assert_eq!(published.iter().filter(|message| message.lane == Lane::DeliverSlow).count(), 30);
}

#[tokio::test]
async fn what_waits_for_a_slow_endpoint_comes_once_it_is_swift() {
    let history = Started::new().await;
    let version = history.subscription.save(webhook(1, true));
    history.record(vec![of(1, 1, failed_after(START + 10, 1_000_000))]).await;
    let turn = |event| {
        let due_at = START + 3_600_000_000;
        of(event, 1, What::Hold(Hold { due_at, reason: HoldReason::Busy.into(), config_version: version }))
    };
    history.record((10..50).map(turn).collect()).await;
    let queued = || history.queue.tasks().len();
    // Two rounds bring nothing but what waits for something else.
    for round in 0..2 {
        history.record(vec![of(60 + round, 1, hold_for(HoldReason::Inactive, version))]).await;
        let round = usize::try_from(round).unwrap();
        eventually("a round is over", async || queued() > round).await;
        assert_eq!(queued(), round + 1, "its turn has not come");
    }
    history.record(vec![of(2, 1, failed_after(START + 11, 999_999))]).await;
    // Not more than find a place if it is slow after all.
    eventually("as many as may be under way are queued", async || queued() == 32).await;
    let heard = |task: usize| {
        let delivery = history.queue.tasks().remove(task).delivery;
        AttemptRecord { delivery, ..record(1, 1, failed_at(START + 12)) }
    };
    history.record((0..32).map(heard).collect()).await;
    eventually("all are queued", async || queued() == 2 + 40).await;
}

/// An endpoint that has asked to wait is not overrun afterwards, until it shows that it can take more.
#[tokio::test]
async fn what_waits_for_a_time_goes_on_by_and_by_and_faster_when_the_endpoint_is_well() {
    let history = Started::new().await;
    for (webhook_id, newest, at_once) in [(1, failed_at(START + 30), 32), (2, delivered_at(START + 30), 100)] {
        history.subscription.save(webhook(webhook_id, true));
        let first = 1_000 * u128::from(webhook_id.unsigned_abs());
        let wait = Hold { due_at: START + MICROS, reason: HoldReason::RetryAfter.into(), config_version: 1 };
        history.record((first..first + 200).map(|event| of(event, webhook_id, What::Hold(wait))).collect()).await;
        history.record(vec![record(webhook_id, 1, newest)]).await;
        let queued = || {
            history.queue.tasks().iter().filter(|task| task.delivery.as_ref().unwrap().webhook_id == webhook_id).count()
        };
        assert_eq!(queued(), 0, "its time has not come");
        history.clock.advance(Duration::from_micros(MICROS.unsigned_abs()));
        eventually("the first are queued", async || queued() > 0).await;
        assert_eq!(queued(), at_once);
    }
}

#[tokio::test]
async fn what_waits_for_a_failing_endpoint_ends_after_seven_days() {
    let history = Started::new().await;
    history.subscription.save(webhook(1, false));
    put_off(&history, 10..11).await;
    let id = domain::delivery_id(Uuid::from_u128(10), 1);
    let entry = async || history.get("system_admin@acme", id).await.unwrap().entries.pop().unwrap();
    assert_eq!(
        (entry().await.waits_for.as_str(), entry().await.status()),
        ("endpoint failing", DeliveryStatus::Pending)
    );
    assert_eq!(entry().await.due_at.map(|at| from_timestamp(&at)), Some(history.clock.now()));
    history.clock.advance(Duration::from_secs(7 * 24 * 3600 + 1));
    eventually("it has ended", async || entry().await.status() == DeliveryStatus::Failed).await;
    assert_eq!(entry().await.error, "expired while the endpoint was failing");
}
