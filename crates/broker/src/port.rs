//! What a caller sees of a broker, whichever adapter is behind it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::{Parked, ParkedSelection};

/// A stream of work with its own durable queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Accepted events, from ingest to the dispatcher.
    Events,
    /// Single deliveries that are expected to go well: released, replayed and retried by hand.
    DeliverFast,
    /// Single deliveries to endpoints that have failed or are slow.
    DeliverSlow,
    /// Records of attempts, from the dispatcher to history.
    History,
}

impl Lane {
    /// Every lane, for declaring and watching them.
    pub const ALL: [Self; 4] = [Self::Events, Self::DeliverFast, Self::DeliverSlow, Self::History];

    /// Stable name, used in queue names, metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::DeliverFast => "deliver.fast",
            Self::DeliverSlow => "deliver.slow",
            Self::History => "history",
        }
    }
}

/// A message on its way into a lane.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The lane that it ends up in.
    pub lane: Lane,
    /// How long it stays out of that lane; zero is at once. Delays other than the ones the broker was made with are
    /// refused, because each is a queue of its own.
    pub delay: Duration,
    /// The encoded message (protobuf); no secret may be in it.
    pub body: Bytes,
    /// Identifies the message in confirms and logs.
    pub message_id: Uuid,
    /// W3C `traceparent`, if there is one.
    pub traceparent: Option<String>,
}

/// Why a message was not taken. Nothing of it is kept, unless the confirm alone was lost ([`PublishError::Timeout`],
/// [`PublishError::Unavailable`]): the caller then publishes again and the consumer's idempotence does the rest.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum PublishError {
    /// The queue is at its length limit. That is for whoever brings new work ([`Lane::Events`]): the other lanes have
    /// no limit (embedded) or a far higher one (RabbitMQ), because a full one would hold up what empties it.
    #[error("queue {queue} is full; publish again later")]
    Full {
        /// The queue that refused.
        queue: String,
    },
    /// No confirm came in time.
    #[error("broker did not confirm within {seconds} s; publish again")]
    Timeout {
        /// How long was waited.
        seconds: u64,
    },
    /// The broker cannot be reached, or its disk is full.
    #[error("broker is unavailable: {reason}; publish again later")]
    Unavailable {
        /// What failed, for the log.
        reason: String,
    },
    /// The message can never be taken (no such delay, too large).
    #[error("broker refuses the message: {reason}")]
    Refused {
        /// What is wrong with it.
        reason: String,
    },
}

/// Why the broker as a whole cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// It could not be opened or reached at start.
    #[error("cannot open broker {address}: {reason}")]
    Open {
        /// Address or file, without credentials.
        address: String,
        /// What failed and what to do.
        reason: String,
    },
    /// It was closed by [`Broker::close`].
    #[error("broker is closed")]
    Closed,
    /// Work on the parked queue did not get to its end. What was done stays done, and all else is parked as before;
    /// at worst a message is both in its lane and parked.
    #[error("work on parked messages stopped after {done} of them: {reason}; run it again")]
    Parked {
        /// How many were put back into their lanes, dropped, or looked at.
        done: u64,
        /// What failed.
        reason: String,
    },
}

/// What a broker says that has no parked queue.
const NOTHING_PARKED: &str = "this broker has no parked queue";

/// The queues between the services.
///
/// Contract, held by `tests/contract.rs` for every adapter:
/// - `publish` answers `Ok` for a message only when it is durable.
/// - A message stays until it is acknowledged or parked; after a restart of this process or of the broker it comes again.
/// - Within a lane messages come roughly in order; nothing relies on it.
/// - A message that consumers give back too often is parked. What comes back because its consumer was dropped, or the
///   broker closed, is not to count (embedded; RabbitMQ: from 4.3 on, see `rabbitmq/topology.rs`).
/// - A parked message stays parked until it is requeued or dropped by hand.
/// - The adapter reconnects for ever by itself; a consumer never ends but by [`Broker::close`]. Should one end all the
///   same, `check` says so.
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// Publishes all `messages` at once, pipelined; answers in their order, one result for each.
    async fn publish(&self, messages: Vec<Outgoing>) -> Vec<Result<(), PublishError>>;

    /// Starts consuming a lane; at most `prefetch` messages are unacknowledged at a time.
    ///
    /// # Errors
    /// [`BrokerError::Closed`] after [`Broker::close`].
    async fn consume(&self, lane: Lane, prefetch: u16) -> Result<Consumer, BrokerError>;

    /// `Ok` while it can take and give messages; otherwise what is wrong, for the readiness check.
    async fn check(&self) -> Result<(), String>;

    /// Number of messages ready in a lane (delayed ones not counted), for metrics.
    async fn depth(&self, lane: Lane) -> Result<u64, String>;

    /// Number of parked messages, for metrics; cheap. Those that somebody is working on may be missing from it.
    ///
    /// # Errors
    /// What is wrong, for the log.
    async fn parked_depth(&self) -> Result<u64, String> {
        Err(NOTHING_PARKED.to_owned())
    }

    /// The parked messages, the oldest first: at most `limit`, and not more than 64 MiB of bodies (but at least one).
    /// They stay parked. One call at a time works on the parked queue, the others wait for it.
    ///
    /// # Errors
    /// [`BrokerError::Closed`] after [`Broker::close`], [`BrokerError::Parked`] if they could not be read.
    async fn parked(&self, _limit: usize) -> Result<Vec<Parked>, BrokerError> {
        Err(BrokerError::Parked { done: 0, reason: NOTHING_PARKED.to_owned() })
    }

    /// Puts parked messages back into the lanes that they came from, for consumers to try again as often as before, and
    /// answers how many. Each is durable in its lane before it leaves the parked queue. One that belongs to no lane
    /// stays parked. Consumers are told that they may have seen it ([`Incoming::redelivered`]).
    ///
    /// # Errors
    /// As [`Broker::parked`].
    async fn requeue_parked(&self, _selection: &ParkedSelection) -> Result<u64, BrokerError> {
        Err(BrokerError::Parked { done: 0, reason: NOTHING_PARKED.to_owned() })
    }

    /// Removes parked messages for good, and answers how many.
    ///
    /// # Errors
    /// As [`Broker::parked`].
    async fn drop_parked(&self, _selection: &ParkedSelection) -> Result<u64, BrokerError> {
        Err(BrokerError::Parked { done: 0, reason: NOTHING_PARKED.to_owned() })
    }

    /// Ends all consumers, waits for acknowledgements that are under way, and closes.
    async fn close(&self);
}

/// The receiving end of a lane.
#[derive(Debug)]
pub struct Consumer {
    receiver: mpsc::Receiver<Incoming>,
}

impl Consumer {
    /// For adapters: wraps the channel that they fill.
    #[must_use]
    pub const fn new(receiver: mpsc::Receiver<Incoming>) -> Self {
        Self { receiver }
    }

    /// The next message; `None` only after [`Broker::close`].
    pub async fn recv(&mut self) -> Option<Incoming> {
        loop {
            let incoming = self.receiver.recv().await?;
            if incoming.is_current() {
                return Some(incoming);
            }
        }
    }

    /// Waits for a message, then takes what else is there, up to `limit` in all. Empty only after [`Broker::close`].
    pub async fn recv_batch(&mut self, limit: usize) -> Vec<Incoming> {
        let mut batch = Vec::with_capacity(limit.min(64));
        while self.receiver.recv_many(&mut batch, limit).await > 0 {
            batch.retain(Incoming::is_current);
            if !batch.is_empty() {
                break;
            }
        }
        batch
    }
}

/// What is to become of a consumed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Done; remove it.
    Ack,
    /// Not done; give it to a consumer again.
    Requeue,
    /// Can never be done; move it to the parked queue with the reason.
    Park(String),
}

/// The adapter's side of a settlement. Must not block; failures are the adapter's to handle (an unsettled message
/// comes again).
pub trait Acker: Send + Sync + 'static {
    /// Settles the message that the adapter knows as `tag`.
    fn settle(&self, tag: u64, settlement: Settlement);

    /// Whether a settlement can still have an effect. If not (the connection it came over is lost, the broker is
    /// closed), the message comes again, and a [`Consumer`] passes over the copy that it has.
    fn is_current(&self) -> bool {
        true
    }
}

/// A consumed message. Dropped without being settled, it is requeued.
pub struct Incoming {
    /// The encoded message.
    pub body: Bytes,
    /// Whether it may have been given to a consumer before.
    pub redelivered: bool,
    /// W3C `traceparent` of the publisher, if there was one.
    pub traceparent: Option<String>,
    tag: u64,
    acker: Option<Arc<dyn Acker>>,
}

impl Incoming {
    /// For adapters: a message with the tag by which `acker` knows it.
    #[must_use]
    pub fn new(body: Bytes, redelivered: bool, traceparent: Option<String>, tag: u64, acker: Arc<dyn Acker>) -> Self {
        Self { body, redelivered, traceparent, tag, acker: Some(acker) }
    }

    /// Removes the message: all that it caused is durable.
    pub fn ack(mut self) {
        self.settle(Settlement::Ack);
    }

    /// Gives the message to a consumer again.
    pub fn requeue(mut self) {
        self.settle(Settlement::Requeue);
    }

    /// Moves the message to the parked queue, because it can never be worked on.
    pub fn park(mut self, reason: impl Into<String>) {
        self.settle(Settlement::Park(reason.into()));
    }

    fn is_current(&self) -> bool {
        self.acker.as_ref().is_some_and(|acker| acker.is_current())
    }

    fn settle(&mut self, settlement: Settlement) {
        if let Some(acker) = self.acker.take() {
            acker.settle(self.tag, settlement);
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.settle(Settlement::Requeue);
    }
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Incoming")
            .field("bytes", &self.body.len())
            .field("redelivered", &self.redelivered)
            .finish()
    }
}
