//! The publish quota through the gRPC service.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use proto::v1::{Event, PublishResult};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::world::{World, event, events};

fn codes(results: &[PublishResult]) -> Vec<Code> {
    results.iter().map(|result| Code::from_i32(result.error.as_ref().map_or(0, |error| error.code))).collect()
}

#[tokio::test]
async fn an_event_beyond_the_quota_is_told_when_to_come_again() {
    let world = World::start(4, 2);
    let refused = event("acme");
    for _ in 0..2 {
        world.publish("acme", event("acme")).await.unwrap();
    }
    let status = world.publish("acme", refused.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(proto::error::ApiError::from(&status).code, proto::error::ErrorCode::RateLimited);
    let wait = status.get_details_retry_info().and_then(|info| info.retry_delay).unwrap();
    assert!(!wait.is_zero() && wait <= Duration::from_millis(250), "{wait:?}");
    for part in [&*refused.id, "instance acme", "4 events/s", &format!("after {} ms", wait.as_millis())] {
        assert!(status.message().contains(part), "{part}: {}", status.message());
    }
    world.publish("globex", event("globex")).await.expect("the quota of another instance");
    assert_eq!(world.queue.ids().len(), 3);

    tokio::time::sleep(wait).await;
    assert_eq!(world.publish("acme", refused.clone()).await.unwrap(), refused.id);
    assert_eq!(world.queue.ids().last(), Some(&refused.id));
}

#[tokio::test]
async fn a_batch_is_refused_event_by_event_and_mistakes_cost_nothing() {
    let world = World::start(1, 3);
    let wrong = || Event { project: None, ..event("acme") };
    let large = || Event { extra_json: format!("{{\"x\":\"{}\"}}", "y".repeat(300 << 10)), ..event("acme") };
    let mistakes = codes(&world.batch("all", vec![wrong(), large(), wrong(), wrong()]).await);
    assert_eq!(mistakes, [Code::InvalidArgument, Code::OutOfRange, Code::InvalidArgument, Code::InvalidArgument]);

    let mut batch = vec![event("acme"), wrong(), event("globex"), event("acme"), large(), event("acme")];
    batch.extend([event("acme"), event("globex"), event("acme")]);
    let results = world.batch("all", batch.clone()).await;
    let (ok, over) = (Code::Ok, Code::ResourceExhausted);
    assert_eq!(codes(&results), [ok, Code::InvalidArgument, ok, ok, Code::OutOfRange, ok, over, ok, over]);
    let taken = [0, 2, 3, 5, 7].map(|index: usize| batch[index].id.clone());
    assert_eq!(world.queue.ids(), taken);
    for (index, wait) in [(6, 1_000), (8, 2_000)] {
        let result = &results[index];
        assert_eq!(result.id, batch[index].id);
        let message = &result.error.as_ref().unwrap().message;
        let told: u64 = message.split("after ").last().unwrap().split(' ').next().unwrap().parse().unwrap();
        assert!((wait - 500..=wait).contains(&told), "{wait} ms: {message}");
    }
}

#[tokio::test]
async fn what_the_broker_does_not_take_counts() {
    let world = World::start(1, 3);
    world.queue.full.store(true, Ordering::SeqCst);
    let results = world.batch("acme", events("acme", 4)).await;
    let unavailable = Code::Unavailable;
    assert_eq!(codes(&results), [unavailable, unavailable, unavailable, Code::ResourceExhausted]);
}

#[tokio::test]
async fn a_stream_of_one_instance_is_slowed_and_keeps_the_quota() {
    const RATE: u32 = 500;
    const BURST: u32 = 20;
    let world = World::start(RATE, BURST);
    let sent = events("acme", 220);
    let begun = Instant::now();
    let results = world.stream("acme", sent.clone()).await;
    assert!(codes(&results).iter().all(|code| *code == Code::Ok), "{results:?}");
    assert_eq!(world.queue.ids(), sent.iter().map(|event| event.id.clone()).collect::<Vec<_>>());
    let published = world.queue.published();
    for (count, message) in (1..).zip(published.iter()) {
        let after = message.at - begun;
        let most = f64::from(BURST) + after.as_secs_f64() * f64::from(RATE);
        assert!(f64::from(count) <= most, "{count} events within {after:?}");
    }
}

#[tokio::test]
async fn a_stream_of_all_instances_waits_for_none() {
    let world = World::start(1, 3);
    let mut mixed = events("acme", 50);
    mixed.insert(40, event("globex"));
    let results = world.stream("all", mixed).await;
    let codes = codes(&results);
    assert_eq!(codes.iter().filter(|code| **code == Code::Ok).count(), 4, "{codes:?}");
    assert_eq!(codes[40], Code::Ok);
    assert!(codes[3..40].iter().all(|code| *code == Code::ResourceExhausted), "{codes:?}");
}

#[tokio::test]
async fn without_a_rate_there_is_no_quota() {
    let world = World::start(0, 0);
    for _ in 0..3 {
        assert!(codes(&world.batch("acme", events("acme", 1_000)).await).iter().all(|code| *code == Code::Ok));
    }
}
