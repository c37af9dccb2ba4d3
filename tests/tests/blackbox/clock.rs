//! Clocks that are set while events are delivered: a little, as time services do it, and by an hour, as people do.

use std::time::{Duration, Instant};

use blackbox::{
    clock::Clock,
    in_both_modes,
    product::{Mode, Product},
    running::{FAILS, LATER, Running, WELL},
};

in_both_modes!(a_clock_that_is_set_loses_nothing_and_repeats_nothing);

const LONG: Duration = Duration::from_secs(120);
/// What the clock is set to, in seconds from the time that it is; each for [`WRONG`] deliveries, and then right again.
const STEPS: [i64; 6] = [2, -2, 60, -60, 3600, -3600];
const WRONG: usize = 100;
/// Deliveries do not stand still for longer because of it.
const GOES_ON: Duration = Duration::from_secs(5);

async fn a_clock_that_is_set_loses_nothing_and_repeats_nothing(mode: Mode) {
    let clock = Clock::right();
    let product =
        Product::prepare(mode).set("delivery.retry_schedule", r#"["0s", "300ms"]"#).clock(&clock).start().await;
    let running = Running::start(&product, &[WELL, FAILS, LATER]).await;
    for seconds in STEPS {
        for offset in [seconds, 0] {
            clock.set(offset);
            let set = Instant::now();
            let (receiver, before) = (&running.receiver, running.receiver.count(WELL.0));
            receiver.wait_for(WELL.0, before + 10, GOES_ON).await;
            println!("set to {offset:+} s: 10 deliveries within {:?}", set.elapsed());
            receiver.wait_for(WELL.0, before + WRONG, LONG).await;
        }
    }
    let verdict = running.judge(&[]).await;
    assert!(verdict.is_sound() && verdict.repeats == 0, "{verdict}");
}
