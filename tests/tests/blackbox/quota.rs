//! The quota of events that an instance may publish: a flood is held back where it comes in, and delays nobody else.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use blackbox::{
    events, in_both_modes, jwt,
    product::{Mode, Product, Service},
    publisher::Publisher,
    random,
    receiver::Receiver,
    wait::eventually,
    webhooks,
};
use prost::Message as _;
use proto::v1::{Event, PublishResult, PublishStreamRequest};
use serde_json::json;
use tonic::Code;

in_both_modes!(a_flood_is_refused_and_delays_nobody_else, a_stream_is_slowed);

const SOON: Duration = Duration::from_secs(20);
const QUIET: Duration = Duration::from_secs(2);
/// Events a second.
const RATE: &str = "20";
const BURST: usize = 40;
/// Events that the quiet instance publishes; fewer than it may at once.
const QUIET_EVENTS: i64 = 30;
/// Instances.
const FLOODING: &str = "default";
const OTHER: &str = "globex";

async fn a_flood_is_refused_and_delays_nobody_else(mode: Mode) {
    let secret = random::hex40();
    let product = Product::prepare(mode)
        .set("publishing.events_per_second", RATE)
        .set("publishing.burst", &BURST.to_string())
        .set("auth.jwt_key_file", &jwt::key_file(&secret))
        .start()
        .await;
    let receiver = Receiver::start().await;
    let other = |role: &str| {
        let claims = json!({"sub": "core", "instance": OTHER, "role": role, "exp": jwt::in_seconds(600)});
        jwt::hs256(&secret, &claims)
    };
    webhooks::create_generic(&product.admin(), &receiver.url("/flooding")).await;
    webhooks::create_generic(&product.rest(Some(&other("system_admin"))), &receiver.url("/other")).await;

    let stop = Arc::new(AtomicBool::new(false));
    let flooding = product.publisher();
    let flood = blackbox::spawn(flood(flooding.clone(), Arc::clone(&stop)));
    let quiet = product.publisher_with(Some(&other("publisher")));
    for number in 1..=QUIET_EVENTS {
        quiet.publish(events::run_completed(events::PROJECT, number)).await.expect("an event below the quota");
    }
    receiver.wait_for("/other", QUIET_EVENTS as usize, SOON).await;
    stop.store(true, Ordering::Relaxed);
    let mut accepted = flood.await.expect("a flood that ends");

    let (taken, refused) = publish(&flooding, events::many(BURST)).await;
    accepted.extend(taken);
    assert!(!refused.is_empty(), "a flood has just gone through the quota");
    let longest = refused.iter().map(|(_, wait)| *wait).max().expect("a wait");
    let told = Instant::now();
    eventually(SOON, "the wait that was told is over", async || (told.elapsed() >= longest).then_some(())).await;
    let (taken, still) = publish(&flooding, refused.into_iter().map(|(event, _)| event).collect()).await;
    accepted.extend(taken);
    assert!(still.is_empty(), "refused again after the wait that was told: {still:?}");

    let requests = receiver.wait_for("/flooding", accepted.len(), SOON).await;
    let ids = requests.iter().map(|request| request.json()["id"].as_str().expect("an id").to_owned());
    assert_eq!(ids.collect::<BTreeSet<_>>(), accepted, "what was accepted, and nothing that was refused");
    receiver.stays_at("/flooding", accepted.len(), QUIET).await;
    assert_eq!(receiver.count("/other"), QUIET_EVENTS as usize);
    the_operator_sees_it(&product).await;
}

/// Publishes until told to stop, and not before something was refused; the ids that were accepted.
async fn flood(publisher: Publisher, stop: Arc<AtomicBool>) -> BTreeSet<String> {
    let begun = Instant::now();
    let (mut accepted, mut held_back) = (BTreeSet::new(), false);
    while !(stop.load(Ordering::Relaxed) && held_back) {
        let (taken, refused) = publish(&publisher, events::many(2 * BURST)).await;
        held_back |= !refused.is_empty();
        accepted.extend(taken);
        let most = BURST as f64 + begun.elapsed().as_secs_f64() * RATE.parse::<f64>().expect("a number");
        assert!(accepted.len() as f64 <= most, "{} events within {:?}", accepted.len(), begun.elapsed());
    }
    accepted
}

/// Publishes a batch: the ids of what was accepted, and what was refused with the wait that was told.
async fn publish(publisher: &Publisher, events: Vec<Event>) -> (BTreeSet<String>, Vec<(Event, Duration)>) {
    let results = publisher.publish_batch(events.clone()).await.expect("a result for each event");
    let (mut accepted, mut refused) = (BTreeSet::new(), Vec::new());
    for (event, result) in events.into_iter().zip(results) {
        match told_wait(&event, &result) {
            Some(wait) => refused.push((event, wait)),
            None => _ = accepted.insert(result.id),
        }
    }
    (accepted, refused)
}

/// The wait that was told, if the event was refused because of the quota; panics if it was for anything else.
fn told_wait(event: &Event, result: &PublishResult) -> Option<Duration> {
    assert_eq!(result.id, event.id);
    let error = result.error.as_ref()?;
    assert_eq!(Code::from_i32(error.code), Code::ResourceExhausted, "{error:?}");
    for part in [&*event.id, &format!("instance {FLOODING}"), &format!("{RATE} events/s")] {
        assert!(error.message.contains(part), "{part} is not in: {}", error.message);
    }
    let (_, wait) = error.message.split_once(" after ").expect("the wait");
    let (millis, _) = wait.split_once(" ms").expect("a wait in milliseconds");
    Some(Duration::from_millis(millis.parse().expect("a number")))
}

async fn the_operator_sees_it(product: &Product) {
    let service = if product.mode() == Mode::Embedded { Service::Standalone } else { Service::Ingest };
    let answer = product.health(service).get("/metrics").await;
    let metrics = String::from_utf8_lossy(&answer.bytes).into_owned();
    let refused = metrics.lines().filter(|line| line.starts_with("webhooks_events_refused_total{"));
    assert!(refused.clone().any(|line| line.contains(r#"reason="rate_limited""#)), "not counted: {metrics}");
    assert!(!refused.clone().any(|line| line.contains(FLOODING)), "no series for each instance: {metrics}");
    let output = product.output(service);
    let told: Vec<_> = output.lines().filter(|line| line.contains("beyond its quota")).collect();
    assert!((1..10).contains(&told.len()), "logged now and then: {told:?}");
    assert!(told.iter().all(|line| line.contains(FLOODING)), "of the instance that it is about: {told:?}");
}

async fn a_stream_is_slowed(mode: Mode) {
    let product =
        Product::prepare(mode).set("publishing.events_per_second", "100").set("publishing.burst", "20").start().await;
    let receiver = Receiver::start().await;
    webhooks::create_generic(&product.admin(), &receiver.url("/in")).await;
    let events = events::many(170);
    let requests =
        (0..).zip(&events).map(|(sequence, event)| PublishStreamRequest { event: Some(event.clone()), sequence });
    let begun = Instant::now();
    let (answers, end) =
        product.publisher().publish_stream(requests.map(|request| request.encode_to_vec()).collect()).await;
    let took = begun.elapsed();
    assert!(end.is_none() && answers.len() == events.len(), "{end:?} after {} answers", answers.len());
    let errors: Vec<_> = answers.iter().filter_map(|answer| answer.result.as_ref()?.error.as_ref()).collect();
    assert!(errors.is_empty(), "a stream waits: {errors:?}");
    assert!(took >= Duration::from_millis(1_500), "150 events beyond the burst need 1.5 s, not {took:?}");
    receiver.wait_for("/in", events.len(), SOON).await;
}
