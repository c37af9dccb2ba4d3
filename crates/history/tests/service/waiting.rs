//! What becomes of deliveries that wait.

use std::time::Duration;

use broker::PublishError;
use proto::{
    convert::{traceparent, uuid_bytes},
    internal::v1::{CheckItem, CheckRequest, HoldReason, WebhookConfig},
    v1::{DeliveryStatus, Entry, ListEntriesRequest},
};

use crate::{
    doubles::webhook,
    started::{START, Started, TRACE, delivery_id, eventually, failed, hold, hold_for, record},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn last(history: &Started, webhook_id: i64) -> Entry {
    history.get("system_admin@acme", delivery_id(webhook_id)).await.unwrap().entries.pop().unwrap()
}

fn of(webhook_id: i64) -> ListEntriesRequest {
    ListEntriesRequest { webhook_id, ..ListEntriesRequest::default() }
}

async fn may_send(history: &Started, webhook_id: i64, generation: i32) -> bool {
    let delivery_id = uuid_bytes(delivery_id(webhook_id));
    let item = CheckItem { delivery_id, number: 1, generation, matched_at: START };
    history.recording.clone().check(CheckRequest { items: vec![item] }).await.unwrap().into_inner().send[0]
}

#[tokio::test]
async fn held_deliveries_are_queued_again_when_their_webhook_is_active() {
    let history = Started::new().await;
    let version = history.subscription.save(webhook(1, false));
    history.subscription.save(webhook(2, false));
    history.record(vec![record(1, 1, hold(version)), record(2, 1, hold(version))]).await;
    assert_eq!(last(&history, 1).await.waits_for, "webhook inactive");

    history.subscription.save(webhook(1, true));
    eventually("it is queued", async || !history.queue.tasks().is_empty()).await;
    eventually("it is settled", async || last(&history, 1).await.waits_for.is_empty()).await;
    let tasks = history.queue.tasks();
    assert_eq!((tasks.len(), tasks[0].number, tasks[0].generation), (1, 1, 1));
    assert_eq!(tasks[0].body, "{}");
    assert_eq!(tasks[0].delivery, record(1, 1, hold(1)).delivery);
    assert_eq!(history.queue.published.lock().unwrap()[0].traceparent, traceparent(TRACE));
    assert!(may_send(&history, 1, 1).await && !may_send(&history, 1, 0).await);
    assert_eq!(last(&history, 2).await.waits_for, "webhook inactive");
}

#[tokio::test]
async fn what_has_no_trace_begins_one_when_it_is_queued() {
    let history = Started::new().await;
    let version = history.subscription.save(webhook(1, false));
    let mut untraced = record(1, 1, hold(version));
    untraced.delivery.as_mut().unwrap().trace.clear();
    history.record(vec![untraced]).await;
    history.subscription.save(webhook(1, true));
    eventually("it is queued", async || !history.queue.tasks().is_empty()).await;
    let trace = history.queue.tasks().remove(0).delivery.unwrap().trace;
    let header = history.queue.published.lock().unwrap()[0].traceparent.clone();
    assert!(header.is_some() && header == traceparent(&trace), "{header:?} {trace:?}");
}

#[tokio::test]
async fn a_hold_of_a_webhook_that_is_active_meanwhile_is_released_but_not_one_from_the_future() {
    let history = Started::new().await;
    let version = history.subscription.save(webhook(1, false));
    history.subscription.save(webhook(1, true));
    history.subscription.save(webhook(2, true));
    history.record(vec![record(1, 1, hold(version)), record(2, 1, hold(4))]).await;
    eventually("it is queued", async || history.queue.tasks().len() == 1).await;
    assert_eq!(last(&history, 2).await.waits_for, "webhook inactive");
    // The change that it was held under, and the one after.
    history.subscription.save(webhook(2, false));
    history.subscription.save(webhook(2, true));
    eventually("the other is queued", async || history.queue.tasks().len() == 2).await;
}

#[tokio::test]
async fn a_hold_of_a_version_that_a_restored_database_has_lost_is_released_later() {
    let history = Started::new().await;
    history.subscription.save(webhook(1, true));
    let restore = history.subscription.back_up();
    let lost = [true, true, true, false].map(|active| history.subscription.save(webhook(1, active)))[3];
    assert!(history.list("system_admin@acme", of(1)).await.is_ok(), "it is known");
    history.record(vec![record(1, 1, hold(lost))]).await;
    restore();
    assert!(history.list("system_admin@acme", of(1)).await.is_ok(), "it is known");
    // A round with what the backup has.
    history.subscription.save(webhook(9, true));
    history.record(vec![record(9, 1, hold(1))]).await;
    eventually("a round is over", async || history.queue.tasks().len() == 1).await;
    assert_eq!(last(&history, 1).await.waits_for, "webhook inactive");
    history.clock.advance(Duration::from_secs(31));
    eventually("it is queued", async || history.queue.tasks().len() == 2).await;
}

#[tokio::test]
async fn a_webhook_that_came_back_with_a_backup_is_not_deleted_any_more() {
    let history = Started::new().await;
    history.subscription.save(webhook(1, true));
    let restore = history.subscription.back_up();
    history.subscription.save(WebhookConfig { deleted: true, ..webhook(1, false) });
    history.subscription.save(webhook(2, true));
    assert!(history.list("project_admin@acme:1", of(2)).await.is_err());
    restore();
    assert!(history.list("system_admin@acme", of(2)).await.is_err(), "the backup does not have it");
    history.record(vec![record(1, 1, failed(START + 600))]).await;
    // A round that finds something else to do.
    let version = history.subscription.save(webhook(3, true));
    history.record(vec![record(3, 1, hold(version))]).await;
    eventually("a round is over", async || !history.queue.tasks().is_empty()).await;
    assert_eq!(last(&history, 1).await.status(), DeliveryStatus::Pending);
}

#[tokio::test]
async fn a_hold_says_why() {
    let history = Started::new().await;
    let version = history.subscription.save(webhook(3, true));
    let reasons = [HoldReason::Inactive, HoldReason::UnknownWebhook];
    history
        .record([1, 2].into_iter().zip(reasons).map(|(id, why)| record(id, 1, hold_for(why, version))).collect())
        .await;
    assert_eq!(last(&history, 1).await.waits_for, "webhook inactive");
    assert_eq!(last(&history, 2).await.waits_for, "webhook not known to the dispatcher yet");
}

#[tokio::test]
async fn what_the_broker_does_not_take_stays_held_and_is_tried_again() {
    let history = Started::new().await;
    let full = PublishError::Full { queue: "deliver.fast".into() };
    history.queue.answers.lock().unwrap().extend([full, PublishError::Timeout { seconds: 5 }]);
    let version = history.subscription.save(webhook(1, true));
    history.record(vec![record(1, 1, hold(version))]).await;
    eventually("it is queued", async || !history.queue.tasks().is_empty()).await;
    // What timed out may have been taken: it is older, so it is dropped.
    assert_eq!(history.queue.tasks()[0].generation, 3);
    eventually("it is settled", async || last(&history, 1).await.waits_for.is_empty()).await;
    assert!(may_send(&history, 1, 3).await && !may_send(&history, 1, 2).await);
}

#[tokio::test]
async fn a_backlog_is_released_webhook_by_webhook_in_turn() {
    let history = Started::new().await;
    let version = [1, 2].map(|id| history.subscription.save(webhook(id, false)))[1];
    let event = |number: u128, webhook: i64| {
        let mut record = record(webhook, 1, hold(version));
        let delivery = record.delivery.as_mut().unwrap();
        let event_id = uuid::Uuid::from_u128(number);
        delivery.event_id = uuid_bytes(event_id);
        delivery.delivery_id = uuid_bytes(domain::delivery_id(event_id, webhook));
        record
    };
    let records = (1..=250).map(|number| event(number, 1)).chain((1..=20).map(|number| event(number, 2)));
    history.record(records.collect()).await;
    history.subscription.save(webhook(1, true));
    history.subscription.save(webhook(2, true));
    eventually("all are queued", async || history.queue.tasks().len() == 270).await;
    let last_of_2 =
        history.queue.tasks().iter().rposition(|task| task.delivery.as_ref().unwrap().webhook_id == 2).unwrap();
    assert!(last_of_2 < 200, "the small one waited for the large one: {last_of_2}");
}

#[tokio::test]
async fn what_a_dispatcher_that_is_behind_holds_again_is_not_released_again_at_once() {
    let history = Started::new().await;
    let behind = history.subscription.save(webhook(1, false));
    // Known here later than to whoever held it: a webhook that the dispatcher has not heard of.
    history.record(vec![record(1, 1, hold(behind)), record(2, 1, hold(behind))]).await;
    history.subscription.save(webhook(2, true));
    history.subscription.save(webhook(1, true));
    eventually("both are queued", async || history.queue.tasks().len() == 2).await;
    for webhook_id in [1, 2] {
        eventually("it is settled", async || last(&history, webhook_id).await.waits_for.is_empty()).await;
    }
    history.record(vec![record(1, 1, hold(behind)), record(2, 1, hold(behind))]).await;
    // Rounds that find something else to do.
    for webhook_id in [3, 4] {
        let version = history.subscription.save(webhook(webhook_id, true));
        history.record(vec![record(webhook_id, 1, hold(version))]).await;
        eventually("a round is over", async || history.queue.tasks().len() == usize::try_from(webhook_id).unwrap())
            .await;
    }
    for webhook_id in [1, 2] {
        assert_eq!(last(&history, webhook_id).await.waits_for, "webhook inactive");
    }
    history.clock.advance(Duration::from_secs(30));
    eventually("both are queued again", async || history.queue.tasks().len() == 6).await;
    let tasks = history.queue.tasks();
    assert!(tasks[4..].iter().all(|task| task.generation == 2 && task.delivery.as_ref().unwrap().webhook_id < 3));
}

#[tokio::test]
async fn what_an_older_dispatcher_cannot_use_is_not_released_again_at_once() {
    let history = Started::new().await;
    let version = history.subscription.save(webhook(1, true));
    let unknown = || record(1, 1, hold_for(HoldReason::UnknownWebhook, version));
    history.record(vec![unknown()]).await;
    eventually("it is queued", async || history.queue.tasks().len() == 1).await;
    eventually("it is settled", async || last(&history, 1).await.waits_for.is_empty()).await;
    history.record(vec![unknown()]).await;
    // A round that finds something else to do.
    history.record(vec![record(2, 1, hold(version))]).await;
    history.subscription.save(webhook(2, true));
    eventually("a round is over", async || history.queue.tasks().len() == 2).await;
    assert_eq!(last(&history, 1).await.waits_for, "webhook not known to the dispatcher yet");
    history.clock.advance(Duration::from_secs(30));
    eventually("it is queued again", async || history.queue.tasks().len() == 3).await;
}

#[tokio::test]
async fn what_is_held_for_a_webhook_that_is_never_heard_of_expires_or_ends_with_it() {
    let history = Started::new().await;
    let version = history.subscription.save(webhook(3, true));
    history.record(vec![record(1, 1, hold(version)), record(2, 1, hold(version))]).await;
    history.record(vec![record(3, 1, hold(version))]).await;
    eventually("a round is over", async || history.queue.tasks().len() == 1).await;
    for webhook_id in [1, 2] {
        assert_eq!(last(&history, webhook_id).await.status(), DeliveryStatus::Pending);
    }
    let deleted = WebhookConfig { id: 1, deleted: true, instance: "acme".into(), ..WebhookConfig::default() };
    history.subscription.save(deleted);
    eventually("it has ended", async || last(&history, 1).await.status() == DeliveryStatus::Failed).await;
    assert_eq!(last(&history, 1).await.error, "webhook deleted");
    history.clock.advance(7 * DAY + Duration::from_secs(1));
    eventually("it has expired", async || last(&history, 2).await.status() == DeliveryStatus::Failed).await;
    assert_eq!(last(&history, 2).await.error, "expired while inactive");
}

#[tokio::test]
async fn everything_that_waits_for_a_deleted_webhook_ends_at_once() {
    let history = Started::new().await;
    let version = history.subscription.save(webhook(1, false));
    history.subscription.save(webhook(2, true));
    history.subscription.save(webhook(3, true));
    history
        .record(vec![record(1, 1, hold(version)), record(2, 1, failed(START + 600)), record(3, 1, failed(START + 600))])
        .await;
    for id in [1, 2] {
        let deleted = WebhookConfig { id, deleted: true, instance: "acme".into(), ..WebhookConfig::default() };
        history.subscription.save(deleted);
    }
    for (webhook_id, number) in [(1, 1), (2, 2)] {
        eventually("it has ended", async || last(&history, webhook_id).await.status() == DeliveryStatus::Failed).await;
        let entry = last(&history, webhook_id).await;
        assert_eq!((entry.attempt, entry.error_class.as_str()), (number, "cancelled"));
        assert_eq!((entry.error.as_str(), entry.request), ("webhook deleted", None));
    }
    assert!(!may_send(&history, 1, 0).await);
    assert_eq!(last(&history, 3).await.status(), DeliveryStatus::Pending);
    // One that was matched before the deletion was known there.
    let mut late = record(2, 1, failed(START + 600));
    let delivery = late.delivery.as_mut().unwrap();
    delivery.event_id = uuid_bytes(uuid::Uuid::from_u128(7));
    let id = domain::delivery_id(uuid::Uuid::from_u128(7), 2);
    delivery.delivery_id = uuid_bytes(id);
    history.record(vec![late]).await;
    eventually("the late one has ended", async || {
        history.get("system_admin@acme", id).await.unwrap().status() == DeliveryStatus::Failed
    })
    .await;
    assert!(history.queue.tasks().is_empty());
}

#[tokio::test]
async fn what_waits_for_seven_days_ends() {
    let history = Started::new().await;
    let version = history.subscription.save(webhook(1, false));
    history.record(vec![record(1, 1, hold(version)), record(2, 1, failed(START + 600))]).await;
    history.clock.advance(7 * DAY);
    // A round that finds something to do shows that the time for the others had come as well.
    history.subscription.save(webhook(3, true));
    history.record(vec![record(3, 1, hold(version))]).await;
    eventually("a round is over", async || !history.queue.tasks().is_empty()).await;
    assert_eq!(last(&history, 1).await.status(), DeliveryStatus::Pending);
    history.clock.advance(Duration::from_secs(1));
    eventually("it has ended", async || last(&history, 1).await.status() == DeliveryStatus::Failed).await;
    let entry = last(&history, 1).await;
    assert_eq!((entry.error_class.as_str(), entry.error.as_str()), ("cancelled", "expired while inactive"));
    assert_eq!(last(&history, 2).await.status(), DeliveryStatus::Pending, "it is not held");
}
