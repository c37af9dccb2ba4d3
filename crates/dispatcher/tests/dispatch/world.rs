//! What stands around the dispatcher, and what is sent into it.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use broker::{Acker, Broker, BrokerError, Consumer, Incoming, Lane, Outgoing, PublishError, Settlement};
use dispatcher::{Parts, RecordSink, Settings};
use domain::{AddressPolicy, EventType, IdSource as _, RetrySchedule, Secret, SystemClock, SystemIds};
use prost::Message as _;
use proto::{
    channel::LocalServices,
    convert::uuid_bytes,
    internal::v1::{
        AcceptedEvent, AttemptRecord, AuthenticateRequest, AuthenticateResponse, ChangesRequest, ChangesResponse,
        CheckPlanRequest, CheckPlanResponse, CheckRequest, CheckResponse, DeactivateFailingRequest,
        DeactivateFailingResponse, DeliveryRef, DeliveryTask, OpenDelivery, OpenEvent, OpenOutcome, OpenRequest,
        OpenResponse, OpenResult, QueueTestRequest, QueueTestResponse, RecordRequest, RecordResponse, SigningSecret,
        SkipReason, WebhookConfig,
        configuration_server::{Configuration, ConfigurationServer},
        recording_server::{Recording, RecordingServer},
    },
};
use runtime::{Resolver, Tasks};
use tokio::sync::{Semaphore, mpsc};
use tonic::{Request, Response, Status, service::Routes};
use uuid::Uuid;

pub(crate) const LIMIT: Duration = Duration::from_secs(10);
/// How long an endpoint must have failed for attempts to it to be spaced.
pub(crate) const BREAKER_AFTER: Duration = Duration::from_millis(200);

/// Everything around the dispatcher.
pub(crate) struct World {
    pub(crate) lanes: Mutex<Vec<(Lane, mpsc::Sender<Incoming>)>>,
    told: Mutex<Told>,
    settled: mpsc::UnboundedSender<(u64, Settlement)>,
    records: mpsc::UnboundedSender<AttemptRecord>,
    /// What was published.
    pub(crate) published: Mutex<Vec<Outgoing>>,
    /// The events of each call to `Open`, and those that history is told of later.
    pub(crate) opened: Mutex<Vec<Vec<OpenEvent>>>,
    /// Whether history cannot be asked about events.
    pub(crate) without_history: AtomicBool,
    /// Telling it of them later waits for a permit.
    pub(crate) telling: Semaphore,
    /// What of a redelivered event is to be sent.
    unsent: Mutex<Vec<OpenDelivery>>,
    /// What is answered of retries: whether to send them, and whether the attempt before is recorded.
    pub(crate) checked: Mutex<(bool, bool)>,
    /// How many lookups of names have begun; each waits for a permit.
    pub(crate) lookups_begun: AtomicUsize,
    pub(crate) lookups: Semaphore,
}

/// What the subscription service knows.
#[derive(Clone, Default)]
struct Told {
    version: i64,
    webhooks: Vec<WebhookConfig>,
    /// Versions that somebody has asked for news since.
    asked: Vec<i64>,
    /// How many questions more find nobody there.
    away: usize,
}

impl Told {
    fn save(&mut self, webhook: WebhookConfig) {
        self.version += 1;
        let version = self.version;
        self.webhooks.retain(|known| known.id != webhook.id);
        self.webhooks.push(WebhookConfig { version, ..webhook });
    }
}

#[async_trait]
impl Broker for World {
    async fn publish(&self, messages: Vec<Outgoing>) -> Vec<Result<(), PublishError>> {
        let answers = messages.iter().map(|_| Ok(())).collect();
        self.published.lock().unwrap().extend(messages);
        answers
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

    async fn open(&self, event: &OpenEvent) -> Result<(), String> {
        let _told = self.telling.acquire().await.unwrap();
        self.opened.lock().unwrap().push(vec![event.clone()]);
        Ok(())
    }
}

#[async_trait]
impl Resolver for World {
    async fn resolve(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        self.lookups_begun.fetch_add(1, Ordering::SeqCst);
        self.lookups.acquire().await.unwrap().forget();
        Ok(vec![Ipv4Addr::LOCALHOST.into()])
    }
}

struct Service(Arc<World>);

#[tonic::async_trait]
impl Configuration for Service {
    async fn changes(&self, request: Request<ChangesRequest>) -> Result<Response<ChangesResponse>, Status> {
        let since = request.get_ref().since;
        let mut told = self.0.told.lock().unwrap();
        if told.away > 0 {
            told.away -= 1;
            return Err(Status::unavailable("nobody is there"));
        }
        told.asked.push(since);
        let webhooks = told.webhooks.iter().filter(|webhook| webhook.version > since).cloned().collect();
        Ok(Response::new(ChangesResponse { version: told.version, webhooks, ..Default::default() }))
    }
    async fn authenticate(&self, _: Request<AuthenticateRequest>) -> Result<Response<AuthenticateResponse>, Status> {
        Err(Status::unauthenticated("nobody"))
    }
    async fn check_plan(&self, _: Request<CheckPlanRequest>) -> Result<Response<CheckPlanResponse>, Status> {
        Err(Status::unimplemented("the dispatcher asks for no plan"))
    }
    async fn deactivate_failing(
        &self,
        _: Request<DeactivateFailingRequest>,
    ) -> Result<Response<DeactivateFailingResponse>, Status> {
        Err(Status::unimplemented("the dispatcher deactivates nothing"))
    }
}

#[tonic::async_trait]
impl Recording for Service {
    async fn open(&self, request: Request<OpenRequest>) -> Result<Response<OpenResponse>, Status> {
        if self.0.without_history.load(Ordering::SeqCst) {
            return Err(Status::unavailable("nobody is there"));
        }
        let events = request.into_inner().events;
        self.0.opened.lock().unwrap().push(events.clone());
        let result = |event: &OpenEvent| match event.redelivered {
            true => {
                OpenResult { outcome: OpenOutcome::Redelivered.into(), unsent: self.0.unsent.lock().unwrap().clone() }
            }
            false => OpenResult { outcome: OpenOutcome::New.into(), unsent: Vec::new() },
        };
        Ok(Response::new(OpenResponse { results: events.iter().map(result).collect() }))
    }
    async fn record(&self, _: Request<RecordRequest>) -> Result<Response<RecordResponse>, Status> {
        Ok(Response::new(RecordResponse::default()))
    }
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let (send, previous_recorded) = *self.0.checked.lock().unwrap();
        let count = request.get_ref().items.len();
        Ok(Response::new(CheckResponse { send: vec![send; count], previous_recorded: vec![previous_recorded; count] }))
    }
    async fn queue_test(&self, _: Request<QueueTestRequest>) -> Result<Response<QueueTestResponse>, Status> {
        Err(Status::unimplemented("the dispatcher queues no tests"))
    }
}

/// An active webhook of the instance `default` for all projects, and the secret that it signs with.
pub(crate) fn webhook(id: i64, url: &str, events: &[&str]) -> WebhookConfig {
    let secret = SigningSecret { text: Secret::generate(&SystemIds).reveal().to_owned(), expires_at: None, id: 1 };
    WebhookConfig {
        id,
        instance: "default".into(),
        active: true,
        r#type: "generic".into(),
        url: url.to_owned(),
        events: events.iter().map(|event| (*event).to_owned()).collect(),
        all_projects: true,
        secrets: vec![secret],
        ..Default::default()
    }
}

pub(crate) struct Bench {
    pub(crate) world: Arc<World>,
    pub(crate) tasks: Tasks,
    settled: mpsc::UnboundedReceiver<(u64, Settlement)>,
    records: mpsc::UnboundedReceiver<AttemptRecord>,
}

impl Bench {
    /// The dispatcher, when these webhooks are known to the subscription service; `room` attempts at once.
    pub(crate) fn start(webhooks: Vec<WebhookConfig>, room: u16) -> Self {
        let mut told = Told::default();
        webhooks.into_iter().for_each(|webhook| told.save(webhook));
        let (settled_sender, settled) = mpsc::unbounded_channel();
        let (record_sender, records) = mpsc::unbounded_channel();
        let world = Arc::new(World {
            lanes: Mutex::default(),
            told: Mutex::new(told),
            settled: settled_sender,
            records: record_sender,
            published: Mutex::default(),
            opened: Mutex::default(),
            without_history: AtomicBool::new(false),
            telling: Semaphore::new(0),
            unsent: Mutex::default(),
            checked: Mutex::new((true, false)),
            lookups_begun: AtomicUsize::new(0),
            lookups: Semaphore::new(0),
        });
        let services = LocalServices::default();
        let recording = RecordingServer::new(Service(Arc::clone(&world))).max_decoding_message_size(64 << 20);
        let configuration = ConfigurationServer::new(Service(Arc::clone(&world)));
        services.set(Routes::new(recording).add_service(configuration));
        let settings = Settings {
            policy: AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]),
            extra_roots: None,
            timeout: LIMIT,
            connect_timeout: LIMIT,
            schedule: RetrySchedule::default(),
            max_in_flight: room,
            max_in_flight_slow: room / 2,
            max_in_flight_per_slow_webhook: 2,
            breaker_after: BREAKER_AFTER,
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

    /// Saves a webhook under the next version.
    pub(crate) fn save(&self, webhook: WebhookConfig) {
        self.world.told.lock().unwrap().save(webhook);
    }

    /// The subscription service saves a webhook, and is away for so many questions at once.
    pub(crate) fn save_and_leave(&self, webhook: WebhookConfig, questions: usize) {
        let mut told = self.world.told.lock().unwrap();
        told.save(webhook);
        told.away = questions;
    }

    /// A backup of all webhooks; to go back to it, call what is answered.
    pub(crate) fn back_up(&self) -> impl FnOnce() + use<> {
        let (world, backup) = (Arc::clone(&self.world), self.world.told.lock().unwrap().clone());
        move || *world.told.lock().unwrap() = backup
    }

    /// Waits until the dispatcher knows what is saved, because it asks what has changed since.
    pub(crate) async fn known(&self) {
        blackbox::wait::eventually(LIMIT, "what is saved is known", async || {
            let told = self.world.told.lock().unwrap();
            (told.asked.last() == Some(&told.version)).then_some(())
        })
        .await;
    }

    /// What of redelivered events is to be sent.
    pub(crate) fn set_unsent(&self, webhook_id: i64, format: &str) {
        *self.world.unsent.lock().unwrap() = vec![OpenDelivery { webhook_id, format: format.to_owned() }];
    }

    /// The deliveries (webhook and format) and the formats of the bodies of all events opened so far, in order.
    pub(crate) fn opened(&self) -> (Vec<(i64, String)>, Vec<String>) {
        let opened = self.world.opened.lock().unwrap().concat();
        let mut deliveries: Vec<_> = opened.iter().flat_map(|event| event.deliveries.clone()).collect();
        deliveries.sort_by_key(|delivery| delivery.webhook_id);
        let bodies = opened.iter().flat_map(|event| event.bodies.iter().map(|body| body.format.clone()));
        (deliveries.into_iter().map(|to| (to.webhook_id, to.format)).collect(), bodies.collect())
    }

    /// The webhooks that skip events opened so far, with the reason.
    pub(crate) fn skipped(&self) -> Vec<(i64, SkipReason)> {
        let opened = self.world.opened.lock().unwrap().concat();
        let skipped = opened.iter().flat_map(|event| &event.skipped);
        let mut skipped: Vec<_> = skipped.map(|by| (by.webhook_id, by.reason())).collect();
        skipped.sort_by_key(|by| by.0);
        skipped
    }

    /// Puts a message into a lane, once it is consumed.
    pub(crate) async fn send(&self, lane: Lane, tag: u64, redelivered: bool, body: Vec<u8>) {
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

    pub(crate) async fn settled(&mut self) -> (u64, Settlement) {
        tokio::time::timeout(LIMIT, self.settled.recv()).await.unwrap().unwrap()
    }

    /// Whether no message was settled since the last that was asked for.
    pub(crate) fn unsettled(&mut self) -> bool {
        self.settled.try_recv().is_err()
    }

    pub(crate) async fn recorded(&mut self) -> AttemptRecord {
        tokio::time::timeout(LIMIT, self.records.recv()).await.unwrap().unwrap()
    }
}

/// The trace context of [`event`]s and of [`task`]s: trace id, span id, flags.
pub(crate) const TRACE: &[u8] = b"its own trace id, no mor\x01";

/// A `run.created`, with this as its publisher's own JSON.
pub(crate) fn event_with(claim: bool, extra_json: String) -> Vec<u8> {
    let mut event = payload::sample(EventType::RunCreated);
    event.id = SystemIds.uuid().to_string();
    event.instance = "default".into();
    event.extra_json = extra_json;
    let publish_id = uuid_bytes(SystemIds.uuid());
    AcceptedEvent { publish_id, claim, accepted_at: 1, event: Some(event), trace: TRACE.into() }.encode_to_vec()
}

/// The body of [`task`].
pub(crate) const FIRST_RENDERED: &str = r#"{"as":"first rendered"}"#;

/// A `run.created`.
pub(crate) fn event(claim: bool) -> Vec<u8> {
    event_with(claim, String::new())
}

/// The second attempt of a delivery, as it comes when its wait is over.
pub(crate) fn task(webhook_id: i64, delivery_id: u128) -> Vec<u8> {
    delivery_task(webhook_id, delivery_id).encode_to_vec()
}

pub(crate) fn delivery_task(webhook_id: i64, delivery_id: u128) -> DeliveryTask {
    let delivery = DeliveryRef {
        delivery_id: uuid_bytes(Uuid::from_u128(delivery_id)),
        instance: "default".into(),
        webhook_id,
        event_type: "run.deleted".into(),
        format: "generic".into(),
        trace: TRACE.into(),
        ..Default::default()
    };
    let body = FIRST_RENDERED.into();
    DeliveryTask { delivery: Some(delivery), number: 2, generation: 0, body, manual: false, previous: None, due_at: 0 }
}
