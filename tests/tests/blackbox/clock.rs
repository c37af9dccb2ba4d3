//! Clocks that are set while events are delivered: a little, as time services do it, and by an hour, as people do.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use blackbox::{
    clock::Clock,
    in_both_modes, load,
    oracle::{self, Endpoint, Story},
    product::{Mode, Product},
    receiver::{Answer, Receiver, Script},
    webhooks,
};

in_both_modes!(a_clock_that_is_set_loses_nothing_and_repeats_nothing);

const LONG: Duration = Duration::from_secs(120);
/// What the clock is set to, in seconds from the time that it is; each for [`WRONG`] deliveries, and then right again.
const STEPS: [i64; 6] = [2, -2, 60, -60, 3600, -3600];
const WRONG: usize = 100;
/// Deliveries do not stand still for longer because of it.
const GOES_ON: Duration = Duration::from_secs(5);
const WELL: &str = "/well";

async fn a_clock_that_is_set_loses_nothing_and_repeats_nothing(mode: Mode) {
    let clock = Clock::right();
    let product =
        Product::prepare(mode).set("delivery.retry_schedule", r#"["0s", "300ms"]"#).clock(&clock).start().await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    let (failed, delivered) = (Answer::status(500), Answer::status(200));
    let later = Answer::status(503).header("retry-after", "1");
    receiver.script("/fails", Script::by_attempt(vec![failed, delivered.clone()]));
    receiver.script("/later", Script::by_attempt(vec![later, delivered]));
    let mut endpoints = Vec::new();
    for (path, answers) in [(WELL, vec![200]), ("/fails", vec![500, 200]), ("/later", vec![503, 200])] {
        let webhook = webhooks::create_generic(&rest, &receiver.url(path)).await.id;
        endpoints.push(Endpoint { path, webhook, answers });
    }
    let stopped = Arc::new(AtomicBool::new(false));
    let load = blackbox::spawn(load::publish_until(product.publisher(), Arc::clone(&stopped), LONG));
    for seconds in STEPS {
        for offset in [seconds, 0] {
            clock.set(offset);
            let set = Instant::now();
            let before = receiver.count(WELL);
            receiver.wait_for(WELL, before + 10, GOES_ON).await;
            println!("set to {offset:+} s: 10 deliveries within {:?}", set.elapsed());
            receiver.wait_for(WELL, before + WRONG, LONG).await;
        }
    }
    stopped.store(true, Ordering::Relaxed);
    let published = load.await.expect("every event is accepted");
    let story = Story { endpoints: &endpoints, published: &published, deaths: &[] };
    let verdict = oracle::judge(&rest, &receiver, story, LONG).await;
    println!("{} events; {verdict}", published.len());
    assert!(verdict.is_sound() && verdict.repeats == 0, "{verdict}");
}
