//! Retention removes what has expired, while others write.

use std::time::{Duration, Instant};

use crate::{
    fill::{DAY, Filled},
    work::{Writer, percentile, tell},
};

const OTHER: &str = "short-lived";
/// How long writing is measured without and with removing.
const PERIOD: Duration = Duration::from_secs(60);

/// Entries of an instance that keeps its history for a week, in days that others see as well: row by row.
pub(crate) async fn expired(filled: &Filled, entries: i64) {
    filled.fill(OTHER, entries, filled.now - 20 * DAY, filled.now - 10 * DAY).await;
    let writer = Writer::start(&filled.store);
    tokio::time::sleep(PERIOD).await;
    let mut without = writer.stop().await;
    tell("writing, without removing", &mut without);

    let before = filled.bytes().await;
    filled.store.set_retention(OTHER, 7, filled.now).await.unwrap();
    let writer = Writer::start(&filled.store);
    let started = Instant::now();
    let mut steps = Vec::new();
    loop {
        let step = Instant::now();
        let more = filled.store.tidy(filled.now).await.unwrap();
        steps.push(step.elapsed());
        if !more {
            break;
        }
        // As `retention.rs` does.
        tokio::time::sleep((step.elapsed() * 3).max(Duration::from_millis(20))).await;
    }
    let took = started.elapsed();
    let mut with = writer.stop().await;
    tell("a step of removing", &mut steps);
    tell("writing, while removing", &mut with);
    let (with, without) = (percentile(&mut with, 0.99), percentile(&mut without, 0.99));
    println!(
        "removing {entries} entries: {:.0} s, write p99 {:.2} times; {} MiB on the disk before, {} MiB after",
        took.as_secs_f64(),
        with / without,
        before >> 20,
        filled.bytes().await >> 20,
    );
    let left = "SELECT count(*) FROM attempts WHERE instance = 'short-lived'";
    assert_eq!(filled.number(left, left).await, 0);

    // A day that nobody sees any more goes as a whole.
    let before = filled.bytes().await;
    let started = Instant::now();
    filled.store.clear(crate::fill::INSTANCE, filled.now).await.unwrap();
    let mut steps = 0;
    while started.elapsed() < PERIOD && filled.store.tidy(filled.now + 600_000_000).await.unwrap() {
        steps += 1;
    }
    println!(
        "clearing the rest: {:.1} s, {steps} steps; {} MiB on the disk before, {} MiB after",
        started.elapsed().as_secs_f64(),
        before >> 20,
        filled.bytes().await >> 20,
    );
}
