//! The service from outside, between a broker, a history and a configuration that the test holds in its hand: what it
//! acknowledges, what it opens, and what it records of webhooks that are gone, paused or not known.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use broker::{Acker, Broker, BrokerError, Consumer, Incoming, Lane, Outgoing, PublishError, Settlement};
use dispatcher::{Parts, RecordSink, Settings};
use domain::{AddressPolicy, EventType, IdSource as _, RetrySchedule, SystemClock, SystemIds};
use prost::Message as _;
use proto::{
    channel::LocalServices,
    convert::uuid_bytes,
    internal::v1::{
        AcceptedEvent, AttemptRecord, AuthenticateRequest, AuthenticateResponse, ChangesRequest, ChangesResponse,
        CheckRequest, CheckResponse, DeliveryRef, DeliveryTask, OpenOutcome, OpenRequest, OpenResponse, OpenResult,
        RecordRequest, RecordResponse, WebhookConfig,
        attempt_record::What,
        configuration_server::{Configuration, ConfigurationServer},
        recording_server::{Recording, RecordingServer},
    },
};
use runtime::{Resolver, Tasks};
use tokio::sync::mpsc;
use tonic::{Request, Response, Status, service::Routes};
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(10);

/// Everything around the dispatcher.
struct World {
    lanes: Mutex<Vec<(Lane, mpsc::Sender<Incoming>)>>,
    webhooks: Vec<WebhookConfig>,
    settled: mpsc::UnboundedSender<(u64, Settlement)>,
    records: mpsc::UnboundedSender<AttemptRecord>,
    /// How many events each call to `Open` had.
    opened: Mutex<Vec<usize>>,
}

#[async_trait]
impl Broker for World {
    async fn publish(&self, messages: Vec<Outgoing>) -> Vec<Result<(), PublishError>> {
        messages.iter().map(|_| Ok(())).collect()
    }
    async fn consume(&self, lane: Lane, _: u16) -> Result<Consumer, BrokerError> {
        let (sender, receiver) = mpsc::channel(1_000);
        self.lanes.lock().unwrap().push((lane, sender));
        Ok(Consumer::new(receiver))
    }
    async fn check(&self) -> Result<(), String> {
        Ok(())
    }
    async fn depth(&self, _: Lane) -> Result<u64, String> {
        Ok(0)
    }
    async fn close(&self) {}
}

impl Acker for World {
    fn settle(&self, tag: u64, settlement: Settlement) {
        self.settled.send((tag, settlement)).unwrap();
    }
}

#[async_trait]
impl RecordSink for World {
    async fn write(&self, records: &[AttemptRecord]) -> Result<(), String> {
        records.iter().for_each(|record| self.records.send(record.clone()).unwrap());
        Ok(())
    }
}

#[async_trait]
impl Resolver for World {
    async fn resolve(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        Err(std::io::Error::other("nothing is posted here"))
    }
}

struct Service(Arc<World>);

#[tonic::async_trait]
impl Configuration for Service {
    async fn changes(&self, request: Request<ChangesRequest>) -> Result<Response<ChangesResponse>, Status> {
        let webhooks = if request.get_ref().since == 0 { self.0.webhooks.clone() } else { Vec::new() };
        Ok(Response::new(ChangesResponse { version: 5, webhooks, more: false }))
    }
    async fn authenticate(&self, _: Request<AuthenticateRequest>) -> Result<Response<AuthenticateResponse>, Status> {
        Err(Status::unauthenticated("nobody"))
    }
}

#[tonic::async_trait]
impl Recording for Service {
    async fn open(&self, request: Request<OpenRequest>) -> Result<Response<OpenResponse>, Status> {
        let events = request.into_inner().events;
        self.0.opened.lock().unwrap().push(events.len());
        let redelivered =
            |webhook: i64| OpenResult { outcome: OpenOutcome::Redelivered.into(), unsent_webhook_ids: vec![webhook] };
        let fresh = OpenResult { outcome: OpenOutcome::New.into(), unsent_webhook_ids: Vec::new() };
        let result = |again: bool| if again { redelivered(UNKNOWN) } else { fresh.clone() };
        Ok(Response::new(OpenResponse { results: events.iter().map(|event| result(event.redelivered)).collect() }))
    }
    async fn record(&self, _: Request<RecordRequest>) -> Result<Response<RecordResponse>, Status> {
        Ok(Response::new(RecordResponse::default()))
    }
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        Ok(Response::new(CheckResponse { send: vec![true; request.get_ref().items.len()] }))
    }
}

const PAUSED: i64 = 1;
const DELETED: i64 = 2;
const UNUSABLE: i64 = 3;
const UNKNOWN: i64 = 99;

fn webhooks() -> Vec<WebhookConfig> {
    let webhook = |id| WebhookConfig {
        id,
        instance: "default".into(),
        r#type: "generic".into(),
        url: "https://example.com/".into(),
        events: vec!["run.deleted".into()],
        all_projects: true,
        ..Default::default()
    };
    vec![
        webhook(PAUSED),
        WebhookConfig { id: DELETED, deleted: true, ..Default::default() },
        // As a newer subscription service may send it.
        WebhookConfig { active: true, events: vec!["run.exploded".into()], ..webhook(UNUSABLE) },
    ]
}

struct Bench {
    world: Arc<World>,
    tasks: Tasks,
    settled: mpsc::UnboundedReceiver<(u64, Settlement)>,
    records: mpsc::UnboundedReceiver<AttemptRecord>,
}

impl Bench {
    fn start() -> Self {
        let (settled_sender, settled) = mpsc::unbounded_channel();
        let (record_sender, records) = mpsc::unbounded_channel();
        let world = Arc::new(World {
            lanes: Mutex::default(),
            webhooks: webhooks(),
            settled: settled_sender,
            records: record_sender,
            opened: Mutex::default(),
        });
        let services = LocalServices::default();
        let recording = RecordingServer::new(Service(Arc::clone(&world))).max_decoding_message_size(64 << 20);
        let configuration = ConfigurationServer::new(Service(Arc::clone(&world)));
        services.set(Routes::new(recording).add_service(configuration));
        let settings = Settings {
            policy: AddressPolicy::default(),
            extra_roots: None,
            timeout: LIMIT,
            connect_timeout: LIMIT,
            schedule: RetrySchedule::default(),
            max_in_flight: 10,
        };
        let tasks = Tasks::new();
        let parts = Parts {
            broker: Arc::clone(&world) as Arc<dyn Broker>,
            records: Arc::clone(&world) as Arc<dyn RecordSink>,
            history: services.channel(),
            configuration: services.channel(),
            resolver: Arc::clone(&world) as Arc<dyn Resolver>,
            clock: Arc::new(SystemClock),
            settings,
        };
        dispatcher::start(parts, &tasks).unwrap();
        Self { world, tasks, settled, records }
    }

    /// Puts a message into a lane, once it is consumed.
    async fn send(&self, lane: Lane, tag: u64, redelivered: bool, body: Vec<u8>) {
        let find =
            || self.world.lanes.lock().unwrap().iter().find(|(known, _)| *known == lane).map(|(_, to)| to.clone());
        let waiting = async {
            loop {
                match find() {
                    Some(sender) => return sender,
                    None => tokio::task::yield_now().await,
                }
            }
        };
        let sender = tokio::time::timeout(LIMIT, waiting).await.unwrap();
        let acker = Arc::clone(&self.world) as Arc<dyn Acker>;
        sender.send(Incoming::new(body.into(), redelivered, None, tag, acker)).await.unwrap();
    }

    async fn settled(&mut self) -> (u64, Settlement) {
        tokio::time::timeout(LIMIT, self.settled.recv()).await.unwrap().unwrap()
    }

    async fn recorded(&mut self) -> AttemptRecord {
        tokio::time::timeout(LIMIT, self.records.recv()).await.unwrap().unwrap()
    }
}

/// `padding` bytes larger than the sample.
fn event(claim: bool, padding: usize) -> Vec<u8> {
    let mut event = payload::sample(EventType::RunCreated);
    event.id = SystemIds.uuid().to_string();
    event.instance = "default".into();
    event.extra_json = format!(r#"{{"padding":"{}"}}"#, "x".repeat(padding));
    let publish_id = uuid_bytes(SystemIds.uuid());
    AcceptedEvent { publish_id, claim, accepted_at: 1, event: Some(event) }.encode_to_vec()
}

fn task(webhook_id: i64) -> Vec<u8> {
    let delivery = DeliveryRef {
        delivery_id: uuid_bytes(Uuid::from_u128(webhook_id.unsigned_abs().into())),
        instance: "default".into(),
        webhook_id,
        event_type: "run.deleted".into(),
        format: "generic".into(),
        ..Default::default()
    };
    DeliveryTask { delivery: Some(delivery), number: 2, generation: 0, body: "{}".into() }.encode_to_vec()
}

#[tokio::test]
async fn an_event_for_nobody_is_acknowledged_and_leaves_no_trace() {
    let mut bench = Bench::start();
    bench.send(Lane::Events, 7, false, event(false, 0)).await;
    assert_eq!(bench.settled().await, (7, Settlement::Ack));
    assert!(bench.world.opened.lock().unwrap().is_empty());
    // An id that the publisher gave is claimed all the same.
    bench.send(Lane::Events, 8, false, event(true, 0)).await;
    assert_eq!(bench.settled().await, (8, Settlement::Ack));
    assert_eq!(*bench.world.opened.lock().unwrap(), [1]);
}

#[tokio::test]
async fn only_what_is_known_to_be_deleted_is_cancelled() {
    let mut bench = Bench::start();
    for (webhook, held) in [(PAUSED, true), (UNKNOWN, true), (UNUSABLE, true), (DELETED, false)] {
        bench.send(Lane::DeliverSlow, webhook.unsigned_abs(), false, task(webhook)).await;
        let record = bench.recorded().await;
        match record.what.unwrap() {
            What::Hold(hold) => assert!(held && hold.config_version == 5, "{webhook}: {hold:?}"),
            What::Cancel(cancel) => assert!(!held && cancel.error == "webhook deleted", "{webhook}: {cancel:?}"),
            What::Attempt(attempt) => panic!("{webhook}: {attempt:?}"),
        }
        assert_eq!(bench.settled().await, (webhook.unsigned_abs(), Settlement::Ack));
    }
}

#[tokio::test]
async fn a_redelivered_event_for_an_unknown_webhook_waits_in_history() {
    let mut bench = Bench::start();
    bench.send(Lane::Events, 7, true, event(true, 0)).await;
    let record = bench.recorded().await;
    assert_eq!((record.delivery.unwrap().webhook_id, record.number), (UNKNOWN, 1));
    assert!(matches!(record.what, Some(What::Hold(_))), "{:?}", record.what);
    assert_eq!(bench.settled().await, (7, Settlement::Ack));
}

#[tokio::test]
async fn large_events_are_opened_in_parts() {
    let mut bench = Bench::start();
    for tag in 0..40 {
        bench.send(Lane::Events, tag, false, event(true, 250_000)).await;
    }
    for _ in 0..40 {
        assert_eq!(bench.settled().await.1, Settlement::Ack);
    }
    let opened = bench.world.opened.lock().unwrap().clone();
    assert_eq!(opened.iter().sum::<usize>(), 40);
    assert!(opened.iter().all(|events| *events <= 8), "at most 2 MiB in one call: {opened:?}");
}

#[tokio::test]
async fn a_lane_that_ends_by_itself_ends_the_program() {
    let bench = Bench::start();
    bench.send(Lane::Events, 7, false, event(false, 0)).await;
    bench.world.lanes.lock().unwrap().clear();
    tokio::time::timeout(LIMIT, bench.tasks.failed()).await.unwrap();
}
