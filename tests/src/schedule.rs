//! The schedule of retries while many deliveries wait: no attempt comes early, and none more than two seconds late.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::{
    events, history,
    load::open_loop,
    product::{Mode, Product},
    receiver::Receiver,
    wait::eventually,
    webhooks,
};

/// How much later than it is due an attempt may be.
const LATE: Duration = Duration::from_secs(2);
/// Endpoints, each of which gets every event and fails in its way.
const STATUSES: [u16; 4] = [500, 429, 503, 302];

/// What is published, and how what comes of it waits.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// As configured; `None`: the default.
    pub schedule: Option<&'static str>,
    /// The same, in time.
    pub waits: [Duration; 3],
    /// Events a second, each for all endpoints.
    pub rate: u32,
    /// For how long.
    pub period: Duration,
    /// How long the last attempts may take.
    pub patience: Duration,
}

/// Publishes, waits for all attempts, and prints how late they came; panics if one came early, twice, or too late.
pub async fn measure(mode: Mode, form: Form) {
    let product = match form.schedule {
        Some(schedule) => Product::prepare(mode).set("delivery.retry_schedule", schedule),
        None => Product::prepare(mode).unset("delivery.retry_schedule"),
    };
    let product = product.start().await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    let mut hooks = Vec::new();
    for status in STATUSES {
        receiver.script(&path(status), status);
        hooks.push(webhooks::create_generic(&rest, &receiver.url(&path(status))).await.id);
    }
    let publisher = product.publisher();
    let mut published = 0;
    open_loop(form.rate, form.period, Duration::ZERO, async |_, _| {
        published += 1;
        publisher.publish(events::run_completed(events::PROJECT, published)).await.expect("an accepted event");
    })
    .await;
    let attempts = usize::try_from(published).expect("a small number") * 4;
    for status in STATUSES {
        receiver.wait_for(&path(status), attempts, form.patience).await;
    }
    for (wait, late) in form.waits.iter().zip(lateness(&receiver, &form.waits)) {
        let [least, p50, p99, most] = [0, 50, 99, 100].map(|percent| late[(late.len() - 1) * percent / 100]);
        println!("{mode:?}, {} attempts {wait:?} after a failure, late by:", late.len());
        println!("  {least:?} at least, p50 {p50:?}, p99 {p99:?}, {most:?} at most");
        assert!(most <= LATE, "an attempt came {most:?} late, {wait:?} after a failure");
    }
    // All of it is on record, and over.
    for hook in hooks {
        eventually(form.patience, "nothing waits any more", async || {
            history::page(&rest, hook, "status=pending").await.is_empty().then_some(())
        })
        .await;
        let newest = history::page(&rest, hook, "per_page=100").await;
        assert!(newest.iter().all(|entry| entry.status() == "failed" && (1..=4).contains(&entry.attempt())));
    }
}

fn path(status: u16) -> String {
    format!("/{status}")
}

/// How late attempts 2, 3 and 4 came, ascending; panics if one came early, twice or out of order. The receiver sees an
/// attempt before it has ended, so that what it sees as early is early.
fn lateness(receiver: &Receiver, waits: &[Duration; 3]) -> [Vec<Duration>; 3] {
    let mut late: [Vec<Duration>; 3] = Default::default();
    for status in STATUSES {
        let mut last: HashMap<String, (usize, Instant)> = HashMap::new();
        for request in receiver.requests(&path(status)) {
            let delivery = request.expect_header("x-testmo-delivery").to_owned();
            let number: usize = request.expect_header("x-testmo-attempt").parse().expect("a number");
            let before = last.insert(delivery, (number, request.at));
            assert_eq!(number, before.map_or(0, |(number, _)| number) + 1, "attempts come one after the other");
            let Some((before, at)) = before else { continue };
            let gap = request.at.duration_since(at);
            let wait = waits[before - 1];
            assert!(gap >= wait, "attempt {number} came after {gap:?}, before it was due");
            late[before - 1].push(gap - wait);
        }
    }
    late.iter_mut().for_each(|late| late.sort_unstable());
    late
}
