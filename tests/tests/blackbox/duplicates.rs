//! The same event id published again reaches each webhook once.

use std::time::Duration;

use blackbox::{
    events, history, in_both_modes,
    product::{Mode, Product, Service},
    receiver::Receiver,
    run_test,
    wait::eventually,
    webhooks,
};
use futures::future::join_all;
use proto::v1::Event;
use serde_json::{Value, json};

in_both_modes!(an_id_is_delivered_once, an_id_is_delivered_once_whoever_takes_it, the_first_content_wins);

const SOON: Duration = Duration::from_secs(20);
const QUIET: Duration = Duration::from_secs(2);

async fn an_id_is_delivered_once(mode: Mode) {
    let mut product = Product::start(mode).await;
    let receiver = Receiver::start().await;
    webhooks::create_generic(&product.admin(), &receiver.url("/in")).await;
    let event = events::run_completed(events::PROJECT, 1);

    let publisher = product.publisher();
    let at_once = (0..8).map(|_| {
        let (publisher, event) = (publisher.clone(), event.clone());
        blackbox::spawn(async move { publisher.publish(event).await })
    });
    for answer in at_once.collect::<Vec<_>>() {
        let id = answer.await.expect("a task that ends").expect("a repeat is accepted");
        assert_eq!(id, event.id);
    }
    let results = publisher.publish_batch(vec![event.clone(), event.clone()]).await.expect("a batch with repeats");
    assert!(results.iter().all(|result| result.error.is_none()), "{results:?}");
    receiver.wait_for("/in", 1, SOON).await;
    receiver.stays_at("/in", 1, QUIET).await;

    product.kill_all();
    product.start_all().await;
    assert_eq!(again(&product, event.clone()).await, event.id);
    // Something else goes through, so that it is not for want of deliveries that nothing comes.
    let other = events::run_completed(events::PROJECT, 2);
    again(&product, other.clone()).await;
    let requests = receiver.wait_for("/in", 2, SOON).await;
    assert_eq!(requests[1].json()["id"], other.id.as_str());
    receiver.stays_at("/in", 2, QUIET).await;
}

async fn an_id_is_delivered_once_whoever_takes_it(mode: Mode) {
    let product = Product::prepare(mode).copies(Service::Ingest, 2).copies(Service::Dispatcher, 2);
    let mut product = product.copies(Service::History, 2).start().await;
    let (mut rest, receiver) = (product.admin(), Receiver::start().await);
    let early = ["/a", "/b"];
    for path in early {
        webhooks::create_generic(&rest, &receiver.url(path)).await;
    }
    let id = events::run_completed(events::PROJECT, 1).id;
    five_times_at_once(&product, &id).await;
    let first = receiver.wait_for("/a", 1, SOON).await.remove(0);
    assert_eq!(first.json()["id"], id.as_str());
    receiver.wait_for("/b", 1, SOON).await;
    receiver.stays_at("/a", 1, QUIET).await;

    let late = webhooks::create_generic(&rest, &receiver.url("/late")).await;
    five_times_at_once(&product, &id).await;
    receiver.stays_at("/a", 1, QUIET).await;
    product.kill_all();
    product.start_all().await;
    rest = product.admin();
    five_times_at_once(&product, &id).await;
    // Something else goes through, so that it is not for want of deliveries that nothing comes.
    let other = events::run_completed(events::PROJECT, 99);
    again(&product, other.clone()).await;
    for (path, count) in [("/a", 2), ("/b", 2), ("/late", 1)] {
        let requests = receiver.wait_for(path, count, SOON).await;
        assert_eq!(requests[count - 1].json()["id"], other.id.as_str(), "{path}");
    }
    for (path, count) in [("/a", 2), ("/b", 2), ("/late", 1)] {
        receiver.stays_at(path, count, QUIET).await;
    }
    // Which of the five is the first is chance; it is so for all webhooks.
    assert_eq!(receiver.requests("/b")[0].body, first.body, "one content has won");
    history::wait_until_settled(&rest, late.id, SOON).await;
    let entries = history::all_of_instance(&rest).await;
    assert_eq!(entries.len(), 5, "{entries:?}");
}

/// The same id with five contents, over connections of their own, to all programs that take events.
async fn five_times_at_once(product: &Product, id: &str) {
    let publishers = (0..5).flat_map(|_| product.publishers()).take(5);
    let publishing = publishers.zip(1..).map(async |(publisher, number)| {
        let event = Event { id: id.to_owned(), ..events::run_completed(events::PROJECT, number) };
        publisher.publish_all(&[event], 1, SOON).await;
    });
    join_all(publishing).await;
}

async fn the_first_content_wins(mode: Mode) {
    let product = Product::start(mode).await;
    let receiver = Receiver::start().await;
    webhooks::create_generic(&product.admin(), &receiver.url("/old")).await;
    let event = events::run_completed(events::PROJECT, 1);
    again(&product, event.clone()).await;
    let first = receiver.wait_for("/old", 1, SOON).await.remove(0);

    webhooks::create_generic(&product.admin(), &receiver.url("/new")).await;
    let changed = Event { id: event.id.clone(), ..events::run_completed(events::PROJECT, 99) };
    again(&product, changed).await;
    receiver.stays_at("/old", 1, QUIET).await;
    receiver.stays_at("/new", 0, Duration::from_millis(100)).await;
    assert_eq!(first.json()["data"]["run"]["id"], 1);
}

/// Publishes with retries, as a client does while a server starts; the id.
async fn again(product: &Product, event: Event) -> String {
    let id = event.id.clone();
    product.publisher().publish_all(&[event], 1, SOON).await;
    id
}

#[test]
fn what_is_dispatched_while_history_is_away_is_known_to_it_afterwards() {
    run_test(async {
        let mut product = Product::start(Mode::Distributed).await;
        let (rest, receiver) = (product.admin(), Receiver::start().await);
        let active = webhooks::create_generic(&rest, &receiver.url("/in")).await.id;
        let inactive = webhooks::create_generic(&rest, &receiver.url("/never")).await.id;
        webhooks::act(&rest, inactive, "deactivate").await;
        product.kill(Service::History);
        let event = events::run_completed(events::PROJECT, 1);
        again(&product, event.clone()).await;
        receiver.wait_for("/in", 1, SOON).await;
        // What the dispatcher has in its memory goes.
        product.stop(Service::Dispatcher).await;
        product.resume(Service::Dispatcher).await;
        product.resume(Service::History).await;
        history::wait_until_settled(&rest, active, SOON).await;
        eventually(SOON, "the skipped event is counted", async || {
            let stats: Value = rest.get(&format!("/api/v1/webhooks/{inactive}/stats")).await.expect(200);
            (stats["totals"]["skipped"]["inactive"] == 1).then_some(())
        })
        .await;
        let explained = rest.post(&format!("/api/v1/webhooks/{inactive}/explain"), json!({"event_id": event.id})).await;
        let _: Value = explained.expect(200);
        let entry = history::all(&rest, active).await.remove(0);
        let delivery = history::delivery(&rest, entry.delivery()).await.expect("a delivery");
        assert_eq!(delivery.entries()[0].request_body(), receiver.requests("/in")[0].body);

        again(&product, event.clone()).await;
        let other = events::run_completed(events::PROJECT, 2);
        again(&product, other.clone()).await;
        let bodies: Vec<_> =
            receiver.wait_for("/in", 2, SOON).await.iter().map(|request| request.json()["id"].clone()).collect();
        receiver.stays_at("/in", bodies.len(), QUIET).await;
        assert!(bodies.contains(&other.id.into()), "{bodies:?}");
        assert_eq!(bodies.iter().filter(|id| **id == event.id.as_str()).count(), 1, "{bodies:?}");
    });
}
