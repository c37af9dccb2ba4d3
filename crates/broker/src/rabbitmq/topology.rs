//! Exchanges, queues and their arguments: [`Topology::new`] is the whole list.
//!
//! Everything is declared at each connect, which changes nothing on a broker that has it already. Arguments of a queue
//! cannot be changed later, so what may differ between configurations (the delays) is part of a queue's name.

use std::time::Duration;

use lapin::{
    Channel, Connection, ErrorKind, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::{AMQPValue, FieldTable, ShortString},
};

use crate::{Lane, delays::Delays};

/// A quorum queue killed within half a second of its declaration can lose its leader for good; from a second on it
/// does not (seen on 3.10).
const SETTLE: Duration = Duration::from_millis(1200);

/// How often a message of `events` and `deliver.*` may come back before it is parked.
///
/// What counts is RabbitMQ's business:
/// - `basic.reject`: a consumer gave it back ([`Incoming::requeue`](crate::Incoming::requeue), or dropped). That is how a
///   poisonous message gets to the parked queue.
/// - The end of its channel while it was out: the consumer's process or connection died. Up to 4.2 also if it was not
///   acknowledged within the broker's `consumer_timeout` (30 minutes by default).
/// - `basic.nack`, up to 4.2: an orderly stop gives back by it what was prefetched, though nobody failed at it. So on
///   those versions a message at the head of its queue is parked after 20 restarts without progress in between.
///
/// A wait in `delay.*` starts the count anew: dead-lettering makes another message of it. Those queues have no consumers.
const DELIVERY_LIMIT: u32 = 20;

/// As good as none (RabbitMQ 4 has a default of 20). For `parked`: looking at it must not remove from it. For `history`:
/// its consumer parks by itself what it cannot read, and holds on to the rest however long its database is away, so
/// that only time-outs and restarts would be counted.
const NO_DELIVERY_LIMIT: u32 = 1_000_000;

/// How many times the bytes of `events` the queues behind it may hold. What is published to them takes the place of
/// something that was let in at `events` and is acknowledged only after that, so one of them being full holds up what
/// empties it: it is to happen to `events` long before.
const INTERNAL_TIMES: i64 = 4;

/// Where a message is published to, and the queue that it gets to, for errors.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) exchange: ShortString,
    pub(super) key: ShortString,
    pub(super) queue: String,
}

#[derive(Debug)]
struct Exchange {
    name: String,
    kind: ExchangeKind,
}

#[derive(Debug)]
struct Queue {
    name: String,
    /// The exchange that it is bound to, and the keys: also the names of queues, which is the key of a message that was
    /// put straight into one (over the default exchange) when RabbitMQ moves it on from there.
    source: String,
    keys: Vec<String>,
    /// What leaves it unacknowledged goes to this exchange and keeps its routing key.
    dead_letters_to: Option<String>,
    ttl: Option<Duration>,
    delivery_limit: i64,
    max_bytes: i64,
}

/// What there is on the broker.
#[derive(Debug)]
pub(super) struct Topology {
    prefix: String,
    exchanges: Vec<Exchange>,
    queues: Vec<Queue>,
}

/// Why it could not be declared.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeclareError {
    #[error(
        "queue {queue} exists with other arguments ({detail}): another version declared it; let that version work it off, \
         then remove it with `rabbitmqctl delete_queue {queue}`"
    )]
    Conflict { queue: String, detail: String },
    #[error("cannot declare {name}: {source}")]
    Failed { name: String, source: lapin::Error },
}

/// Routing key of a lane in its exchange, and in the one for dead letters.
const fn key(lane: Lane) -> &'static str {
    match lane {
        Lane::Events => "events",
        Lane::DeliverFast => "fast",
        Lane::DeliverSlow => "slow",
        Lane::History => "history",
    }
}

impl Topology {
    /// `max_bytes`: what `events` may hold.
    pub(super) fn new(prefix: &str, delays: &Delays, max_bytes: u64) -> Self {
        let max_bytes = i64::try_from(max_bytes).unwrap_or(i64::MAX);
        let internal_max_bytes = max_bytes.saturating_mul(INTERNAL_TIMES);
        let name = |rest: &str| format!("{prefix}.{rest}");
        let direct = |rest| Exchange { name: name(rest), kind: ExchangeKind::Direct };
        let lane = |rest, exchange, lane| Queue {
            name: name(rest),
            source: name(exchange),
            keys: vec![key(lane).to_owned()],
            dead_letters_to: Some(name("dead")),
            ttl: None,
            delivery_limit: Self::delivery_limit(lane).into(),
            max_bytes: if lane == Lane::Events { max_bytes } else { internal_max_bytes },
        };
        let parked = Queue {
            name: name("parked"),
            source: name("dead"),
            keys: Lane::ALL.into_iter().flat_map(|lane| [key(lane).to_owned(), name(lane.name())]).collect(),
            dead_letters_to: None,
            ttl: None,
            delivery_limit: NO_DELIVERY_LIMIT.into(),
            max_bytes,
        };
        let delay = |delay| Queue {
            name: name(&delay_name(delay)),
            source: name(&delay_name(delay)),
            keys: vec![String::new()],
            dead_letters_to: Some(name("deliver")),
            ttl: Some(delay),
            delivery_limit: DELIVERY_LIMIT.into(),
            max_bytes: internal_max_bytes,
        };
        let mut exchanges = vec![direct("events"), direct("deliver"), direct("history"), direct("dead")];
        exchanges
            .extend(delays.iter().map(|delay| Exchange { name: name(&delay_name(delay)), kind: ExchangeKind::Fanout }));
        let mut queues = vec![
            parked,
            lane("events", "events", Lane::Events),
            lane("deliver.fast", "deliver", Lane::DeliverFast),
            lane("deliver.slow", "deliver", Lane::DeliverSlow),
            lane("history", "history", Lane::History),
        ];
        let straight_into_a_delay = [name("parked"), name(Lane::DeliverSlow.name())];
        for queue in queues.iter_mut().filter(|queue| straight_into_a_delay.contains(&queue.name)) {
            queue.keys.extend(delays.iter().map(|delay| name(&delay_name(delay))));
        }
        queues.extend(delays.iter().map(delay));
        Self { prefix: prefix.to_owned(), exchanges, queues }
    }

    /// The queue of a lane.
    pub(super) fn queue(&self, lane: Lane) -> String {
        format!("{}.{}", self.prefix, lane.name())
    }

    /// Where a message for a lane goes, through the queue of its delay if it has one.
    pub(super) fn route(&self, lane: Lane, delay: Duration) -> Route {
        let key = key(lane).into();
        if !delay.is_zero() {
            let name = format!("{}.{}", self.prefix, delay_name(delay));
            return Route { exchange: name.as_str().into(), key, queue: name };
        }
        let exchange = match lane {
            Lane::Events => "events",
            Lane::DeliverFast | Lane::DeliverSlow => "deliver",
            Lane::History => "history",
        };
        Route { exchange: format!("{}.{exchange}", self.prefix).as_str().into(), key, queue: self.queue(lane) }
    }

    /// How often a message of a lane may come back before RabbitMQ parks it.
    pub(super) const fn delivery_limit(lane: Lane) -> u32 {
        match lane {
            Lane::History => NO_DELIVERY_LIMIT,
            Lane::Events | Lane::DeliverFast | Lane::DeliverSlow => DELIVERY_LIMIT,
        }
    }

    /// The queue of what cannot be worked on.
    pub(super) fn parked_queue(&self) -> String {
        format!("{}.parked", self.prefix)
    }

    /// The lane of a queue.
    pub(super) fn lane_of_queue(&self, queue: &str) -> Option<Lane> {
        let name = queue.strip_prefix(&self.prefix)?.strip_prefix('.')?;
        Lane::ALL.into_iter().find(|lane| lane.name() == name)
    }

    /// The lane that a message was on its way to, by its routing key. That is the name of the queue for a message that
    /// was put straight into it.
    pub(super) fn lane_of_key(&self, routing_key: &str) -> Option<Lane> {
        Lane::ALL.into_iter().find(|lane| key(*lane) == routing_key).or_else(|| self.lane_of_queue(routing_key))
    }

    /// Where messages that cannot be worked on go.
    pub(super) fn parked(&self, lane: Lane) -> Route {
        Route {
            exchange: format!("{}.dead", self.prefix).as_str().into(),
            key: key(lane).into(),
            queue: self.parked_queue(),
        }
    }

    /// Declares everything; waits until it has settled if some of it is new.
    pub(super) async fn declare(&self, connection: &Connection) -> Result<(), DeclareError> {
        let failed = |name: &str| {
            let name = name.to_owned();
            |source| DeclareError::Failed { name, source }
        };
        let new = self.is_new(connection).await?;
        let channel = connection.create_channel().await.map_err(failed("a channel"))?;
        for exchange in &self.exchanges {
            let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
            channel
                .exchange_declare(exchange.name.as_str().into(), exchange.kind.clone(), options, FieldTable::default())
                .await
                .map_err(failed(&exchange.name))?;
        }
        for queue in &self.queues {
            Self::declare_queue(&channel, queue).await.map_err(|error| conflict(&queue.name, error))?;
        }
        if new {
            tracing::info!(prefix = self.prefix, "queues are new on this broker; waiting until they have settled");
            tokio::time::sleep(SETTLE).await;
        }
        Ok(())
    }

    async fn declare_queue(channel: &Channel, queue: &Queue) -> Result<(), lapin::Error> {
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        channel.queue_declare(queue.name.as_str().into(), options, Self::arguments(queue)).await?;
        for key in &queue.keys {
            channel
                .queue_bind(
                    queue.name.as_str().into(),
                    queue.source.as_str().into(),
                    key.as_str().into(),
                    QueueBindOptions::default(),
                    FieldTable::default(),
                )
                .await?;
        }
        Ok(())
    }

    fn arguments(queue: &Queue) -> FieldTable {
        let text = |text: &str| AMQPValue::LongString(text.into());
        let mut arguments = FieldTable::default();
        let mut set = |name: &str, value| {
            arguments.insert(name.into(), value);
        };
        set("x-queue-type", text("quorum"));
        set("x-overflow", text("reject-publish"));
        set("x-max-length-bytes", AMQPValue::LongLongInt(queue.max_bytes));
        set("x-delivery-limit", AMQPValue::LongLongInt(queue.delivery_limit));
        if let Some(exchange) = &queue.dead_letters_to {
            set("x-dead-letter-strategy", text("at-least-once"));
            set("x-dead-letter-exchange", text(exchange));
        }
        if let Some(ttl) = queue.ttl {
            let milliseconds = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
            set("x-message-ttl", AMQPValue::LongLongInt(milliseconds));
        }
        arguments
    }

    /// Whether any of the queues is not there yet. Asking for a missing queue closes the channel, so it is one of its own.
    async fn is_new(&self, connection: &Connection) -> Result<bool, DeclareError> {
        let failed = |source| DeclareError::Failed { name: "a channel".to_owned(), source };
        let channel = connection.create_channel().await.map_err(failed)?;
        for queue in &self.queues {
            let options = QueueDeclareOptions { passive: true, durable: true, ..Default::default() };
            match channel.queue_declare(queue.name.as_str().into(), options, FieldTable::default()).await {
                Ok(_) => {}
                Err(error) if is_soft(&error, &AMQPSoftError::NOTFOUND) => return Ok(true),
                Err(source) => return Err(DeclareError::Failed { name: queue.name.clone(), source }),
            }
        }
        Ok(false)
    }
}

/// `120s`, or `500ms` for what is not whole seconds.
fn delay_name(delay: Duration) -> String {
    let milliseconds = delay.as_millis();
    if milliseconds.is_multiple_of(1000) {
        format!("delay.{}s", milliseconds / 1000)
    } else {
        format!("delay.{milliseconds}ms")
    }
}

pub(super) fn is_soft(error: &lapin::Error, soft: &AMQPSoftError) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error)
        if matches!(error.kind(), AMQPErrorKind::Soft(kind) if kind == soft))
}

fn conflict(queue: &str, source: lapin::Error) -> DeclareError {
    if is_soft(&source, &AMQPSoftError::PRECONDITIONFAILED)
        && let ErrorKind::ProtocolError(error) = source.kind()
    {
        return DeclareError::Conflict { queue: queue.to_owned(), detail: error.get_message().to_string() };
    }
    DeclareError::Failed { name: queue.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology() -> Topology {
        let delays = Delays::new(vec![Duration::ZERO, Duration::from_secs(120), Duration::from_millis(500)]);
        Topology::new("wh", &delays, 1024)
    }

    #[test]
    fn each_delay_has_a_queue_of_its_own() {
        let names: Vec<_> = topology().queues.into_iter().map(|queue| queue.name).collect();
        let expected = [
            "wh.parked",
            "wh.events",
            "wh.deliver.fast",
            "wh.deliver.slow",
            "wh.history",
            "wh.delay.500ms",
            "wh.delay.120s",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn limits_hold_back_what_is_new_and_not_what_was_let_in() {
        let limits: Vec<_> =
            topology().queues.into_iter().map(|queue| (queue.name, queue.max_bytes, queue.delivery_limit)).collect();
        let expected = [
            ("wh.parked", 1024, 1_000_000),
            ("wh.events", 1024, 20),
            ("wh.deliver.fast", 4096, 20),
            ("wh.deliver.slow", 4096, 20),
            ("wh.history", 4096, 1_000_000),
            ("wh.delay.500ms", 4096, 20),
            ("wh.delay.120s", 4096, 20),
        ]
        .map(|(name, bytes, deliveries)| (name.to_owned(), bytes, deliveries));
        assert_eq!(limits, expected);
    }

    /// RabbitMQ keeps what it can route nowhere, and moves nothing on any more once there is enough of it.
    #[test]
    fn what_was_put_straight_into_a_queue_can_be_moved_on() {
        let queues = topology().queues;
        for queue in queues.iter().filter(|queue| queue.dead_letters_to.is_some()) {
            let to = |to: &&Queue| Some(&to.source) == queue.dead_letters_to.as_ref() && to.keys.contains(&queue.name);
            let to: Vec<_> = queues.iter().filter(to).map(|to| to.name.as_str()).collect();
            assert_eq!(to, [if queue.ttl.is_some() { "wh.deliver.slow" } else { "wh.parked" }], "{}", queue.name);
            assert!(queues.iter().any(|to| to.name == "wh.parked" && to.keys.contains(&queue.name)), "{}", queue.name);
        }
    }

    #[test]
    fn a_routing_key_tells_the_lane() {
        let topology = topology();
        for lane in Lane::ALL {
            assert_eq!(topology.lane_of_key(key(lane)), Some(lane));
            assert_eq!(topology.lane_of_key(&topology.queue(lane)), Some(lane));
        }
        for strange in ["", "wh.", "wh.parked", "whevents", "deliver.fast", "wh.delay.120s"] {
            assert_eq!(topology.lane_of_key(strange), None, "{strange}");
        }
    }

    #[test]
    fn a_delayed_message_keeps_the_key_of_its_lane() {
        let topology = topology();
        let route = topology.route(Lane::DeliverSlow, Duration::from_secs(120));
        assert_eq!((route.exchange.as_str(), route.key.as_str()), ("wh.delay.120s", "slow"));
        let route = topology.route(Lane::DeliverSlow, Duration::ZERO);
        assert_eq!((route.exchange.as_str(), route.key.as_str()), ("wh.deliver", "slow"));
    }

    #[test]
    fn every_route_leads_to_a_declared_queue() {
        let topology = topology();
        for lane in Lane::ALL {
            for route in [topology.route(lane, Duration::ZERO), topology.parked(lane)] {
                let queue = topology.queues.iter().find(|queue| queue.name == route.queue).expect("declared");
                assert_eq!(queue.source, route.exchange.as_str());
                assert!(queue.keys.iter().any(|key| key == route.key.as_str()), "{route:?}");
            }
        }
    }
}
