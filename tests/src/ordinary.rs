//! An ordinary client, and how long it has to wait: for publishes, for REST, and for what is delivered.

use std::{
    collections::HashMap,
    fmt,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{events, load::open_loop, publisher::Publisher, receiver::Receiver, rest::Rest, wait::eventually};

/// Events published in a second; half as often something is read.
const RATE: u32 = 50;
/// How long a delivery may take to come at all.
const SOON: Duration = Duration::from_secs(30);

/// Publishes, reads and receives.
pub struct Ordinary<'a> {
    /// Publishes, over one connection.
    pub publisher: Publisher,
    /// Reads, over a connection for each request.
    pub rest: Rest,
    /// Where a webhook delivers to.
    pub receiver: &'a Receiver,
    /// The path of that webhook.
    pub path: &'static str,
    /// What was accepted so far, by id, with the time when it was due.
    pub accepted: HashMap<String, Instant>,
}

/// Of each the time that 99 of 100 took at most.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// From when an event was due until it was acknowledged.
    pub publish: Duration,
    /// From when a read was due until it was answered.
    pub read: Duration,
    /// From when an event was due until it had come to the receiver.
    pub delivery: Duration,
}

impl Waits {
    /// Whether all of them are at most twice as long as before, or shorter than `floor`.
    #[must_use]
    pub fn at_most_twice(&self, before: &Self, floor: Duration) -> bool {
        let pairs = [(self.publish, before.publish), (self.read, before.read), (self.delivery, before.delivery)];
        pairs.into_iter().all(|(now, then)| now <= (then * 2).max(floor))
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [publish, read, delivery] = [self.publish, self.read, self.delivery].map(|wait| wait.as_millis());
        write!(formatter, "{publish} / {read} / {delivery}")
    }
}

impl Ordinary<'_> {
    /// Works for `period`. Panics if anything is refused, or does not come.
    pub async fn work(&mut self, period: Duration) -> Waits {
        let (mut publishes, mut reads) = (JoinSet::new(), JoinSet::new());
        open_loop(RATE, period, Duration::ZERO, async |number, due| {
            let publisher = self.publisher.clone();
            publishes.spawn(async move {
                let id = publisher.publish(events::run_completed(events::PROJECT, 1)).await;
                (id.expect("an ordinary event is accepted"), due, due.elapsed())
            });
            if number % 2 == 0 {
                let rest = self.rest.clone();
                reads.spawn(async move {
                    assert_eq!(rest.get("/api/v1/webhooks").await.status, 200);
                    due.elapsed()
                });
            }
        })
        .await;
        let (mut waits, mut window) = (Vec::new(), Vec::new());
        for (id, due, took) in publishes.join_all().await {
            waits.push(took);
            self.accepted.insert(id.clone(), due);
            window.push(id);
        }
        let read = percentile_99(reads.join_all().await);
        let came = eventually(SOON, "everything has come", async || {
            let came = self.came();
            window.iter().all(|id| came.contains_key(id)).then_some(came)
        })
        .await;
        let deliveries = window.iter().map(|id| came[id].0.saturating_duration_since(self.accepted[id])).collect();
        Waits { publish: percentile_99(waits), read, delivery: percentile_99(deliveries) }
    }

    /// What came, by the event's id: when first, and how often.
    #[must_use]
    pub fn came(&self) -> HashMap<String, (Instant, usize)> {
        let mut came = HashMap::new();
        for request in self.receiver.requests(self.path) {
            let id = request.json()["id"].as_str().expect("an event's id").to_owned();
            came.entry(id).or_insert((request.at, 0)).1 += 1;
        }
        came
    }
}

fn percentile_99(mut waits: Vec<Duration>) -> Duration {
    waits.sort_unstable();
    waits[(waits.len() * 99).div_ceil(100) - 1]
}
