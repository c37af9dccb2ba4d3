//! Restarts in turn under load: whoever brings a new version loses nothing and sends nothing twice.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use blackbox::{
    history, in_both_modes, load,
    product::{Mode, Product, Service},
    receiver::{Answer, Receiver, Script},
    webhooks,
};

in_both_modes!(restarts_in_turn_lose_nothing_and_repeat_nothing);

const ROUNDS: usize = 10;
/// Deliveries from one restart to the next.
const BETWEEN: usize = 25;
const LONG: Duration = Duration::from_secs(120);
/// The paths of the endpoints, and how many attempts each takes.
const ENDPOINTS: [(&str, usize); 2] = [("/healthy", 1), ("/fails-once", 2)];

async fn restarts_in_turn_lose_nothing_and_repeat_nothing(mode: Mode) {
    let product = Product::prepare(mode).copies(Service::Ingest, 2).copies(Service::Dispatcher, 2);
    let mut product = product.start().await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    receiver.script(ENDPOINTS[1].0, Script::by_attempt(vec![Answer::status(500), Answer::status(200)]));
    let mut hooks = Vec::new();
    for (path, _) in ENDPOINTS {
        hooks.push(webhooks::create_generic(&rest, &receiver.url(path)).await);
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
            receiver.wait_for(ENDPOINTS[0].0, receiver.count(ENDPOINTS[0].0) + BETWEEN, LONG).await;
        }
    }
    stopped.store(true, Ordering::Relaxed);
    let mut published = Vec::new();
    for load in loads {
        published.extend(load.await.expect("every event is accepted in the end"));
    }
    println!("{} events while everything was restarted {ROUNDS} times", published.len());
    for ((path, attempts), hook) in ENDPOINTS.into_iter().zip(&hooks) {
        receiver.wait_for(path, published.len() * attempts, LONG).await;
        history::wait_until_settled(&rest, hook.id, LONG).await;
        let mut came: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for request in receiver.requests(path) {
            let event = request.json()["id"].as_str().expect("an id").to_owned();
            came.entry(event).or_default().push(request.expect_header("x-testmo-attempt").to_owned());
        }
        let recorded = history::by_event(history::all(&rest, hook.id).await);
        let expected: Vec<String> = (1..=attempts).map(|number| number.to_string()).collect();
        for event in &published {
            let got = came.remove(&event.id).unwrap_or_default();
            assert_eq!(got, expected, "attempts of event {} at {path}", event.id);
            let entries = recorded.get(&event.id).map_or(&[][..], Vec::as_slice);
            let statuses: Vec<_> = entries.iter().rev().map(history::Entry::status).collect();
            let last = if attempts == 1 { vec!["delivered"] } else { vec!["failed", "delivered"] };
            assert_eq!(statuses, last, "entries of event {} at {path}", event.id);
        }
        assert!(came.is_empty(), "what nobody has published came to {path}: {came:?}");
    }
}
