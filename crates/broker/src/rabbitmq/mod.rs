//! The queues in RabbitMQ 3.10 and up: quorum queues, publisher confirms, a connection each for publishing and
//! consuming, both brought back for ever.
//!
//! `topology` is what exists on the broker, `supervisor` keeps a connection up, `publisher` and `consumer` (with a
//! `session` for each subscription) use it, and so does `parked` for what people do with parked messages.

mod consumer;
mod headers;
mod health;
mod link;
mod parked;
mod publisher;
mod session;
mod supervisor;
mod topology;
mod tracker;
mod walk;

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use lapin::{
    options::QueueDeclareOptions,
    types::{FieldTable, ShortString},
};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    consumer::LaneConsumer,
    headers::TRACEPARENT,
    health::{Health, Watched},
    link::{DialError, Dialer, Role},
    parked::ParkedQueue,
    publisher::{Prepared, Publisher},
    supervisor::{LinkState, supervise},
    topology::Topology,
};
use crate::{
    Broker, BrokerError, Consumer, Lane, Outgoing, Parked, ParkedSelection, PublishError, delays::Delays, parked::Way,
    tasks,
};

const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
const DEPTH_TIMEOUT: Duration = Duration::from_secs(5);

/// Unix microseconds.
type Now = Arc<dyn Fn() -> i64 + Send + Sync>;

/// How a [`RabbitMq`] broker is to work.
#[derive(Clone)]
pub struct RabbitMqConfig {
    /// `amqp://` or `amqps://` address with credentials.
    pub url: String,
    /// The delays that messages of the delivery lanes may have; each is a queue. Zero need not be among them.
    pub delays: Vec<Duration>,
    /// How long a publisher waits for the confirm.
    pub confirm_timeout: Duration,
    /// Bytes that the queue `events` may hold before it refuses; the queues behind it get four times as much. The same
    /// for every process, because it is an argument of the queues.
    pub max_queue_bytes: u64,
    /// More roots for `amqps://`, in PEM.
    pub ca_file: Option<PathBuf>,
    /// First part of the names of all exchanges and queues.
    pub prefix: String,
    /// What connections are called in RabbitMQ's own listings.
    pub connection_name: String,
    /// The clock for when a message was parked: Unix time in microseconds. Without one that is known only of what
    /// RabbitMQ parks by itself.
    pub now: Option<Arc<dyn Fn() -> i64 + Send + Sync>>,
}

impl RabbitMqConfig {
    /// Configuration with 5 s for confirms and 4 GiB of events.
    #[must_use]
    pub fn new(url: impl Into<String>, delays: Vec<Duration>) -> Self {
        Self {
            url: url.into(),
            delays,
            confirm_timeout: Duration::from_secs(5),
            max_queue_bytes: 4 << 30,
            ca_file: None,
            prefix: "wh".to_owned(),
            connection_name: "testmo-webhooks".to_owned(),
            now: None,
        }
    }
}

// By hand, because the URL has a password in it.
impl fmt::Debug for RabbitMqConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RabbitMqConfig")
            .field("delays", &self.delays)
            .field("confirm_timeout", &self.confirm_timeout)
            .field("max_queue_bytes", &self.max_queue_bytes)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// The broker over RabbitMQ.
///
/// Dropped without [`Broker::close`], it closes in the background.
pub struct RabbitMq {
    delays: Delays,
    topology: Arc<Topology>,
    publisher: Arc<Publisher>,
    publish_link: watch::Receiver<LinkState>,
    consume_link: watch::Receiver<LinkState>,
    watched_consumers: Mutex<Vec<Watched>>,
    closing_consumers: CancellationToken,
    consumers: TaskTracker,
    closing_links: CancellationToken,
    supervisors: TaskTracker,
    parked: ParkedQueue,
    now: Option<Now>,
}

impl fmt::Debug for RabbitMq {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RabbitMq").field("delays", &self.delays).finish_non_exhaustive()
    }
}

impl RabbitMq {
    /// Connects, and declares exchanges and queues; takes over a second if those are new on this broker.
    ///
    /// # Errors
    /// [`BrokerError::Open`] if the broker cannot be reached or has queues of the same name with other arguments.
    pub async fn connect(config: RabbitMqConfig) -> Result<Arc<Self>, BrokerError> {
        let delays = Delays::new(config.delays);
        let topology = Arc::new(Topology::new(&config.prefix, &delays, config.max_queue_bytes));
        let ca_file = config.ca_file.as_deref();
        let dialer = Dialer::new(&config.url, ca_file, config.connection_name, Arc::clone(&topology))
            .map_err(|reason| BrokerError::Open { address: "broker.url".to_owned(), reason })?;
        let dialer = Arc::new(dialer);
        let closing_links = CancellationToken::new();
        let supervisors = TaskTracker::new();
        let mut states = Vec::with_capacity(2);
        for role in [Role::Publish, Role::Consume] {
            let link = match dialer.dial(role).await {
                Ok(link) => link,
                Err(error) => {
                    closing_links.cancel();
                    return Err(open_error(&dialer, &error));
                }
            };
            let (state, receiver) = watch::channel(LinkState::Up(Arc::clone(&link)));
            let task = supervise(Arc::clone(&dialer), role, link, state, closing_links.clone());
            drop(tasks::spawn(supervisors.track_future(task)));
            states.push(receiver);
        }
        let [publish_link, consume_link] = <[_; 2]>::try_from(states).map_err(|_| BrokerError::Closed)?;
        let publisher = Arc::new(Publisher::new(publish_link.clone(), config.confirm_timeout));
        let parked = ParkedQueue::new(Arc::clone(&topology), Arc::clone(&publisher), consume_link.clone());
        Ok(Arc::new(Self {
            delays,
            topology,
            publisher,
            publish_link,
            consume_link,
            watched_consumers: Mutex::new(Vec::new()),
            closing_consumers: CancellationToken::new(),
            consumers: TaskTracker::new(),
            closing_links,
            supervisors,
            parked,
            now: config.now,
        }))
    }

    fn prepare(&self, message: Outgoing) -> Prepared {
        let id = ShortString::from(message.message_id.to_string().as_str());
        let headers = message.traceparent.map(|value| (TRACEPARENT, value));
        Prepared::new(self.topology.route(message.lane, message.delay), message.body, id, headers)
    }

    /// Asks on a channel of its own: asking for a queue that is missing closes the channel. And over the connection for
    /// consuming: a broker that takes no messages does not read from the other.
    async fn message_count(&self, queue: String) -> Result<u64, String> {
        let state = self.consume_link.borrow().clone();
        let link = match state {
            LinkState::Up(link) => link,
            LinkState::Down(reason) => return Err(reason),
        };
        let options = QueueDeclareOptions { passive: true, durable: true, ..Default::default() };
        let ask = async {
            let channel = link.connection.create_channel().await?;
            let queue = channel.queue_declare(queue.as_str().into(), options, FieldTable::default()).await?;
            channel.close(200, "asked".into()).await?;
            Ok(queue.message_count())
        };
        let asked = timeout(DEPTH_TIMEOUT, ask).await;
        let counted = asked.map_err(|_| format!("no answer within {} s", DEPTH_TIMEOUT.as_secs()))?;
        counted.map(u64::from).map_err(|error: lapin::Error| error.to_string())
    }

    /// Does something with the parked queue; what fails because this was closed says so.
    async fn with_parked<T>(
        &self,
        work: impl Future<Output = Result<T, BrokerError>> + Send,
    ) -> Result<T, BrokerError> {
        if self.closing_consumers.is_cancelled() {
            return Err(BrokerError::Closed);
        }
        match work.await {
            Err(_) if self.closing_consumers.is_cancelled() => Err(BrokerError::Closed),
            worked => worked,
        }
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        self.closing_consumers.cancel();
        self.closing_links.cancel();
    }
}

fn open_error(dialer: &Dialer, error: &DialError) -> BrokerError {
    let reason = match error {
        DialError::Unreachable(_) => format!("{error}; {}", dialer.hint()),
        DialError::Declare(_) => error.to_string(),
    };
    BrokerError::Open { address: dialer.address(), reason }
}

#[async_trait]
impl Broker for RabbitMq {
    async fn publish(&self, messages: Vec<Outgoing>) -> Vec<Result<(), PublishError>> {
        let mut results: Vec<_> = messages.iter().map(|message| self.delays.check(message)).collect();
        let accepted: Vec<_> = messages
            .into_iter()
            .zip(&results)
            .filter(|(_, result)| result.is_ok())
            .map(|(message, _)| self.prepare(message))
            .collect();
        if accepted.is_empty() {
            return results;
        }
        let published = self.publisher.publish(accepted).await;
        for (result, published) in results.iter_mut().filter(|result| result.is_ok()).zip(published) {
            *result = published;
        }
        results
    }

    async fn consume(&self, lane: Lane, prefetch: u16) -> Result<Consumer, BrokerError> {
        if self.closing_consumers.is_cancelled() {
            return Err(BrokerError::Closed);
        }
        let prefetch = prefetch.max(1);
        let (sender, receiver) = mpsc::channel(usize::from(prefetch));
        let (health, watched) = watch::channel(Health::Well);
        let consumer = LaneConsumer {
            lane,
            prefetch,
            topology: Arc::clone(&self.topology),
            link: self.consume_link.clone(),
            publisher: Arc::clone(&self.publisher),
            closing: self.closing_consumers.clone(),
            health,
            now: self.now.clone(),
        };
        let watched = Watched { queue: self.topology.queue(lane), health: watched };
        self.watched_consumers.lock().unwrap_or_else(PoisonError::into_inner).push(watched);
        drop(tasks::spawn(self.consumers.track_future(consumer.run(sender))));
        Ok(Consumer::new(receiver))
    }

    async fn check(&self) -> Result<(), String> {
        if self.closing_consumers.is_cancelled() {
            return Err(BrokerError::Closed.to_string());
        }
        for link in [&self.publish_link, &self.consume_link] {
            if let Some(problem) = link.borrow().problem() {
                return Err(problem);
            }
            if link.has_changed().is_err() {
                return Err("connection is not looked after any more; restart this process".to_owned());
            }
        }
        let mut watched = self.watched_consumers.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|consumer| !consumer.is_over());
        watched.iter().find_map(Watched::problem).map_or(Ok(()), Err)
    }

    async fn depth(&self, lane: Lane) -> Result<u64, String> {
        self.message_count(self.topology.queue(lane)).await
    }

    async fn parked_depth(&self) -> Result<u64, String> {
        self.message_count(self.topology.parked_queue()).await
    }

    async fn parked(&self, limit: usize) -> Result<Vec<Parked>, BrokerError> {
        self.with_parked(self.parked.list(limit)).await
    }

    async fn requeue_parked(&self, selection: &ParkedSelection) -> Result<u64, BrokerError> {
        self.with_parked(self.parked.move_out(Way::BackToTheirLanes, selection)).await
    }

    async fn drop_parked(&self, selection: &ParkedSelection) -> Result<u64, BrokerError> {
        self.with_parked(self.parked.move_out(Way::Out, selection)).await
    }

    async fn close(&self) {
        self.closing_consumers.cancel();
        self.consumers.close();
        // A time-out: what is not acknowledged comes again.
        let _ = timeout(CLOSE_TIMEOUT, self.consumers.wait()).await;
        self.closing_links.cancel();
        self.supervisors.close();
        let _ = timeout(CLOSE_TIMEOUT, self.supervisors.wait()).await;
    }
}
