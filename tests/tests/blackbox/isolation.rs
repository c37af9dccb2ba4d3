//! Slow endpoints: they disturb nobody, get what is theirs, and may ask to be left alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use blackbox::{
    events, history, in_both_modes,
    product::{Mode, Product},
    receiver::{Answer, Receiver},
    wait::eventually,
    webhooks,
};

in_both_modes!(
    hanging_endpoints_disturb_nobody_and_lose_nothing,
    what_waits_for_a_slow_endpoint_heeds_pause_and_resume,
    an_endpoint_may_ask_to_be_left_alone,
);

const SOON: Duration = Duration::from_secs(40);
/// How long a delivery may still start after its webhook was deactivated.
const GRACE: Duration = Duration::from_secs(1);

/// Few places, so that hanging endpoints would take them all.
async fn start(mode: Mode) -> Product {
    let schedule = r#"["0s", "2s", "30s"]"#;
    let product = Product::prepare(mode).set("delivery.max_in_flight", "16").set("delivery.retry_schedule", schedule);
    let product = product.set("delivery.max_in_flight_slow", "8").set("delivery.max_in_flight_per_slow_webhook", "4");
    product.set("delivery.timeout", "4s").start().await
}

async fn hanging_endpoints_disturb_nobody_and_lose_nothing(mode: Mode) {
    const EVENTS: usize = 150;
    let product = start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    let hanging = ["/h1", "/h2", "/h3", "/h4"];
    let healthy = ["/a", "/b", "/c", "/d"];
    for path in hanging.iter().chain(&healthy) {
        if hanging.contains(path) {
            receiver.script(path, Answer::hang());
        }
        webhooks::create_generic(&rest, &receiver.url(path)).await;
    }
    // The hanging ones are known to be slow when the many come, as they would be in the long run.
    let publisher = product.publisher();
    publisher.publish_all(&events::many(5), 5, SOON).await;
    for path in healthy {
        receiver.wait_for(path, 5, SOON).await;
    }
    eventually(SOON, "deliveries to slow endpoints wait", async || {
        let waiting = history::page(&rest, 1, "status=pending").await;
        waiting.iter().any(|entry| entry.waits_for() == "endpoint slow").then_some(())
    })
    .await;
    let many = events::many(EVENTS);
    let begun = Instant::now();
    publisher.publish_all(&many, 50, SOON).await;
    for path in healthy {
        receiver.wait_for(path, 5 + EVENTS, SOON).await;
    }
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(4), "the healthy ones waited for the hanging ones: {took:?}");
    assert!(hanging.iter().all(|path| receiver.count(path) > 0), "the hanging ones get their attempts");
    // Well again, they get everything that waited, each event once.
    let well_at = Instant::now();
    hanging.iter().for_each(|path| receiver.script(path, 200));
    for path in hanging {
        let wanted: BTreeSet<_> = many.iter().map(|event| event.id.clone()).collect();
        let served = || {
            let requests = receiver.requests(path).into_iter().filter(|request| request.at >= well_at);
            requests.fold(BTreeMap::<String, usize>::new(), |mut served, request| {
                *served.entry(request.json()["id"].as_str().expect("an id").to_owned()).or_default() += 1;
                served
            })
        };
        eventually(SOON, "every event has come", async || {
            let served = served();
            wanted.iter().all(|id| served.contains_key(id)).then_some(())
        })
        .await;
        assert!(served().values().all(|count| *count == 1), "{path}: {:?}", served());
    }
    eventually(SOON, "nothing waits any more", async || {
        (history::page(&rest, 1, "status=pending").await).is_empty().then_some(())
    })
    .await;
}

async fn what_waits_for_a_slow_endpoint_heeds_pause_and_resume(mode: Mode) {
    const EVENTS: usize = 30;
    let product = start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    receiver.script("/in", Answer::status(200).delay(Duration::from_millis(1_500)));
    let hook = webhooks::create_generic(&rest, &receiver.url("/in")).await;
    product.publisher().publish_all(&events::many(EVENTS), 10, SOON).await;
    receiver.wait_for("/in", 20, SOON).await;
    webhooks::act(&rest, hook.id, "deactivate").await;
    let paused = Instant::now();
    receiver.script("/in", 200);
    // Everything under way ends, and what is queued is held again.
    eventually(SOON, "all that waits waits for the webhook or a place", async || {
        let waiting = history::page(&rest, hook.id, "status=pending").await;
        waiting.iter().all(|entry| !entry.waits_for().is_empty()).then_some(())
    })
    .await;
    let count = receiver.count("/in");
    receiver.stays_at("/in", count, Duration::from_secs(2)).await;
    let late = receiver.requests("/in").iter().filter(|request| request.at > paused + GRACE).count();
    assert_eq!(late, 0, "sent after the webhook was deactivated");
    webhooks::act(&rest, hook.id, "activate").await;
    receiver.wait_for("/in", EVENTS, SOON).await;
    receiver.stays_at("/in", EVENTS, Duration::from_secs(1)).await;
    let ids: BTreeSet<_> =
        receiver.requests("/in").iter().map(|request| request.expect_header("x-testmo-delivery").to_owned()).collect();
    assert_eq!(ids.len(), EVENTS, "each once");
}

async fn an_endpoint_may_ask_to_be_left_alone(mode: Mode) {
    let product = start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    let asks = |status: u16| Answer::status(status).header("Retry-After", "4");
    receiver.script("/503", [asks(503), asks(429), Answer::status(200)]);
    receiver.script("/500", [asks(500), Answer::status(200)]);
    for path in ["/503", "/500"] {
        webhooks::create_generic(&rest, &receiver.url(path)).await;
    }
    product.publisher().publish(events::run_completed(events::PROJECT, 1)).await.expect("an accepted event");
    let requests = receiver.wait_for("/500", 2, SOON).await;
    assert!(requests[1].at - requests[0].at < Duration::from_secs(2), "500 asks for nothing");
    let delivery = receiver.wait_for("/503", 1, SOON).await[0].expect_header("x-testmo-delivery").to_owned();
    eventually(SOON, "it waits for as long as asked", async || {
        let entries = history::delivery(&rest, &delivery).await?.entries();
        entries.last().filter(|entry| entry.waits_for() == "endpoint asked to wait (Retry-After)").map(drop)
    })
    .await;
    let requests = receiver.wait_for("/503", 3, SOON).await;
    for pair in requests.windows(2) {
        let gap = pair[1].at - pair[0].at;
        assert!((Duration::from_millis(3_950)..Duration::from_secs(6)).contains(&gap), "{gap:?} instead of 4 s");
    }
    let delivery = history::wait_for_status(&rest, &delivery, "delivered", SOON).await;
    assert_eq!(delivery.entries().len(), 3);
}
