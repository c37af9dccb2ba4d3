//! Endpoints that are slow, or ask to be left alone.

use std::time::Duration;

use blackbox::receiver::{Answer, Receiver};
use broker::{Lane, Settlement};
use domain::{Clock as _, SystemClock, Timestamp};
use proto::internal::v1::{Attempt, HoldReason, attempt_record::What};

use crate::world::{Bench, event, task, webhook};

/// Much longer than a healthy delivery, much shorter than the 10 s that an attempt may take.
const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_hanging_endpoint_takes_no_place_from_others() {
    const EVENTS: u64 = 12;
    let receiver = Receiver::start().await;
    receiver.script("/hangs", Answer::hang());
    let hooks = ["/hangs", "/well"].map(|path| receiver.url(path));
    let hooks = vec![webhook(1, &hooks[0], &["*"]), webhook(2, &hooks[1], &["*"])];
    // Two places: the hanging one has both for its first second.
    let mut bench = Bench::start(hooks, 2);
    for tag in 0..EVENTS {
        bench.send(Lane::Events, tag, false, event(false)).await;
    }
    let retries = [EVENTS, EVENTS + 1];
    for tag in retries {
        bench.send(Lane::DeliverSlow, tag, false, task(1, tag.into())).await;
    }
    receiver.wait_for("/well", 12, SOON).await;
    let (mut delivered, mut turns) = (0, Vec::new());
    while delivered < 12 || turns.len() < 10 {
        let record = bench.recorded().await;
        match (record.delivery.unwrap().webhook_id, record.what.unwrap()) {
            (2, What::Attempt(attempt)) if attempt.delivered => delivered += 1,
            (1, What::Hold(hold)) if hold.reason() == HoldReason::Busy => turns.push(hold.due_at),
            other => panic!("{other:?}"),
        }
    }
    // One place for ten seconds each, as far as is known.
    turns.sort_unstable();
    assert!(Timestamp::from_micros(turns[0]).since(SystemClock.now()) <= Duration::from_secs(10));
    assert!(turns.windows(2).all(|two| two[1] - two[0] > 9_000_000), "they come back one after the other: {turns:?}");
    assert!(receiver.count("/hangs") <= 4, "{} attempts at once for the hanging one", receiver.count("/hangs"));
    // What was put off and delivered is done; only events with an attempt under way are not.
    let mut acknowledged = 0;
    while acknowledged < 8 {
        assert_eq!(bench.settled().await.1, Settlement::Ack);
        acknowledged += 1;
    }
}

/// What is recorded of an attempt that is answered so, and how many retries were queued.
async fn answered(answer: Answer) -> (Attempt, usize) {
    let receiver = Receiver::start().await;
    receiver.script("/in", answer);
    let mut bench = Bench::start(vec![webhook(1, &receiver.url("/in"), &["*"])], 2);
    bench.send(Lane::DeliverSlow, 7, false, task(1, 7)).await;
    let Some(What::Attempt(attempt)) = bench.recorded().await.what else { panic!("no attempt") };
    assert_eq!(bench.settled().await, (7, Settlement::Ack));
    let queued = bench.world.published.lock().unwrap().len();
    (attempt, queued)
}

#[tokio::test]
async fn an_endpoint_may_lengthen_a_wait() {
    // The second attempt's retry is due after 120 s.
    for (status, asked, waits, held) in [
        (503, "300", 300, true),
        (429, "121", 121, true),
        (429, "86400", 3600, true),
        (503, "119", 120, false),
        (429, "0", 120, false),
        (429, "later", 120, false),
        (500, "300", 120, false),
    ] {
        let (attempt, queued) = answered(Answer::status(status).header("Retry-After", asked)).await;
        let ended = attempt.started_at + attempt.duration_us;
        let wait = (attempt.next_due_at - ended + 500_000) / 1_000_000;
        assert_eq!((wait, queued), (waits, usize::from(!held)), "{status} {asked}");
        assert_eq!(attempt.next_held() == HoldReason::RetryAfter, held, "{status} {asked}");
    }
    let (attempt, queued) = answered(Answer::status(410).header("Retry-After", "300")).await;
    assert_eq!((attempt.next_due_at, queued, attempt.next_held()), (0, 0, HoldReason::Unspecified), "it is final");
}
