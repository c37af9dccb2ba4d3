//! Sending test payloads.

use std::sync::{Arc, Mutex};

use proto::{
    channel::{GrpcChannel, LocalServices},
    convert::uuid_from,
    error::{ApiError, ErrorCode},
    internal::v1::{
        CheckPlanRequest, CheckRequest, CheckResponse, OpenRequest, OpenResponse, QueueTestRequest, QueueTestResponse,
        RecordRequest, RecordResponse,
        recording_server::{Recording, RecordingServer},
    },
    v1::{CreateWebhookRequest, DeactivateWebhookRequest, TestWebhookRequest, TestWebhookResponse},
};
use serde_json::{Value, json};
use tonic::{Request, Response, Status, service::Routes};

use crate::fixture::{ADMIN, Fixture, MEMBER, PROJECT_ADMIN, PUBLISHER, STRANGER, good, list, with};

/// A history that remembers the tests that it is to queue; away while there is no place for them.
#[derive(Clone, Default)]
pub(crate) struct Tests(pub(crate) Arc<Mutex<Option<Vec<QueueTestRequest>>>>);

impl Tests {
    pub(crate) fn channel(&self) -> GrpcChannel {
        let services = LocalServices::default();
        services.set(Routes::new(RecordingServer::new(self.clone())));
        services.channel()
    }

    fn come(&self) {
        *self.0.lock().unwrap() = Some(Vec::new());
    }

    /// The last test, and its body.
    fn last(&self) -> (QueueTestRequest, Value) {
        let last = self.0.lock().unwrap().as_ref().unwrap().last().unwrap().clone();
        let body = serde_json::from_slice(&last.body).unwrap();
        (last, body)
    }
}

#[tonic::async_trait]
impl Recording for Tests {
    async fn open(&self, _: Request<OpenRequest>) -> Result<Response<OpenResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }
    async fn record(&self, _: Request<RecordRequest>) -> Result<Response<RecordResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }
    async fn check(&self, _: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }
    async fn queue_test(&self, request: Request<QueueTestRequest>) -> Result<Response<QueueTestResponse>, Status> {
        let mut queued = self.0.lock().unwrap();
        let queued = queued.as_mut().ok_or_else(|| Status::unavailable("told to be away"))?;
        queued.push(request.into_inner());
        Ok(Response::new(QueueTestResponse {}))
    }
}

impl Fixture {
    async fn test(&self, token: &str, id: i64) -> Result<TestWebhookResponse, ErrorCode> {
        let answer = self.webhooks().test_webhook(with(token, TestWebhookRequest { id })).await;
        answer.map(Response::into_inner).map_err(|status| ApiError::from(&status).code)
    }
}

#[tokio::test]
async fn the_sample_of_the_first_event_goes_to_history() {
    let fixture = Fixture::start().await;
    fixture.tests.come();
    fixture.put_project(2, "Tills", 1).await;
    for (kind, projects, project) in [
        ("generic", Some(&[2, 5][..]), json!({"id": 2, "name": "Tills", "url": "https://testmo.example/projects/2"})),
        ("generic", Some(&[5][..]), json!({"id": 5, "name": "Project 5", "url": ""})),
        ("generic", None, json!({"id": 1, "name": "Webshop"})),
        ("slack", None, json!({"id": 1})),
    ] {
        let events = vec!["user.mentioned".into(), "run.*".into()];
        let request = CreateWebhookRequest { r#type: kind.into(), events, projects: list(projects), ..good() };
        let id = fixture.create_from(request).await.id;
        let request = DeactivateWebhookRequest { id, if_version: None };
        fixture.webhooks().deactivate_webhook(with(ADMIN, request)).await.unwrap();
        let answer = fixture.test(ADMIN, id).await.unwrap();
        let (queued, body) = fixture.tests.last();
        let delivery = queued.delivery.unwrap();
        let event_id = uuid_from(&delivery.event_id).unwrap();
        assert_eq!(uuid_from(&delivery.delivery_id).unwrap(), domain::delivery_id(event_id, id));
        assert_eq!((delivery.webhook_id, delivery.instance.as_str(), delivery.is_test), (id, "acme", true));
        assert_eq!((delivery.format.as_str(), delivery.event_type.as_str()), (kind, "run.created"));
        assert_eq!(json!(delivery.project_id), project["id"]);
        assert_eq!((answer.event_id, answer.project_id), (event_id.to_string(), delivery.project_id));
        assert_eq!(answer.delivery_id, uuid_from(&delivery.delivery_id).unwrap().to_string());
        if kind == "generic" {
            assert_eq!((&body["is_test"], &body["instance"]), (&json!(true), &json!("acme")));
            assert_eq!((&body["id"], &body["event"]), (&json!(event_id.to_string()), &json!("run.created")));
            for (member, value) in project.as_object().unwrap() {
                assert_eq!(body["project"][member].as_str().unwrap_or_default(), value.as_str().unwrap_or_default());
            }
        }
    }
    assert_eq!(fixture.tests.0.lock().unwrap().as_ref().unwrap().len(), 4);
}

#[tokio::test]
async fn who_may_not_test_what_or_when_is_told() {
    let fixture = Fixture::start().await;
    let (id, of_all) = (fixture.create(Some(&[1])).await.id, fixture.create(None).await.id);
    assert_eq!(fixture.test(ADMIN, id).await.unwrap_err(), ErrorCode::Unavailable, "history is away");
    fixture.tests.come();
    for (token, id, code) in [
        (MEMBER, id, ErrorCode::Forbidden),
        (PUBLISHER, id, ErrorCode::Forbidden),
        (STRANGER, id, ErrorCode::NotFound),
        (PROJECT_ADMIN, of_all, ErrorCode::NotFound),
        (ADMIN, 99, ErrorCode::NotFound),
    ] {
        assert_eq!(fixture.test(token, id).await.unwrap_err(), code, "{token}");
    }
    assert!(fixture.test(PROJECT_ADMIN, id).await.is_ok());
    // One that has lost its last project may still be tried.
    fixture.delete_project(1, 1).await;
    assert!(fixture.test(ADMIN, id).await.is_ok());
    let plan = async |instance: &str| {
        let request = CheckPlanRequest { instance: instance.into() };
        fixture.configuration().check_plan(request).await.map(drop).map_err(|status| ApiError::from(&status).code)
    };
    assert_eq!(plan("acme").await, Ok(()));
    fixture.set_plan("free", 1).await;
    assert_eq!(fixture.test(ADMIN, id).await.unwrap_err(), ErrorCode::PlanRequired);
    assert_eq!((plan("acme").await, plan("other").await), (Err(ErrorCode::PlanRequired), Ok(())));
    assert_eq!(plan("No Instance").await, Err(ErrorCode::Validation));
    assert_eq!(fixture.tests.0.lock().unwrap().as_ref().unwrap().len(), 2);
}
