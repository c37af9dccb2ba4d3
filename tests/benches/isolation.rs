//! How much endpoints that hang or fail cost the others. It takes 13 minutes in each mode and wants a machine of its own:
//!
//! ```sh
//! cargo build --release --workspace --bins --all-features
//! cargo bench -p blackbox --all-features --bench isolation [-- embedded | -- distributed]
//! ```
//!
//! 200 webhooks on one receiver: 160 healthy ones, 20 that hang until the time-out and are selected by half of all events,
//! 20 that fail at once. First only events for the healthy ones are published, then all of them. `ISOLATION_SECONDS`
//! (default 600) is how long the second part takes, `ISOLATION_RATE` (default 80) how many events a second then come.

use std::{
    collections::HashMap,
    fmt,
    time::{Duration, Instant},
};

use blackbox::{
    events,
    load::open_loop,
    product::{Mode, Product},
    receiver::{Answer, Receiver},
    rest::Rest,
    webhooks,
};
use serde_json::json;

const HEALTHY: i64 = 160;
const HANGING: i64 = 20;
const FAILING: i64 = 20;
/// Events for the healthy ones alone, before and after.
const CALM: Duration = Duration::from_secs(60);
/// How long the last events may take to arrive.
const REST: Duration = Duration::from_secs(5);

fn main() {
    for mode in Mode::asked() {
        blackbox::run_test(measure(mode));
    }
}

fn from_environment(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

async fn measure(mode: Mode) {
    let seconds = from_environment("ISOLATION_SECONDS", 600);
    let rate = from_environment("ISOLATION_RATE", 80);
    // The schedule and the time-out of production.
    let product = Product::prepare(mode).unset("delivery.retry_schedule").unset("delivery.timeout").start().await;
    let receiver = Receiver::start().await;
    let setup = Setup::new(&product.admin(), &receiver).await;
    let load = Load { product: &product, receiver: &receiver };

    load.publish(CALM, rate / 2, &[&setup.healthy]).await;
    let calm = load.publish(CALM, rate / 2, &[&setup.healthy]).await;
    let before = product.resident_all();
    // Half of all events are for those that hang; every tenth of the others for one that fails.
    let mixed = [setup.healthy.as_slice(), &setup.hanging];
    let failing = [setup.failing.as_slice()];
    let bad = Duration::from_secs(seconds.into());
    let (disturbed, _) = tokio::join!(load.publish(bad, rate, &mixed), load.publish(bad, rate / 10, &failing));
    let after = product.resident_all();

    println!("{mode:?}: {rate} events/s for {seconds} s, publish to receive of the healthy ones");
    println!("  alone:                {calm}");
    println!("  with hanging, failing: {disturbed}");
    println!("  p99 with / alone:     {:.2}", disturbed.percentile(99.0) / calm.percentile(99.0));
    for (program, bytes) in &after {
        let grown = i128::from(*bytes) - i128::from(before[program]);
        println!("  {program}: {} MiB, {:+} KiB since before", bytes >> 20, grown >> 10);
    }
    setup.report_schedule(&receiver);
}

/// The webhooks, each for a project of its own.
struct Setup {
    healthy: Vec<i64>,
    hanging: Vec<i64>,
    failing: Vec<i64>,
}

impl Setup {
    async fn new(rest: &Rest, receiver: &Receiver) -> Self {
        let all: Vec<i64> = (1..=HEALTHY + HANGING + FAILING).collect();
        let (healthy, bad) = all.split_at(usize::try_from(HEALTHY).expect("a small number"));
        let (hanging, failing) = bad.split_at(usize::try_from(HANGING).expect("a small number"));
        for project in &all {
            let mut body = webhooks::generic(&receiver.url(&path(*project)));
            body["projects"] = json!([project]);
            webhooks::create(rest, body).await;
        }
        hanging.iter().for_each(|project| receiver.script(&path(*project), Answer::hang()));
        failing.iter().for_each(|project| receiver.script(&path(*project), 500));
        Self { healthy: healthy.to_vec(), hanging: hanging.to_vec(), failing: failing.to_vec() }
    }

    /// How far attempts at bad endpoints were from their schedule, as those saw it.
    fn report_schedule(&self, receiver: &Receiver) {
        const TIME_OUT: f64 = 10.0;
        for (name, projects, attempt) in [("hanging", &self.hanging, TIME_OUT), ("failing", &self.failing, 0.0)] {
            let mut late: [Vec<f64>; 3] = Default::default();
            for project in projects {
                let mut last: HashMap<String, (usize, Instant)> = HashMap::new();
                for request in receiver.requests(&path(*project)) {
                    let number: usize = request.expect_header("x-testmo-attempt").parse().expect("a number");
                    let delivery = request.expect_header("x-testmo-delivery").to_owned();
                    if let Some((before, at)) = last.insert(delivery, (number, request.at)) {
                        assert_eq!(number, before + 1, "attempts come one after the other");
                        let gap = request.at.duration_since(at).as_secs_f64();
                        late[before - 1].push((gap - attempt - [0.0, 120.0, 600.0][before - 1]) * 1e3);
                    }
                }
            }
            for (wait, late) in ["0 s", "2 min", "10 min"].into_iter().zip(late) {
                println!("  those {name}, attempts after {wait}: late by {}", Figures::new(late));
            }
        }
    }
}

fn path(project: i64) -> String {
    format!("/{project}")
}

struct Load<'a> {
    product: &'a Product,
    receiver: &'a Receiver,
}

impl Load<'_> {
    /// Publishes `rate` events a second, one group of projects after the other, and tells what the first group's took.
    async fn publish(&self, period: Duration, rate: u32, groups: &[&[i64]]) -> Figures {
        let publisher = self.product.publisher();
        let (mut published, mut watched) = (HashMap::new(), Vec::new());
        open_loop(rate, period, REST, async |number, due| {
            let group = &groups[number % groups.len()];
            let project = group[number / groups.len() % group.len()];
            let event = events::run_completed(project, 1);
            if number.is_multiple_of(groups.len()) {
                // Latency counts from when it was due: a publisher that is held up is part of it.
                published.insert(event.id.clone(), due);
                watched.push(project);
            }
            publisher.publish(event).await.expect("an accepted event");
        })
        .await;
        watched.sort_unstable();
        watched.dedup();
        let mut latencies = Vec::new();
        for project in watched {
            for request in self.receiver.requests(&path(project)) {
                let id = request.json()["id"].as_str().expect("an id").to_owned();
                if let Some(due) = published.remove(&id) {
                    latencies.push(request.at.saturating_duration_since(due).as_secs_f64() * 1e3);
                }
            }
        }
        assert!(published.is_empty(), "{} events did not arrive", published.len());
        Figures::new(latencies)
    }
}

/// Milliseconds, ascending.
struct Figures(Vec<f64>);

impl Figures {
    fn new(mut milliseconds: Vec<f64>) -> Self {
        milliseconds.sort_unstable_by(f64::total_cmp);
        Self(milliseconds)
    }

    /// Not a number where there is none.
    fn percentile(&self, percent: f64) -> f64 {
        let index = (self.0.len() as f64 * percent / 100.0) as usize;
        self.0.get(index).or(self.0.last()).copied().unwrap_or(f64::NAN)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [least, p50, p99, most] = [0.0, 50.0, 99.0, 100.0].map(|percent| self.percentile(percent));
        write!(f, "{least:.1} ms least, p50 {p50:.1}, p99 {p99:.1}, {most:.1} most, of {}", self.0.len())
    }
}
