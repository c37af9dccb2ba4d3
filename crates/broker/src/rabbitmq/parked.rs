//! The parked queue as people see it: what lies there, putting it back, dropping it.

use std::sync::Arc;

use bytes::Bytes;
use lapin::{message::Delivery, types::ShortString};
use tokio::sync::{Mutex, watch};
use uuid::Uuid;

use super::{
    headers::{self, Death, LANE, PARKED_AT, REASON, REDELIVERIES, SEEN, TRACEPARENT},
    publisher::{Prepared, Publisher},
    supervisor::LinkState,
    topology::Topology,
    walk::Walk,
};
use crate::{
    BrokerError, Lane, Parked, ParkedSelection,
    parked::{LISTED_BYTES, Way},
};

/// Bounds of what is put back at once.
const BATCH_MESSAGES: usize = 64;
const BATCH_BYTES: usize = 8 << 20;

/// The namespace that ids are derived in; never to be changed.
const DERIVED: Uuid = Uuid::from_u128(0x6f1e_9f0a_52d1_4c3e_9b7d_0c8a_4e21_77b3);

/// The id of a message, or one derived from its content: somebody put it straight into a queue, without one.
pub(super) fn id_of(message_id: Option<&ShortString>, body: &[u8]) -> ShortString {
    match message_id {
        Some(id) if !id.as_str().is_empty() => id.clone(),
        _ => format!("content-{}", Uuid::new_v5(&DERIVED, body)).as_str().into(),
    }
}

/// Works on the parked queue, for one caller after the other.
pub(super) struct ParkedQueue {
    topology: Arc<Topology>,
    publisher: Arc<Publisher>,
    link: watch::Receiver<LinkState>,
    /// The lock on the broker tells connections apart, not the callers of one.
    turn: Mutex<()>,
}

/// Messages that are put back together.
#[derive(Default)]
struct Batch {
    tags: Vec<u64>,
    messages: Vec<Prepared>,
    bytes: usize,
}

impl Batch {
    const fn is_full(&self) -> bool {
        self.messages.len() >= BATCH_MESSAGES || self.bytes >= BATCH_BYTES
    }
}

impl ParkedQueue {
    pub(super) fn new(topology: Arc<Topology>, publisher: Arc<Publisher>, link: watch::Receiver<LinkState>) -> Self {
        Self { topology, publisher, link, turn: Mutex::new(()) }
    }

    pub(super) async fn list(&self, limit: usize) -> Result<Vec<Parked>, BrokerError> {
        let _turn = self.turn.lock().await;
        let mut listed = Vec::new();
        let work = async {
            let mut walk = self.walk().await?;
            let collected = self.collect(&mut walk, limit, &mut listed).await;
            let ended = walk.end().await;
            collected.and(ended)
        };
        let ended = work.await;
        ended.map_err(|reason| BrokerError::Parked { done: listed.len() as u64, reason })?;
        Ok(listed)
    }

    pub(super) async fn move_out(&self, way: Way, selection: &ParkedSelection) -> Result<u64, BrokerError> {
        let _turn = self.turn.lock().await;
        let mut done = 0;
        let work = async {
            let mut walk = self.walk().await?;
            let moved = self.move_selected(&mut walk, way, selection, &mut done).await;
            // The first failure is the cause.
            let ended = walk.end().await;
            moved.and(ended)
        };
        let ended = work.await;
        ended.map_err(|reason| BrokerError::Parked { done, reason })?;
        Ok(done)
    }

    async fn walk(&self) -> Result<Walk, String> {
        let state = self.link.borrow().clone();
        match state {
            LinkState::Up(link) => Walk::start(&link, &self.topology).await,
            LinkState::Down(reason) => Err(format!("not connected: {reason}")),
        }
    }

    async fn collect(&self, walk: &mut Walk, limit: usize, listed: &mut Vec<Parked>) -> Result<(), String> {
        let mut bytes = 0;
        while listed.len() < limit && bytes < LISTED_BYTES {
            let Some(delivery) = walk.next().await? else { break };
            bytes += delivery.data.len();
            listed.push(self.describe(delivery));
        }
        Ok(())
    }

    async fn move_selected(
        &self,
        walk: &mut Walk,
        way: Way,
        selection: &ParkedSelection,
        done: &mut u64,
    ) -> Result<(), String> {
        let mut batch = Batch::default();
        while let Some(delivery) = walk.next().await? {
            let tag = delivery.delivery_tag;
            let traceparent = headers::text(headers::of(&delivery.properties), TRACEPARENT);
            let parked = self.describe(delivery);
            if !selection.includes(&parked.id, parked.lane) {
                continue;
            }
            match (way, parked.lane) {
                (Way::Out, _) => {
                    walk.remove(tag).await?;
                    *done += 1;
                }
                // Nobody knows where it belongs.
                (Way::BackToTheirLanes, None) => {}
                (Way::BackToTheirLanes, Some(lane)) => {
                    batch.tags.push(tag);
                    batch.bytes += parked.body.len();
                    batch.messages.push(self.prepare(parked, lane, traceparent));
                    if batch.is_full() {
                        self.put_back(walk, &mut batch, done).await?;
                    }
                }
            }
        }
        self.put_back(walk, &mut batch, done).await
    }

    /// Publishes a batch to its lanes; each message leaves the parked queue when it is confirmed.
    async fn put_back(&self, walk: &mut Walk, batch: &mut Batch, done: &mut u64) -> Result<(), String> {
        let Batch { tags, messages, .. } = std::mem::take(batch);
        if messages.is_empty() {
            return Ok(());
        }
        let mut failed = Ok(());
        for (tag, published) in tags.into_iter().zip(self.publisher.publish(messages).await) {
            match published {
                Ok(()) => {
                    walk.remove(tag).await?;
                    *done += 1;
                }
                Err(error) => failed = Err(error.to_string()),
            }
        }
        failed
    }

    fn prepare(&self, parked: Parked, lane: Lane, traceparent: Option<String>) -> Prepared {
        let route = self.topology.route(lane, std::time::Duration::ZERO);
        let marks = [(SEEN, "true".to_owned())].into_iter();
        let headers = marks.chain(traceparent.map(|value| (TRACEPARENT, value)));
        Prepared::new(route, parked.body, parked.id.as_str().into(), headers)
    }

    fn describe(&self, delivery: Delivery) -> Parked {
        let headers = headers::of(&delivery.properties);
        let number = |name| headers::text(headers, name).and_then(|text| text.parse::<i64>().ok());
        let id = id_of(delivery.properties.message_id().as_ref(), &delivery.data).to_string();
        // A message that waited for a retry carries the end of that wait too.
        let death = headers::deaths(headers)
            .into_iter()
            .find_map(|death| self.topology.lane_of_queue(&death.queue).map(|lane| (lane, death)));
        let bytes = delivery.data.len() as u64;
        if let Some((lane, death)) = death {
            let seconds = death.at.and_then(|seconds| i64::try_from(seconds).ok());
            return Parked {
                id,
                lane: Some(lane),
                reason: in_words(&death, lane),
                parked_at: seconds.and_then(|seconds| seconds.checked_mul(1_000_000)),
                bytes,
                redeliveries: (death.reason == "delivery_limit").then(|| Topology::delivery_limit(lane)),
                body: Bytes::from(delivery.data),
            };
        }
        let named = headers::text(headers, LANE);
        let by_name = Lane::ALL.into_iter().find(|lane| named.as_deref() == Some(lane.name()));
        Parked {
            id,
            lane: by_name.or_else(|| self.topology.lane_of_key(delivery.routing_key.as_str())),
            reason: headers::text(headers, REASON)
                .unwrap_or_else(|| "put into the parked queue by somebody else, without a reason".to_owned()),
            parked_at: number(PARKED_AT),
            bytes,
            redeliveries: number(REDELIVERIES).and_then(|count| u32::try_from(count).ok()),
            body: Bytes::from(delivery.data),
        }
    }
}

/// Why RabbitMQ parked a message, as it is said of those that are parked by consumers or by the embedded adapter.
fn in_words(death: &Death, lane: Lane) -> String {
    match death.reason.as_str() {
        "delivery_limit" => format!("given back {} times", Topology::delivery_limit(lane)),
        "rejected" => "rejected by a consumer without a reason".to_owned(),
        "expired" => "its own time to live ran out before it was consumed".to_owned(),
        "maxlen" => format!("removed from {} to keep its limit of length", death.queue),
        other => format!("dead-lettered by RabbitMQ: {other}"),
    }
}
