//! A product at work while something is done to it, and the judgement of what became of its events.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use proto::v1::Event;
use tokio::task::JoinHandle;
use tonic::Status;

use crate::{
    events, load,
    oracle::{self, Endpoint, Story, Verdict},
    product::Product,
    publisher::Publisher,
    receiver::{Answer, Receiver, Script},
    rest::Rest,
    webhooks,
};

/// The endpoint that delivers at once, which tells whether deliveries go on.
pub const WELL: Spec = ("/well", &[200]);
/// One whose retries are queued.
pub const FAILS: Spec = ("/fails", &[500, 200]);
/// One whose retries wait in history.
pub const LATER: Spec = ("/later", &[503, 200]);

/// How long what is not the test's matter may take.
const LONG: Duration = Duration::from_secs(120);
/// A large event, which a small room may have no place for, in bytes.
const LARGE: usize = 20_000;

/// An endpoint's path, and what it answers to the attempts of a delivery. With 503 it asks for a wait of a second.
pub type Spec = (&'static str, &'static [u16]);

/// About 50 events a second, each published until it is accepted, for endpoints that all want them.
pub struct Running {
    /// Where they go.
    pub receiver: Receiver,
    /// The webhooks, in the order of what was asked for.
    pub endpoints: Vec<Endpoint>,
    rest: Rest,
    publisher: Publisher,
    stopped: Arc<AtomicBool>,
    load: JoinHandle<Vec<Event>>,
    /// What was tried besides, accepted or not.
    tried: Vec<Event>,
}

impl Running {
    /// Makes the webhooks and begins; returns when 100 events have come to [`WELL`], which must be among them.
    pub async fn start(product: &Product, specs: &[Spec]) -> Self {
        let (rest, receiver) = (product.admin(), Receiver::start().await);
        let mut endpoints = Vec::new();
        for (path, answers) in specs {
            let script = answers.iter().map(|status| match status {
                503 => Answer::status(503).header("retry-after", "1"),
                status => Answer::status(*status),
            });
            receiver.script(path, Script::by_attempt(script.collect()));
            let webhook = webhooks::create_generic(&rest, &receiver.url(path)).await.id;
            endpoints.push(Endpoint { path, webhook, answers: answers.to_vec() });
        }
        let stopped = Arc::new(AtomicBool::new(false));
        let load = crate::spawn(load::publish_until(product.publisher(), 1, Arc::clone(&stopped), LONG));
        receiver.wait_for(WELL.0, 100, LONG).await;
        Self { receiver, endpoints, rest, publisher: product.publisher(), stopped, load, tried: Vec::new() }
    }

    /// Publishes a large event, once; how it was refused.
    pub async fn try_to_publish(&mut self) -> Option<Status> {
        let event = events::with_extra(events::many(1).remove(0), LARGE);
        self.tried.push(event.clone());
        self.publisher.publish(event).await.err()
    }

    /// Waits until deliveries go on, at most for so long, and tells how long it took; then lets it run on for a while.
    pub async fn goes_on(&self, what: &str, within: Duration) {
        let (well, before) = (Instant::now(), self.receiver.count(WELL.0));
        self.receiver.wait_for(WELL.0, before + 10, within).await;
        println!("{what}: 10 deliveries within {:?}", well.elapsed());
        self.receiver.wait_for(WELL.0, before + 50, LONG).await;
    }

    /// Ends the publishing; `deaths` explain repeats.
    pub async fn judge(self, deaths: &[Instant]) -> Verdict {
        self.judge_after(deaths, 0, LONG, async || ()).await
    }

    /// As [`Running::judge`], where events may have been dropped, with something done once all is published, and so long
    /// for it to come.
    pub async fn judge_after(
        self,
        deaths: &[Instant],
        dropped: usize,
        patience: Duration,
        work: impl AsyncFnOnce(),
    ) -> Verdict {
        self.stopped.store(true, Ordering::Relaxed);
        let mut published = self.load.await.expect("every event is accepted in the end");
        self.publisher.publish_all(&self.tried, 10, LONG).await;
        published.extend(self.tried);
        work().await;
        let story = Story { endpoints: &self.endpoints, published: &published, deaths, dropped };
        let verdict = oracle::judge(&self.rest, &self.receiver, story, patience).await;
        println!("{} events; {verdict}", published.len());
        verdict
    }
}
