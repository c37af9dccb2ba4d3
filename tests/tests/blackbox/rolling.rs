//! Restarts in turn under load: whoever brings a new version loses nothing and sends nothing twice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use blackbox::{
    in_both_modes, load,
    oracle::{self, Endpoint},
    product::{Mode, Product, Service},
    receiver::{Answer, Receiver, Script},
    webhooks,
};

in_both_modes!(restarts_in_turn_lose_nothing_and_repeat_nothing);

const ROUNDS: usize = 10;
/// Deliveries from one restart to the next.
const BETWEEN: usize = 25;
const LONG: Duration = Duration::from_secs(120);
const HEALTHY: &str = "/healthy";

async fn restarts_in_turn_lose_nothing_and_repeat_nothing(mode: Mode) {
    let product = Product::prepare(mode).copies(Service::Ingest, 2).copies(Service::Dispatcher, 2);
    let mut product = product.start().await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    receiver.script("/fails-once", Script::by_attempt(vec![Answer::status(500), Answer::status(200)]));
    let mut endpoints = Vec::new();
    for (path, answers) in [(HEALTHY, vec![200]), ("/fails-once", vec![500, 200])] {
        let webhook = webhooks::create_generic(&rest, &receiver.url(path)).await.id;
        endpoints.push(Endpoint { path, webhook, answers });
    }
    let stopped = Arc::new(AtomicBool::new(false));
    let publishers = product.publishers().into_iter();
    let loads: Vec<_> = publishers
        .map(|publisher| blackbox::spawn(load::publish_until(publisher, Arc::clone(&stopped), LONG)))
        .collect();
    for _ in 0..ROUNDS {
        for program in product.programs().to_vec() {
            product.stop(program).await;
            product.resume(program).await;
            receiver.wait_for(HEALTHY, receiver.count(HEALTHY) + BETWEEN, LONG).await;
        }
    }
    stopped.store(true, Ordering::Relaxed);
    let mut published = Vec::new();
    for load in loads {
        published.extend(load.await.expect("every event is accepted in the end"));
    }
    println!("{} events while everything was restarted {ROUNDS} times", published.len());
    let verdict = oracle::judge(&rest, &receiver, &endpoints, &published, LONG).await;
    assert!(verdict.is_sound() && verdict.repeats == 0, "{verdict}");
}
