//! Random sequences of publishing, editing, pausing, resuming, deleting, retrying, plan changes and crashes, each in an instance of
//! its own, compared with a simple reference model.
//!
//! The steps of a sequence follow one another, so the model knows what was saved before an event was accepted. What may
//! have changed between that and its matching (the sequence waits for it in half of the cases) leaves the outcome open.
//! For every event that was accepted and every webhook of its instance:
//!
//! 1. What the webhook wanted at every moment from when the event was accepted until it was matched, arrives. What it
//!    wanted at no moment, does not, and leaves no entry.
//! 2. An id that is published again changes nothing: the first content counts, for the webhooks of that time.
//! 3. Attempts are numbered 1, 2, … without a gap, each entry has the outcome that its endpoint answered, and they go on
//!    until success, a permanent failure or the end of the schedule; each accepted *Retry* adds one. All have the same body and delivery id.
//! 4. In the end nothing is pending but what waits for paused webhooks, and nothing is cancelled but what was for
//!    deleted ones. What waited goes on after resume.
//! 5. Each attempt comes once, and each that came is on record. Only where the product is killed meanwhile may one come
//!    again; none is lost.
//! 6. No POST starts over a second after its webhook was deactivated, deleted or downgraded, or before it is active
//!    again; and each goes to the URL that its webhook has at the time (with the same second).
//!
//! A sequence is drawn from its seed, which is told when it fails. `MODEL_SEED=…` does that one alone, `MODEL_COUNT=…`
//! another number of them.

mod check;
mod plan;
mod reference;
mod sequence;

use std::{
    any::Any,
    env,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use blackbox::{
    in_both_modes, jwt,
    product::{Mode, Product},
    random,
    receiver::Receiver,
    wait::eventually,
};
use futures::{FutureExt as _, StreamExt as _, stream};
use tokio::sync::Semaphore;

use check::{Tally, check};
use plan::{Plan, SCHEDULE};
use sequence::{LONG, Sequence, Weather, World};

in_both_modes!(deliveries_are_what_the_model_allows, crashes_lose_nothing_that_the_model_wants);

/// Sequences of each test.
const COUNT: usize = 250;
/// Sequences at a time: more would be a test of how much two cores can carry.
const AT_ONCE: usize = 40;
const SAVES_AT_ONCE: usize = 4;
const CHECKS_AT_ONCE: usize = 8;
/// Within this everything that came is on record: longer than an attempt lasts.
const RECORDED: Duration = Duration::from_secs(5);
/// How often everything is killed: so often that most sequences are in the middle of it once.
const CRASHES: usize = 5;

async fn deliveries_are_what_the_model_allows(mode: Mode) {
    play(mode, Weather::Calm).await;
}

async fn crashes_lose_nothing_that_the_model_wants(mode: Mode) {
    play(mode, Weather::Crashes).await;
}

async fn play(mode: Mode, weather: Weather) {
    let begun = Instant::now();
    let world = World {
        key: random::hex40(),
        receiver: Arc::new(Receiver::start().await),
        weather,
        changing: Arc::new(Semaphore::new(SAVES_AT_ONCE)),
    };
    let product = Product::prepare(mode).set("auth.jwt_key_file", &jwt::key_file(&world.key));
    let mut product = product.set("delivery.retry_schedule", SCHEDULE).start().await;
    let plans = plans();
    let total: usize = plans.iter().map(|plan| plan.steps.len()).sum();
    let done = Arc::new(AtomicUsize::new(0));
    let sequences = plans.into_iter().map(|plan| {
        let (seed, steps, done) = (plan.seed, plan.steps.len(), Arc::clone(&done));
        let sequence = Sequence::new(&product, &world, plan);
        AssertUnwindSafe(sequence.run(Arc::clone(&done))).catch_unwind().map(move |ended| {
            ended.map_err(|panic| {
                // The crashes do not wait for the steps that it has not come to.
                done.fetch_add(steps, Ordering::Relaxed);
                story(&Plan::of(seed), &text(&*panic))
            })
        })
    });
    let running = stream::iter(sequences.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).collect::<Vec<_>>();
    let ended = match weather {
        Weather::Calm => running.await,
        Weather::Crashes => futures::join!(running, crash(&mut product, &done, total)).0,
    };
    let (count, played) = (ended.len(), begun.elapsed());
    // Only now, so that what comes too late is seen.
    let checks = ended.into_iter().map(async |ended| {
        let sequence = ended?;
        checked(&sequence, &world.receiver).await.map_err(|what| story(&sequence.plan, &what))
    });
    let outcomes = stream::iter(checks).buffer_unordered(CHECKS_AT_ONCE).collect::<Vec<Result<Tally, String>>>().await;
    let (mut tally, mut failures) = (Tally::default(), Vec::new());
    for outcome in outcomes {
        match outcome {
            Ok(more) => tally += more,
            Err(what) => failures.push(what),
        }
    }
    println!("{count} sequences, {total} steps: {played:?}, with checks {:?}; {tally:?}", begun.elapsed());
    assert!(failures.is_empty(), "{} of {count} sequences failed\n{}", failures.len(), failures.join("\n\n"));
    assert!(tally.must >= count, "too few deliveries that must be: {tally:?}");
    assert!(count < COUNT || tally.retries > 0, "nothing was retried: {tally:?}");
}

/// What was on the wire when its webhook was deleted, which nothing waits for, is recorded within a moment.
async fn checked(sequence: &Sequence, receiver: &Receiver) -> Result<Tally, String> {
    let begun = Instant::now();
    eventually(LONG, "the outcome stands", async || {
        let outcome = check(sequence, receiver).await;
        (outcome.is_ok() || begun.elapsed() > RECORDED).then_some(outcome)
    })
    .await
}

/// As many as are asked for, each with a seed that was never used.
fn plans() -> Vec<Plan> {
    let asked = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    if let Some(seed) = asked("MODEL_SEED") {
        return vec![Plan::of(seed)];
    }
    let count = asked("MODEL_COUNT").map_or(COUNT, |count| usize::try_from(count).expect("a number of sequences"));
    let seeds = (0..count).map(|_| u64::from_be_bytes(random::bytes()[..8].try_into().expect("8 of 32 bytes")) >> 16);
    seeds.map(Plan::of).collect()
}

/// Kills and starts everything, every time that as many steps more are done.
async fn crash(product: &mut Product, done: &AtomicUsize, total: usize) {
    for number in 1..=CRASHES {
        let due = total * number / (CRASHES + 1);
        eventually(LONG * 4, format!("{due} of {total} steps are done"), async || {
            (done.load(Ordering::Relaxed) >= due).then_some(())
        })
        .await;
        product.kill_all();
        product.start_all().await;
    }
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
}

/// What went wrong, with the steps that led there.
fn story(plan: &Plan, what: &str) -> String {
    let steps: Vec<_> = plan.steps.iter().map(|step| format!("  {step:?}")).collect();
    format!("MODEL_SEED={}: {what}\n{}", plan.seed, steps.join("\n"))
}
