//! What only the embedded adapter has to hold.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[path = "embedded/parked.rs"]
mod parked;
#[expect(dead_code, reason = "shared with the contract's tests, which use all of it")]
mod support;

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use blackbox::disk::Disk;
use broker::{
    Broker, Incoming, Lane, PublishError,
    embedded::{Embedded, EmbeddedOptions},
};
use support::{LONG, delayed, message, next, nothing, publish, text};

const QUIET: Duration = Duration::from_millis(200);
/// Longer than any number of failed writes that a publish may wait for.
const ANSWERED: Duration = Duration::from_secs(10);
/// Set in the process that is to be killed: where its queue file is.
const CHILD: &str = "BROKER_TEST_CHILD_FILE";

async fn open(path: &Path, clock: &Arc<AtomicI64>) -> Arc<Embedded> {
    let clock = Arc::clone(clock);
    let options = EmbeddedOptions::new(vec![LONG], Arc::new(move || clock.load(Ordering::SeqCst)));
    Embedded::open(path, options).await.expect("opened")
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).expect("short")
}

#[tokio::test]
async fn a_second_process_is_told_that_the_file_is_in_use() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("queue.db");
    let clock = Arc::new(AtomicI64::new(0));
    let first = open(&path, &clock).await;
    let options = EmbeddedOptions::new(Vec::new(), Arc::new(|| 0));
    let error = Embedded::open(&path, options).await.expect_err("in use").to_string();
    assert!(error.contains("in use by another process") && error.contains("queue.db"), "{error}");
    publish(&*first, message(Lane::Events, "goes on")).await.expect("taken");
    first.close().await;
    open(&path, &clock).await.close().await;
}

#[tokio::test]
async fn a_folder_that_is_missing_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("missing").join("queue.db");
    let options = EmbeddedOptions::new(Vec::new(), Arc::new(|| 0));
    let error = Embedded::open(&path, options).await.expect_err("no such folder").to_string();
    assert!(error.contains("missing/queue.db"), "{error}");
}

#[tokio::test]
async fn due_times_follow_the_clock_that_was_given() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("queue.db");
    let clock = Arc::new(AtomicI64::new(1_700_000_000_000_000));
    let broker = open(&path, &clock).await;
    let mut consumer = broker.consume(Lane::DeliverSlow, 10).await.expect("consuming");
    publish(&*broker, delayed(Lane::DeliverSlow, LONG, "one")).await.expect("taken");
    nothing(&mut consumer, QUIET).await;
    clock.fetch_add(micros(LONG), Ordering::SeqCst);
    next(&mut consumer).await.ack();

    // Set back by an hour: what is published now is due before what was delivered last, and must not be forgotten.
    clock.fetch_sub(micros(Duration::from_secs(3600)), Ordering::SeqCst);
    publish(&*broker, delayed(Lane::DeliverSlow, LONG, "two")).await.expect("taken");
    clock.fetch_add(micros(LONG), Ordering::SeqCst);
    let incoming = next(&mut consumer).await;
    assert_eq!(text(&incoming), "two");
    nothing(&mut consumer, QUIET).await;
    incoming.ack();
    broker.close().await;
}

#[tokio::test]
async fn a_backlog_larger_than_the_memory_window_comes_in_order_and_once() {
    const COUNT: usize = 10_000;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("queue.db");
    let clock = Arc::new(AtomicI64::new(0));
    let broker = open(&path, &clock).await;
    for start in (0..COUNT).step_by(1000) {
        let messages = (start..start + 1000).map(|number| message(Lane::Events, number.to_string())).collect();
        assert!(broker.publish(messages).await.into_iter().all(|result| result.is_ok()));
    }
    let mut consumer = broker.consume(Lane::Events, 100).await.expect("consuming");
    for expected in 0..COUNT {
        // New ones while the old ones are being read.
        if expected % 1000 == 0 {
            publish(&*broker, message(Lane::Events, (COUNT + expected / 1000).to_string())).await.expect("taken");
        }
        let incoming = next(&mut consumer).await;
        assert_eq!(text(&incoming), expected.to_string());
        incoming.ack();
    }
    for expected in COUNT..COUNT + 10 {
        let incoming = next(&mut consumer).await;
        assert_eq!(text(&incoming), expected.to_string());
        incoming.ack();
    }
    nothing(&mut consumer, QUIET).await;
    assert_eq!(broker.depth(Lane::Events).await, Ok(0));
    broker.close().await;
}

#[tokio::test]
async fn many_delayed_messages_come_when_due() {
    const COUNT: usize = 5000;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("queue.db");
    let clock = Arc::new(AtomicI64::new(1_700_000_000_000_000));
    let broker = open(&path, &clock).await;
    let messages = (0..COUNT).map(|number| delayed(Lane::DeliverSlow, LONG, number.to_string())).collect();
    assert!(broker.publish(messages).await.into_iter().all(|result| result.is_ok()));
    assert_eq!(broker.depth(Lane::DeliverSlow).await, Ok(0));
    clock.fetch_add(micros(LONG), Ordering::SeqCst);
    let mut consumer = broker.consume(Lane::DeliverSlow, 100).await.expect("consuming");
    for expected in 0..COUNT {
        let incoming = next(&mut consumer).await;
        assert_eq!(text(&incoming), expected.to_string());
        incoming.ack();
    }
    nothing(&mut consumer, QUIET).await;
    broker.close().await;
}

/// What was acknowledged goes first, because it frees space; until that can be written nothing else would be answered.
#[tokio::test]
async fn publishes_are_refused_while_settlements_cannot_be_written() {
    let disk = Disk::of_mebibytes(4);
    let broker = open(&disk.folder("data").join("queue.db"), &Arc::new(AtomicI64::new(0))).await;
    let mut consumer = broker.consume(Lane::Events, 10).await.expect("consuming");
    publish(&*broker, message(Lane::Events, "one")).await.expect("there is room");
    let one = next(&mut consumer).await;
    disk.fill();
    one.ack();
    for _ in 0..3 {
        let answer = tokio::time::timeout(ANSWERED, publish(&*broker, message(Lane::Events, "x".repeat(10_000))));
        let refused = answer.await.expect("an answer").expect_err("no room").to_string();
        assert!(refused.contains("disk is full"), "{refused}");
    }
    disk.relieve();
    blackbox::wait::eventually(LONG, "there is room again", async || {
        publish(&*broker, message(Lane::Events, "two")).await.ok()
    })
    .await;
    assert_eq!(text(&next(&mut consumer).await), "two");
    broker.close().await;
}

#[tokio::test]
async fn delayed_messages_and_other_lanes_count_against_events_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("queue.db");
    let mut options = EmbeddedOptions::new(vec![LONG], Arc::new(|| 1_700_000_000_000_000));
    options.max_queue_bytes = 1000;
    let broker = Embedded::open(&path, options.clone()).await.expect("opened");
    publish(&*broker, message(Lane::Events, "x".repeat(100))).await.expect("there is room");
    for _ in 0..3 {
        publish(&*broker, delayed(Lane::DeliverSlow, LONG, "x".repeat(400))).await.expect("never full");
    }
    let full = PublishError::Full { queue: "events".to_owned() };
    assert_eq!(publish(&*broker, message(Lane::Events, "x")).await, Err(full.clone()));
    broker.close().await;
    // The retry that the event in hand needs before it can be acknowledged.
    let broker = Embedded::open(&path, options).await.expect("opened");
    assert_eq!(publish(&*broker, message(Lane::Events, "x")).await, Err(full));
    let mut consumer = broker.consume(Lane::Events, 10).await.expect("consuming");
    let event = next(&mut consumer).await;
    publish(&*broker, delayed(Lane::DeliverSlow, LONG, "its retry")).await.expect("never full");
    event.ack();
    broker.close().await;
}

#[tokio::test]
async fn what_comes_back_because_its_consumer_has_gone_is_not_counted_as_failed() {
    const COUNT: usize = 5;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("queue.db");
    let clock = Arc::new(AtomicI64::new(0));
    let mut broker = open(&path, &clock).await;
    let messages = (0..COUNT).map(|number| message(Lane::Events, number.to_string())).collect();
    assert!(broker.publish(messages).await.into_iter().all(|result| result.is_ok()));
    for stops in 0..30 {
        let mut consumer = broker.consume(Lane::Events, 10).await.expect("consuming");
        let in_hand = next(&mut consumer).await;
        assert!(stops == 0 || in_hand.redelivered);
        drop(consumer);
        drop(in_hand);
        if stops % 10 == 9 {
            broker.close().await;
            broker = open(&path, &clock).await;
        }
    }
    let mut consumer = broker.consume(Lane::Events, 10).await.expect("consuming");
    for _ in 1..COUNT {
        next(&mut consumer).await.ack();
    }
    // A consumer that is there and gives back has failed.
    for _ in 0..20 {
        Incoming::requeue(next(&mut consumer).await);
    }
    nothing(&mut consumer, QUIET).await;
    broker.close().await;
}

/// Publishes and prints what is durable, when the test below starts this program again for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_is_killed() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let broker = open(Path::new(&path), &Arc::new(AtomicI64::new(0))).await;
    for number in 0_u64.. {
        publish(&*broker, message(Lane::Events, number.to_string())).await.expect("taken");
        println!("durable {number}");
    }
}

#[tokio::test]
async fn nothing_that_was_confirmed_is_lost_when_the_process_is_killed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("queue.db");
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "child_that_is_killed", "--nocapture"])
        .env(CHILD, &path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut last = 0;
    for line in lines.by_ref() {
        if let Some(number) = line.expect("text").split("durable ").nth(1) {
            last = number.parse().expect("a number");
        }
        if last == 200 {
            child.kill().expect("killed");
        }
    }
    child.wait().expect("ended");
    let broker = open(&path, &Arc::new(AtomicI64::new(0))).await;
    let mut consumer = broker.consume(Lane::Events, 10).await.expect("consuming");
    for expected in 0..=last {
        let incoming = next(&mut consumer).await;
        assert_eq!((text(&incoming), incoming.redelivered), (expected.to_string(), true));
        incoming.ack();
    }
    broker.close().await;
}
