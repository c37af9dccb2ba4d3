//! Restarts in turn under load: whoever brings a new version loses nothing and sends nothing twice, and can go back to the
//! version before, which then meets a schema that is newer than it is.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use blackbox::{
    in_both_modes, load,
    oracle::{self, Endpoint, Story},
    product::{Mode, Product, Service},
    receiver::{Answer, Receiver, Script},
    webhooks,
};

in_both_modes!(restarts_in_turn_lose_nothing_and_repeat_nothing, a_schema_for_newer_programs_alone_is_refused);

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
        .map(|publisher| blackbox::spawn(load::publish_until(publisher, 1, Arc::clone(&stopped), LONG)))
        .collect();
    for round in 0..ROUNDS {
        if round == ROUNDS / 2 {
            product.add_to_schemas().await;
        }
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
    let verdict = oracle::judge(
        &rest,
        &receiver,
        Story { endpoints: &endpoints, published: &published, deaths: &[], dropped: 0 },
        LONG,
    )
    .await;
    assert!(verdict.is_sound(), "{verdict}");
}

async fn a_schema_for_newer_programs_alone_is_refused(mode: Mode) {
    let mut product = Product::start(mode).await;
    let owners: &[Service] = match mode {
        Mode::Embedded => &[Service::Standalone],
        Mode::Distributed => &[Service::Subscription, Service::History],
    };
    for &owner in owners {
        product.stop(owner).await;
    }
    // The file of the queue says it, too, but is opened after the others.
    product.close_schemas_to_older_programs().await;
    for &owner in owners {
        let (status, output) = product.refuses(owner, LONG).await;
        assert!(!status.success() && output.contains("for programs that know migration 999"), "{output}");
    }
}
