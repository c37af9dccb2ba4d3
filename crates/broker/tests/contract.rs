//! The contract of the port, one list of tests for every adapter.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[path = "contract/parked.rs"]
mod parked;
#[path = "contract/restarts.rs"]
mod restarts;
mod support;

use std::{collections::BTreeMap, time::Duration};

use blackbox::wait::eventually;
use broker::{Lane, PublishError};
use parked::*;
use restarts::*;
use support::{Fixture, LONG, SHORT, SOON, delayed, message, next, nothing, publish, text};
use tokio::time::{Instant, timeout};

const QUIET: Duration = Duration::from_millis(300);

macro_rules! contract {
    ($($test:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(super::Fixture::embedded().await).await;
            })*
        }
        mod rabbitmq {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(super::Fixture::rabbitmq().await).await;
            })*
        }
    };
}

contract! {
    what_is_published_is_consumed,
    acknowledged_is_gone_after_a_restart,
    unacknowledged_comes_again_after_a_restart,
    unacknowledged_comes_again_after_a_crash,
    requeued_and_dropped_come_again,
    given_back_too_often_is_parked,
    parked_does_not_come_again,
    prefetch_holds,
    acknowledged_out_of_order_frees_the_prefetch,
    a_delay_is_kept,
    a_delay_outlives_a_restart,
    what_has_no_delay_overtakes_what_has_one,
    unknown_delays_are_refused,
    what_is_too_large_is_refused,
    many_messages_arrive_once,
    consumers_of_a_lane_share_the_work,
    a_dropped_consumer_gives_back_what_it_had,
    a_full_queue_refuses_and_recovers,
    each_message_has_its_result,
    depth_counts_what_waits,
    close_ends_consumers_and_keeps_acks,
    what_is_not_taken_before_close_is_not_given_out_after,
    a_closed_broker_says_so,
    parked_messages_are_listed_and_stay,
    what_was_given_back_too_often_says_so,
    parked_messages_go_back_by_id_by_lane_or_all,
    what_went_back_has_as_many_tries_as_before,
    what_is_parked_again_meanwhile_stays,
    dropped_is_gone,
    an_empty_selection_means_nothing,
    what_went_back_outlives_a_restart,
    an_interrupted_requeue_loses_nothing,
    a_thousand_are_listed_in_order,
    a_listing_is_bounded_in_bytes,
    two_people_at_once_lose_nothing,
    going_back_among_what_is_published_loses_nothing,
    poison_put_straight_into_a_queue_is_parked_once,
}

async fn what_is_published_is_consumed(fixture: Fixture) {
    let broker = fixture.open().await;
    for lane in Lane::ALL {
        let mut outgoing = message(lane, lane.name());
        outgoing.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
        publish(&*broker, outgoing.clone()).await.expect("taken");
        let mut consumer = broker.consume(lane, 10).await.expect("consuming");
        let incoming = next(&mut consumer).await;
        assert_eq!(text(&incoming), lane.name());
        assert_eq!(incoming.traceparent, outgoing.traceparent);
        assert!(!incoming.redelivered);
        incoming.ack();
    }
    broker.check().await.expect("well");
    broker.close().await;
}

async fn requeued_and_dropped_come_again(fixture: Fixture) {
    let broker = fixture.open().await;
    publish(&*broker, message(Lane::DeliverSlow, "one")).await.expect("taken");
    let mut consumer = broker.consume(Lane::DeliverSlow, 1).await.expect("consuming");
    next(&mut consumer).await.requeue();
    let again = next(&mut consumer).await;
    assert!(again.redelivered);
    drop(again);
    let third = next(&mut consumer).await;
    assert!(third.redelivered);
    third.ack();
    nothing(&mut consumer, QUIET).await;
    broker.close().await;
}

async fn given_back_too_often_is_parked(fixture: Fixture) {
    let broker = fixture.open().await;
    publish(&*broker, message(Lane::Events, "poison")).await.expect("taken");
    let mut consumer = broker.consume(Lane::Events, 1).await.expect("consuming");
    let mut times = 0;
    while let Ok(incoming) = timeout(Duration::from_secs(1), consumer.recv()).await {
        incoming.expect("the consumer goes on").requeue();
        times += 1;
    }
    assert!((20..=21).contains(&times), "came {times} times");
    broker.close().await;
}

async fn parked_does_not_come_again(fixture: Fixture) {
    let broker = fixture.open().await;
    publish(&*broker, message(Lane::Events, "broken")).await.expect("taken");
    publish(&*broker, message(Lane::Events, "whole")).await.expect("taken");
    let mut consumer = broker.consume(Lane::Events, 10).await.expect("consuming");
    next(&mut consumer).await.park("cannot be decoded");
    next(&mut consumer).await.ack();
    nothing(&mut consumer, QUIET).await;
    assert_eq!(broker.depth(Lane::Events).await, Ok(0));
    broker.close().await;
    let broker = fixture.open().await;
    let mut consumer = broker.consume(Lane::Events, 10).await.expect("consuming");
    nothing(&mut consumer, QUIET).await;
    broker.close().await;
}

async fn prefetch_holds(fixture: Fixture) {
    let broker = fixture.open().await;
    let messages = (0..10).map(|number| message(Lane::Events, number.to_string())).collect();
    assert!(broker.publish(messages).await.into_iter().all(|result| result.is_ok()));
    let mut consumer = broker.consume(Lane::Events, 3).await.expect("consuming");
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(next(&mut consumer).await);
    }
    nothing(&mut consumer, QUIET).await;
    held.pop().expect("three").ack();
    held.push(next(&mut consumer).await);
    nothing(&mut consumer, QUIET).await;
    broker.close().await;
}

async fn acknowledged_out_of_order_frees_the_prefetch(fixture: Fixture) {
    let broker = fixture.open().await;
    let messages = (0..100).map(|number| message(Lane::Events, number.to_string())).collect();
    assert!(broker.publish(messages).await.into_iter().all(|result| result.is_ok()));
    let mut consumer = broker.consume(Lane::Events, 4).await.expect("consuming");
    let first = next(&mut consumer).await;
    let mut pair = Vec::new();
    for _ in 1..100 {
        pair.push(next(&mut consumer).await);
        if pair.len() == 3 {
            pair.drain(..).rev().for_each(broker::Incoming::ack);
        }
    }
    pair.into_iter().for_each(broker::Incoming::ack);
    first.ack();
    nothing(&mut consumer, QUIET).await;
    broker.close().await;
}

async fn a_delay_is_kept(fixture: Fixture) {
    let broker = fixture.open().await;
    let mut consumer = broker.consume(Lane::DeliverFast, 10).await.expect("consuming");
    let mut other = broker.consume(Lane::DeliverSlow, 10).await.expect("consuming");
    let start = Instant::now();
    publish(&*broker, delayed(Lane::DeliverFast, SHORT, "later")).await.expect("taken");
    let incoming = next(&mut consumer).await;
    let took = start.elapsed();
    assert_eq!(text(&incoming), "later");
    assert!(took >= SHORT, "came after {took:?}");
    assert!(took < SHORT + Duration::from_secs(2), "came after {took:?}");
    incoming.ack();
    nothing(&mut other, Duration::from_millis(50)).await;
    broker.close().await;
}

async fn what_has_no_delay_overtakes_what_has_one(fixture: Fixture) {
    let broker = fixture.open().await;
    let mut consumer = broker.consume(Lane::DeliverSlow, 10).await.expect("consuming");
    let both = vec![delayed(Lane::DeliverSlow, SHORT, "later"), message(Lane::DeliverSlow, "now")];
    assert!(broker.publish(both).await.into_iter().all(|result| result.is_ok()));
    for expected in ["now", "later"] {
        let incoming = next(&mut consumer).await;
        assert_eq!(text(&incoming), expected);
        incoming.ack();
    }
    broker.close().await;
}

async fn unknown_delays_are_refused(fixture: Fixture) {
    let broker = fixture.open().await;
    for refused in [
        delayed(Lane::DeliverFast, Duration::from_secs(7), "no such delay"),
        delayed(Lane::Events, SHORT, "no delays in this lane"),
        delayed(Lane::History, SHORT, "no delays in this lane"),
    ] {
        let result = publish(&*broker, refused).await;
        assert!(matches!(result, Err(PublishError::Refused { .. })), "{result:?}");
    }
    broker.close().await;
}

async fn what_is_too_large_is_refused(fixture: Fixture) {
    let broker = fixture.open().await;
    let result = publish(&*broker, message(Lane::Events, "x".repeat(9 << 20))).await;
    assert!(matches!(result, Err(PublishError::Refused { .. })), "{result:?}");
    publish(&*broker, message(Lane::Events, "x".repeat(1 << 20))).await.expect("taken");
    let mut consumer = broker.consume(Lane::Events, 1).await.expect("consuming");
    let incoming = next(&mut consumer).await;
    assert_eq!(incoming.body.len(), 1 << 20);
    incoming.ack();
    broker.close().await;
}

async fn many_messages_arrive_once(fixture: Fixture) {
    const COUNT: usize = 5000;
    let broker = fixture.open().await;
    let mut consumer = broker.consume(Lane::Events, 500).await.expect("consuming");
    let publisher = async {
        for start in (0..COUNT).step_by(500) {
            let messages =
                (start..start + 500).map(|number| message(Lane::Events, format!("{number} {}", "x".repeat(1000))));
            assert!(broker.publish(messages.collect()).await.into_iter().all(|result| result.is_ok()));
        }
    };
    let reader = async {
        let mut seen = BTreeMap::new();
        while seen.len() < COUNT {
            let batch = timeout(SOON, consumer.recv_batch(64)).await.expect("messages in time");
            for incoming in batch {
                let number: usize = text(&incoming).split(' ').next().expect("a number").parse().expect("a number");
                *seen.entry(number).or_insert(0) += 1;
                incoming.ack();
            }
        }
        seen
    };
    let (seen, ()) = tokio::join!(reader, publisher);
    assert!(seen.into_iter().enumerate().all(|(index, (number, times))| index == number && times == 1));
    nothing(&mut consumer, QUIET).await;
    broker.close().await;
    let broker = fixture.open().await;
    assert_eq!(broker.depth(Lane::Events).await, Ok(0));
    broker.close().await;
}

async fn consumers_of_a_lane_share_the_work(fixture: Fixture) {
    let broker = fixture.open().await;
    let mut first = broker.consume(Lane::Events, 5).await.expect("consuming");
    let mut second = broker.consume(Lane::Events, 5).await.expect("consuming");
    let messages = (0..10).map(|number| message(Lane::Events, number.to_string())).collect();
    // Before both have subscribed one of them could take all that its prefetch allows, which is half.
    assert!(broker.publish(messages).await.into_iter().all(|result| result.is_ok()));
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(next(&mut first).await);
        held.push(next(&mut second).await);
    }
    let mut texts: Vec<_> = held.iter().map(text).collect();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 10);
    held.into_iter().for_each(broker::Incoming::ack);
    broker.close().await;
}

async fn a_dropped_consumer_gives_back_what_it_had(fixture: Fixture) {
    let broker = fixture.open().await;
    let messages = (0..10).map(|number| message(Lane::Events, number.to_string())).collect();
    assert!(broker.publish(messages).await.into_iter().all(|result| result.is_ok()));
    let mut first = broker.consume(Lane::Events, 10).await.expect("consuming");
    let in_hand = next(&mut first).await;
    drop(first);
    let mut second = broker.consume(Lane::Events, 10).await.expect("consuming");
    for _ in 0..9 {
        next(&mut second).await.ack();
    }
    // Its consumer is gone, but it can still be settled.
    in_hand.ack();
    nothing(&mut second, QUIET).await;
    broker.close().await;
    let broker = fixture.open().await;
    assert_eq!(broker.depth(Lane::Events).await, Ok(0));
    broker.close().await;
}

async fn a_full_queue_refuses_and_recovers(fixture: Fixture) {
    const LIMIT: usize = 64 << 10;
    let broker = fixture.open_with(LIMIT as u64).await;
    let body = "x".repeat(16 << 10);
    let full = eventually(SOON, "the queue is full", async || {
        publish(&*broker, message(Lane::Events, body.clone())).await.err()
    })
    .await;
    assert!(matches!(&full, PublishError::Full { queue } if queue.contains("events")), "{full:?}");
    // What follows from events that were let in is taken: they are acknowledged only after that.
    let mut others = Vec::new();
    for (lane, delay) in [
        (Lane::DeliverFast, Duration::ZERO),
        (Lane::DeliverSlow, Duration::ZERO),
        (Lane::DeliverSlow, SHORT),
        (Lane::History, Duration::ZERO),
    ] {
        let messages = (0..2 * LIMIT / body.len()).map(|_| delayed(lane, delay, body.clone()));
        let results = broker.publish(messages.collect()).await;
        assert!(results.iter().all(Result::is_ok), "{lane:?} after {delay:?}: {results:?}");
        others.push((lane, results.len()));
    }
    for (lane, count) in others {
        let mut consumer = broker.consume(lane, 100).await.expect("consuming");
        for _ in 0..count {
            next(&mut consumer).await.ack();
        }
    }
    let mut consumer = broker.consume(Lane::Events, 1).await.expect("consuming");
    let taken = eventually(SOON, "there is room again", async || {
        if let Ok(Some(incoming)) = timeout(Duration::from_millis(100), consumer.recv()).await {
            incoming.ack();
        }
        publish(&*broker, message(Lane::Events, "small")).await.ok()
    });
    taken.await;
    broker.close().await;
}

async fn each_message_has_its_result(fixture: Fixture) {
    let broker = fixture.open().await;
    assert!(broker.publish(Vec::new()).await.is_empty());
    let messages = vec![
        message(Lane::DeliverFast, "good"),
        delayed(Lane::DeliverFast, Duration::from_secs(7), "refused"),
        message(Lane::DeliverSlow, "good too"),
    ];
    let results: Vec<_> = broker.publish(messages).await.into_iter().map(|result| result.is_ok()).collect();
    assert_eq!(results, [true, false, true]);
    broker.close().await;
}

async fn depth_counts_what_waits(fixture: Fixture) {
    let broker = fixture.open().await;
    let messages = vec![
        message(Lane::DeliverFast, "one"),
        message(Lane::DeliverFast, "two"),
        delayed(Lane::DeliverFast, LONG, "later"),
        message(Lane::DeliverSlow, "elsewhere"),
    ];
    assert!(broker.publish(messages).await.into_iter().all(|result| result.is_ok()));
    // RabbitMQ counts a moment after it confirms.
    let depth = |expected| {
        let broker = &broker;
        eventually(SOON, "the depth is right", async move || {
            (broker.depth(Lane::DeliverFast).await == Ok(expected)).then_some(())
        })
    };
    depth(2).await;
    let mut consumer = broker.consume(Lane::DeliverFast, 1).await.expect("consuming");
    let incoming = next(&mut consumer).await;
    depth(1).await;
    incoming.ack();
    broker.close().await;
}
