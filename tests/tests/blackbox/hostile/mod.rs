//! Hostile receivers, hundreds at once: every attempt ends in time and is what it is on record, memory stays bounded, and
//! those that behave are served as if the others were not there.

mod kinds;
mod zoo;

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use blackbox::{
    events, history,
    history::Entry,
    in_both_modes,
    load::{Load, Published},
    product::{Mode, Product},
    receiver::{Authority, Received, Receiver},
    rest::Rest,
    wait::eventually,
    webhooks,
};
use futures::future::{Either, select};
use serde_json::json;

use zoo::{Captive, Zoo};

in_both_modes!(alone: hostile_receivers_cost_nobody_anything);

/// Where a redirect leads that must not be followed.
const FOLLOWED: &str = "/followed";
/// Webhooks of each kind.
const EACH: usize = 10;
const HEALTHY: usize = 3;
/// Their projects.
const GOOD: i64 = 1;
const BAD: i64 = 2;
/// `delivery.timeout`.
const TIMEOUT: Duration = Duration::from_secs(6);
/// What a busy machine may add to that.
const TOLERANCE: Duration = Duration::from_secs(4);
/// Attempts where the first fails: the schedule is one retry at once.
const ATTEMPTS: usize = 2;
const SOON: Duration = Duration::from_secs(60);
/// Events to the healthy ones before, and while the others misbehave.
const EVENTS: usize = 300;
/// What the program that sends may grow by.
const GROWTH: u64 = 64 << 20;

async fn hostile_receivers_cost_nobody_anything(mode: Mode) {
    let authority = Authority::new();
    let product = Product::prepare(mode).set("delivery.timeout", "6s").set("delivery.connect_timeout", "4s");
    let product = product.set("delivery.retry_schedule", r#"["0s"]"#).set("delivery.ca_file", &authority.file());
    let product = product.start().await;
    let rest = product.admin();
    let healthy = Healthy::create(&rest).await;
    let mut zoo = Zoo::open(&authority).await;
    let captives = zoo.create_webhooks(&rest, EACH).await;

    let calm = healthy.serve(&product).await;
    let before = product.resident(product.sender());
    let peak = Cell::new(before);
    let work = async {
        let event = events::run_completed(BAD, 1);
        product.publisher().publish(event).await.expect("an accepted event");
        let disturbed = healthy.serve(&product).await;
        (disturbed, settled(&rest, &captives).await)
    };
    let watch = async {
        eventually(SOON * 2, "the end of the work", async || {
            peak.set(peak.get().max(product.resident(product.sender())));
            None::<()>
        })
        .await;
    };
    let Either::Left(((disturbed, entries), _)) = select(Box::pin(work), Box::pin(watch)).await else {
        unreachable!("watching ends in a panic only")
    };
    let growth = peak.get() - before;
    println!(
        "{mode:?}: {} hostile webhooks, {} attempts",
        captives.len(),
        entries.values().map(Vec::len).sum::<usize>()
    );
    println!("publish to receive: calm {calm}; disturbed {disturbed}");
    println!("resident: {} MiB before, {} MiB more at the peak", before >> 20, growth >> 20);
    report_longest(&entries);
    let complaints: Vec<_> =
        captives.iter().flat_map(|captive| captive.complaints(&entries[&captive.webhook])).collect();
    assert!(complaints.is_empty(), "{} attempts went wrong:\n{}", complaints.len(), complaints.join("\n"));
    for captive in captives.iter().filter(|captive| captive.copy == 0) {
        captive.check_body(&rest, &entries[&captive.webhook][0]).await;
    }
    assert_eq!(zoo.followed(), 0, "a redirect was followed");
    assert!(growth <= GROWTH, "{growth} bytes more of memory");
    assert!(disturbed.median <= calm.median * 3 + Duration::from_millis(150), "calm {calm}, disturbed {disturbed}");
    // Who waited for a hostile one would wait for its deadline. The burst itself takes seconds on a machine that is busy.
    assert!(disturbed.p99 <= calm.p99 * 2 + TIMEOUT / 2, "calm {calm}, disturbed {disturbed}");
}

/// All entries by webhook, once nothing is pending.
async fn settled(rest: &Rest, captives: &[Captive]) -> BTreeMap<i64, Vec<Entry>> {
    eventually(SOON, "every hostile webhook has its attempts, and nothing is pending", async || {
        let pending = rest.get("/api/v1/webhooks/deliveries?status=pending&per_page=15").await;
        pending.json["result"].as_array().is_some_and(Vec::is_empty).then_some(())
    })
    .await;
    let hostile: BTreeSet<_> = captives.iter().map(|captive| captive.webhook).collect();
    let mut found: BTreeMap<i64, Vec<Entry>> = hostile.iter().map(|webhook| (*webhook, Vec::new())).collect();
    for entry in history::all_of_instance(rest).await {
        if let Some(entries) = found.get_mut(&entry.webhook()) {
            entries.push(entry);
        }
    }
    found
}

fn report_longest(entries: &BTreeMap<i64, Vec<Entry>>) {
    let longest = entries.values().flatten().map(Entry::duration).max().unwrap_or_default();
    println!("longest attempt {longest:?}, may take {TIMEOUT:?}");
}

/// Webhooks that behave.
struct Healthy {
    receiver: Receiver,
}

impl Healthy {
    async fn create(rest: &Rest) -> Self {
        let receiver = Receiver::start().await;
        for number in 0..HEALTHY {
            let mut body = webhooks::generic(&receiver.url(&path(number)));
            body["projects"] = json!([GOOD]);
            webhooks::create(rest, body).await;
        }
        Self { receiver }
    }

    /// Publishes [`EVENTS`], about 50 a second; how long each took to each webhook. Each comes once.
    async fn serve(&self, product: &Product) -> Latency {
        let load = Load::start(product.publisher(), &[GOOD]);
        eventually(SOON, "events are published", async || (load.count() >= EVENTS).then_some(())).await;
        let published: BTreeMap<_, _> = load.stop().await.into_iter().map(|event| (event.id.clone(), event)).collect();
        let mut samples = Vec::new();
        for number in 0..HEALTHY {
            let came = eventually(SOON, format!("each event comes to {}", path(number)), async || {
                let came = self.came(number, &published);
                (came.len() >= published.len()).then_some(came)
            })
            .await;
            let repeats = self.repeats(number);
            assert!(repeats.is_empty(), "each event comes once: {}", repeats.join("\n"));
            samples.extend(came);
        }
        Latency::of(samples)
    }

    /// How long those of these events took that came to a webhook.
    fn came(&self, number: usize, published: &BTreeMap<String, Published>) -> Vec<Duration> {
        let latency = |request: &Arc<Received>| {
            let from = published.get(&event(request))?.from;
            Some(request.at.saturating_duration_since(from))
        };
        self.receiver.requests(&path(number)).iter().filter_map(latency).collect()
    }

    /// Requests with an event that came before.
    fn repeats(&self, number: usize) -> Vec<String> {
        let requests = self.receiver.requests(&path(number));
        let mut seen: BTreeMap<String, &Arc<Received>> = BTreeMap::new();
        let again = requests.iter().filter_map(|request| {
            let first = seen.insert(event(request), request)?;
            Some(format!("{:?} after the first: {:?} and {:?}", request.at - first.at, first.headers, request.headers))
        });
        again.collect()
    }
}

/// The id of the event.
fn event(request: &Received) -> String {
    request.json()["id"].as_str().expect("an id").to_owned()
}

fn path(number: usize) -> String {
    format!("/healthy/{number}")
}

/// From the call that publishes to the receiver.
struct Latency {
    median: Duration,
    p99: Duration,
    longest: Duration,
}

impl Latency {
    fn of(mut samples: Vec<Duration>) -> Self {
        samples.sort_unstable();
        let at = |percent: usize| samples[(samples.len() - 1) * percent / 100];
        Self { median: at(50), p99: at(99), longest: at(100) }
    }
}

impl std::fmt::Display for Latency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p50 {:.1?}, p99 {:.1?}, longest {:.1?}", self.median, self.p99, self.longest)
    }
}
