//! One subscription of a lane over one channel.
//!
//! Messages of a session know its acknowledger and no other, so what is settled after the session's end goes nowhere; the
//! broker delivers those messages again.
//!
//! Not so where it has cancelled the subscription: that is how it tells that the queue was deleted, and what is out is
//! nowhere but here. So the session goes on over the same channel with a new queue, what is out can still be worked on,
//! and what would be given back is published again.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use lapin::{
    Channel,
    message::Delivery,
    options::{BasicAckOptions, BasicCancelOptions, BasicNackOptions, BasicRejectOptions},
    types::ShortString,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use super::{
    consumer::LaneConsumer,
    headers::{self, LANE, PARKED_AT, REASON, REDELIVERIES, SEEN, TRACEPARENT},
    health::Health,
    link::Link,
    parked::id_of,
    publisher::Prepared,
    topology::Route,
    tracker::Tracker,
};
use crate::{Acker, Incoming, PublishError, Settlement};

const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Subscriptions that are cancelled faster than this have another cause than somebody's deleting the queue.
const RESUBSCRIBED_LATELY: Duration = Duration::from_secs(5);
/// Until what is nowhere but here is published once more.
const AGAIN: Duration = Duration::from_millis(500);

/// How a session ended.
pub(super) enum End {
    /// Closed, or nobody listens any more.
    Finished,
    /// To be opened again.
    Lost(String),
}

/// Takes settlements for one session.
struct SessionAcker(mpsc::UnboundedSender<(u64, Settlement)>);

impl Acker for SessionAcker {
    fn settle(&self, tag: u64, settlement: Settlement) {
        // An error: the session is over, the broker delivers the message again.
        let _ = self.0.send((tag, settlement));
    }

    fn is_current(&self) -> bool {
        !self.0.is_closed()
    }
}

/// A message in a consumer's hands.
struct Held {
    body: Bytes,
    traceparent: Option<String>,
    message_id: Option<ShortString>,
    redeliveries: u32,
    /// Its queue was deleted.
    only_here: bool,
}

impl Held {
    fn publish_to(&self, route: Route, headers: impl IntoIterator<Item = (&'static str, String)>) -> Prepared {
        let traceparent = self.traceparent.clone().map(|value| (TRACEPARENT, value));
        let id = id_of(self.message_id.as_ref(), &self.body);
        Prepared::new(route, self.body.clone(), id, headers.into_iter().chain(traceparent))
    }
}

/// What came of publishing a message elsewhere: what could not be is given back.
type Published = Result<(), (Held, PublishError)>;

/// One subscription and what is out of it.
pub(super) struct Session<'a> {
    of: &'a LaneConsumer,
    link: &'a Link,
    channel: Channel,
    sender: &'a mpsc::Sender<Incoming>,
    acker: Arc<SessionAcker>,
    settlements: mpsc::UnboundedReceiver<(u64, Settlement)>,
    tracker: Tracker,
    /// Delivered, while the receiver's buffer still has messages of an earlier session. Bounded by the prefetch.
    backlog: VecDeque<Incoming>,
    /// What is out, to be published elsewhere.
    held: HashMap<u64, Held>,
    /// What is published to the parked queue, or again; acknowledged once that is confirmed.
    publishing: FuturesUnordered<BoxFuture<'static, (u64, Published)>>,
    resubscribed: Option<Instant>,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        of: &'a LaneConsumer,
        link: &'a Link,
        channel: Channel,
        sender: &'a mpsc::Sender<Incoming>,
    ) -> Self {
        let (acker, settlements) = mpsc::unbounded_channel();
        Self {
            of,
            link,
            channel,
            sender,
            acker: Arc::new(SessionAcker(acker)),
            settlements,
            tracker: Tracker::default(),
            backlog: VecDeque::new(),
            held: HashMap::new(),
            publishing: FuturesUnordered::new(),
            resubscribed: None,
        }
    }

    pub(super) async fn run(mut self, mut stream: lapin::Consumer) -> End {
        let (of, link, sender) = (self.of, self.link, self.sender);
        let mut batch = Vec::new();
        loop {
            let told = tokio::select! {
                biased;
                () = of.closing.cancelled() => return self.finish().await,
                reason = link.broken.wait() => return End::Lost(reason),
                _ = self.settlements.recv_many(&mut batch, 1024) => self.settle(&mut batch).await,
                Some((tag, published)) = self.publishing.next(), if !self.publishing.is_empty() => {
                    self.published(tag, published).await
                }
                Ok(permit) = sender.reserve(), if !self.backlog.is_empty() => {
                    if let Some(incoming) = self.backlog.pop_front() {
                        permit.send(incoming);
                    }
                    Ok(())
                }
                () = sender.closed() => return self.wind_down(stream).await,
                delivery = stream.next() => match delivery {
                    Some(Ok(delivery)) => {
                        self.deliver(delivery);
                        Ok(())
                    }
                    Some(Err(error)) => Err(error),
                    None => {
                        let again = of.closing.run_until_cancelled(self.go_on()).await;
                        match again {
                            Some(Ok(again)) => stream = again,
                            Some(Err(reason)) => return End::Lost(reason),
                            // The next turn sees it.
                            None => {}
                        }
                        Ok(())
                    }
                },
            };
            if let Err(error) = told {
                return End::Lost(error.to_string());
            }
        }
    }

    /// The broker has cancelled the subscription.
    async fn go_on(&mut self) -> Result<lapin::Consumer, String> {
        let reason = "broker has cancelled the subscription; was the queue deleted?".to_owned();
        if self.resubscribed.is_some_and(|at| at.elapsed() < RESUBSCRIBED_LATELY) {
            return Err(reason);
        }
        tracing::warn!(
            queue = self.of.topology.queue(self.of.lane),
            reason,
            held = self.held.len(),
            "subscribing again"
        );
        self.of.health.send_replace(Health::Unwell(reason));
        self.held.values_mut().for_each(|held| held.only_here = true);
        let stream = self.of.resubscribe(self.link, &self.channel).await?;
        self.resubscribed = Some(Instant::now());
        Ok(stream)
    }

    fn deliver(&mut self, delivery: Delivery) {
        self.tracker.delivered(delivery.delivery_tag);
        let headers = headers::of(&delivery.properties);
        let traceparent = headers::text(headers, TRACEPARENT);
        let redeliveries = headers::redeliveries(headers);
        let redelivered = delivery.redelivered || headers::text(headers, SEEN).is_some();
        let acker: Arc<dyn Acker> = Arc::<SessionAcker>::clone(&self.acker);
        let held = Held {
            body: Bytes::from(delivery.data),
            traceparent: traceparent.clone(),
            message_id: delivery.properties.message_id().clone(),
            redeliveries,
            only_here: false,
        };
        let incoming = Incoming::new(held.body.clone(), redelivered, traceparent, delivery.delivery_tag, acker);
        self.held.insert(delivery.delivery_tag, held);
        if !self.backlog.is_empty() {
            self.backlog.push_back(incoming);
            return;
        }
        // No receiver any more: dropping the message requeues it.
        if let Err(mpsc::error::TrySendError::Full(incoming)) = self.sender.try_send(incoming) {
            self.backlog.push_back(incoming);
        }
    }

    async fn settle(&mut self, batch: &mut Vec<(u64, Settlement)>) -> Result<(), lapin::Error> {
        for (tag, settlement) in batch.drain(..) {
            match settlement {
                Settlement::Ack => {
                    self.held.remove(&tag);
                    self.tracker.acked(tag);
                }
                Settlement::Requeue => self.requeue(tag).await?,
                Settlement::Park(reason) => self.park(tag, reason),
            }
        }
        self.send_acks().await
    }

    async fn send_acks(&mut self) -> Result<(), lapin::Error> {
        let acks = self.tracker.take_acks();
        let channel = &self.channel;
        let up_to = acks.up_to.map(|tag| channel.basic_ack(tag, BasicAckOptions { multiple: true }));
        // Queued together and then awaited: each waits for its frame to be written, not for an answer.
        let single = acks.single.into_iter().map(|tag| channel.basic_ack(tag, BasicAckOptions::default()));
        let sent = futures::future::try_join_all(single);
        match up_to {
            Some(up_to) => futures::future::try_join(up_to, sent).await.map(drop),
            None => sent.await.map(drop),
        }
    }

    /// Gives a message back: as one that failed, or, its consumer being gone, as one that was not worked on. The broker
    /// counts accordingly, see `topology`.
    async fn requeue(&mut self, tag: u64) -> Result<(), lapin::Error> {
        match self.held.remove(&tag) {
            Some(held) if held.only_here => {
                self.publish_again(tag, &held);
                return Ok(());
            }
            _ => self.tracker.told(tag),
        }
        if self.sender.is_closed() {
            return self.channel.basic_nack(tag, BasicNackOptions { requeue: true, multiple: false }).await;
        }
        self.channel.basic_reject(tag, BasicRejectOptions { requeue: true }).await
    }

    /// Publishes a message to the queue that was deleted under it, until it is there.
    fn publish_again(&mut self, tag: u64, held: &Held) {
        let route = self.of.topology.route(self.of.lane, Duration::ZERO);
        let message = held.publish_to(route, [(SEEN, "true".to_owned())]);
        let (publisher, lane) = (Arc::clone(&self.of.publisher), self.of.lane.name());
        let publish = async move {
            while let Some(Err(error)) = publisher.publish(vec![message.clone()]).await.pop() {
                tracing::warn!(lane, %error, "a message of the queue that was deleted is not back yet; trying on");
                sleep(AGAIN).await;
            }
            (tag, Ok(()))
        };
        self.publishing.push(publish.boxed());
    }

    /// Publishes to the parked queue.
    fn park(&mut self, tag: u64, reason: String) {
        let Some(held) = self.held.remove(&tag) else { return };
        let lane = self.of.lane;
        tracing::warn!(lane = lane.name(), reason, "message parked");
        let headers = [(REASON, reason), (LANE, lane.name().to_owned()), (REDELIVERIES, held.redeliveries.to_string())];
        let parked_at = self.of.now.as_ref().map(|now| (PARKED_AT, now().to_string()));
        let message = held.publish_to(self.of.topology.parked(lane), headers.into_iter().chain(parked_at));
        let publisher = Arc::clone(&self.of.publisher);
        let publish = async move {
            let result = publisher.publish(vec![message]).await.pop();
            let result = result.unwrap_or_else(|| Err(PublishError::Unavailable { reason: "no answer".to_owned() }));
            (tag, result.map_err(|error| (held, error)))
        };
        self.publishing.push(publish.boxed());
    }

    async fn published(&mut self, tag: u64, published: Published) -> Result<(), lapin::Error> {
        match published {
            Ok(()) => {
                self.tracker.acked(tag);
                self.send_acks().await
            }
            Err((held, error)) => {
                tracing::warn!(lane = self.of.lane.name(), %error, "cannot park a message; it comes again");
                self.held.insert(tag, held);
                self.requeue(tag).await
            }
        }
    }

    /// Closing: sends what is settled, and gives the rest back before the end of the channel would count as its failure.
    async fn finish(mut self) -> End {
        let mut batch = Vec::new();
        while let Ok(settlement) = self.settlements.try_recv() {
            batch.push(settlement);
        }
        let told = async {
            self.settle(&mut batch).await?;
            let only_here: Vec<_> = self.held.extract_if(|_, held| held.only_here).collect();
            for (tag, held) in only_here {
                self.publish_again(tag, &held);
            }
            while let Some((tag, published)) = self.publishing.next().await {
                self.published(tag, published).await?;
            }
            if let Some(last) = self.tracker.last_open() {
                self.channel.basic_nack(last, BasicNackOptions { requeue: true, multiple: true }).await?;
            }
            self.channel.close(200, "closing".into()).await
        };
        if let Ok(Err(error)) = timeout(CLOSE_TIMEOUT, told).await {
            tracing::debug!(%error, "channel was closed already");
        }
        End::Finished
    }

    /// Nobody listens any more: cancels the subscription, and goes on taking settlements of what is in hands.
    async fn wind_down(mut self, mut stream: lapin::Consumer) -> End {
        let (of, link) = (self.of, self.link);
        if self.channel.basic_cancel(stream.tag(), BasicCancelOptions::default()).await.is_err() {
            return End::Finished;
        }
        self.backlog.clear();
        while let Some(Some(Ok(delivery))) = stream.next().now_or_never() {
            self.tracker.delivered(delivery.delivery_tag);
            if self.requeue(delivery.delivery_tag).await.is_err() {
                return End::Finished;
            }
        }
        let mut batch = Vec::new();
        while self.tracker.open() > 0 {
            let told = tokio::select! {
                biased;
                () = of.closing.cancelled() => break,
                _ = link.broken.wait() => return End::Finished,
                _ = self.settlements.recv_many(&mut batch, 1024) => self.settle(&mut batch).await,
                Some((tag, published)) = self.publishing.next(), if !self.publishing.is_empty() => {
                    self.published(tag, published).await
                }
            };
            if told.is_err() {
                return End::Finished;
            }
        }
        self.finish().await
    }
}
