//! Consuming a lane, over any number of connections.
//!
//! A *session* is one subscription on one channel. Messages of a session know its acknowledger and no other, so what
//! is settled after the session's end goes nowhere; the broker delivers those messages again.

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
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, BasicRejectOptions,
    },
    types::{FieldTable, ShortString},
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Now,
    headers::{self, LANE, PARKED_AT, REASON, REDELIVERIES, TRACEPARENT, WAS_PARKED},
    health::Health,
    link::Link,
    parked::id_of,
    publisher::{Prepared, Publisher},
    supervisor::{Backoff, LinkState},
    topology::Topology,
    tracker::Tracker,
};
use crate::{Acker, Incoming, Lane, PublishError, Settlement};

/// A session that lasted this long was a good one: the next failure starts with short pauses again.
const GOOD_SESSION: Duration = Duration::from_secs(10);
const OPEN_TIMEOUT: Duration = Duration::from_secs(15);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// One call of `consume`.
pub(super) struct LaneConsumer {
    pub(super) lane: Lane,
    pub(super) prefetch: u16,
    pub(super) topology: Arc<Topology>,
    pub(super) link: watch::Receiver<LinkState>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) closing: CancellationToken,
    pub(super) health: watch::Sender<Health>,
    pub(super) now: Option<Now>,
}

/// How a session ended.
enum End {
    /// Closed, or nobody listens any more.
    Finished,
    /// To be opened again.
    Lost(String),
}

impl LaneConsumer {
    /// Consumes until closed or until the receiver is dropped.
    pub(super) async fn run(self, sender: mpsc::Sender<Incoming>) {
        self.consume(&sender).await;
        if self.closing.is_cancelled() || sender.is_closed() {
            self.health.send_replace(Health::Over);
        } else {
            tracing::error!(queue = self.topology.queue(self.lane), "consumer has ended; restart this process");
        }
    }

    async fn consume(&self, sender: &mpsc::Sender<Incoming>) {
        let mut backoff = Backoff::new();
        let mut again = false;
        loop {
            let link = tokio::select! {
                () = self.closing.cancelled() => return,
                () = sender.closed() => return,
                link = self.connected() => link,
            };
            let Some(link) = link else { return };
            let started = Instant::now();
            let reason = match self.session(&link, sender, again).await {
                End::Finished => return,
                End::Lost(reason) => reason,
            };
            again = true;
            tracing::warn!(queue = self.topology.queue(self.lane), reason, "subscription is lost; subscribing again");
            self.health.send_replace(Health::Unwell(reason));
            if started.elapsed() > GOOD_SESSION {
                backoff = Backoff::new();
            }
            tokio::select! {
                () = self.closing.cancelled() => return,
                () = backoff.pause() => {}
            }
        }
    }

    async fn connected(&self) -> Option<Arc<Link>> {
        let mut links = self.link.clone();
        let state = links.wait_for(|state| matches!(state, LinkState::Up(_))).await.ok()?;
        match &*state {
            LinkState::Up(link) => Some(Arc::clone(link)),
            LinkState::Down(_) => None,
        }
    }

    async fn session(&self, link: &Link, sender: &mpsc::Sender<Incoming>, declare: bool) -> End {
        let opened = tokio::select! {
            () = self.closing.cancelled() => return End::Finished,
            opened = timeout(OPEN_TIMEOUT, self.open(link, declare)) => opened,
        };
        let (channel, stream) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(reason)) => return End::Lost(reason),
            Err(_) => return End::Lost(format!("no answer within {} s", OPEN_TIMEOUT.as_secs())),
        };
        self.health.send_replace(Health::Well);
        let (acker, settlements) = mpsc::unbounded_channel();
        let session = Session {
            lane: self.lane,
            topology: &self.topology,
            publisher: &self.publisher,
            now: self.now.as_ref(),
            channel,
            sender,
            acker: Arc::new(SessionAcker(acker)),
            tracker: Tracker::default(),
            backlog: VecDeque::new(),
            held: HashMap::new(),
            parking: FuturesUnordered::new(),
        };
        session.run(link, stream, settlements, &self.closing).await
    }

    async fn open(&self, link: &Link, declare: bool) -> Result<(Channel, lapin::Consumer), String> {
        if declare {
            // The queue may have been deleted under the subscription.
            self.topology.declare(&link.connection).await.map_err(|error| error.to_string())?;
        }
        let open = async {
            let channel = link.connection.create_channel().await?;
            channel.basic_qos(self.prefetch, BasicQosOptions::default()).await?;
            let queue = self.topology.queue(self.lane);
            let stream = channel
                .basic_consume(queue.as_str().into(), "".into(), BasicConsumeOptions::default(), FieldTable::default())
                .await?;
            Ok((channel, stream))
        };
        open.await.map_err(|error: lapin::Error| error.to_string())
    }
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
}

struct Session<'a> {
    lane: Lane,
    topology: &'a Topology,
    publisher: &'a Arc<Publisher>,
    now: Option<&'a Now>,
    channel: Channel,
    sender: &'a mpsc::Sender<Incoming>,
    acker: Arc<SessionAcker>,
    tracker: Tracker,
    /// Delivered, while the receiver's buffer still has messages of an earlier session. Bounded by the prefetch.
    backlog: VecDeque<Incoming>,
    /// What is out, for the parked queue.
    held: HashMap<u64, Held>,
    parking: FuturesUnordered<BoxFuture<'static, (u64, Result<(), PublishError>)>>,
}

type Settlements = mpsc::UnboundedReceiver<(u64, Settlement)>;

impl Session<'_> {
    async fn run(
        mut self,
        link: &Link,
        mut stream: lapin::Consumer,
        mut settlements: Settlements,
        closing: &CancellationToken,
    ) -> End {
        let sender = self.sender;
        let mut batch = Vec::new();
        loop {
            let told = tokio::select! {
                biased;
                () = closing.cancelled() => return self.finish(&mut settlements).await,
                reason = link.broken.wait() => return End::Lost(reason),
                _ = settlements.recv_many(&mut batch, 1024) => self.settle(&mut batch).await,
                Some((tag, parked)) = self.parking.next(), if !self.parking.is_empty() => self.parked(tag, parked).await,
                Ok(permit) = sender.reserve(), if !self.backlog.is_empty() => {
                    if let Some(incoming) = self.backlog.pop_front() {
                        permit.send(incoming);
                    }
                    Ok(())
                }
                () = sender.closed() => return self.wind_down(link, stream, settlements, closing).await,
                delivery = stream.next() => match delivery {
                    Some(Ok(delivery)) => {
                        self.deliver(delivery);
                        Ok(())
                    }
                    Some(Err(error)) => Err(error),
                    None => return End::Lost("broker has cancelled the subscription".to_owned()),
                },
            };
            if let Err(error) = told {
                return End::Lost(error.to_string());
            }
        }
    }

    fn deliver(&mut self, delivery: Delivery) {
        self.tracker.delivered(delivery.delivery_tag);
        let headers = headers::of(&delivery.properties);
        let traceparent = headers::text(headers, TRACEPARENT);
        let redeliveries = headers::redeliveries(headers);
        let redelivered = delivery.redelivered || headers::text(headers, WAS_PARKED).is_some();
        let acker: Arc<dyn Acker> = Arc::<SessionAcker>::clone(&self.acker);
        let held = Held {
            body: Bytes::from(delivery.data),
            traceparent: traceparent.clone(),
            message_id: delivery.properties.message_id().clone(),
            redeliveries,
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
        self.held.remove(&tag);
        self.tracker.told(tag);
        if self.sender.is_closed() {
            return self.channel.basic_nack(tag, BasicNackOptions { requeue: true, multiple: false }).await;
        }
        self.channel.basic_reject(tag, BasicRejectOptions { requeue: true }).await
    }

    /// Publishes to the parked queue; the message is acknowledged once that is confirmed.
    fn park(&mut self, tag: u64, reason: String) {
        let Some(held) = self.held.remove(&tag) else { return };
        tracing::warn!(lane = self.lane.name(), reason, "message parked");
        let headers =
            [(REASON, reason), (LANE, self.lane.name().to_owned()), (REDELIVERIES, held.redeliveries.to_string())];
        let parked_at = self.now.map(|now| (PARKED_AT, now().to_string()));
        let headers = headers.into_iter().chain(parked_at).chain(held.traceparent.map(|value| (TRACEPARENT, value)));
        let id = id_of(held.message_id.as_ref(), &held.body);
        let message = Prepared::new(self.topology.parked(self.lane), held.body, id, headers);
        let publisher = Arc::clone(self.publisher);
        let publish = async move {
            let result = publisher.publish(vec![message]).await.pop();
            (tag, result.unwrap_or_else(|| Err(PublishError::Unavailable { reason: "no answer".to_owned() })))
        };
        self.parking.push(publish.boxed());
    }

    async fn parked(&mut self, tag: u64, parked: Result<(), PublishError>) -> Result<(), lapin::Error> {
        match parked {
            Ok(()) => {
                self.tracker.acked(tag);
                self.send_acks().await
            }
            Err(error) => {
                tracing::warn!(lane = self.lane.name(), %error, "cannot park a message; it comes again");
                self.requeue(tag).await
            }
        }
    }

    /// Closing: sends what is settled, and gives the rest back before the end of the channel would count as its failure.
    async fn finish(mut self, settlements: &mut Settlements) -> End {
        let mut batch = Vec::new();
        while let Ok(settlement) = settlements.try_recv() {
            batch.push(settlement);
        }
        let told = async {
            self.settle(&mut batch).await?;
            while let Some((tag, parked)) = self.parking.next().await {
                self.parked(tag, parked).await?;
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
    async fn wind_down(
        mut self,
        link: &Link,
        mut stream: lapin::Consumer,
        mut settlements: Settlements,
        closing: &CancellationToken,
    ) -> End {
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
                () = closing.cancelled() => break,
                _ = link.broken.wait() => return End::Finished,
                _ = settlements.recv_many(&mut batch, 1024) => self.settle(&mut batch).await,
                Some((tag, parked)) = self.parking.next(), if !self.parking.is_empty() => self.parked(tag, parked).await,
            };
            if told.is_err() {
                return End::Finished;
            }
        }
        self.finish(&mut settlements).await
    }
}
