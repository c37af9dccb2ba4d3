//! What is acknowledged, what is opened, and what is recorded of webhooks that are gone, paused or not known.

use broker::{Lane, Settlement};
use proto::internal::v1::{HoldReason, WebhookConfig, attempt_record::What};

use crate::world::{Bench, LIMIT, event, event_with, task, webhook};

const PAUSED: i64 = 1;
const DELETED: i64 = 2;
const UNUSABLE: i64 = 3;
const UNKNOWN: i64 = 99;

fn start() -> Bench {
    let plain = |id, event| webhook(id, "https://example.com/", &[event]);
    let webhooks = vec![
        WebhookConfig { active: false, ..plain(PAUSED, "run.deleted") },
        WebhookConfig { id: DELETED, deleted: true, ..Default::default() },
        // As a newer subscription service may send it.
        plain(UNUSABLE, "run.exploded"),
    ];
    Bench::start(webhooks, 10)
}

#[tokio::test]
async fn an_event_for_nobody_is_acknowledged_and_leaves_no_trace() {
    let mut bench = start();
    bench.send(Lane::Events, 7, false, event(false)).await;
    assert_eq!(bench.settled().await, (7, Settlement::Ack));
    assert!(bench.world.opened.lock().unwrap().is_empty());
    // An id that the publisher gave is claimed all the same.
    bench.send(Lane::Events, 8, false, event(true)).await;
    assert_eq!(bench.settled().await, (8, Settlement::Ack));
    assert_eq!(bench.world.opened.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn only_what_is_known_to_be_deleted_is_cancelled() {
    let mut bench = start();
    let (inactive, unknown) = (Some(HoldReason::Inactive), Some(HoldReason::UnknownWebhook));
    for (webhook, held) in [(PAUSED, inactive), (UNKNOWN, unknown), (UNUSABLE, unknown), (DELETED, None)] {
        let id = webhook.unsigned_abs();
        bench.send(Lane::DeliverSlow, id, false, task(webhook, id.into())).await;
        let record = bench.recorded().await;
        match record.what.unwrap() {
            What::Hold(hold) => {
                assert_eq!((Some(hold.reason()), hold.config_version), (held, 3), "{webhook}: {hold:?}");
            }
            What::Cancel(cancel) => {
                assert!(held.is_none() && cancel.error == "webhook deleted", "{webhook}: {cancel:?}");
            }
            What::Attempt(attempt) => panic!("{webhook}: {attempt:?}"),
        }
        assert_eq!(bench.settled().await, (webhook.unsigned_abs(), Settlement::Ack));
    }
}

#[tokio::test]
async fn a_redelivered_event_for_an_unknown_webhook_waits_in_history() {
    let mut bench = start();
    bench.set_unsent(UNKNOWN, "generic");
    bench.send(Lane::Events, 7, true, event(true)).await;
    let record = bench.recorded().await;
    assert_eq!((record.delivery.unwrap().webhook_id, record.number), (UNKNOWN, 1));
    assert!(matches!(record.what, Some(What::Hold(_))), "{:?}", record.what);
    assert_eq!(bench.settled().await, (7, Settlement::Ack));
}

#[tokio::test]
async fn large_events_are_opened_in_parts() {
    let mut bench = start();
    let large = format!(r#"{{"padding":"{}"}}"#, "x".repeat(250_000));
    for tag in 0..40 {
        bench.send(Lane::Events, tag, false, event_with(true, large.clone())).await;
    }
    for _ in 0..40 {
        assert_eq!(bench.settled().await.1, Settlement::Ack);
    }
    let opened: Vec<usize> = bench.world.opened.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(opened.iter().sum::<usize>(), 40);
    assert!(opened.iter().all(|events| *events <= 8), "at most 2 MiB in one call: {opened:?}");
}

#[tokio::test]
async fn a_lane_that_ends_by_itself_ends_the_program() {
    let bench = start();
    bench.send(Lane::Events, 7, false, event(false)).await;
    bench.world.lanes.lock().unwrap().clear();
    tokio::time::timeout(LIMIT, bench.tasks.failed()).await.unwrap();
}
