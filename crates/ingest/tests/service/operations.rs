//! Parked messages through the gRPC service, with the embedded queue behind it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use broker::{
    Broker, Incoming, Lane, Outgoing,
    embedded::{Embedded, EmbeddedOptions},
};
use domain::{Clock as _, EventType, IdSource as _, Identity, Role, SystemClock, SystemIds};
use prost::Message as _;
use proto::{
    channel::{GrpcChannel, LocalServices},
    error::{ApiError, ErrorCode},
    internal::v1::AcceptedEvent,
    v1::{
        DropParkedRequest, ListParkedRequest, ListParkedResponse, ParkedEvent, ParkedMessage, RequeueParkedRequest,
        operations_client::OperationsClient, parked_message::Content,
    },
};
use runtime::{Authenticator, Tasks, config::Publishing};
use tonic::{Code, Status};

use super::request;

const SOON: Duration = Duration::from_secs(10);

/// Tokens are a role and an instance.
struct Roles;

#[async_trait]
impl Authenticator for Roles {
    async fn authenticate(&self, token: &str) -> Result<Identity, Status> {
        let (role, instance) = token.split_once('@').ok_or_else(|| Status::unauthenticated("unknown"))?;
        let instance = (instance != "*").then(|| instance.parse().unwrap());
        let role = Role::from_name(role, vec![1]).unwrap();
        Ok(Identity { role, instance, name: token.into() })
    }
}

const OPERATOR: &str = "system_admin@default";

struct World {
    broker: Arc<Embedded>,
    services: LocalServices,
    _tasks: Tasks,
    _folder: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = EmbeddedOptions::new(Vec::new(), Arc::new(|| SystemClock.now().as_micros()));
        let broker = Embedded::open(&folder.path().join("queue.db"), options).await.unwrap();
        let parts = ingest::Parts {
            broker: Arc::clone(&broker) as Arc<dyn Broker>,
            authenticator: Arc::new(Roles),
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
        };
        let (tasks, services) = (Tasks::new(), LocalServices::default());
        services.set(ingest::start(parts, Publishing { events_per_second: 0, burst: 1 }, &tasks));
        Self { broker, services, _tasks: tasks, _folder: folder }
    }

    fn client(&self) -> OperationsClient<GrpcChannel> {
        OperationsClient::new(self.services.channel())
    }

    /// Publishes, consumes and parks a message; its id.
    async fn park(&self, lane: Lane, body: &[u8], reason: &str) -> String {
        let message_id = SystemIds.uuid();
        let body = body.to_vec().into();
        let message = Outgoing { lane, delay: Duration::ZERO, body, message_id, traceparent: None };
        assert_eq!(self.broker.publish(vec![message]).await, [Ok(())]);
        self.next(lane).await.park(reason);
        let parked = async {
            while !self.list(0).await.unwrap().messages.iter().any(|message| message.id == message_id.to_string()) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, parked).await.unwrap();
        message_id.to_string()
    }

    async fn next(&self, lane: Lane) -> Incoming {
        let mut consumer = self.broker.consume(lane, 1).await.unwrap();
        tokio::time::timeout(SOON, consumer.recv()).await.unwrap().unwrap()
    }

    async fn list(&self, limit: u32) -> Result<ListParkedResponse, Status> {
        let request = request(OPERATOR, ListParkedRequest { limit });
        self.client().list_parked(request).await.map(tonic::Response::into_inner)
    }

    async fn requeue(&self, ids: &[&str], all: bool, lane: &str) -> Result<u64, Status> {
        let message = RequeueParkedRequest { ids: owned(ids), all, lane: lane.into() };
        let answer = self.client().requeue_parked(request(OPERATOR, message)).await;
        answer.map(|answer| answer.into_inner().requeued)
    }

    async fn remove(&self, ids: &[&str], all: bool, lane: &str) -> Result<u64, Status> {
        let message = DropParkedRequest { ids: owned(ids), all, lane: lane.into() };
        let answer = self.client().drop_parked(request(OPERATOR, message)).await;
        answer.map(|answer| answer.into_inner().dropped)
    }

    /// Ids of what is parked.
    async fn ids(&self) -> Vec<String> {
        self.list(0).await.unwrap().messages.into_iter().map(|message| message.id).collect()
    }
}

fn owned(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[tokio::test]
async fn parked_messages_are_shown_with_what_is_in_them() {
    let world = World::start().await;
    let before = SystemClock.now().as_seconds();
    let event = payload::sample(EventType::RunDeleted);
    let accepted = AcceptedEvent { event: Some(event.clone()), ..AcceptedEvent::default() }.encode_to_vec();
    let good = world.park(Lane::Events, &accepted, "somebody said so").await;
    let junk = world.park(Lane::DeliverSlow, b"\xff\xff", &"x".repeat(3_000)).await;

    let listed = world.list(0).await.unwrap();
    assert_eq!(listed.total, 2);
    let [first, second] = listed.messages.try_into().unwrap();
    let content = ParkedEvent { event_id: event.id, instance: event.instance, r#type: "run.deleted".into() };
    let at = first.parked_at.unwrap().seconds;
    assert!((before..=before + 60).contains(&at), "parked at {at}, not {before}");
    let expected = ParkedMessage {
        id: good.clone(),
        lane: "events".into(),
        reason: "somebody said so".into(),
        parked_at: first.parked_at,
        bytes: accepted.len() as u64,
        redeliveries: Some(0),
        content: Some(Content::Event(content)),
    };
    assert_eq!(first, expected);
    assert_eq!((second.id, second.lane.as_str(), second.content), (junk, "deliver.slow", None));
    assert_eq!(second.reason, format!("{}…", "x".repeat(500)));

    let limited = world.list(1).await.unwrap();
    assert_eq!((limited.messages.len(), limited.messages[0].id.as_str(), limited.total), (1, good.as_str(), 2));
    assert_eq!(world.list(1_001).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn what_is_requeued_comes_to_its_consumer_again() {
    let world = World::start().await;
    let events = world.park(Lane::Events, b"one", "why").await;
    let history = world.park(Lane::History, b"two", "why").await;
    assert_eq!(world.requeue(&[&history, "never-there"], false, "").await.unwrap(), 1);
    assert_eq!(world.ids().await, [events.as_str()]);
    let again = world.next(Lane::History).await;
    assert_eq!((again.body.as_ref(), again.redelivered), (&b"two"[..], true));
    again.ack();
    assert_eq!(world.requeue(&[], true, "history").await.unwrap(), 0, "another lane");
    assert_eq!(world.requeue(&[], true, "events").await.unwrap(), 1);
    assert_eq!(world.next(Lane::Events).await.body.as_ref(), b"one");
    assert_eq!(world.list(0).await.unwrap(), ListParkedResponse::default());
}

#[tokio::test]
async fn what_is_dropped_is_gone_and_nothing_else_is() {
    let world = World::start().await;
    let mut ids = Vec::new();
    for lane in Lane::ALL {
        ids.push(world.park(lane, b"body", "why").await);
    }
    assert_eq!(world.remove(&[&ids[0], &ids[1]], false, "deliver.fast").await.unwrap(), 1);
    assert_eq!(world.ids().await, [ids[0].as_str(), &ids[2], &ids[3]]);
    for (ids, all, lane) in [(&[][..], false, ""), (&["a"], true, ""), (&[], true, "parked")] {
        let status = world.remove(ids, all, lane).await.unwrap_err();
        assert_eq!(ApiError::from(&status).code, ErrorCode::Validation, "{status}");
        let status = world.requeue(ids, all, lane).await.unwrap_err();
        assert_eq!(ApiError::from(&status).code, ErrorCode::Validation, "{status}");
    }
    assert_eq!(world.ids().await.len(), 3, "a mistake removes nothing");
    assert_eq!(world.remove(&[], true, "").await.unwrap(), 3);
    assert_eq!(world.list(0).await.unwrap().total, 0);
}

#[tokio::test]
async fn only_the_operator_may() {
    let world = World::start().await;
    let id = world.park(Lane::Events, b"body", "why").await;
    for (token, code) in [
        ("nobody", Code::Unauthenticated),
        ("publisher@default", Code::PermissionDenied),
        ("publisher@*", Code::PermissionDenied),
        ("member@default", Code::PermissionDenied),
        ("project_admin@default", Code::PermissionDenied),
        ("system_admin@other", Code::PermissionDenied),
    ] {
        let mut client = world.client();
        let requeue = RequeueParkedRequest { all: true, ..RequeueParkedRequest::default() };
        let remove = DropParkedRequest { all: true, ..DropParkedRequest::default() };
        let answers = [
            client.list_parked(request(token, ListParkedRequest { limit: 0 })).await.map(drop),
            client.requeue_parked(request(token, requeue)).await.map(drop),
            client.drop_parked(request(token, remove)).await.map(drop),
        ];
        assert_eq!(answers.map(|answer| answer.unwrap_err().code()), [code; 3], "{token}");
    }
    assert_eq!(world.ids().await, [id]);
}

#[tokio::test]
async fn a_closed_broker_is_unavailable() {
    let world = World::start().await;
    world.broker.close().await;
    assert_eq!(world.list(0).await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(world.requeue(&[], true, "").await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(world.remove(&[], true, "").await.unwrap_err().code(), Code::Unavailable);
}
