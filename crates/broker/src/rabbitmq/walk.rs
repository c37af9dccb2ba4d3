//! Going through the parked queue, message by message, while nobody else does.
//!
//! Each message is fetched singly, so that no more than one body is in memory, and stays unacknowledged until the walk
//! is over: RabbitMQ would otherwise give it again. Should the walk break off, the end of its channel gives back the rest.

use std::{collections::BTreeSet, time::Duration};

use lapin::{
    Channel,
    message::Delivery,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions,
        QueueDeclareOptions,
    },
    protocol::AMQPSoftError,
    types::{AMQPValue, FieldTable},
};
use tokio::time::{Instant, timeout};

use super::{
    link::Link,
    supervisor::Backoff,
    topology::{Topology, is_soft},
};

/// How long somebody else's work on the parked queue is waited for.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// How many messages more than were asked for are gone through to keep the order of the queue.
const ROUND: usize = 10_000;

/// How many messages are given back at once: with more than 32 commands under way, RabbitMQ sends on the others in any
/// order.
const GROUP: usize = 16;
const GROUP_LOOK: Duration = Duration::from_millis(2);
const GROUP_TIMEOUT: Duration = Duration::from_secs(1);

/// One pass over the messages that were there when it began: what is put back may be parked again while it goes on.
pub(super) struct Walk {
    channel: Channel,
    queue: String,
    /// How many are still to come; `None` before the first.
    left: Option<u32>,
    /// What was looked at and is still parked.
    open: BTreeSet<u64>,
    /// Whether the last message had been given back by an earlier walk.
    in_returned: bool,
    /// Dropped last: the lock is to outlive the channel that holds messages.
    lock: Lock,
}

/// Held by one walk on the broker. It is a queue that belongs to one connection and goes with its consumer, so that it
/// cannot be left behind.
struct Lock {
    channel: Channel,
    consumer: lapin::Consumer,
}

impl Walk {
    /// Waits until nobody else is at it.
    pub(super) async fn start(link: &Link, topology: &Topology) -> Result<Self, String> {
        let lock = Lock::take(link, &format!("{}.lock", topology.parked_queue())).await?;
        let channel = answered(link.connection.create_channel()).await?;
        Ok(Self {
            channel,
            queue: topology.parked_queue(),
            left: None,
            open: BTreeSet::new(),
            in_returned: false,
            lock,
        })
    }

    /// The next message. It stays parked unless it is removed.
    pub(super) async fn next(&mut self) -> Result<Option<Delivery>, String> {
        if self.left == Some(0) {
            return Ok(None);
        }
        let got = answered(self.channel.basic_get(self.queue.as_str().into(), BasicGetOptions::default())).await?;
        let Some(got) = got else {
            self.left = Some(0);
            return Ok(None);
        };
        self.left = Some(self.left.map_or(got.message_count, |left| left.saturating_sub(1)));
        self.open.insert(got.delivery.delivery_tag);
        self.in_returned = got.delivery.redelivered;
        Ok(Some(got.delivery))
    }

    /// Takes a message out of the parked queue.
    pub(super) async fn remove(&mut self, tag: u64) -> Result<(), String> {
        self.open.remove(&tag);
        answered(self.channel.basic_ack(tag, BasicAckOptions::default())).await
    }

    /// Gives back what stays, in its order, and lets the next one at it.
    pub(super) async fn end(mut self) -> Result<(), String> {
        let ended = self.give_all_back().await;
        self.lock.release().await;
        ended
    }

    async fn give_all_back(&mut self) -> Result<(), String> {
        let round = self.go_round().await;
        let mut ready = self.ready().await?;
        let open: Vec<u64> = std::mem::take(&mut self.open).into_iter().collect();
        for group in open.chunks(GROUP) {
            ready = ready.saturating_add(u32::try_from(group.len()).unwrap_or(u32::MAX));
            self.give_back(group, ready).await?;
        }
        // Answered when all before it has been done.
        answered(self.channel.close(200, "done".into())).await?;
        round
    }

    /// Gives back a few messages, and waits for a moment until the queue has them, which makes `ready` of them.
    async fn give_back(&self, group: &[u64], ready: u32) -> Result<(), String> {
        // What is below the last tag and not in the group has been settled.
        let Some(last) = group.last() else { return Ok(()) };
        answered(self.channel.basic_nack(*last, BasicNackOptions { requeue: true, multiple: true })).await?;
        let deadline = Instant::now() + GROUP_TIMEOUT;
        while self.ready().await? < ready && Instant::now() < deadline {
            tokio::time::sleep(GROUP_LOOK).await;
        }
        Ok(())
    }

    /// How many messages lie in the queue and are in nobody's hands.
    async fn ready(&self) -> Result<u32, String> {
        let options = QueueDeclareOptions { passive: true, durable: true, ..Default::default() };
        let asked = self.channel.queue_declare(self.queue.as_str().into(), options, FieldTable::default());
        answered(asked).await.map(|queue| queue.message_count())
    }

    /// RabbitMQ gives what was given back before all else, but in the order in which it was given back. So a walk that
    /// ended among such messages would put those that it has seen behind those that it has not.
    async fn go_round(&mut self) -> Result<(), String> {
        for _ in 0..ROUND {
            if !self.in_returned || self.next().await?.is_none() {
                break;
            }
        }
        Ok(())
    }
}

impl Lock {
    async fn take(link: &Link, name: &str) -> Result<Self, String> {
        let deadline = Instant::now() + LOCK_TIMEOUT;
        let mut backoff = Backoff::new();
        loop {
            let error = match timeout(ANSWER_TIMEOUT, Self::try_take(link, name)).await.map_err(|_| late())? {
                Ok(lock) => return Ok(lock),
                Err(error) => error,
            };
            // Not there: whoever had it on this connection has just left, and it went with them before it was held.
            if !is_soft(&error, &AMQPSoftError::RESOURCELOCKED) && !is_soft(&error, &AMQPSoftError::NOTFOUND) {
                return Err(error.to_string());
            }
            if Instant::now() > deadline {
                return Err("somebody else is working on parked messages".to_owned());
            }
            backoff.pause().await;
        }
    }

    /// The queue goes with its only consumer, so that the next one need not wait until the broker has seen the end of
    /// the channel. Step by step: lapin sends what ends a consumer and what ends its channel in either order if both
    /// are left to it, or if the queue is deleted, and a broker that is told about a channel that has ended closes the
    /// connection.
    async fn release(self) {
        let end = async {
            self.channel.basic_cancel(self.consumer.tag(), BasicCancelOptions::default()).await?;
            self.channel.close(200, "done".into()).await
        };
        // An error: the channel has ended, and the lock with it.
        let _ = answered(end).await;
    }

    async fn try_take(link: &Link, name: &str) -> Result<Self, lapin::Error> {
        let channel = link.connection.create_channel().await?;
        let mut arguments = FieldTable::default();
        // A virtual host may have another default, which cannot be exclusive.
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
        let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
        channel.queue_declare(name.into(), options, arguments).await?;
        let consumer = channel
            .basic_consume(name.into(), "".into(), BasicConsumeOptions::default(), FieldTable::default())
            .await?;
        Ok(Self { channel, consumer })
    }
}

async fn answered<T>(asked: impl Future<Output = Result<T, lapin::Error>>) -> Result<T, String> {
    timeout(ANSWER_TIMEOUT, asked).await.map_err(|_| late())?.map_err(|error| error.to_string())
}

fn late() -> String {
    format!("no answer within {} s", ANSWER_TIMEOUT.as_secs())
}
