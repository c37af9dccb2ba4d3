//! The service with a broker that remembers, and callers whose tokens are names of instances.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use async_trait::async_trait;
use broker::{Broker, BrokerError, Consumer, Lane, Outgoing, PublishError};
use domain::{EventType, Identity, Role, SystemClock, SystemIds};
use prost::Message as _;
use proto::{
    channel::{GrpcChannel, LocalServices},
    internal::v1::AcceptedEvent,
    v1::{
        Event, PublishBatchRequest, PublishRequest, PublishResult, PublishStreamRequest, events_client::EventsClient,
    },
};
use runtime::{Authenticator, Tasks, config::Publishing};
use tonic::Status;

use super::request;

/// Takes everything, or nothing.
#[derive(Default)]
pub(crate) struct Queue {
    pub(crate) full: AtomicBool,
    published: Mutex<Vec<Published>>,
}

/// A message as it was published.
pub(crate) struct Published {
    pub(crate) at: Instant,
    pub(crate) accepted: AcceptedEvent,
    pub(crate) traceparent: Option<String>,
}

impl Queue {
    pub(crate) fn ids(&self) -> Vec<String> {
        self.published().iter().map(|message| message.accepted.event.as_ref().unwrap().id.clone()).collect()
    }

    pub(crate) fn published(&self) -> MutexGuard<'_, Vec<Published>> {
        self.published.lock().unwrap()
    }
}

#[async_trait]
impl Broker for Queue {
    async fn publish(&self, messages: Vec<Outgoing>) -> Vec<Result<(), PublishError>> {
        let publish = |message: Outgoing| {
            if self.full.load(Ordering::SeqCst) {
                return Err(PublishError::Full { queue: "events".into() });
            }
            let accepted = AcceptedEvent::decode(message.body).unwrap();
            self.published().push(Published { at: Instant::now(), accepted, traceparent: message.traceparent });
            Ok(())
        };
        messages.into_iter().map(publish).collect()
    }

    async fn consume(&self, _: Lane, _: u16) -> Result<Consumer, BrokerError> {
        Err(BrokerError::Closed)
    }

    async fn check(&self) -> Result<(), String> {
        Ok(())
    }

    async fn depth(&self, _: Lane) -> Result<u64, String> {
        Ok(0)
    }

    async fn close(&self) {}
}

/// Tokens are names of instances; `all` is for all of them.
struct Names;

#[async_trait]
impl Authenticator for Names {
    async fn authenticate(&self, token: &str) -> Result<Identity, Status> {
        let instance = (token != "all").then(|| token.parse().unwrap());
        Ok(Identity { role: Role::Publisher, instance, name: token.into() })
    }
}

pub(crate) struct World {
    pub(crate) queue: Arc<Queue>,
    services: LocalServices,
}

impl World {
    pub(crate) fn start(events_per_second: u32, burst: u32) -> Self {
        let queue = Arc::new(Queue::default());
        let parts = ingest::Parts {
            broker: Arc::clone(&queue) as Arc<dyn Broker>,
            authenticator: Arc::new(Names),
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
        };
        let services = LocalServices::default();
        services.set(ingest::start(parts, Publishing { events_per_second, burst }, &Tasks::new()));
        Self { queue, services }
    }

    pub(crate) fn client(&self) -> EventsClient<GrpcChannel> {
        EventsClient::new(self.services.channel())
    }

    pub(crate) async fn publish(&self, token: &str, event: Event) -> Result<String, Status> {
        let request = request(token, PublishRequest { event: Some(event) });
        self.client().publish(request).await.map(|answer| answer.into_inner().id)
    }

    pub(crate) async fn batch(&self, token: &str, events: Vec<Event>) -> Vec<PublishResult> {
        let request = request(token, PublishBatchRequest { events });
        self.client().publish_batch(request).await.unwrap().into_inner().results
    }

    /// The results of a stream, in the order of its events.
    pub(crate) async fn stream(&self, token: &str, events: Vec<Event>) -> Vec<PublishResult> {
        let requests = (0..).zip(events).map(|(sequence, event)| PublishStreamRequest { event: Some(event), sequence });
        let requests = futures::stream::iter(requests.collect::<Vec<_>>());
        let mut answers = self.client().publish_stream(request(token, requests)).await.unwrap().into_inner();
        let mut results = Vec::new();
        while let Some(answer) = answers.message().await.unwrap() {
            assert_eq!(answer.sequence, results.len() as u64);
            results.push(answer.result.unwrap());
        }
        results
    }
}

pub(crate) fn event(instance: &str) -> Event {
    let id = domain::IdSource::uuid(&SystemIds).to_string();
    Event { id, instance: instance.into(), ..payload::sample(EventType::RunCreated) }
}

pub(crate) fn events(instance: &str, count: usize) -> Vec<Event> {
    (0..count).map(|_| event(instance)).collect()
}
