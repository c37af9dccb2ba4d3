//! The contract of the parked queue: what people see there, putting back, dropping.

use std::collections::{BTreeMap, BTreeSet};

use blackbox::wait::eventually;
use broker::{Broker, BrokerError, Consumer, Incoming, Lane, Parked, ParkedSelection};
use tokio::time::timeout;

use super::{
    QUIET,
    support::{Fixture, SOON, message, next, nothing, now, publish, text},
};

const ALL: ParkedSelection = ParkedSelection::All { lane: None };

fn of_lane(lane: Lane) -> ParkedSelection {
    ParkedSelection::All { lane: Some(lane) }
}

fn ids<'a>(parked: impl IntoIterator<Item = &'a Parked>, lane: Option<Lane>) -> ParkedSelection {
    ParkedSelection::Ids { ids: parked.into_iter().map(|parked| parked.id.clone()).collect(), lane }
}

fn bodies(parked: &[Parked]) -> Vec<String> {
    parked.iter().map(|parked| String::from_utf8(parked.body.to_vec()).expect("text")).collect()
}

async fn has_parked(broker: &dyn Broker, count: u64) {
    eventually(SOON, "all are parked", async || (broker.parked_depth().await == Ok(count)).then_some(())).await;
}

/// Publishes and parks, one after the other; answers the bodies in the order in which they were parked.
async fn park(broker: &dyn Broker, lane: Lane, bodies: impl IntoIterator<Item = String>) -> Vec<String> {
    let before = broker.parked_depth().await.expect("a count");
    let outgoing: Vec<_> = bodies.into_iter().map(|body| message(lane, body)).collect();
    let count = outgoing.len();
    assert!(broker.publish(outgoing).await.into_iter().all(|result| result.is_ok()));
    let mut consumer = broker.consume(lane, 1).await.expect("consuming");
    let mut parked = Vec::with_capacity(count);
    for _ in 0..count {
        let incoming = next(&mut consumer).await;
        parked.push(text(&incoming));
        incoming.park("cannot be decoded");
    }
    has_parked(broker, before + count as u64).await;
    parked
}

fn numbers(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| number.to_string())
}

/// Everything that waits in a lane: what it is, and how often it came.
async fn drain(consumer: &mut Consumer, expected: usize) -> BTreeMap<String, usize> {
    let mut seen = BTreeMap::new();
    while seen.len() < expected {
        let incoming = next(consumer).await;
        *seen.entry(text(&incoming)).or_default() += 1;
        incoming.ack();
    }
    // Nothing may come twice.
    while let Ok(Some(incoming)) = timeout(QUIET, consumer.recv()).await {
        *seen.entry(text(&incoming)).or_default() += 1;
        incoming.ack();
    }
    seen
}

pub(crate) async fn parked_messages_are_listed_and_stay(fixture: Fixture) {
    let broker = fixture.open().await;
    assert_eq!(broker.parked_depth().await, Ok(0));
    assert_eq!(broker.parked(10).await.expect("listed"), []);
    let start = now();
    let mut expected = Vec::new();
    for lane in [Lane::History, Lane::Events, Lane::DeliverSlow, Lane::DeliverFast] {
        let outgoing = message(lane, lane.name());
        expected.push((outgoing.message_id.to_string(), Some(lane), lane.name().to_owned()));
        publish(&*broker, outgoing).await.expect("taken");
        let mut consumer = broker.consume(lane, 1).await.expect("consuming");
        next(&mut consumer).await.park("cannot be decoded");
        has_parked(&*broker, expected.len() as u64).await;
    }
    let listed = broker.parked(10).await.expect("listed");
    let got: Vec<_> =
        listed.iter().zip(bodies(&listed)).map(|(parked, body)| (parked.id.clone(), parked.lane, body)).collect();
    assert_eq!(got, expected);
    for parked in &listed {
        assert_eq!(
            (parked.reason.as_str(), parked.redeliveries, parked.bytes),
            ("cannot be decoded", Some(0), parked.body.len() as u64)
        );
        assert!(parked.parked_at.is_some_and(|at| (start..=now()).contains(&at)), "{parked:?}");
    }
    // Looking changes nothing, and a limit takes the oldest.
    assert_eq!(broker.parked(2).await.expect("listed"), listed[..2]);
    assert_eq!(broker.parked(0).await.expect("listed"), []);
    has_parked(&*broker, 4).await;
    broker.close().await;
    assert!(matches!(broker.parked(1).await, Err(BrokerError::Closed)));
    assert!(matches!(broker.requeue_parked(&ALL).await, Err(BrokerError::Closed)));
    let broker = fixture.open().await;
    has_parked(&*broker, 4).await;
    assert_eq!(broker.parked(10).await.expect("listed"), listed);
    broker.close().await;
}

/// Gives back whatever comes until nothing comes any more; answers how often.
async fn give_back(consumer: &mut Consumer) -> usize {
    let mut times = 0;
    while let Ok(incoming) = timeout(QUIET, consumer.recv()).await {
        incoming.expect("the consumer goes on").requeue();
        times += 1;
    }
    times
}

pub(crate) async fn what_was_given_back_too_often_says_so(fixture: Fixture) {
    let broker = fixture.open().await;
    let outgoing = message(Lane::DeliverSlow, "poison");
    let id = outgoing.message_id.to_string();
    publish(&*broker, outgoing).await.expect("taken");
    let mut consumer = broker.consume(Lane::DeliverSlow, 1).await.expect("consuming");
    give_back(&mut consumer).await;
    has_parked(&*broker, 1).await;
    let listed = broker.parked(10).await.expect("listed");
    assert_eq!(listed.len(), 1, "{listed:?}");
    let parked = &listed[0];
    assert_eq!((&parked.id, parked.lane), (&id, Some(Lane::DeliverSlow)));
    assert_eq!((parked.reason.as_str(), parked.redeliveries), ("given back 20 times", Some(20)));
    // RabbitMQ knows it to the second.
    assert!(parked.parked_at.is_some_and(|at| now().abs_diff(at) < 60_000_000), "{parked:?}");
    // Some of its tries used up, and then parked by hand.
    broker.requeue_parked(&ALL).await.expect("put back");
    for _ in 0..3 {
        next(&mut consumer).await.requeue();
    }
    next(&mut consumer).await.park("enough");
    has_parked(&*broker, 1).await;
    let listed = broker.parked(10).await.expect("listed");
    assert_eq!((listed[0].reason.as_str(), listed[0].redeliveries), ("enough", Some(3)));
    broker.close().await;
}

pub(crate) async fn parked_messages_go_back_by_id_by_lane_or_all(fixture: Fixture) {
    let broker = fixture.open().await;
    park(&*broker, Lane::Events, numbers(3)).await;
    park(&*broker, Lane::DeliverFast, numbers(3)).await;
    let listed = broker.parked(10).await.expect("listed");
    // Nobody publishes any more: who consumes gets it because it was put back.
    let mut events = broker.consume(Lane::Events, 10).await.expect("consuming");
    let mut fast = broker.consume(Lane::DeliverFast, 10).await.expect("consuming");
    nothing(&mut events, QUIET).await;
    assert_eq!(broker.requeue_parked(&ids([&listed[1], &listed[4]], Some(Lane::Events))).await.expect("put back"), 1);
    let incoming = next(&mut events).await;
    assert_eq!((text(&incoming).as_str(), incoming.redelivered), ("1", true));
    incoming.ack();
    has_parked(&*broker, 5).await;
    let rest: Vec<_> = broker.parked(10).await.expect("listed").into_iter().map(|parked| parked.id).collect();
    let expected: Vec<_> = [0, 2, 3, 4, 5].iter().map(|&index: &usize| listed[index].id.clone()).collect();
    assert_eq!(rest, expected);
    assert_eq!(broker.requeue_parked(&of_lane(Lane::DeliverFast)).await.expect("put back"), 3);
    assert_eq!(drain(&mut fast, 3).await.len(), 3);
    nothing(&mut events, QUIET).await;
    assert_eq!(broker.requeue_parked(&ALL).await.expect("put back"), 2);
    assert_eq!(drain(&mut events, 2).await.into_keys().collect::<Vec<_>>(), ["0", "2"]);
    nothing(&mut fast, QUIET).await;
    assert_eq!(broker.requeue_parked(&ALL).await.expect("nothing there"), 0);
    has_parked(&*broker, 0).await;
    broker.close().await;
}

pub(crate) async fn what_went_back_has_as_many_tries_as_before(fixture: Fixture) {
    let broker = fixture.open().await;
    publish(&*broker, message(Lane::Events, "poison")).await.expect("taken");
    let mut consumer = broker.consume(Lane::Events, 1).await.expect("consuming");
    for _ in 0..2 {
        let times = give_back(&mut consumer).await;
        assert!((20..=21).contains(&times), "came {times} times");
        has_parked(&*broker, 1).await;
        assert_eq!(broker.requeue_parked(&ALL).await.expect("put back"), 1);
    }
    next(&mut consumer).await.ack();
    nothing(&mut consumer, QUIET).await;
    assert_eq!(broker.parked_depth().await, Ok(0));
    broker.close().await;
}

pub(crate) async fn what_is_parked_again_meanwhile_stays(fixture: Fixture) {
    const COUNT: usize = 600;
    let broker = fixture.open().await;
    park(&*broker, Lane::History, numbers(COUNT)).await;
    let mut consumer = broker.consume(Lane::History, 10).await.expect("consuming");
    let requeue = async { timeout(SOON, broker.requeue_parked(&ALL)).await.expect("it ends").expect("put back") };
    let park_again = async {
        for _ in 0..COUNT {
            next(&mut consumer).await.park("again");
        }
    };
    let (moved, ()) = tokio::join!(requeue, park_again);
    assert_eq!(moved, COUNT as u64);
    has_parked(&*broker, COUNT as u64).await;
    assert!(broker.parked(COUNT).await.expect("listed").iter().all(|parked| parked.reason == "again"));
    broker.close().await;
}

pub(crate) async fn dropped_is_gone(fixture: Fixture) {
    let broker = fixture.open().await;
    park(&*broker, Lane::Events, numbers(3)).await;
    park(&*broker, Lane::History, numbers(2)).await;
    let listed = broker.parked(10).await.expect("listed");
    assert_eq!(broker.drop_parked(&ids([&listed[0]], None)).await.expect("dropped"), 1);
    assert_eq!(broker.drop_parked(&of_lane(Lane::History)).await.expect("dropped"), 2);
    has_parked(&*broker, 2).await;
    broker.close().await;
    let broker = fixture.open().await;
    assert_eq!(broker.parked(10).await.expect("listed"), listed[1..3]);
    assert_eq!(broker.drop_parked(&ALL).await.expect("dropped"), 2);
    has_parked(&*broker, 0).await;
    let mut consumer = broker.consume(Lane::Events, 10).await.expect("consuming");
    nothing(&mut consumer, QUIET).await;
    broker.close().await;
}

pub(crate) async fn an_empty_selection_means_nothing(fixture: Fixture) {
    let broker = fixture.open().await;
    park(&*broker, Lane::Events, numbers(2)).await;
    let unknown = ["", "row-1\"]", "'", "00000000-0000-0000-0000-000000000000"].map(ToOwned::to_owned);
    for named in [BTreeSet::new(), BTreeSet::from(unknown)] {
        for lane in [None, Some(Lane::Events)] {
            let selection = ParkedSelection::Ids { ids: named.clone(), lane };
            assert_eq!(broker.requeue_parked(&selection).await.expect("nothing to do"), 0);
            assert_eq!(broker.drop_parked(&selection).await.expect("nothing to do"), 0);
        }
    }
    assert_eq!(broker.parked(10).await.expect("listed").len(), 2);
    broker.close().await;
}

pub(crate) async fn what_went_back_outlives_a_restart(fixture: Fixture) {
    let broker = fixture.open().await;
    park(&*broker, Lane::DeliverSlow, numbers(5)).await;
    assert_eq!(broker.requeue_parked(&ALL).await.expect("put back"), 5);
    broker.close().await;
    let broker = fixture.open().await;
    has_parked(&*broker, 0).await;
    let mut consumer = broker.consume(Lane::DeliverSlow, 10).await.expect("consuming");
    let seen = drain(&mut consumer, 5).await;
    assert!(seen.values().all(|times| *times == 1), "{seen:?}");
    broker.close().await;
}

pub(crate) async fn an_interrupted_requeue_loses_nothing(fixture: Fixture) {
    const COUNT: usize = 800;
    let broker = fixture.open().await;
    park(&*broker, Lane::Events, numbers(COUNT)).await;
    for wait in [20, 60, 120] {
        let broker = fixture.open_beside(&broker).await;
        // Given up by its caller, and then the whole broker is dropped.
        let requeue = timeout(std::time::Duration::from_millis(wait), broker.requeue_parked(&ALL));
        let _ = requeue.await;
    }
    drop(broker);
    let broker = fixture.open().await;
    let mut consumer = broker.consume(Lane::Events, 10).await.expect("consuming");
    // What was under way may take a moment to be given back.
    let mut seen = BTreeMap::new();
    eventually(SOON, "all have come", async || {
        broker.requeue_parked(&ALL).await.expect("put back");
        seen.extend(drain(&mut consumer, 0).await);
        (seen.len() == COUNT).then_some(())
    })
    .await;
    broker.close().await;
}

pub(crate) async fn a_thousand_are_listed_in_order(fixture: Fixture) {
    const COUNT: usize = 1000;
    let broker = fixture.open().await;
    let expected = park(&*broker, Lane::Events, numbers(COUNT)).await;
    for limit in [100, COUNT / 2, 5 * COUNT, COUNT] {
        let listed = broker.parked(limit).await.expect("listed");
        assert_eq!(bodies(&listed), expected[..limit.min(COUNT)]);
    }
    has_parked(&*broker, COUNT as u64).await;
    broker.close().await;
}

pub(crate) async fn a_listing_is_bounded_in_bytes(fixture: Fixture) {
    const MIB: usize = 1 << 20;
    let broker = fixture.open_with(256 << 20).await;
    for _ in 0..6 {
        park(&*broker, Lane::History, (0..2).map(|_| "x".repeat(7 * MIB))).await;
    }
    let listed = broker.parked(100).await.expect("listed");
    assert_eq!(listed.len(), 64_usize.div_ceil(7));
    assert_eq!(broker.drop_parked(&ALL).await.expect("dropped"), 12);
    broker.close().await;
}

pub(crate) async fn two_people_at_once_lose_nothing(fixture: Fixture) {
    const COUNT: usize = 500;
    let broker = fixture.open().await;
    park(&*broker, Lane::Events, numbers(COUNT)).await;
    park(&*broker, Lane::History, numbers(COUNT)).await;
    let other = fixture.open_beside(&broker).await;
    let mut consumer = broker.consume(Lane::Events, 100).await.expect("consuming");
    let events = of_lane(Lane::Events);
    let (listed, first, second, listed_too, dropped) = tokio::join!(
        broker.parked(2 * COUNT),
        other.requeue_parked(&events),
        broker.requeue_parked(&events),
        other.parked(2 * COUNT),
        async {
            let listed = other.parked(2 * COUNT).await.expect("listed");
            let half = listed.iter().filter(|parked| parked.lane == Some(Lane::History)).take(COUNT / 2);
            broker.drop_parked(&ids(half, None)).await
        },
    );
    for listed in [listed, listed_too] {
        // Each saw it before or after, and nothing in between.
        let listed = listed.expect("listed");
        let count = |lane| listed.iter().filter(|parked| parked.lane == Some(lane)).count();
        assert!([0, COUNT].contains(&count(Lane::Events)), "{}", count(Lane::Events));
        assert!([COUNT / 2, COUNT].contains(&count(Lane::History)), "{}", count(Lane::History));
    }
    assert_eq!(first.expect("put back") + second.expect("put back"), COUNT as u64);
    assert_eq!(dropped.expect("dropped"), COUNT as u64 / 2);
    let seen = drain(&mut consumer, COUNT).await;
    assert!(seen.values().all(|times| *times == 1), "{seen:?}");
    has_parked(&*broker, COUNT as u64 / 2).await;
    other.close().await;
    broker.close().await;
}

pub(crate) async fn going_back_among_what_is_published_loses_nothing(fixture: Fixture) {
    const COUNT: usize = 300;
    let broker = fixture.open().await;
    park(&*broker, Lane::Events, numbers(COUNT)).await;
    let mut consumer = broker.consume(Lane::Events, 50).await.expect("consuming");
    let publish_more = async {
        for number in COUNT..4 * COUNT {
            publish(&*broker, message(Lane::Events, number.to_string())).await.expect("taken");
        }
    };
    let requeue_singly = async {
        for parked in broker.parked(COUNT).await.expect("listed").chunks(30) {
            assert_eq!(broker.requeue_parked(&ids(parked, None)).await.expect("put back"), 30);
        }
    };
    let (seen, (), ()) = tokio::join!(drain(&mut consumer, 4 * COUNT), publish_more, requeue_singly);
    assert!(seen.values().all(|times| *times == 1), "{seen:?}");
    eventually(SOON, "the lane is empty", async || (broker.depth(Lane::Events).await == Ok(0)).then_some(())).await;
    broker.close().await;
}

pub(crate) async fn poison_put_straight_into_a_queue_is_parked_once(fixture: Fixture) {
    fixture.open().await.close().await;
    for lane in Lane::ALL {
        fixture.put_straight_in(lane, &[0xff, 0x00, 0xfe]).await;
        fixture.put_straight_in(lane, b"").await;
    }
    let broker = fixture.open().await;
    for (index, lane) in Lane::ALL.into_iter().enumerate() {
        let mut consumer = broker.consume(lane, 10).await.expect("consuming");
        for _ in 0..2 {
            let poison = next(&mut consumer).await;
            assert!(poison.body.is_empty() || poison.body.as_ref() == [0xff, 0x00, 0xfe]);
            poison.park("not protobuf");
        }
        publish(&*broker, message(lane, "good")).await.expect("taken");
        let good = next(&mut consumer).await;
        assert_eq!(text(&good), "good");
        good.ack();
        nothing(&mut consumer, QUIET).await;
        has_parked(&*broker, 2 * (index as u64 + 1)).await;
    }
    let listed = broker.parked(100).await.expect("listed");
    let lanes: Vec<_> = listed.iter().map(|parked| (parked.lane, parked.reason.as_str())).collect();
    let expected: Vec<_> = Lane::ALL.into_iter().flat_map(|lane| [(Some(lane), "not protobuf"); 2]).collect();
    assert_eq!(lanes, expected);
    assert!(listed.iter().all(|parked| !parked.id.is_empty()));
    // An id that was derived says the same the next time, and is as good as any other.
    let again = broker.parked(100).await.expect("listed");
    assert_eq!(again, listed);
    assert_eq!(broker.requeue_parked(&ids([&listed[0]], Some(Lane::Events))).await.expect("put back"), 1);
    let mut consumer = broker.consume(Lane::Events, 10).await.expect("consuming");
    let poison = next(&mut consumer).await;
    assert!(poison.redelivered);
    Incoming::park(poison, "still not protobuf");
    has_parked(&*broker, 8).await;
    assert_eq!(broker.drop_parked(&ALL).await.expect("dropped"), 8);
    broker.close().await;
}
