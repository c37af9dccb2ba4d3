//! What an event was, for those who may know.

use proto::{
    convert::uuid_bytes,
    error::{ApiError, ErrorCode},
    internal::v1::{Body, OpenEvent, OpenRequest},
};
use tonic::Status;
use uuid::Uuid;

use crate::started::{START, Started};

const ADMIN: &str = "system_admin@acme";

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// Opens an event of `acme` that nobody gets.
async fn open(history: &Started, event_id: Uuid, payload: String) {
    let event = OpenEvent {
        instance: "acme".into(),
        event_id: uuid_bytes(event_id),
        publish_id: uuid_bytes(id(1)),
        bodies: vec![Body { format: "generic".into(), content: payload.into() }],
        matched_at: START,
        ..OpenEvent::default()
    };
    history.recording.clone().open(OpenRequest { events: vec![event] }).await.unwrap();
}

fn payload(project: i64) -> String {
    format!(r#"{{"id":"x","event":"run.completed","project":{{"id":{project},"name":"One"}},"data":{{"a":1.10}}}}"#)
}

fn refusal(status: &Status) -> (ErrorCode, &str) {
    (ApiError::from(status).code, status.message())
}

#[tokio::test]
async fn an_event_that_nobody_got_is_read_as_it_was() {
    let history = Started::new().await;
    open(&history, id(7), payload(1)).await;
    for token in [ADMIN, "project_admin@acme:1", "project_admin@acme:1,2"] {
        let event = history.event(token, id(7)).await.unwrap();
        assert_eq!(event.event_id, id(7).to_string());
        assert_eq!((event.event_type.as_str(), event.project_id), ("run.completed", 1));
        assert_eq!(event.payload, payload(1), "the same bytes");
    }
    let deep =
        format!(r#"{{"data":{}{},"event":"run.created","project":{{"id":3}}}}"#, "[".repeat(500), "]".repeat(500));
    open(&history, id(8), deep.clone()).await;
    let event = history.event(ADMIN, id(8)).await.unwrap();
    assert_eq!((event.event_type.as_str(), event.project_id), ("run.created", 3));
    assert_eq!(event.payload, deep);
}

#[tokio::test]
async fn what_is_not_the_callers_does_not_exist() {
    let history = Started::new().await;
    open(&history, id(7), payload(1)).await;
    let never = history.event(ADMIN, id(99)).await.unwrap_err();
    assert_eq!(refusal(&never).0, ErrorCode::NotFound);
    for (token, asked) in [
        (ADMIN, "none"),
        (ADMIN, ""),
        ("system_admin@other", &*id(7).to_string()),
        ("project_admin@acme:2,3", &*id(7).to_string()),
        ("project_admin@other:1", &*id(7).to_string()),
    ] {
        let hidden = history.event(token, asked).await.unwrap_err();
        assert_eq!(refusal(&hidden), refusal(&never), "{token} {asked}");
    }
    for token in ["member@acme", "publisher@acme"] {
        let refused = history.event(token, id(7)).await.unwrap_err();
        assert_eq!(refusal(&refused).0, ErrorCode::Forbidden, "{token}");
    }
    let nobody = history.event("nobody", id(7)).await.unwrap_err();
    assert_eq!(refusal(&nobody).0, ErrorCode::Unauthenticated);
}

#[tokio::test]
async fn a_payload_that_is_none_is_a_fault() {
    let history = Started::new().await;
    open(&history, id(7), "{}".into()).await;
    let fault = history.event(ADMIN, id(7)).await.unwrap_err();
    assert_eq!(refusal(&fault).0, ErrorCode::Internal);
}
