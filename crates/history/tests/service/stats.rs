//! Statistics of a webhook: who may see them, of which time, and what is counted as skipped.

use std::time::Duration;

use history::model::{Attempt, Delivery, Record, What};
use proto::{
    convert::{timestamp, uuid_bytes},
    error::{ApiError, ErrorCode},
    internal::v1::{
        self as internal, Body, OpenEvent, OpenRequest, SkipReason, SkippedWebhook, WebhookConfig, attempt_record,
    },
    v1::{BatchGetStatsRequest, GetStatsRequest, SkippedEvents, StatsInterval},
};
use tonic::Status;
use uuid::Uuid;

use crate::{
    doubles::{webhook, webhook_for},
    started::{START, Started, cancel, delivered, eventually, failed, hold, record},
};

const ADMIN: &str = "system_admin@acme";
const HOUR: i64 = 3_600_000_000;

fn of(webhook_id: i64) -> GetStatsRequest {
    GetStatsRequest { webhook_id, ..GetStatsRequest::default() }
}

fn at(micros: i64) -> Option<prost_types::Timestamp> {
    Some(timestamp(domain::Timestamp::from_micros(micros)))
}

fn refusal(status: &Status) -> (ErrorCode, Vec<String>) {
    let error = ApiError::from(status);
    (error.code, error.fields.into_iter().map(|field| field.0).collect())
}

async fn open(history: &Started, number: u128, skipped: &[(i64, i32)]) {
    let skipped =
        skipped.iter().map(|(webhook_id, reason)| SkippedWebhook { webhook_id: *webhook_id, reason: *reason });
    let event = OpenEvent {
        instance: "acme".into(),
        event_id: uuid_bytes(Uuid::from_u128(number)),
        publish_id: uuid_bytes(Uuid::from_u128(number)),
        claim: true,
        matched_at: START,
        bodies: vec![Body { format: "generic".into(), content: "{}".into() }],
        skipped: skipped.collect(),
        ..OpenEvent::default()
    };
    history.recording.clone().open(OpenRequest { events: vec![event] }).await.unwrap();
}

#[tokio::test]
async fn outcomes_latency_waits_and_skipped_events_are_told() {
    let history = Started::new().await;
    history.subscription.save(webhook(1, false));
    let slow = attempt_record::What::Attempt(internal::Attempt {
        started_at: START + 9,
        duration_us: 2_000_000,
        ..Default::default()
    });
    let records =
        vec![record(1, 1, failed(START + HOUR)), record(1, 2, slow), record(2, 1, delivered()), record(2, 2, cancel())];
    history.record(records).await;
    let plan = SkipReason::Plan.into();
    open(&history, 1, &[(1, SkipReason::Inactive.into()), (2, plan)]).await;
    open(&history, 2, &[(1, plan)]).await;
    // One that a later dispatcher knows, and one that none knows.
    open(&history, 3, &[(1, 99), (1, SkipReason::Unspecified.into())]).await;

    let stats = history.stats(ADMIN, of(1)).await.unwrap();
    assert_eq!((stats.intervals.len(), stats.interval()), (24, StatsInterval::Hour));
    let last = &stats.intervals[23];
    assert_eq!((last.start, last.delivered, last.failed), (at(START.div_euclid(HOUR) * HOUR), 0, 2));
    let skipped = SkippedEvents { inactive: 3, plan: 1, ..SkippedEvents::default() };
    assert_eq!(last.skipped, Some(skipped));
    let totals = stats.totals.unwrap();
    assert_eq!((totals.delivered, totals.failed, totals.not_attempted), (0, 2, 0));
    assert_eq!((totals.success_rate, totals.skipped), (Some(0.0), Some(skipped)));
    let latency = totals.latency.unwrap();
    assert!(latency.p50_ms < 1.0, "{latency:?}");
    assert!((1_778.0..3_163.0).contains(&latency.p95_ms) && latency.p99_ms == latency.p95_ms, "{latency:?}");
    assert_eq!((stats.pending, stats.oldest_pending_since), (0, None));
    assert!(stats.intervals[..23].iter().all(|hour| (hour.delivered, hour.failed) == (0, 0)));

    history.subscription.save(webhook(2, true));
    let two = history.stats(ADMIN, of(2)).await.unwrap().totals.unwrap();
    assert_eq!((two.delivered, two.failed, two.not_attempted, two.success_rate), (1, 1, 1, Some(0.5)));
    history.record(vec![record(3, 1, hold(9))]).await;
    history.subscription.save(webhook(3, false));
    let three = history.stats(ADMIN, of(3)).await.unwrap();
    assert_eq!((three.pending, three.oldest_pending_since), (1, at(START)));
    assert_eq!(three.totals.unwrap().success_rate, None);
}

#[tokio::test]
async fn counts_are_there_for_whoever_may_see_the_webhook() {
    let history = Started::new().await;
    history.subscription.save(webhook_for(1, &[1]));
    history.subscription.save(webhook_for(2, &[1, 2]));
    history.subscription.save(WebhookConfig { deleted: true, ..webhook(3, false) });
    history.record(vec![record(1, 1, delivered())]).await;
    let code = async |token: &str, webhook_id: i64| {
        history.stats(token, of(webhook_id)).await.map(drop).map_err(|status| refusal(&status).0)
    };
    let missing = Err(ErrorCode::NotFound);
    assert_eq!(code("nobody", 1).await, Err(ErrorCode::Unauthenticated));
    for token in ["member@acme", "publisher@acme"] {
        assert_eq!(code(token, 1).await, Err(ErrorCode::Forbidden));
    }
    let mine = "project_admin@acme:1";
    assert_eq!(history.stats(mine, of(1)).await.unwrap().totals.unwrap().delivered, 1);
    for hidden in [0, 2, 3, 99] {
        assert_eq!(code(mine, hidden).await, missing, "{hidden}");
    }
    assert_eq!(code("project_admin@acme:2", 1).await, missing);
    assert_eq!(code("system_admin@other", 1).await, missing);
    for seen in [1, 2, 3] {
        assert_eq!(code(ADMIN, seen).await, Ok(()), "a deleted one's counts stay");
    }
    for hidden in [0, 99] {
        assert_eq!(code(ADMIN, hidden).await, missing);
    }
}

#[tokio::test]
async fn of_many_webhooks_those_in_sight_are_told() {
    let history = Started::new().await;
    history.subscription.save(webhook_for(1, &[1]));
    history.subscription.save(webhook_for(2, &[1, 2]));
    history.record(vec![record(1, 1, delivered()), record(2, 1, delivered())]).await;
    let asked = |webhook_ids: &[i64]| BatchGetStatsRequest { webhook_ids: webhook_ids.to_vec(), ..Default::default() };
    let seen = async |token: &str| {
        let found = history.many_stats(token, asked(&[2, 99, 1, 2, 0])).await.unwrap();
        let mut delivered: Vec<_> =
            found.into_iter().map(|(id, stats)| (id, stats.totals.unwrap().delivered)).collect();
        delivered.sort_unstable();
        delivered
    };
    assert_eq!(seen(ADMIN).await, [(1, 1), (2, 1)]);
    assert_eq!(seen("project_admin@acme:1").await, [(1, 1)]);
    assert_eq!(seen("system_admin@other").await, []);
    assert_eq!(history.many_stats(ADMIN, asked(&[1])).await.unwrap()[&1], history.stats(ADMIN, of(1)).await.unwrap());
    let refused = refusal(&history.many_stats("member@acme", asked(&[1])).await.unwrap_err());
    assert_eq!(refused.0, ErrorCode::Forbidden);
    assert!(history.many_stats(ADMIN, asked(&(1..=100).collect::<Vec<_>>())).await.is_ok());
    let refused = refusal(&history.many_stats(ADMIN, asked(&(1..=101).collect::<Vec<_>>())).await.unwrap_err());
    assert_eq!(refused, (ErrorCode::Validation, vec!["webhook_ids".to_owned()]));
}

#[tokio::test]
async fn the_time_asked_for_is_answered_or_refused_by_field() {
    let history = Started::new().await;
    history.subscription.save(webhook(1, true));
    history.record(vec![record(1, 1, delivered())]).await;
    let within = |from: i64, to: i64, interval: i32| GetStatsRequest { from: at(from), to: at(to), interval, ..of(1) };
    let day = StatsInterval::Day.into();
    let days = history.stats(ADMIN, within(START - 48 * HOUR, START + 1_000, day)).await.unwrap();
    assert_eq!(days.intervals.iter().map(|day| day.delivered).collect::<Vec<_>>(), [0, 0, 1]);
    let before = history.stats(ADMIN, within(START - 48 * HOUR, START - 24 * HOUR, day)).await.unwrap();
    assert_eq!(before.totals.unwrap().delivered, 0);
    for (request, field) in [
        (within(START, START, 0), "to"),
        (within(0, START, day), "from"),
        (within(START - HOUR, START, 77), "interval"),
    ] {
        let refused = refusal(&history.stats(ADMIN, request).await.unwrap_err());
        assert_eq!(refused, (ErrorCode::Validation, vec![field.to_owned()]));
    }
}

/// What was delivered to webhook 1 so many days before now.
fn delivered_before(days: i64) -> Record {
    let event_id = Uuid::from_u128(days.unsigned_abs().into());
    let delivery = Delivery {
        id: domain::delivery_id(event_id, 1),
        instance: "acme".into(),
        webhook_id: 1,
        event_id,
        event_type: "run.completed".into(),
        project_id: 1,
        matched_at: START,
        format: "generic".into(),
        is_test: false,
        trace: bytes::Bytes::new(),
    };
    let attempt = Attempt { started_at: START - days * 24 * HOUR, delivered: true, ..Attempt::default() };
    Record { delivery, number: 1, body: "{}".into(), what: What::Attempt(Box::new(attempt)) }
}

#[tokio::test]
async fn counts_are_forgotten_after_90_days() {
    let history = Started::with(&[91, 89].map(delivered_before), Duration::ZERO).await;
    history.subscription.save(webhook(1, true));
    let request = || {
        let from = at(START - 100 * 24 * HOUR);
        GetStatsRequest { from, interval: StatsInterval::Day.into(), ..of(1) }
    };
    eventually("the older one is forgotten", async || {
        history.stats(ADMIN, request()).await.unwrap().totals.unwrap().delivered == 1
    })
    .await;
    assert_eq!(history.stats(ADMIN, request()).await.unwrap().intervals[11].delivered, 1);
}
