//! Replays, as their callers and the queue see them.

use std::time::Duration;

use domain::Timestamp;
use proto::{
    convert::{timestamp, uuid_bytes},
    error::{ApiError, ErrorCode},
    internal::v1::{AttemptRecord, WebhookConfig, attempt_record::What},
    v1::{
        CancelReplayRequest, CountReplayRequest, DeliveryStatus, GetReplayRequest, ListReplaysRequest, Replay,
        ReplaySelection, ReplayState, StartReplayRequest,
    },
};
use tonic::Status;
use uuid::Uuid;

use crate::{
    doubles::{webhook, webhook_for},
    started::{START, Started, delivered, delivered_at, eventually, failed, record, with_token},
};

const ADMIN: &str = "system_admin@acme";
const OF_1: &str = "project_admin@acme:1";
const MINUTE: Duration = Duration::from_secs(60);

/// About the delivery of an event of a project to a webhook.
fn of_event(event: u128, webhook_id: i64, project_id: i64, number: i32, what: What) -> AttemptRecord {
    let mut record = record(webhook_id, number, what);
    let delivery = record.delivery.as_mut().unwrap();
    let event = Uuid::from_u128(event);
    delivery.event_id = uuid_bytes(event);
    delivery.delivery_id = uuid_bytes(domain::delivery_id(event, webhook_id));
    delivery.project_id = project_id;
    record
}

fn at(micros: i64) -> Option<prost_types::Timestamp> {
    Some(timestamp(Timestamp::from_micros(micros)))
}

fn all_of(webhook_id: i64) -> ReplaySelection {
    ReplaySelection { webhook_id, from: at(START), to: None, events: Vec::new() }
}

impl Started {
    async fn count(&self, token: &str, selection: ReplaySelection) -> Result<i64, Status> {
        let request = with_token(token, CountReplayRequest { selection: Some(selection) });
        self.history().count_replay(request).await.map(|answer| answer.into_inner().count)
    }

    async fn replay(&self, token: &str, selection: ReplaySelection) -> Result<Replay, Status> {
        let request = with_token(token, StartReplayRequest { selection: Some(selection) });
        self.history().start_replay(request).await.map(|answer| answer.into_inner().replay.unwrap())
    }

    async fn look(&self, token: &str, webhook_id: i64, id: &str) -> Result<Replay, Status> {
        let request = with_token(token, GetReplayRequest { webhook_id, replay_id: id.to_owned() });
        self.history().get_replay(request).await.map(|answer| answer.into_inner().replay.unwrap())
    }

    async fn cancel(&self, token: &str, webhook_id: i64, id: &str) -> Result<Replay, Status> {
        let request = with_token(token, CancelReplayRequest { webhook_id, replay_id: id.to_owned() });
        self.history().cancel_replay(request).await.map(|answer| answer.into_inner().replay.unwrap())
    }

    async fn listed(&self, token: &str, webhook_id: i64) -> Result<Vec<String>, Status> {
        let request = with_token(token, ListReplaysRequest { webhook_id, ..ListReplaysRequest::default() });
        let answer = self.history().list_replays(request).await?.into_inner();
        assert_eq!(answer.total, i64::try_from(answer.replays.len()).unwrap());
        Ok(answer.replays.into_iter().map(|replay| replay.id).collect())
    }
}

fn code<T: std::fmt::Debug>(answer: Result<T, Status>) -> ErrorCode {
    ApiError::from(&answer.unwrap_err()).code
}

#[tokio::test]
async fn what_has_failed_is_tried_once_more_and_counted() {
    let history = Started::new().await;
    history.subscription.save(webhook(1, true));
    history.subscription.save(webhook(2, true));
    let mut records: Vec<_> = (1..=40).map(|event| of_event(event, 1, 1, 1, failed(0))).collect();
    records.push(of_event(1, 2, 1, 1, failed(0)));
    records.push(of_event(50, 1, 1, 1, delivered_at(START + 5)));
    history.record(records).await;
    history.clock.advance(MINUTE);
    assert_eq!(history.count(ADMIN, all_of(1)).await.unwrap(), 40);
    assert!(history.queue.tasks().is_empty(), "counting does nothing");
    let replay = history.replay(ADMIN, all_of(1)).await.unwrap();
    assert_eq!((replay.state(), replay.total, replay.created_by.as_str()), (ReplayState::Running, 40, ADMIN));
    let end = at(START + 60_000_000);
    assert_eq!((&replay.created_at, &replay.selection.clone().unwrap().to), (&end, &end));
    // As many as go at once; the others when something is heard of these.
    eventually("some are queued", async || history.queue.tasks().len() == 32).await;
    let refused = ApiError::from(&history.replay(ADMIN, all_of(1)).await.unwrap_err());
    assert!(refused.code == ErrorCode::Conflict && refused.message.contains(&replay.id), "{refused}");
    let ends = |from: usize| {
        let tasks = history.queue.tasks();
        let of_task = |task: &proto::internal::v1::DeliveryTask| AttemptRecord {
            delivery: task.delivery.clone(),
            number: task.number,
            body: "{}".into(),
            what: Some(if task.generation == 1 { delivered() } else { failed(0) }),
        };
        tasks[from..].iter().map(of_task).collect::<Vec<_>>()
    };
    history.record(ends(0)).await;
    eventually("all are queued", async || history.queue.tasks().len() == 40).await;
    let progress = history.look(ADMIN, 1, &replay.id).await.unwrap();
    assert_eq!((progress.total, progress.queued, progress.failed, progress.ended_at), (40, 40, 0, None));
    assert_eq!(progress.delivered + progress.pending, 40);
    history.record(ends(32)).await;
    eventually("it is done", async || {
        let replay = history.look(ADMIN, 1, &replay.id).await.unwrap();
        (replay.state(), replay.delivered, replay.pending) == (ReplayState::Done, 40, 0) && replay.ended_at.is_some()
    })
    .await;
    let tasks = history.queue.tasks();
    assert_eq!(tasks.len(), 40);
    assert!(
        tasks.iter().all(|task| task.number == 2 && task.manual && task.delivery.as_ref().unwrap().webhook_id == 1)
    );
    assert_eq!(code(history.cancel(ADMIN, 1, &replay.id).await), ErrorCode::Conflict);
    assert_eq!(history.count(ADMIN, all_of(1)).await.unwrap(), 0);
}

#[tokio::test]
async fn a_project_administrator_replays_its_own_and_sees_no_others() {
    let history = Started::new().await;
    history.subscription.save(webhook_for(1, &[1]));
    history.subscription.save(webhook_for(2, &[1, 2]));
    // The webhook was of project 2 as well.
    let records = (1..=3).map(|event| of_event(event, 1, 1 + i64::from(event == 3), 1, failed(0)));
    history.record(records.collect()).await;
    history.clock.advance(MINUTE);
    for (token, webhook_id, expected) in [
        ("nobody", 1, ErrorCode::Unauthenticated),
        ("member@acme", 1, ErrorCode::Forbidden),
        ("project_admin@acme:2", 1, ErrorCode::NotFound),
        (OF_1, 2, ErrorCode::NotFound),
        (ADMIN, 9, ErrorCode::NotFound),
        ("system_admin@other", 1, ErrorCode::NotFound),
    ] {
        assert_eq!(code(history.count(token, all_of(webhook_id)).await), expected, "{token}");
        assert_eq!(code(history.replay(token, all_of(webhook_id)).await), expected, "{token}");
        assert_eq!(code(history.listed(token, webhook_id).await), expected, "{token}");
        let never = "0190a8f2-5b7e-7c1d-9a3e-1f2d3c4b5a70";
        assert_eq!(code(history.look(token, webhook_id, never).await), expected, "{token}");
        assert_eq!(code(history.cancel(token, webhook_id, never).await), expected, "{token}");
    }
    assert_eq!((history.count(ADMIN, all_of(1)).await.unwrap(), history.count(OF_1, all_of(1)).await.unwrap()), (3, 2));
    let own = history.replay(OF_1, all_of(1)).await.unwrap();
    assert_eq!(own.total, 2);
    eventually("its own are queued", async || history.queue.tasks().len() == 2).await;
    assert!(history.queue.tasks().iter().all(|task| task.delivery.as_ref().unwrap().project_id == 1));
    assert_eq!(history.listed("project_admin@acme:1,2", 1).await.unwrap(), std::slice::from_ref(&own.id));
    let cancelled = history.cancel(OF_1, 1, &own.id).await.unwrap();
    assert_eq!((cancelled.state(), cancelled.pending), (ReplayState::Cancelled, 2), "they were sent off");
    assert_eq!(cancelled.reason, format!("cancelled by {OF_1}"));
    assert_eq!(history.cancel(OF_1, 1, &own.id).await.unwrap().state(), ReplayState::Cancelled, "once more");

    // Of all projects: none of a project administrator's business, not even its id.
    history.clock.advance(MINUTE);
    let whole = history.replay(ADMIN, all_of(1)).await.unwrap();
    let refused = ApiError::from(&history.replay(OF_1, all_of(1)).await.unwrap_err());
    assert!(refused.code == ErrorCode::Conflict && !refused.message.contains(&whole.id), "{refused}");
    assert_eq!(code(history.look(OF_1, 1, &whole.id).await), ErrorCode::NotFound);
    assert_eq!(code(history.cancel(OF_1, 1, &whole.id).await), ErrorCode::NotFound);
    assert_eq!(history.listed(OF_1, 1).await.unwrap(), std::slice::from_ref(&own.id));
    assert_eq!(history.listed(ADMIN, 1).await.unwrap(), [whole.id.clone(), own.id]);
    // Neither by way of another webhook.
    assert_eq!(code(history.look(ADMIN, 2, &whole.id).await), ErrorCode::NotFound);
}

#[tokio::test]
async fn a_replay_wants_an_active_webhook_a_plan_and_certainty() {
    let history = Started::new().await;
    history.subscription.save(webhook(1, false));
    history.subscription.save(WebhookConfig { deleted: true, ..webhook(2, false) });
    history.subscription.save(webhook(3, true));
    history.record([1, 2].map(|id| of_event(1, id, 1, 1, failed(0))).into()).await;
    history.clock.advance(MINUTE);
    for (id, why) in [(1, "activate it first"), (2, "webhook 2 is deleted")] {
        assert_eq!(history.count(ADMIN, all_of(id)).await.unwrap(), 1, "counting is always possible");
        let refused = ApiError::from(&history.replay(ADMIN, all_of(id)).await.unwrap_err());
        assert!(refused.code == ErrorCode::Conflict && refused.message.contains(why), "{refused}");
    }
    history.subscription.downgrade("acme");
    assert_eq!(code(history.replay(ADMIN, all_of(3)).await), ErrorCode::PlanRequired);
    history.subscription.go_away();
    assert_eq!(code(history.replay(ADMIN, all_of(3)).await), ErrorCode::Unavailable);
    assert!(history.queue.tasks().is_empty());
}

#[tokio::test]
async fn a_replay_waits_while_its_webhook_is_inactive_and_ends_when_it_is_deleted() {
    let history = Started::new().await;
    history.subscription.save(webhook(1, true));
    history.record((1..=40).map(|event| of_event(event, 1, 1, 1, failed(0))).collect()).await;
    history.clock.advance(MINUTE);
    let id = history.replay(ADMIN, all_of(1)).await.unwrap().id;
    eventually("some are queued", async || history.queue.tasks().len() == 32).await;
    history.subscription.save(WebhookConfig { deleted: true, ..webhook(1, false) });
    eventually("it has ended with the webhook", async || {
        let replay = history.look(ADMIN, 1, &id).await.unwrap();
        (replay.state(), replay.failed, replay.pending) == (ReplayState::Cancelled, 40, 0) && replay.ended_at.is_some()
    })
    .await;
    assert_eq!(history.look(ADMIN, 1, &id).await.unwrap().reason, "webhook deleted");
    let first = domain::delivery_id(Uuid::from_u128(1), 1);
    assert_eq!(history.get(ADMIN, first).await.unwrap().status(), DeliveryStatus::Failed);
}

#[tokio::test]
async fn mistakes_are_named() {
    let history = Started::new().await;
    history.subscription.save(webhook(1, true));
    let day = 24 * 3600 * 1_000_000;
    let events = |events: &[&str]| ReplaySelection {
        events: events.iter().map(|event| (*event).to_owned()).collect(),
        ..all_of(1)
    };
    for (wrong, field) in [
        (ReplaySelection { from: None, ..all_of(1) }, "from"),
        (ReplaySelection { from: at(-1), ..all_of(1) }, "from"),
        (ReplaySelection { from: at(START + day), ..all_of(1) }, "from"),
        (ReplaySelection { from: at(START - 5), to: at(START - 5), ..all_of(1) }, "to"),
        (ReplaySelection { from: at(START - 5), to: at(START - day), ..all_of(1) }, "to"),
        (events(&["run.exploded"]), "events"),
        (events(&["nothing.*", "run.*"]), "events"),
        (events(&["run.*"; 101]), "events"),
    ] {
        history.clock.advance(Duration::from_secs(1));
        for refused in [history.count(ADMIN, wrong.clone()).await.unwrap_err(), {
            history.replay(ADMIN, wrong).await.unwrap_err()
        }] {
            let error = ApiError::from(&refused);
            let fields: Vec<_> = error.fields.iter().map(|fault| fault.0.as_str()).collect();
            assert_eq!((error.code, fields), (ErrorCode::Validation, vec![field]), "{refused}");
        }
    }
    let request = with_token(ADMIN, ListReplaysRequest { webhook_id: 1, page: 1, per_page: 7 });
    assert_eq!(code(history.history().list_replays(request).await), ErrorCode::Validation);
    assert_eq!(code(history.look(ADMIN, 1, "none").await), ErrorCode::NotFound);
}
