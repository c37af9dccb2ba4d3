//! Deactivating and deleting a webhook while deliveries of it wait.

use std::time::Duration;

use blackbox::{
    events, history, in_both_modes,
    product::{Mode, Product},
    receiver::Receiver,
    wait::eventually,
    webhooks::{self, Webhook},
};

in_both_modes!(a_retry_waits_while_inactive, deleting_ends_what_waits);

const SOON: Duration = Duration::from_secs(20);
/// Longer than the last wait of the schedule below.
const QUIET: Duration = Duration::from_secs(4);

/// A delivery that has failed twice and waits two seconds for its third attempt.
async fn a_delivery_that_waits(mode: Mode) -> (Product, Receiver, Webhook, String) {
    let product = Product::prepare(mode).set("delivery.retry_schedule", r#"["0s","2s","2s"]"#).start().await;
    let receiver = Receiver::start().await;
    receiver.script("/in", [500, 500, 200]);
    let hook = webhooks::create_generic(&product.admin(), &receiver.url("/in")).await;
    product.publisher().publish(events::run_completed(events::PROJECT, 1)).await.expect("an accepted event");
    let requests = receiver.wait_for("/in", 2, SOON).await;
    let delivery = requests[0].expect_header("x-testmo-delivery").to_owned();
    (product, receiver, hook, delivery)
}

async fn a_retry_waits_while_inactive(mode: Mode) {
    let (product, receiver, hook, delivery) = a_delivery_that_waits(mode).await;
    let rest = product.admin();
    webhooks::act(&rest, hook.id, "deactivate").await;
    receiver.stays_at("/in", 2, QUIET).await;
    let pending = eventually(SOON, "the delivery shows as pending, because of the webhook", async || {
        let pending = history::page(&rest, hook.id, "status=pending").await;
        pending.into_iter().find(|entry| entry.delivery() == delivery && entry.waits_for() == "webhook inactive")
    })
    .await;
    assert_eq!(pending.attempt(), 3);
    webhooks::act(&rest, hook.id, "activate").await;
    let requests = receiver.wait_for("/in", 3, SOON).await;
    assert_eq!(requests[2].expect_header("x-testmo-attempt"), "3");
    assert_eq!(requests[2].expect_header("x-testmo-delivery"), delivery);
    history::wait_for_status(&rest, &delivery, "delivered", SOON).await;
    receiver.stays_at("/in", 3, Duration::from_secs(1)).await;
}

async fn deleting_ends_what_waits(mode: Mode) {
    let (product, receiver, hook, delivery) = a_delivery_that_waits(mode).await;
    let rest = product.admin();
    webhooks::delete(&rest, hook.id).await;
    assert_eq!(rest.get(&format!("/api/v1/webhooks/{}", hook.id)).await.status, 404);
    let ended = history::wait_for_status(&rest, &delivery, "failed", SOON).await;
    let entries = ended.entries();
    let last = entries.last().expect("entries of a delivery with two attempts");
    assert!(last.error().contains("webhook deleted"), "{}", last.0);
    receiver.stays_at("/in", 2, QUIET).await;
    // The history of a deleted webhook stays, in the list too.
    let listed = history::all_of_instance(&rest).await;
    let of_delivery: Vec<_> = listed.iter().filter(|entry| entry.delivery() == delivery).collect();
    assert_eq!(of_delivery.len(), entries.len(), "{of_delivery:?}");
    assert!(of_delivery.iter().all(|entry| entry.status() == "failed"), "{of_delivery:?}");
    assert_eq!(entries.iter().filter(|entry| entry.response_code() == Some(500)).count(), 2, "{entries:?}");
}
