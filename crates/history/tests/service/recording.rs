//! The service `Recording`.

use proto::{
    convert::uuid_bytes,
    error::{ApiError, ErrorCode},
    internal::v1::{
        Body, CheckItem, CheckRequest, OpenDelivery, OpenEvent, OpenOutcome, OpenRequest, RecordRequest,
        recording_client::RecordingClient,
    },
};
use std::sync::atomic::Ordering;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::started::{EVENT, START, Started, cancel, delivery_id, failed, record};

pub(crate) fn open_event(publish: u128) -> OpenEvent {
    OpenEvent {
        instance: "acme".into(),
        event_id: uuid_bytes(EVENT),
        publish_id: uuid_bytes(Uuid::from_u128(publish)),
        claim: true,
        redelivered: false,
        event_type: "run.completed".into(),
        project_id: 1,
        matched_at: 5,
        bodies: vec![Body { format: "generic".into(), content: "{}".into() }],
        deliveries: vec![OpenDelivery { webhook_id: 1, format: "generic".into() }],
        skipped: Vec::new(),
    }
}

#[tokio::test]
async fn only_services_are_answered() {
    let history = Started::new().await;
    let mut stranger = RecordingClient::new(history.bare.clone());
    let codes = [
        stranger.open(OpenRequest::default()).await.unwrap_err().code(),
        stranger.record(RecordRequest::default()).await.unwrap_err().code(),
        stranger.check(CheckRequest::default()).await.unwrap_err().code(),
    ];
    assert!(codes.iter().all(|code| matches!(code, Code::Unauthenticated | Code::PermissionDenied)), "{codes:?}");
}

#[tokio::test]
async fn an_event_is_opened_recorded_and_checked() {
    let history = Started::new().await;
    let mut recording = history.recording.clone();
    let mut again = open_event(1);
    again.redelivered = true;
    let mut outcomes = Vec::new();
    for event in [open_event(1), open_event(2), again] {
        let answer = recording.open(OpenRequest { events: vec![event] }).await.unwrap().into_inner();
        let unsent: Vec<_> =
            answer.results[0].unsent.iter().map(|unsent| (unsent.webhook_id, unsent.format.clone())).collect();
        outcomes.push((answer.results[0].outcome(), unsent));
    }
    let unsent = vec![(1, "generic".to_owned())];
    let expected = [(OpenOutcome::New, vec![]), (OpenOutcome::Duplicate, vec![]), (OpenOutcome::Redelivered, unsent)];
    assert_eq!(outcomes, expected);

    let item = |webhook: i64| {
        let delivery_id = uuid_bytes(delivery_id(webhook));
        CheckItem { delivery_id, number: 1, generation: 0, matched_at: START }
    };
    history.record(vec![record(1, 1, failed(0)), record(2, 1, cancel())]).await;
    let items = vec![item(1), item(2), item(3)];
    let answer = recording.check(CheckRequest { items }).await.unwrap().into_inner();
    assert_eq!(answer.send, [false, false, true]);
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused_by_name() {
    let history = Started::new().await;
    let mut recording = history.recording.clone();
    let mut no_id = record(1, 1, failed(0));
    no_id.delivery.as_mut().unwrap().delivery_id = "short".into();
    let mut nothing = record(1, 1, failed(0));
    nothing.what = None;
    let mut nowhere = record(1, 1, failed(0));
    nowhere.delivery = None;
    for (bad, named) in [
        (no_id, "records[1].delivery.delivery_id"),
        (nothing, "records[1].what"),
        (nowhere, "records[1].delivery"),
        (record(1, 0, failed(0)), "records[1].number"),
        (record(1, i32::MAX, failed(0)), "records[1].number"),
    ] {
        let records = vec![record(1, 1, failed(0)), bad];
        let status: Status = recording.record(RecordRequest { records }).await.unwrap_err();
        assert!(status.message().contains(named), "{status}");
        assert_eq!(ApiError::from(&status).code, ErrorCode::Malformed);
    }
    assert!(history.get("system_admin@acme", delivery_id(1)).await.is_err(), "nothing of the request is kept");
}

#[tokio::test]
async fn a_failing_database_is_unavailable_and_says_nothing_of_itself() {
    let history = Started::new().await;
    history.store.fails.store(true, Ordering::SeqCst);
    let records = vec![record(1, 1, failed(0))];
    let status = history.recording.clone().record(RecordRequest { records }).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(!status.message().contains("told to"), "{status}");
}
