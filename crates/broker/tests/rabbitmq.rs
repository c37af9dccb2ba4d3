//! What only the RabbitMQ adapter has to hold: outages, and other people's hands on the broker.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[path = "rabbitmq/parked.rs"]
mod parked;
#[expect(dead_code, reason = "shared with the contract's tests, which use all of it")]
mod support;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use blackbox::{servers, wait::eventually};
use broker::{
    Broker, Consumer, Incoming, Lane, PublishError,
    rabbitmq::{RabbitMq, RabbitMqConfig},
};
use lapin::{
    Connection, ConnectionProperties,
    options::{BasicGetOptions, QueueDeleteOptions},
};
use support::{SHORT, SOON, delayed, message, next, publish, text};
use tokio::time::Instant;

fn config(url: &str, prefix: &str) -> RabbitMqConfig {
    let mut config = RabbitMqConfig::new(url, vec![SHORT]);
    prefix.clone_into(&mut config.prefix);
    config
}

async fn connect(url: &str, prefix: &str) -> Arc<RabbitMq> {
    RabbitMq::connect(config(url, prefix)).await.expect("connected")
}

async fn raw(url: &str) -> (Connection, lapin::Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("connected");
    let channel = connection.create_channel().await.expect("a channel");
    (connection, channel)
}

/// Publishes numbers until told to stop; collects those that were confirmed.
async fn publish_until(broker: &RabbitMq, stop: &AtomicBool, confirmed: &Mutex<BTreeSet<u64>>) {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let numbers = number..number + 20;
        number += 20;
        let messages = numbers.clone().map(|number| message(Lane::Events, number.to_string())).collect();
        let results = broker.publish(messages).await;
        let good = numbers.zip(results).filter_map(|(number, result)| result.is_ok().then_some(number));
        confirmed.lock().expect("not poisoned").extend(good);
    }
}

async fn consume_all(consumer: &mut Consumer, consumed: &Mutex<BTreeSet<u64>>) {
    while let Some(incoming) = consumer.recv().await {
        consumed.lock().expect("not poisoned").insert(text(&incoming).parse().expect("a number"));
        incoming.ack();
    }
}

/// Publishes and consumes while `trouble` goes on, and until a good deal more has come through after it.
async fn nothing_is_lost_during<T>(broker: &RabbitMq, trouble: impl AsyncFnOnce() -> T) -> T {
    let mut consumer = broker.consume(Lane::Events, 100).await.expect("consuming");
    let (stop, confirmed, consumed) = (AtomicBool::new(false), Mutex::default(), Mutex::default());
    let count = |set: &Mutex<BTreeSet<u64>>| set.lock().expect("not poisoned").len();
    let story = async {
        eventually(SOON, "messages flow", async || (count(&consumed) > 500).then_some(())).await;
        let outcome = trouble().await;
        let (sent, got) = (count(&confirmed), count(&consumed));
        eventually(SOON, "messages flow again", async || {
            (count(&confirmed) > sent + 500 && count(&consumed) > got + 500).then_some(())
        })
        .await;
        stop.store(true, Ordering::Relaxed);
        outcome
    };
    let (outcome, (), ()) = tokio::join!(story, publish_until(broker, &stop, &confirmed), async {
        tokio::select! {
            () = consume_all(&mut consumer, &consumed) => panic!("the consumer ended"),
            () = eventually(SOON * 3, "all that was confirmed has been consumed", async || {
                let all = stop.load(Ordering::Relaxed)
                    && confirmed.lock().expect("not poisoned").is_subset(&consumed.lock().expect("not poisoned"));
                all.then_some(())
            }) => {}
        }
    });
    broker.check().await.expect("well again");
    outcome
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_confirmed_is_lost_when_the_broker_is_killed() {
    let mut server = servers::own_rabbit().await;
    let broker = connect(server.url(), "wh").await;
    let server = nothing_is_lost_during(&broker, async || {
        server.kill();
        eventually(SOON, "the outage is seen", async || broker.check().await.err()).await;
        let start = Instant::now();
        let result = publish(&*broker, message(Lane::History, "during the outage")).await;
        assert!(matches!(result, Err(PublishError::Unavailable { .. })), "{result:?}");
        assert!(start.elapsed() < Duration::from_secs(5), "told after {:?}", start.elapsed());
        servers::blocking(move || {
            server.resume();
            server
        })
        .await
    })
    .await;
    broker.close().await;
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_connections_are_closed_or_queues_deleted() {
    let server = servers::own_rabbit().await;
    let broker = connect(server.url(), "wh").await;
    for _ in 0..2 {
        nothing_is_lost_during(&broker, async || server.control(&["close_all_connections", "test"], "")).await;
    }
    // Deleting a queue loses what is in it, so nothing is; both sides have to find out and declare it again.
    let mut consumer = broker.consume(Lane::DeliverSlow, 10).await.expect("consuming");
    server.control(&["delete_queue", "wh.deliver.slow"], "");
    server.control(&["delete_queue", "wh.delay.500ms"], "");
    for delay in [Duration::ZERO, SHORT] {
        eventually(SOON, "it is taken again", async || {
            publish(&*broker, delayed(Lane::DeliverSlow, delay, "again")).await.ok()
        })
        .await;
        next(&mut consumer).await.ack();
    }
    broker.close().await;
}

/// What is in a consumer's hands when its queue is deleted is nowhere else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_out_when_its_queue_is_deleted_is_not_lost() {
    let url = servers::rabbit_url().await;
    let broker = connect(url, "deleted").await;
    let mut consumer = broker.consume(Lane::Events, 10).await.expect("consuming");
    for text in ["worked on", "given back", "parked", "not looked at"] {
        publish(&*broker, message(Lane::Events, text)).await.expect("taken");
    }
    let worked_on = next(&mut consumer).await;
    let given_back = next(&mut consumer).await;
    let parked = next(&mut consumer).await;
    let (connection, channel) = raw(url).await;
    channel.queue_delete("deleted.events".into(), QueueDeleteOptions::default()).await.expect("deleted");
    eventually(SOON, "it is not subscribed", async || broker.check().await.err()).await;
    eventually(SOON, "it is subscribed again", async || broker.check().await.ok()).await;
    publish(&*broker, message(Lane::Events, "new")).await.expect("taken");
    let (not_looked_at, new) = (next(&mut consumer).await, next(&mut consumer).await);
    assert_eq!((text(&not_looked_at).as_str(), text(&new).as_str()), ("not looked at", "new"));
    worked_on.ack();
    not_looked_at.ack();
    given_back.requeue();
    parked.park("unreadable");
    let again = next(&mut consumer).await;
    assert_eq!((text(&again).as_str(), again.redelivered), ("given back", true));
    again.ack();
    eventually(SOON, "one is parked", async || (broker.parked_depth().await == Ok(1)).then_some(())).await;
    // What was settled of the old queue has settled nothing of the new one.
    new.requeue();
    let new = next(&mut consumer).await;
    assert_eq!((text(&new).as_str(), new.redelivered), ("new", true));
    new.ack();
    connection.close(200, "done".into()).await.expect("an orderly end");
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_connection_is_named_and_does_not_hold_up_consuming() {
    let server = servers::own_rabbit().await;
    let mut config = config(server.url(), "wh");
    config.confirm_timeout = Duration::from_secs(2);
    let broker = RabbitMq::connect(config).await.expect("connected");
    let messages = (0..100).map(|number| message(Lane::Events, number.to_string())).collect();
    assert!(broker.publish(messages).await.into_iter().all(|result| result.is_ok()));
    server.control(&["set_vm_memory_high_watermark", "0.0000001"], "");
    eventually(SOON, "publishing is blocked", async || {
        let result = publish(&*broker, message(Lane::History, "blocked")).await;
        matches!(result, Err(PublishError::Unavailable { reason }) if reason.contains("takes no messages"))
            .then_some(())
    })
    .await;
    assert!(broker.check().await.expect_err("blocked").contains("memory"));
    let mut consumer = broker.consume(Lane::Events, 10).await.expect("consuming");
    for _ in 0..100 {
        next(&mut consumer).await.ack();
    }
    server.control(&["set_vm_memory_high_watermark", "0.4"], "");
    eventually(SOON, "publishing goes on", async || publish(&*broker, message(Lane::Events, "free")).await.ok()).await;
    assert_eq!(text(&next(&mut consumer).await), "free");
    broker.close().await;
}

#[tokio::test]
async fn an_unreachable_broker_is_named_without_its_password() {
    let mut config = config("amqp://someone:hunter2@127.0.0.1:1/%2f", "wh");
    let error = RabbitMq::connect(config.clone()).await.expect_err("nobody there").to_string();
    assert!(error.contains("amqp://127.0.0.1:1/%2f") && error.contains("set broker.url"), "{error}");
    assert!(!error.contains("hunter2") && !format!("{config:?}").contains("hunter2"), "{error}");
    "amqp://someone:hunter2@:bad:/".clone_into(&mut config.url);
    let error = RabbitMq::connect(config).await.expect_err("no URL").to_string();
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_shown() {
    let url = servers::rabbit_url().await.replacen(":guest@", ":hunter2@", 1);
    let error = RabbitMq::connect(config(&url, "wrong")).await.expect_err("refused").to_string();
    assert!(error.contains("ACCESS_REFUSED") && !error.contains("hunter2"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_with_other_arguments_is_named() {
    let url = servers::rabbit_url().await;
    connect(url, "conflict").await.close().await;
    let mut other = config(url, "conflict");
    other.max_queue_bytes = 12345;
    let error = RabbitMq::connect(other).await.expect_err("clash").to_string();
    assert!(error.contains("conflict.parked") && error.contains("rabbitmqctl delete_queue"), "{error}");
    // Other delays are other queues.
    let mut other = config(url, "conflict");
    other.delays = vec![SHORT, Duration::from_secs(600)];
    RabbitMq::connect(other).await.expect("no clash").close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_may_declare_at_once() {
    let url = servers::rabbit_url().await;
    let brokers = futures::future::join_all((0..4).map(|_| connect(url, "crowd"))).await;
    for broker in &brokers {
        publish(&**broker, message(Lane::Events, "x")).await.expect("taken");
    }
    for broker in brokers {
        broker.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_message_tells_why() {
    let url = servers::rabbit_url().await;
    let broker = connect(url, "parking").await;
    publish(&*broker, message(Lane::History, "broken")).await.expect("taken");
    let mut consumer = broker.consume(Lane::History, 10).await.expect("consuming");
    next(&mut consumer).await.park("cannot be decoded");
    publish(&*broker, message(Lane::Events, "poison")).await.expect("taken");
    let mut poisoned = broker.consume(Lane::Events, 10).await.expect("consuming");
    let requeue_all = async {
        while let Some(incoming) = poisoned.recv().await {
            Incoming::requeue(incoming);
        }
    };
    let (_connection, channel) = raw(url).await;
    let get = async || {
        let options = BasicGetOptions { no_ack: true };
        channel.basic_get("parking.parked".into(), options).await.expect("a queue").map(|got| got.delivery)
    };
    let parked = eventually(SOON, "the message is parked", &get).await;
    let headers = parked.properties.headers().clone().expect("headers");
    let header = |name| headers.inner().get(name).and_then(|value| value.as_long_string()).map(ToString::to_string);
    assert_eq!(parked.data, b"broken");
    assert_eq!(header("reason").as_deref(), Some("cannot be decoded"));
    assert_eq!(header("lane").as_deref(), Some("history"));
    // What was given back too often goes there by the broker's own dead-lettering.
    let poison = tokio::select! {
        () = requeue_all => panic!("the consumer ended"),
        delivery = eventually(SOON, "the poison is parked", &get) => delivery,
    };
    assert_eq!((poison.data.as_slice(), poison.routing_key.as_str()), (b"poison".as_slice(), "events"));
    channel.queue_delete("parking.parked".into(), QueueDeleteOptions::default()).await.expect("deleted");
    broker.close().await;
}
