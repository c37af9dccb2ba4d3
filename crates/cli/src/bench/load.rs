//! Publishing: as fast as it is acknowledged (closed loop), or at a rate that does not wait for anybody (open loop).

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use domain::{EventType, IdSource as _, SystemIds};
use futures::{StreamExt as _, stream};
use proto::v1::{Event, PublishRequest, events_client::EventsClient};
use tokio::sync::mpsc;
use tonic::{Code, transport::Channel};

use crate::grpc::{self, Authorization, refusal};

/// Connections to publish through, and calls under way at once in the closed loop.
const CONNECTIONS: usize = 4;
const CALLS: usize = 128;
/// Calls under way at once in the open loop at most: beyond it the server is not just late.
const MOST_CALLS: usize = 20_000;
/// Before an event is published again that was not taken for now.
const AGAIN: Duration = Duration::from_millis(20);
/// How often at most.
const TRIES: u32 = 1_500;

/// Who publishes.
#[derive(Clone)]
pub(crate) struct Publishers {
    clients: Vec<EventsClient<Channel>>,
    authorization: Authorization,
}

/// What is published.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) events: u64,
    /// Events a second; without it as fast as they are acknowledged.
    pub(crate) rate: Option<u32>,
    /// Bytes that a generic body has, about.
    pub(crate) body: usize,
}

/// An event that was acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) id: [u8; 36],
    /// When it was due to be published (open loop), or was.
    pub(crate) from: Instant,
    pub(crate) acknowledged: Instant,
    /// How often the server told to come again.
    pub(crate) put_off: u32,
}

impl Publishers {
    pub(crate) async fn connect(server: &str, token: &str) -> anyhow::Result<Self> {
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            clients.push(EventsClient::new(grpc::connect(server).await?));
        }
        Ok(Self { clients, authorization: Authorization::new(token)? })
    }

    /// Publishes; answers when all is acknowledged.
    pub(crate) async fn publish(&self, load: Load) -> anyhow::Result<HashMap<[u8; 36], Acknowledged>> {
        let (due, when) = mpsc::unbounded_channel();
        let calls = load.rate.map_or(CALLS, |_| MOST_CALLS);
        // On a thread of its own: the timers of tokio are a millisecond late.
        let clock = std::thread::spawn(move || tick(load, &due));
        let events = stream::unfold(when, |mut when| async { Some((when.recv().await?, when)) });
        let publishers = Arc::new(self.clone());
        let answers = events.map(|(number, from)| Arc::clone(&publishers).publish_one(number, from, load.body));
        let answers: Vec<_> = answers.buffer_unordered(calls).collect().await;
        if clock.join().is_err() {
            bail!("the clock of the load has failed");
        }
        answers.into_iter().map(|answer| answer.map(|answer| (answer.id, answer))).collect()
    }

    async fn publish_one(
        self: Arc<Self>,
        number: u64,
        from: Option<Instant>,
        body: usize,
    ) -> anyhow::Result<Acknowledged> {
        let event = event(body);
        let id = *event.id.as_bytes().first_chunk().context("an id has 36 characters")?;
        let mut client = self.clients[usize::try_from(number)? % self.clients.len()].clone();
        let from = from.unwrap_or_else(Instant::now);
        for put_off in 0..TRIES {
            match client.publish(self.authorization.request(PublishRequest { event: Some(event.clone()) })).await {
                Ok(_) => return Ok(Acknowledged { id, from, acknowledged: Instant::now(), put_off }),
                Err(status) if matches!(status.code(), Code::Unavailable | Code::ResourceExhausted) => {
                    tokio::time::sleep(AGAIN).await;
                }
                Err(status) => bail!("an event was refused: {}", refusal(&status)),
            }
        }
        bail!("an event was not taken in {TRIES} tries")
    }
}

/// Tells which event is due, at its time; in the closed loop all at once.
fn tick(load: Load, due: &mpsc::UnboundedSender<(u64, Option<Instant>)>) {
    let begun = Instant::now();
    for number in 0..load.events {
        let from = load.rate.map(|rate| begun + Duration::from_secs_f64(number as f64 / f64::from(rate)));
        if let Some(from) = from {
            std::thread::sleep(from.saturating_duration_since(Instant::now()));
        }
        if due.send((number, from)).is_err() {
            return;
        }
    }
}

/// A completed run whose generic body has about so many bytes.
fn event(body: usize) -> Event {
    /// What a body has without what is added to it.
    const BARE: usize = 996;
    let padding = "x".repeat(body.saturating_sub(BARE));
    Event {
        id: SystemIds.uuid().to_string(),
        instance: String::new(),
        extra_json: if padding.is_empty() { String::new() } else { format!("{{\"log\":\"{padding}\"}}") },
        ..payload::sample(EventType::RunCompleted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_about_as_long_as_they_are_to_be() {
        for wanted in [1_100, 1_500, 3_000] {
            let length = payload::render(&event(wanted), domain::WebhookKind::Generic, false).unwrap().len();
            assert!(length.abs_diff(wanted) < 60, "{length} instead of {wanted}");
        }
    }

    #[test]
    fn events_are_due_at_their_rate_or_at_once() {
        let (due, mut when) = mpsc::unbounded_channel();
        let begun = Instant::now();
        tick(Load { events: 3, rate: Some(50), body: 0 }, &due);
        assert!(begun.elapsed() >= Duration::from_millis(40));
        let times: Vec<_> = std::iter::from_fn(|| when.try_recv().ok()).map(|(_, from)| from.unwrap()).collect();
        assert_eq!(times.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>(), [Duration::from_millis(20); 2]);
        tick(Load { events: 2, rate: None, body: 0 }, &due);
        assert!(std::iter::from_fn(|| when.try_recv().ok()).eq([(0, None), (1, None)]));
    }
}
