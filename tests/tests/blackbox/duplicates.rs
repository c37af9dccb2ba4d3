//! The same event id published again reaches each webhook once.

use std::time::Duration;

use blackbox::{
    events, in_both_modes,
    product::{Mode, Product},
    receiver::Receiver,
    webhooks,
};
use proto::v1::Event;

in_both_modes!(an_id_is_delivered_once, the_first_content_wins);

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
