//! What somebody asks for: test payloads and retries.

use std::time::Duration;

use broker::{Lane, PublishError};
use proto::{
    error::{ApiError, ErrorCode},
    internal::v1::{AttemptRecord, HoldReason, QueueTestRequest, WebhookConfig},
    v1::{DeliveryStatus, RetryDeliveryResponse},
};

use crate::{
    doubles::{webhook, webhook_for},
    started::{Started, delivered, delivery_id, eventually, failed, hold_for, record},
};

const ADMIN: &str = "system_admin@acme";
const MINUTE: Duration = Duration::from_secs(60);

/// A record about the test of a webhook.
fn test(webhook_id: i64) -> AttemptRecord {
    let mut record = record(webhook_id, 1, hold_for(HoldReason::Inactive, 1));
    record.delivery.as_mut().unwrap().is_test = true;
    record
}

async fn queue_test(history: &Started, webhook_id: i64) {
    let request = QueueTestRequest { delivery: test(webhook_id).delivery, body: "{}".into() };
    history.recording.clone().queue_test(request).await.unwrap();
}

async fn retry(history: &Started, token: &str, webhook_id: i64) -> Result<RetryDeliveryResponse, ErrorCode> {
    history.retry(token, delivery_id(webhook_id)).await.map_err(|status| ApiError::from(&status).code)
}

#[tokio::test]
async fn a_test_is_queued_at_once_and_again_when_that_fails_or_it_is_held() {
    let history = Started::new().await;
    history.subscription.save(webhook(1, false));
    queue_test(&history, 1).await;
    let task = history.queue.tasks().remove(0);
    assert_eq!((task.number, task.generation, task.manual, task.body), (1, 1, true, "{}".into()));
    assert!(task.delivery.unwrap().is_test);
    assert_eq!(history.queue.published.lock().unwrap()[0].lane, Lane::DeliverFast);
    // Repeated, it is the same test.
    queue_test(&history, 1).await;
    assert_eq!(history.queue.tasks().len(), 1);
    // Held by a dispatcher, it waits for no activation.
    history.record(vec![test(1)]).await;
    eventually("it is queued again", async || history.queue.tasks().len() == 2).await;
    assert_eq!((history.queue.tasks()[1].generation, history.queue.tasks()[1].manual), (2, true));
    history.queue.answers.lock().unwrap().push_back(PublishError::Unavailable { reason: "told so".into() });
    history.subscription.save(webhook(2, false));
    queue_test(&history, 2).await;
    eventually("what was not queued is tried again", async || history.queue.tasks().len() == 3).await;
    // Deleting the webhook ends it.
    history.subscription.save(WebhookConfig { deleted: true, ..webhook(2, false) });
    eventually("it has ended", async || {
        history.get(ADMIN, delivery_id(2)).await.unwrap().status() == DeliveryStatus::Failed
    })
    .await;
}

#[tokio::test]
async fn a_test_that_is_none_is_refused() {
    let history = Started::new().await;
    let no_test = record(1, 1, delivered()).delivery;
    for delivery in [None, no_test] {
        let request = QueueTestRequest { delivery, body: "{}".into() };
        let refused = history.recording.clone().queue_test(request).await.unwrap_err();
        assert_eq!(ApiError::from(&refused).code, ErrorCode::Malformed);
    }
}

#[tokio::test]
async fn what_has_failed_is_retried_by_whoever_may_see_it() {
    let history = Started::new().await;
    history.subscription.save(webhook_for(1, &[1]));
    history.subscription.save(webhook_for(2, &[1]));
    history.record([1, 2].map(|id| record(id, 1, failed(0))).into()).await;
    history.clock.advance(MINUTE);
    for (token, code) in [
        ("nobody", ErrorCode::Unauthenticated),
        ("member@acme", ErrorCode::Forbidden),
        ("project_admin@acme:2", ErrorCode::NotFound),
        ("system_admin@other", ErrorCode::NotFound),
    ] {
        assert_eq!(retry(&history, token, 1).await.unwrap_err(), code, "{token}");
    }
    for (id, token) in [(1, ADMIN), (2, "project_admin@acme:1")] {
        assert_eq!(retry(&history, token, id).await.unwrap().attempt, 2);
        assert_eq!(retry(&history, token, id).await.unwrap_err(), ErrorCode::Conflict, "it is pending");
    }
    assert_eq!(retry(&history, ADMIN, 3).await.unwrap_err(), ErrorCode::NotFound);
    let tasks = history.queue.tasks();
    assert_eq!(tasks.len(), 2);
    for task in tasks {
        assert_eq!((task.number, task.generation, task.manual, task.body), (2, 1, true, "{}".into()));
    }
}

#[tokio::test]
async fn a_retry_wants_an_active_webhook_a_plan_and_certainty() {
    let history = Started::new().await;
    history.subscription.save(webhook(1, false));
    history.subscription.save(WebhookConfig { deleted: true, ..webhook(2, false) });
    history.subscription.save(webhook(4, true));
    history.record([1, 2, 3, 4].map(|id| record(id, 1, failed(0))).into()).await;
    history.clock.advance(MINUTE);
    for (id, why) in [(1, "activate it first"), (2, "webhook 2 is deleted"), (3, "there is no webhook 3")] {
        let refused = ApiError::from(&history.retry(ADMIN, delivery_id(id)).await.unwrap_err());
        assert_eq!(refused.code, ErrorCode::Conflict);
        assert!(refused.message.contains(why), "{refused}");
    }
    history.subscription.downgrade("acme");
    assert_eq!(retry(&history, ADMIN, 1).await.unwrap_err(), ErrorCode::PlanRequired);
    history.subscription.go_away();
    assert_eq!(retry(&history, ADMIN, 4).await.unwrap_err(), ErrorCode::Unavailable);
    assert!(history.queue.tasks().is_empty());
}
