//! The contract over the end of a broker object: what is kept, what comes again.

use broker::{BrokerError, Lane, PublishError};
use tokio::time::{Instant, timeout};

use super::{
    QUIET,
    support::{Fixture, LONG, SHORT, SOON, delayed, message, next, nothing, publish, text},
};

pub(crate) async fn acknowledged_is_gone_after_a_restart(fixture: Fixture) {
    let broker = fixture.open().await;
    publish(&*broker, message(Lane::Events, "one")).await.expect("taken");
    publish(&*broker, message(Lane::Events, "two")).await.expect("taken");
    let mut consumer = broker.consume(Lane::Events, 10).await.expect("consuming");
    next(&mut consumer).await.ack();
    let kept = next(&mut consumer).await;
    broker.close().await;
    drop(kept);
    let broker = fixture.open().await;
    let mut consumer = broker.consume(Lane::Events, 10).await.expect("consuming");
    let incoming = next(&mut consumer).await;
    assert_eq!(text(&incoming), "two");
    incoming.ack();
    nothing(&mut consumer, QUIET).await;
    broker.close().await;
}

pub(crate) async fn unacknowledged_comes_again_after_a_restart(fixture: Fixture) {
    let broker = fixture.open().await;
    publish(&*broker, message(Lane::Events, "one")).await.expect("taken");
    let mut consumer = broker.consume(Lane::Events, 10).await.expect("consuming");
    let first = next(&mut consumer).await;
    broker.close().await;
    // Too late: the broker is closed.
    first.ack();
    let broker = fixture.open().await;
    let mut consumer = broker.consume(Lane::Events, 10).await.expect("consuming");
    let again = next(&mut consumer).await;
    assert_eq!((text(&again).as_str(), again.redelivered), ("one", true));
    again.ack();
    broker.close().await;
}

pub(crate) async fn unacknowledged_comes_again_after_a_crash(fixture: Fixture) {
    let broker = fixture.open().await;
    publish(&*broker, message(Lane::History, "one")).await.expect("taken");
    let mut consumer = broker.consume(Lane::History, 10).await.expect("consuming");
    let first = next(&mut consumer).await;
    drop(broker);
    let broker = fixture.open().await;
    let mut consumer = broker.consume(Lane::History, 10).await.expect("consuming");
    let again = next(&mut consumer).await;
    assert_eq!((text(&again).as_str(), again.redelivered), ("one", true));
    // Of the object before; it must not count for this one.
    first.ack();
    again.requeue();
    next(&mut consumer).await.ack();
    broker.close().await;
}

pub(crate) async fn a_delay_outlives_a_restart(fixture: Fixture) {
    let broker = fixture.open().await;
    let start = Instant::now();
    publish(&*broker, delayed(Lane::DeliverSlow, SHORT, "later")).await.expect("taken");
    publish(&*broker, delayed(Lane::DeliverSlow, LONG, "much later")).await.expect("taken");
    broker.close().await;
    let broker = fixture.open().await;
    let mut consumer = broker.consume(Lane::DeliverSlow, 10).await.expect("consuming");
    let incoming = next(&mut consumer).await;
    assert_eq!(text(&incoming), "later");
    assert!(start.elapsed() >= SHORT);
    incoming.ack();
    nothing(&mut consumer, QUIET).await;
    broker.close().await;
}

pub(crate) async fn close_ends_consumers_and_keeps_acks(fixture: Fixture) {
    let broker = fixture.open().await;
    let messages = (0..100).map(|number| message(Lane::Events, number.to_string())).collect();
    assert!(broker.publish(messages).await.into_iter().all(|result| result.is_ok()));
    let mut consumer = broker.consume(Lane::Events, 100).await.expect("consuming");
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(next(&mut consumer).await);
    }
    held.into_iter().for_each(broker::Incoming::ack);
    broker.close().await;
    assert!(timeout(SOON, consumer.recv()).await.expect("ends").is_none());
    let broker = fixture.open().await;
    assert_eq!(broker.depth(Lane::Events).await, Ok(0));
    broker.close().await;
}

pub(crate) async fn a_closed_broker_says_so(fixture: Fixture) {
    let broker = fixture.open().await;
    broker.close().await;
    broker.close().await;
    let result = publish(&*broker, message(Lane::Events, "late")).await;
    assert!(matches!(result, Err(PublishError::Unavailable { .. })), "{result:?}");
    assert!(matches!(broker.consume(Lane::Events, 1).await, Err(BrokerError::Closed)));
    assert!(broker.check().await.is_err());
}

pub(crate) async fn what_is_not_taken_before_close_is_not_given_out_after(fixture: Fixture) {
    let broker = fixture.open().await;
    let messages = (0..100).map(|number| message(Lane::Events, number.to_string())).collect();
    assert!(broker.publish(messages).await.into_iter().all(|result| result.is_ok()));
    let mut consumer = broker.consume(Lane::Events, 100).await.expect("consuming");
    next(&mut consumer).await.ack();
    broker.close().await;
    assert!(timeout(SOON, consumer.recv()).await.expect("ends").is_none());
    assert!(timeout(SOON, consumer.recv_batch(10)).await.expect("ends").is_empty());
    let broker = fixture.open().await;
    let mut consumer = broker.consume(Lane::Events, 100).await.expect("consuming");
    for _ in 1..100 {
        next(&mut consumer).await.ack();
    }
    nothing(&mut consumer, QUIET).await;
    broker.close().await;
}
