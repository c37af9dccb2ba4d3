//! Waiting: the only place of the tests that sleeps. Whatever a test waits for, it waits for the thing itself.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until `look` gives a value, and returns it; panics with `what` when `timeout` has passed.
pub async fn eventually<T>(timeout: Duration, what: impl Display, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    let mut between = PAUSE;
    loop {
        if let Some(value) = look().await {
            return value;
        }
        assert!(start.elapsed() < timeout, "did not happen within {timeout:?}: {what}");
        pause(between).await;
        between = (between * 3 / 2).min(Duration::from_millis(200));
    }
}

/// Panics with `what` as soon as `holds` is false; returns after it has been true for all of `period`. For what must
/// not happen: there is nothing to wait for.
pub async fn stays(period: Duration, what: impl Display, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while start.elapsed() < period {
        assert!(holds().await, "did not stay so for {period:?} (only {:?}): {what}", start.elapsed());
        pause(PAUSE * 2).await;
    }
    assert!(holds().await, "did not stay so for {period:?}: {what}");
}

/// [`eventually`] for code that is not async: `false` when `timeout` has passed.
#[must_use]
pub fn blocking_eventually(timeout: Duration, mut look: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if look() {
            return true;
        }
        if start.elapsed() >= timeout {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Lets `period` go by: between two looks or tries, and where a receiver is told to be late.
pub(crate) async fn pause(period: Duration) {
    tokio::time::sleep(period).await;
}
