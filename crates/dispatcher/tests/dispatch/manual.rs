//! Attempts that somebody asked for: no other follows them, and test payloads go to inactive webhooks too.

use blackbox::receiver::Receiver;
use broker::{Lane, Settlement};
use prost::Message as _;
use proto::internal::v1::{AttemptRecord, DeliveryTask, HoldReason, WebhookConfig, attempt_record::What};

use crate::world::{Bench, delivery_task, webhook};

/// What becomes of a task for webhook 1, which is as given.
async fn sent(hook: WebhookConfig, task: DeliveryTask) -> (AttemptRecord, Bench) {
    let mut bench = Bench::start(vec![hook], 10);
    bench.send(Lane::DeliverFast, 7, false, task.encode_to_vec()).await;
    let record = bench.recorded().await;
    assert_eq!(bench.settled().await, (7, Settlement::Ack));
    (record, bench)
}

fn test() -> DeliveryTask {
    let mut task = DeliveryTask { number: 1, manual: true, ..delivery_task(1, 1) };
    task.delivery.as_mut().unwrap().is_test = true;
    task
}

#[tokio::test]
async fn nothing_follows_an_attempt_that_somebody_asked_for() {
    let receiver = Receiver::start().await;
    receiver.script("/in", 503);
    for (manual, retries) in [(true, 0), (false, 1)] {
        let task = DeliveryTask { manual, ..delivery_task(1, 1) };
        let (record, bench) = sent(webhook(1, &receiver.url("/in"), &["*"]), task).await;
        let Some(What::Attempt(attempt)) = record.what else { panic!("{record:?}") };
        assert_eq!((attempt.response_code, attempt.next_due_at != 0), (503, retries > 0));
        let published = bench.world.published.lock().unwrap().clone();
        assert_eq!(published.len(), retries);
        let next = published.iter().map(|message| DeliveryTask::decode(message.body.clone()).unwrap());
        assert!(next.into_iter().all(|next| next.number == 3 && !next.manual));
    }
}

#[tokio::test]
async fn tests_go_to_inactive_webhooks_and_nothing_else_does() {
    let receiver = Receiver::start().await;
    let inactive = WebhookConfig { active: false, ..webhook(1, &receiver.url("/in"), &["*"]) };
    let held = |record: &AttemptRecord| match &record.what {
        Some(What::Hold(hold)) => Some(hold.reason()),
        _ => None,
    };
    let (record, _bench) = sent(inactive.clone(), test()).await;
    assert!(matches!(record.what, Some(What::Attempt(attempt)) if attempt.delivered));
    let retry = DeliveryTask { manual: true, ..delivery_task(1, 1) };
    assert_eq!(held(&sent(inactive.clone(), retry).await.0), Some(HoldReason::Inactive));
    // What cannot be signed is not sent.
    let unreadable = WebhookConfig { secrets: Vec::new(), ..inactive.clone() };
    assert_eq!(held(&sent(unreadable, test()).await.0), Some(HoldReason::Inactive));
    let deleted = WebhookConfig { deleted: true, ..inactive };
    assert!(matches!(sent(deleted, test()).await.0.what, Some(What::Cancel(_))));
    assert_eq!(receiver.count("/in"), 1);
}
