//! Programs that die between an effect that is durable and what tells of it, at every such point and in between, while
//! events are published: nothing is lost, and every attempt that was made is on record.
//!
//! The long form is 200 kills in each mode among many more events, with optimised programs:
//! `cargo build --release --workspace --bins --all-features`, then
//! `FAULT_ROUNDS=10 FAULT_BATCH=10 cargo test --release --workspace --all-features --test blackbox faults::`.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use blackbox::{
    events, in_both_modes, load,
    oracle::{self, Endpoint, Story},
    product::{Mode, Product, Service},
    random,
    receiver::{Answer, Receiver, Script},
    rest::Rest,
    wait::eventually,
    webhooks,
};
use hyper::Method;
use serde_json::json;

in_both_modes!(
    wherever_a_program_dies_nothing_is_lost_and_everything_is_recorded,
    what_history_had_in_hand_when_it_died_goes_on_within_seconds,
);

const LONG: Duration = Duration::from_secs(120);
/// Until history, back again, does what it was about to do: its lease of 4 s, and what a busy machine takes.
const GOES_ON: Duration = Duration::from_secs(8);
/// Publishers at a time, each of about 50 batches a second.
const PUBLISHERS: usize = 2;
/// A point is passed at most so often before its program dies.
const PASSES: u8 = 10;
/// The fail points, and the programs that come to them.
const POINTS: [(&str, Service); 10] = [
    ("ingest.published", Service::Ingest),
    ("dispatcher.opened", Service::Dispatcher),
    ("dispatcher.attempted", Service::Dispatcher),
    ("dispatcher.retry_queued", Service::Dispatcher),
    ("dispatcher.recorded", Service::Dispatcher),
    ("history.opened", Service::History),
    ("history.recorded", Service::History),
    ("history.taken", Service::History),
    ("history.queued", Service::History),
    ("subscription.saved", Service::Subscription),
];

async fn wherever_a_program_dies_nothing_is_lost_and_everything_is_recorded(mode: Mode) {
    let mut product = Product::prepare(mode).set("delivery.retry_schedule", r#"["0s", "300ms"]"#).start().await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    let endpoints = endpoints(&rest, &receiver).await;
    let stopped = Arc::new(AtomicBool::new(false));
    let publish = || load::publish_until(product.publisher(), batch(), Arc::clone(&stopped), LONG);
    let loads: Vec<_> = (0..PUBLISHERS).map(|_| blackbox::spawn(publish())).collect();
    let changes = change(product.admin(), endpoints[0].webhook, Arc::clone(&stopped));
    let kills = async {
        let kills = kill_everywhere(&mut product, mode, &receiver, endpoints[0].path).await;
        stopped.store(true, Ordering::Relaxed);
        kills
    };
    let (Kills { deaths, slowest }, ()) = futures::join!(kills, changes);
    let mut published = Vec::new();
    for load in loads {
        published.extend(load.await.expect("every event is accepted in the end"));
    }
    // What `/later` has put off comes 32 at a time.
    let story = Story { endpoints: &endpoints, published: &published, deaths: &deaths, dropped: 0 };
    let verdict = oracle::judge(&rest, &receiver, story, LONG * rounds()).await;
    let (accepted, count) = (published.len(), deaths.len());
    println!("{accepted} events, {count} kills, going on within {slowest:?}; {verdict}");
    assert!(verdict.is_sound(), "{verdict}");
}

/// A retry that history was about to queue, or had queued a moment ago, waits no longer than the restart and a few seconds.
async fn what_history_had_in_hand_when_it_died_goes_on_within_seconds(mode: Mode) {
    let mut product = Product::start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    let later = Answer::status(503).header("retry-after", "1");
    receiver.script("/later", Script::by_attempt(vec![later, Answer::status(200)]));
    webhooks::create_generic(&rest, &receiver.url("/later")).await;
    for (round, point) in (1..).zip(["history.taken:1", "history.queued:1"]) {
        let (program, publisher) = (program_of(mode, Service::History), product.publisher());
        product.kill(program);
        let publish = async || publisher.publish(events::run_completed(1, 1)).await.ok();
        let publish = eventually(LONG, "an event is accepted", publish);
        futures::join!(product.dies_at(program, point, LONG), publish);
        let died = Instant::now();
        product.resume(program).await;
        receiver.wait_for("/later", 2 * round, LONG).await;
        let took = died.elapsed();
        println!("after {point} it goes on within {took:?}");
        assert!(took < GOES_ON, "{point}: {took:?}");
    }
}

/// What was done to the programs.
struct Kills {
    deaths: Vec<Instant>,
    /// From a death until the next attempt came, at most.
    slowest: Duration,
}

/// Kills at every fail point, and before each in between.
async fn kill_everywhere(product: &mut Product, mode: Mode, receiver: &Receiver, path: &str) -> Kills {
    let mut kills = Kills { deaths: Vec::new(), slowest: Duration::ZERO };
    for _ in 0..rounds() {
        for (point, service) in POINTS {
            let program = program_of(mode, service);
            let passes = 1 + random::bytes()[0] % PASSES;
            product.kill(program);
            kills.deaths.push(Instant::now());
            product.dies_at(program, &format!("{point}:{passes}"), LONG).await;
            let (died, before) = (Instant::now(), receiver.count(path));
            kills.deaths.push(died);
            product.resume(program).await;
            receiver.wait_for(path, before + 1, LONG).await;
            kills.slowest = kills.slowest.max(died.elapsed());
        }
    }
    kills
}

fn program_of(mode: Mode, service: Service) -> Service {
    if mode == Mode::Embedded { Service::Standalone } else { service }
}

/// How often each point is gone through.
fn rounds() -> u32 {
    number("FAULT_ROUNDS")
}

/// How many events a publisher publishes at once.
fn batch() -> usize {
    usize::try_from(number("FAULT_BATCH")).expect("a small number")
}

fn number(variable: &str) -> u32 {
    env::var(variable).ok().map_or(1, |number| number.parse().expect("a number"))
}

/// One that is well, one whose retries are queued, and one whose second attempt waits in history.
async fn endpoints(rest: &Rest, receiver: &Receiver) -> Vec<Endpoint> {
    let (failed, delivered) = (Answer::status(500), Answer::status(200));
    let later = Answer::status(503).header("retry-after", "1");
    receiver.script("/fails", Script::by_attempt(vec![failed.clone(), failed, delivered.clone()]));
    receiver.script("/later", Script::by_attempt(vec![later, delivered]));
    let all = [("/well", vec![200]), ("/fails", vec![500, 500, 200]), ("/later", vec![503, 200])];
    let mut endpoints = Vec::new();
    for (path, answers) in all {
        let webhook = webhooks::create_generic(rest, &receiver.url(path)).await.id;
        endpoints.push(Endpoint { path, webhook, answers });
    }
    endpoints
}

/// Saves a webhook again and again, whatever becomes of the server meanwhile.
async fn change(rest: Rest, webhook: i64, stopped: Arc<AtomicBool>) {
    let (path, mut number) = (format!("/api/v1/webhooks/{webhook}"), 0);
    eventually(LONG * 100, "the changes are told to end", async || {
        number += 1;
        let body = json!({"name": format!("changed {number} times")}).to_string();
        let _ = rest.try_send(Method::PATCH, &path, Some(("application/json", body.into()))).await;
        stopped.load(Ordering::Relaxed).then_some(())
    })
    .await;
}

#[test]
fn every_fail_point_is_tried() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let mut found = BTreeSet::new();
    for file in sources(&crates) {
        let text = fs::read_to_string(file).expect("a source file");
        let calls = text.split("fail_point(\"").skip(1).filter_map(|rest| rest.split('"').next());
        found.extend(calls.map(str::to_owned));
    }
    assert_eq!(found, POINTS.iter().map(|(point, _)| (*point).to_owned()).collect());
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of the project").map(|entry| entry.expect("an entry").path());
    let of = |path: PathBuf| {
        if path.is_dir() { sources(&path) } else { vec![path] }
    };
    entries.flat_map(of).filter(|path| path.extension().is_some_and(|ending| ending == "rs")).collect()
}
