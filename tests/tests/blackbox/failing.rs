//! Endpoints that keep failing: attempts to them are spaced, and in the end their webhooks are deactivated.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use blackbox::{
    events, history, in_both_modes,
    product::{Mode, Product, Service},
    publisher::Publisher,
    receiver::{Answer, Receiver, Script},
    rest::Rest,
    wait::eventually,
    webhooks,
};
use serde_json::{Value, json};

in_both_modes!(
    a_webhook_that_keeps_failing_is_deactivated_and_may_try_anew,
    attempts_to_what_keeps_failing_are_spaced_and_all_are_made,
    what_is_well_again_gets_all_that_waited_once,
);

const SOON: Duration = Duration::from_secs(60);
/// How long endpoints may fail in these tests.
const PATIENCE: Duration = Duration::from_secs(4);

/// A generic webhook.
async fn read(rest: &Rest, id: i64) -> Value {
    rest.get(&format!("/api/v1/webhooks/{id}")).await.expect(200)
}

/// Publishes one event after the other until a webhook is deactivated; the webhook then.
async fn until_deactivated(publisher: &Publisher, rest: &Rest, id: i64) -> Value {
    eventually(SOON, "it is deactivated", async || {
        publisher.publish(events::run_completed(events::PROJECT, 1)).await.expect("an accepted event");
        Some(read(rest, id).await).filter(|webhook| webhook["active"] == json!(false))
    })
    .await
}

/// The value of a metric of a program, of the series that has this in its labels.
async fn metric(product: &Product, service: Service, name: &str, label: &str) -> f64 {
    let service = if product.mode() == Mode::Embedded { Service::Standalone } else { service };
    let answer = product.health(service).get("/metrics").await;
    let text = String::from_utf8_lossy(&answer.bytes).into_owned();
    let of_name = |line: &&str| line.split(['{', ' ']).next() == Some(name) && line.contains(label);
    let values = text.lines().filter(of_name).filter_map(|line| line.rsplit(' ').next());
    values.filter_map(|value| value.parse::<f64>().ok()).sum()
}

async fn a_webhook_that_keeps_failing_is_deactivated_and_may_try_anew(mode: Mode) {
    let product = Product::prepare(mode).set("delivery.deactivate_after", "4s").start().await;
    let (rest, receiver, publisher) = (product.admin(), Receiver::start().await, product.publisher());
    receiver.script("/bad", 503);
    // A success between, each time.
    receiver.script("/mixed", Script::by_attempt(vec![Answer::status(503), Answer::status(200)]));
    receiver.script("/once", 410);
    let bad = webhooks::create_generic(&rest, &receiver.url("/bad")).await.id;
    let mixed = webhooks::create_generic(&rest, &receiver.url("/mixed")).await.id;
    let well = webhooks::create_generic(&rest, &receiver.url("/well")).await.id;
    let mut once = webhooks::generic(&receiver.url("/once"));
    once["events"] = json!(["milestone.completed"]);
    let once = webhooks::create(&rest, once).await.id;
    publisher.publish(events::milestone_completed(events::PROJECT, 1)).await.expect("an accepted event");
    receiver.wait_for("/once", 1, SOON).await;

    let begun = Instant::now();
    let deactivated = until_deactivated(&publisher, &rest, bad).await;
    assert!(begun.elapsed() >= PATIENCE, "after {:?}", begun.elapsed());
    let reason = deactivated["inactive_reason"].as_str().expect("a reason");
    assert!(reason.starts_with("endpoint_failing: no attempt has succeeded since 2"), "{reason}");
    assert!(reason.contains("server_error") && reason.contains("503"), "{reason}");
    let changes = rest.get(&format!("/api/v1/webhooks/{bad}/changes")).await;
    let entry = &changes.json["result"][0];
    assert_eq!((&entry["action"], &entry["actor"]), (&json!("endpoint_failing"), &json!("system")), "{entry}");
    assert!(entry["fields"].to_string().contains(reason), "{entry}");
    assert!(metric(&product, Service::Subscription, "webhooks_deactivated_total", "endpoint_failing").await >= 1.0);
    // What is not done yet waits for the webhook.
    eventually(SOON, "it waits for the webhook", async || {
        let waiting = history::page(&rest, bad, "status=pending").await;
        (!waiting.is_empty() && waiting.iter().all(|entry| entry.waits_for() == "webhook inactive")).then_some(())
    })
    .await;

    // Activated, its count starts anew.
    let before = receiver.count("/bad");
    webhooks::act(&rest, bad, "activate").await;
    let activated = Instant::now();
    receiver.wait_for("/bad", before + 1, SOON).await;
    until_deactivated(&publisher, &rest, bad).await;
    assert!(activated.elapsed() >= PATIENCE, "after {:?}", activated.elapsed());
    receiver.script("/bad", 200);
    let now = webhooks::act(&rest, bad, "activate").await;
    assert_eq!(now["inactive_reason"], Value::Null);
    history::wait_until_settled(&rest, bad, SOON).await;
    for webhook in [bad, mixed, well, once] {
        assert_eq!(read(&rest, webhook).await["active"], json!(true), "{webhook}");
    }
    assert_eq!(receiver.count("/once"), 1);
}

/// A product whose breaker acts soon, with a webhook for `/bad`, which fails, and one for `/well`.
async fn with_breaker(mode: Mode) -> (Product, Receiver, [i64; 2]) {
    let product = Product::prepare(mode).set("delivery.breaker_after", "1s").set("delivery.deactivate_after", "0s");
    let (product, receiver) = (product.start().await, Receiver::start().await);
    receiver.script("/bad", 503);
    let rest = product.admin();
    let bad = webhooks::create_generic(&rest, &receiver.url("/bad")).await.id;
    let well = webhooks::create_generic(&rest, &receiver.url("/well")).await.id;
    (product, receiver, [bad, well])
}

/// Has `/bad` fail until attempts to it are spaced; how many events that took.
async fn until_broken(product: &Product, publisher: &Publisher) -> usize {
    let mut published = 0;
    eventually(SOON, "attempts are spaced", async || {
        publisher.publish_all(&events::many(5), 5, SOON).await;
        published += 5;
        (metric(product, Service::Dispatcher, "webhooks_broken", "").await > 0.0).then_some(())
    })
    .await;
    published
}

async fn attempts_to_what_keeps_failing_are_spaced_and_all_are_made(mode: Mode) {
    const EVENTS: usize = 20;
    let (product, receiver, [bad, _]) = with_breaker(mode).await;
    let (rest, publisher) = (product.admin(), product.publisher());
    let all = until_broken(&product, &publisher).await + EVENTS;
    let begun = Instant::now();
    publisher.publish_all(&events::many(EVENTS), EVENTS, SOON).await;
    receiver.wait_for("/well", all, SOON).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "the healthy one has waited: {:?}", begun.elapsed());
    eventually(SOON, "deliveries wait for their turn", async || {
        let waiting = history::page(&rest, bad, "status=pending").await;
        waiting.iter().any(|entry| entry.waits_for() == "endpoint failing").then_some(())
    })
    .await;
    assert!(metric(&product, Service::Dispatcher, "webhooks_attempts_put_off_total", "failing").await > 0.0);
    history::wait_until_settled(&rest, bad, SOON * 2).await;
    // Each delivery has had all its attempts.
    let mut attempts = BTreeMap::<String, Vec<u32>>::new();
    for request in receiver.requests("/bad") {
        let number = request.expect_header("x-testmo-attempt").parse().expect("a number");
        attempts.entry(request.expect_header("x-testmo-delivery").to_owned()).or_default().push(number);
    }
    assert_eq!(attempts.len(), all);
    assert!(attempts.values().all(|numbers| *numbers == [1, 2, 3, 4]), "{attempts:?}");
    // From when it was known to fail, ten a second: in no five seconds more, and some that were under way already.
    let starts: Vec<_> =
        receiver.requests("/bad").into_iter().map(|request| request.at).filter(|at| *at > begun).collect();
    for (index, start) in starts.iter().enumerate() {
        let later = starts[index..].iter().filter(|at| **at <= *start + Duration::from_secs(5)).count();
        assert!(later <= 70, "{later} attempts in five seconds");
    }
}

async fn what_is_well_again_gets_all_that_waited_once(mode: Mode) {
    const EVENTS: usize = 300;
    let (product, receiver, [bad, _]) = with_breaker(mode).await;
    let (rest, publisher) = (product.admin(), product.publisher());
    until_broken(&product, &publisher).await;
    history::wait_until_settled(&rest, bad, SOON).await;
    let many = events::many(EVENTS);
    publisher.publish_all(&many, 100, SOON).await;
    let count = receiver.count("/bad");
    receiver.wait_for("/bad", count + 10, SOON).await;
    let well_at = Instant::now();
    receiver.script("/bad", 200);
    history::wait_until_settled(&rest, bad, SOON).await;
    // Spaced, they would have taken half a minute.
    assert!(well_at.elapsed() < Duration::from_secs(15), "after {:?}", well_at.elapsed());
    let entries = history::by_event(history::all(&rest, bad).await);
    for event in &many {
        let entries = &entries[&event.id];
        assert_eq!(entries.iter().filter(|entry| entry.status() == "delivered").count(), 1, "{entries:?}");
        let requests = receiver.requests("/bad");
        let of_event = requests.iter().filter(|request| request.json()["id"] == json!(event.id));
        assert_eq!(of_event.count(), entries.len(), "each attempt is made once");
    }
    assert!(metric(&product, Service::Dispatcher, "webhooks_broken", "").await < 1.0);
}
