//! The publish quota through the gRPC service, with a broker that remembers.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
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
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::request;

/// Takes everything, or nothing.
#[derive(Default)]
struct Queue {
    full: AtomicBool,
    published: Mutex<Vec<(Instant, Event)>>,
}

impl Queue {
    fn ids(&self) -> Vec<String> {
        self.published.lock().unwrap().iter().map(|(_, event)| event.id.clone()).collect()
    }
}

#[async_trait]
impl Broker for Queue {
    async fn publish(&self, messages: Vec<Outgoing>) -> Vec<Result<(), PublishError>> {
        let publish = |message: Outgoing| {
            if self.full.load(Ordering::SeqCst) {
                return Err(PublishError::Full { queue: "events".into() });
            }
            let event = AcceptedEvent::decode(message.body).unwrap().event.unwrap();
            self.published.lock().unwrap().push((Instant::now(), event));
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

struct World {
    queue: Arc<Queue>,
    services: LocalServices,
}

impl World {
    fn start(events_per_second: u32, burst: u32) -> Self {
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

    fn client(&self) -> EventsClient<GrpcChannel> {
        EventsClient::new(self.services.channel())
    }

    async fn publish(&self, token: &str, event: Event) -> Result<String, Status> {
        let request = request(token, PublishRequest { event: Some(event) });
        self.client().publish(request).await.map(|answer| answer.into_inner().id)
    }

    async fn batch(&self, token: &str, events: Vec<Event>) -> Vec<PublishResult> {
        let request = request(token, PublishBatchRequest { events });
        self.client().publish_batch(request).await.unwrap().into_inner().results
    }

    /// The results of a stream, in the order of its events.
    async fn stream(&self, token: &str, events: Vec<Event>) -> Vec<PublishResult> {
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

fn event(instance: &str) -> Event {
    let id = domain::IdSource::uuid(&SystemIds).to_string();
    Event { id, instance: instance.into(), ..payload::sample(EventType::RunCreated) }
}

fn events(instance: &str, count: usize) -> Vec<Event> {
    (0..count).map(|_| event(instance)).collect()
}

fn codes(results: &[PublishResult]) -> Vec<Code> {
    results.iter().map(|result| Code::from_i32(result.error.as_ref().map_or(0, |error| error.code))).collect()
}

#[tokio::test]
async fn an_event_beyond_the_quota_is_told_when_to_come_again() {
    let world = World::start(4, 2);
    let refused = event("acme");
    for _ in 0..2 {
        world.publish("acme", event("acme")).await.unwrap();
    }
    let status = world.publish("acme", refused.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(proto::error::ApiError::from(&status).code, proto::error::ErrorCode::RateLimited);
    let wait = status.get_details_retry_info().and_then(|info| info.retry_delay).unwrap();
    assert!(!wait.is_zero() && wait <= Duration::from_millis(250), "{wait:?}");
    for part in [&*refused.id, "instance acme", "4 events/s", &format!("after {} ms", wait.as_millis())] {
        assert!(status.message().contains(part), "{part}: {}", status.message());
    }
    world.publish("globex", event("globex")).await.expect("the quota of another instance");
    assert_eq!(world.queue.ids().len(), 3);

    tokio::time::sleep(wait).await;
    assert_eq!(world.publish("acme", refused.clone()).await.unwrap(), refused.id);
    assert_eq!(world.queue.ids().last(), Some(&refused.id));
}

#[tokio::test]
async fn a_batch_is_refused_event_by_event_and_mistakes_cost_nothing() {
    let world = World::start(1, 3);
    let wrong = || Event { project: None, ..event("acme") };
    let large = || Event { extra_json: format!("{{\"x\":\"{}\"}}", "y".repeat(300 << 10)), ..event("acme") };
    let mistakes = codes(&world.batch("all", vec![wrong(), large(), wrong(), wrong()]).await);
    assert_eq!(mistakes, [Code::InvalidArgument, Code::OutOfRange, Code::InvalidArgument, Code::InvalidArgument]);

    let mut batch = vec![event("acme"), wrong(), event("globex"), event("acme"), large(), event("acme")];
    batch.extend([event("acme"), event("globex"), event("acme")]);
    let results = world.batch("all", batch.clone()).await;
    let (ok, over) = (Code::Ok, Code::ResourceExhausted);
    assert_eq!(codes(&results), [ok, Code::InvalidArgument, ok, ok, Code::OutOfRange, ok, over, ok, over]);
    let taken = [0, 2, 3, 5, 7].map(|index: usize| batch[index].id.clone());
    assert_eq!(world.queue.ids(), taken);
    for (index, wait) in [(6, 1_000), (8, 2_000)] {
        let result = &results[index];
        assert_eq!(result.id, batch[index].id);
        let message = &result.error.as_ref().unwrap().message;
        let told: u64 = message.split("after ").last().unwrap().split(' ').next().unwrap().parse().unwrap();
        assert!((wait - 500..=wait).contains(&told), "{wait} ms: {message}");
    }
}

#[tokio::test]
async fn what_the_broker_does_not_take_counts() {
    let world = World::start(1, 3);
    world.queue.full.store(true, Ordering::SeqCst);
    let results = world.batch("acme", events("acme", 4)).await;
    let unavailable = Code::Unavailable;
    assert_eq!(codes(&results), [unavailable, unavailable, unavailable, Code::ResourceExhausted]);
}

#[tokio::test]
async fn a_stream_of_one_instance_is_slowed_and_keeps_the_quota() {
    const RATE: u32 = 500;
    const BURST: u32 = 20;
    let world = World::start(RATE, BURST);
    let sent = events("acme", 220);
    let begun = Instant::now();
    let results = world.stream("acme", sent.clone()).await;
    assert!(codes(&results).iter().all(|code| *code == Code::Ok), "{results:?}");
    assert_eq!(world.queue.ids(), sent.iter().map(|event| event.id.clone()).collect::<Vec<_>>());
    let published = world.queue.published.lock().unwrap();
    for (count, (at, _)) in (1..).zip(published.iter()) {
        let most = f64::from(BURST) + (*at - begun).as_secs_f64() * f64::from(RATE);
        assert!(f64::from(count) <= most, "{count} events within {:?}", *at - begun);
    }
}

#[tokio::test]
async fn a_stream_of_all_instances_waits_for_none() {
    let world = World::start(1, 3);
    let mut mixed = events("acme", 50);
    mixed.insert(40, event("globex"));
    let results = world.stream("all", mixed).await;
    let codes = codes(&results);
    assert_eq!(codes.iter().filter(|code| **code == Code::Ok).count(), 4, "{codes:?}");
    assert_eq!(codes[40], Code::Ok);
    assert!(codes[3..40].iter().all(|code| *code == Code::ResourceExhausted), "{codes:?}");
}

#[tokio::test]
async fn without_a_rate_there_is_no_quota() {
    let world = World::start(0, 0);
    for _ in 0..3 {
        assert!(codes(&world.batch("acme", events("acme", 1_000)).await).iter().all(|code| *code == Code::Ok));
    }
}
