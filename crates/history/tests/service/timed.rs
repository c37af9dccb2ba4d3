//! What waits for a time, and what was lost.

use std::{sync::atomic::Ordering, time::Duration};

use broker::Lane;
use proto::{
    internal::v1::{Attempt, HoldReason, WebhookConfig, attempt_record::What},
    v1::{DeliveryStatus, Entry},
};

use crate::{
    doubles::webhook,
    started::{START, Started, delivery_id, eventually, failed, hold_for, record},
};

const MINUTE: Duration = Duration::from_secs(60);

async fn last(history: &Started, webhook_id: i64) -> Entry {
    history.get("system_admin@acme", delivery_id(webhook_id)).await.unwrap().entries.pop().unwrap()
}

/// An attempt whose answer asks for a wait of so long.
fn asked_to_wait(wait: Duration) -> What {
    let What::Attempt(attempt) = failed(START + i64::try_from(wait.as_micros()).unwrap()) else { unreachable!() };
    What::Attempt(Attempt { next_held: HoldReason::RetryAfter.into(), ..attempt })
}

/// A round of everything: a delivery that can go on is queued.
async fn a_round(history: &Started, webhook_id: i64) {
    let before = history.queue.tasks().len();
    let version = history.subscription.save(webhook(webhook_id, true));
    history.record(vec![record(webhook_id, 1, hold_for(HoldReason::Inactive, version))]).await;
    eventually("a round is over", async || history.queue.tasks().len() > before).await;
}

#[tokio::test]
async fn what_waits_for_a_time_goes_on_then_if_its_webhook_is_active() {
    let history = Started::new().await;
    history.subscription.save(webhook(1, true));
    history.subscription.save(webhook(2, false));
    history.record(vec![record(1, 1, asked_to_wait(MINUTE)), record(2, 1, asked_to_wait(MINUTE))]).await;
    let entry = last(&history, 1).await;
    assert_eq!((entry.waits_for.as_str(), entry.attempt), ("endpoint asked to wait (Retry-After)", 2));
    assert!(entry.due_at.is_some());
    a_round(&history, 9).await;
    assert_eq!(history.queue.tasks().len(), 1, "its time has not come");
    history.clock.advance(MINUTE);
    eventually("it is queued", async || history.queue.tasks().len() == 2).await;
    let lanes: Vec<_> = history.queue.published.lock().unwrap().iter().map(|message| message.lane).collect();
    assert_eq!(lanes, [Lane::DeliverFast, Lane::DeliverSlow], "its endpoint has failed");
    assert_eq!((history.queue.tasks()[1].number, history.queue.tasks()[1].generation), (2, 1));
    a_round(&history, 8).await;
    assert_eq!(history.queue.tasks().len(), 3, "the other is inactive");
    history.subscription.save(webhook(2, true));
    eventually("it is queued", async || history.queue.tasks().len() == 4).await;
}

#[tokio::test]
async fn what_waits_for_a_slow_endpoint_ends_with_its_webhook_or_after_seven_days() {
    let history = Started::new().await;
    history.subscription.save(webhook(1, false));
    let version = history.subscription.save(webhook(2, false));
    history.record([1, 2].map(|id| record(id, 1, hold_for(HoldReason::Busy, version))).into()).await;
    assert_eq!(last(&history, 1).await.waits_for, "endpoint slow");
    history.subscription.save(WebhookConfig { deleted: true, ..webhook(1, false) });
    eventually("it has ended", async || last(&history, 1).await.status() == DeliveryStatus::Failed).await;
    assert_eq!(last(&history, 1).await.error, "webhook deleted");
    history.clock.advance(7 * 24 * 60 * MINUTE + MINUTE);
    eventually("it has ended", async || last(&history, 2).await.status() == DeliveryStatus::Failed).await;
    assert_eq!(last(&history, 2).await.error, "expired while the endpoint was slow");
}

#[tokio::test]
async fn what_lost_its_message_is_queued_again_when_the_lanes_are_empty() {
    let history = Started::new().await;
    history.subscription.save(webhook(1, true));
    history.record(vec![record(1, 1, failed(START + 1))]).await;
    // A lane lags: nothing is lost yet, however late.
    history.queue.depth.store(1, Ordering::SeqCst);
    for round in 3..6 {
        history.clock.advance(20 * MINUTE);
        a_round(&history, round).await;
        a_round(&history, round + 10).await;
    }
    assert_eq!(last(&history, 1).await.waits_for, "");
    history.queue.depth.store(0, Ordering::SeqCst);
    let queued = || history.queue.tasks().into_iter().find(|task| task.delivery.as_ref().unwrap().webhook_id == 1);
    eventually("it is queued again", async || {
        history.clock.advance(MINUTE);
        queued().is_some()
    })
    .await;
    let task = queued().unwrap();
    assert_eq!((task.number, task.generation, task.body), (2, 1, "{}".into()));
}
