//! The parked queue on RabbitMQ: what the broker itself puts there, and other people's hands on it.

use std::time::Duration;

use blackbox::{servers, wait::eventually};
use broker::{Broker, BrokerError, Lane, Parked, ParkedSelection, rabbitmq::RabbitMq};
use lapin::{
    BasicProperties,
    options::{BasicGetOptions, BasicPublishOptions, BasicRejectOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};
use tokio::time::timeout;

use super::{
    config, connect, raw,
    support::{SHORT, SOON, message, next, nothing, now, publish, send, text},
};

const ALL: ParkedSelection = ParkedSelection::All { lane: None };

async fn parked(broker: &RabbitMq, count: usize) -> Vec<Parked> {
    let counted = async || (broker.parked_depth().await == Ok(count as u64)).then_some(());
    eventually(SOON, "all are parked", counted).await;
    let listed = broker.parked(count + 1).await.expect("listed");
    assert_eq!(listed.len(), count, "{listed:?}");
    listed
}

/// Each look takes a lock and gives it back, which once cost the connection every few hundred times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_often_disturbs_nobody() {
    let broker = connect(servers::rabbit_url().await, "looking").await;
    publish(&*broker, message(Lane::Events, "held")).await.expect("taken");
    let mut consumer = broker.consume(Lane::Events, 10).await.expect("consuming");
    let held = next(&mut consumer).await;
    for round in 0..800 {
        let listed = broker.parked(1).await;
        assert!(matches!(&listed, Ok(nothing) if nothing.is_empty()), "look {round}: {listed:?}");
    }
    // It would have come again over a new connection.
    nothing(&mut consumer, SHORT).await;
    held.ack();
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_parks_by_itself_says_why() {
    let url = servers::rabbit_url().await;
    let broker = connect(url, "dying").await;
    let (_connection, channel) = raw(url).await;
    // Rejected by a consumer that is not ours.
    publish(&*broker, message(Lane::History, "rejected")).await.expect("taken");
    let got = channel.basic_get("dying.history".into(), BasicGetOptions::default()).await.expect("a queue");
    let tag = got.expect("a message").delivery.delivery_tag;
    channel.basic_reject(tag, BasicRejectOptions { requeue: false }).await.expect("rejected");
    let listed = parked(&broker, 1).await;
    assert_eq!(
        (listed[0].lane, listed[0].reason.as_str(), listed[0].redeliveries),
        (Some(Lane::History), "rejected by a consumer without a reason", None)
    );
    assert!(listed[0].parked_at.is_some_and(|at| now().abs_diff(at) < 60_000_000), "{listed:?}");
    // Put straight into a lane with a time to live of its own; the routing key is the queue's name.
    let properties = BasicProperties::default().with_expiration("1".into());
    let publish_raw = channel.basic_publish(
        "".into(),
        "dying.deliver.fast".into(),
        BasicPublishOptions::default(),
        b"expired",
        properties,
    );
    publish_raw.await.expect("sent").await.expect("confirmed");
    let listed = parked(&broker, 2).await;
    assert_eq!(
        (listed[1].lane, listed[1].reason.as_str()),
        (Some(Lane::DeliverFast), "its own time to live ran out before it was consumed")
    );
    // After a wait for its retry, which ended by dead-lettering too.
    let mut slow = broker.consume(Lane::DeliverSlow, 1).await.expect("consuming");
    send(url, "dying.delay.500ms", b"strange").await;
    for _ in 0..20 {
        next(&mut slow).await.requeue();
    }
    let give_back = async {
        while let Some(incoming) = slow.recv().await {
            incoming.requeue();
        }
    };
    let listed = tokio::select! {
        () = give_back => panic!("the consumer ended"),
        listed = parked(&broker, 3) => listed,
    };
    assert_eq!((listed[2].lane, listed[2].reason.as_str()), (Some(Lane::DeliverSlow), "given back 20 times"));
    assert_eq!(broker.requeue_parked(&ALL).await.expect("put back"), 3);
    let mut fast = broker.consume(Lane::DeliverFast, 1).await.expect("consuming");
    let incoming = next(&mut fast).await;
    assert_eq!((text(&incoming).as_str(), incoming.redelivered), ("expired", true));
    incoming.ack();
    next(&mut slow).await.ack();
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_with_any_properties_put_straight_into_any_queue_is_given_back_and_parked_once() {
    let url = servers::rabbit_url().await;
    let broker = connect(url, "poison").await;
    let (_connection, channel) = raw(url).await;
    let mut headers = FieldTable::default();
    headers.insert("traceparent".into(), AMQPValue::LongLongInt(-1));
    headers.insert("x-death".into(), AMQPValue::LongString("mine".into()));
    headers.insert("seen".into(), AMQPValue::Void);
    headers.insert("nested".into(), AMQPValue::FieldTable(FieldTable::default()));
    let hostile = BasicProperties::default()
        .with_content_type("text/x-nonsense".into())
        .with_content_encoding("gzip".into())
        .with_message_id("not a UUID, but \"an id\"".into())
        .with_type("what".into())
        .with_delivery_mode(1)
        .with_priority(255)
        .with_headers(headers);
    for (properties, id) in [(BasicProperties::default(), None), (hostile, Some("not a UUID, but \"an id\""))] {
        for lane in [Lane::Events, Lane::DeliverFast, Lane::DeliverSlow] {
            let queue = format!("poison.{}", lane.name());
            let options = BasicPublishOptions::default();
            let sent = channel.basic_publish("".into(), queue.as_str().into(), options, b"\xff", properties.clone());
            sent.await.expect("sent").await.expect("confirmed");
            let mut consumer = broker.consume(lane, 1).await.expect("consuming");
            let give_back = async {
                while let Some(incoming) = consumer.recv().await {
                    incoming.requeue();
                }
            };
            let listed = tokio::select! {
                () = give_back => panic!("the consumer ended"),
                listed = parked(&broker, 1) => listed,
            };
            assert_eq!((listed[0].lane, listed[0].reason.as_str()), (Some(lane), "given back 20 times"));
            assert!(id.map_or(!listed[0].id.is_empty(), |id| listed[0].id == id), "{listed:?}");
            let selection = ParkedSelection::Ids { ids: [listed[0].id.clone()].into(), lane: Some(lane) };
            // What a consumer gives back while it ends may cost the connection that others share: then nothing was done.
            let moved = |moved: Result<u64, BrokerError>| match moved {
                Err(BrokerError::Parked { done: 0, .. }) => None,
                moved => Some(moved.expect("moved")),
            };
            let back = eventually(SOON, "put back", async || moved(broker.requeue_parked(&selection).await)).await;
            assert_eq!(back, 1);
            next(&mut consumer).await.park("not protobuf");
            let listed = parked(&broker, 1).await;
            assert_eq!((listed[0].lane, listed[0].reason.as_str()), (Some(lane), "not protobuf"));
            let dropped = eventually(SOON, "dropped", async || moved(broker.drop_parked(&selection).await)).await;
            assert_eq!(dropped, 1);
        }
    }
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_belongs_to_no_lane_is_listed_stays_and_can_be_dropped() {
    let url = servers::rabbit_url().await;
    let broker = connect(url, "nowhere").await;
    send(url, "nowhere.parked", b"what is this").await;
    let listed = parked(&broker, 1).await;
    assert_eq!((listed[0].lane, listed[0].parked_at, listed[0].redeliveries), (None, None, None));
    assert!(listed[0].reason.contains("somebody else"), "{listed:?}");
    assert_eq!(broker.requeue_parked(&ALL).await.expect("nothing to do"), 0);
    assert_eq!(parked(&broker, 1).await, listed);
    assert_eq!(broker.drop_parked(&ALL).await.expect("dropped"), 1);
    parked(&broker, 0).await;
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_lane_leaves_parked_what_it_does_not_take() {
    const BODY: usize = 16 << 10;
    let url = servers::rabbit_url().await;
    let mut small = config(url, "narrow");
    small.max_queue_bytes = 8 * BODY as u64;
    let broker = RabbitMq::connect(small).await.expect("connected");
    for number in 0..6 {
        publish(&*broker, message(Lane::Events, number.to_string())).await.expect("taken");
    }
    let mut consumer = broker.consume(Lane::Events, 1).await.expect("consuming");
    for _ in 0..6 {
        next(&mut consumer).await.park("broken");
    }
    drop(consumer);
    let before = parked(&broker, 6).await;
    eventually(SOON, "the lane is full", async || {
        publish(&*broker, message(Lane::Events, "x".repeat(BODY))).await.is_err().then_some(())
    })
    .await;
    let error = broker.requeue_parked(&ALL).await.expect_err("full");
    assert!(matches!(&error, BrokerError::Parked { .. }) && error.to_string().contains("is full"), "{error}");
    let after = parked(&broker, 6).await;
    assert_eq!(after, before);
    let mut consumer = broker.consume(Lane::Events, 100).await.expect("consuming");
    while let Ok(incoming) = timeout(Duration::from_millis(500), consumer.recv()).await {
        incoming.expect("the consumer goes on").ack();
    }
    assert_eq!(broker.requeue_parked(&ALL).await.expect("put back"), 6);
    for _ in 0..6 {
        next(&mut consumer).await.ack();
    }
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parking_without_a_parked_queue_loses_nothing() {
    let url = servers::rabbit_url().await;
    let broker = connect(url, "gone").await;
    let mut consumer = broker.consume(Lane::History, 10).await.expect("consuming");
    let (_connection, channel) = raw(url).await;
    channel.queue_delete("gone.parked".into(), QueueDeleteOptions::default()).await.expect("deleted");
    // The same content twice and no ids: the broker's returns can only be told apart by count.
    send(url, "gone.history", b"poison").await;
    send(url, "gone.history", b"poison").await;
    eventually(SOON, "both are parked", async || {
        if let Ok(Some(incoming)) = timeout(SHORT, consumer.recv()).await {
            incoming.park("not protobuf");
        }
        (broker.parked_depth().await == Ok(2)).then_some(())
    })
    .await;
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_parked_is_lost_when_the_broker_is_killed_while_it_goes_back() {
    const COUNT: usize = 1000;
    let mut server = servers::own_rabbit().await;
    let broker = connect(server.url(), "wh").await;
    let messages = (0..COUNT).map(|number| message(Lane::Events, number.to_string())).collect();
    assert!(broker.publish(messages).await.into_iter().all(|result| result.is_ok()));
    let mut consumer = broker.consume(Lane::Events, 100).await.expect("consuming");
    for _ in 0..COUNT {
        next(&mut consumer).await.park("broken");
    }
    parked(&broker, COUNT).await;
    let (requeued, server) = tokio::join!(broker.requeue_parked(&ALL), async {
        eventually(SOON, "some are back", async || consumer.recv().await.map(drop)).await;
        server.kill();
        servers::blocking(move || {
            server.resume();
            server
        })
        .await
    });
    assert!(matches!(requeued, Err(BrokerError::Parked { .. })), "{requeued:?}");
    let mut seen = std::collections::BTreeSet::new();
    eventually(SOON, "all are back", async || {
        // An error: not connected yet.
        let _ = broker.requeue_parked(&ALL).await;
        while let Ok(Some(incoming)) = timeout(SHORT, consumer.recv()).await {
            seen.insert(text(&incoming));
            incoming.ack();
        }
        (seen.len() == COUNT).then_some(())
    })
    .await;
    broker.close().await;
    drop(server);
}
