//! How long history is kept, and clearing it.

use std::time::Duration;

use blackbox::{
    events,
    history::{self, Entry},
    in_both_modes,
    product::{Mode, Product},
    publisher::Publisher,
    receiver::{Answer, Receiver},
    rest::Rest,
    wait::eventually,
    webhooks,
};
use hyper::Method;
use serde_json::{Value, json};

in_both_modes!(
    a_shorter_retention_hides_at_once_and_for_good,
    a_clear_leaves_what_waits_and_nothing_else,
    only_a_system_admin_keeps_and_clears,
);

const SOON: Duration = Duration::from_secs(60);
/// It is looked for what is to be removed every half a minute.
const REMOVED: Duration = Duration::from_secs(150);
const DAY: Duration = Duration::from_secs(24 * 3600);
const SETTINGS: &str = "/api/v1/webhooks/settings";
const DELIVERIES: &str = "/api/v1/webhooks/deliveries";
const CONFIRMED: &str = "/api/v1/webhooks/deliveries?confirm=clear-all-delivery-history";

async fn put(rest: &Rest, body: Value) -> blackbox::rest::Answer {
    rest.send(Method::PUT, SETTINGS, Some(("application/json", body.to_string().into()))).await
}

async fn publish(publisher: &Publisher, count: usize) {
    publisher.publish_all(&events::many(count), 20, SOON).await;
}

/// All entries, once there are this many and this many of them are pending.
async fn settled(rest: &Rest, count: usize, pending: usize) -> Vec<Entry> {
    eventually(SOON, format!("{count} entries, {pending} of them pending"), async || {
        let found = history::all_of_instance(rest).await;
        let waiting = found.iter().filter(|entry| entry.status() == "pending").count();
        (found.len() == count && waiting == pending).then_some(found)
    })
    .await
}

/// That what is exported is what the list has.
async fn is_exported(rest: &Rest, count: usize) {
    let exported = rest.get(&format!("{DELIVERIES}/export")).await;
    assert_eq!(exported.headers["x-total-count"], count.to_string().as_str());
    assert_eq!(exported.expect(200).as_array().map(Vec::len), Some(count));
}

/// That nothing can be read of an entry any more.
async fn is_gone(rest: &Rest, webhook: i64, entry: &Entry) {
    let delivery = format!("{DELIVERIES}/{}", entry.delivery());
    rest.get(&delivery).await.expect_error(404, Some("not_found"), &[]);
    rest.act(&format!("{delivery}/retry")).await.expect_error(404, Some("not_found"), &[]);
    let explain = json!({"event_id": entry.event()});
    rest.post(&format!("/api/v1/webhooks/{webhook}/explain"), explain).await.expect_error(404, Some("not_found"), &[]);
}

async fn a_shorter_retention_hides_at_once_and_for_good(mode: Mode) {
    let product = Product::start(mode).await;
    let (rest, receiver, publisher) = (product.admin(), Receiver::start().await, product.publisher());
    let hook = webhooks::create_generic(&rest, &receiver.url("/hook")).await.id;
    assert_eq!(rest.get(SETTINGS).await.expect(200), json!({"retention_days": 90, "plan": "enterprise"}));
    publish(&publisher, 5).await;
    let old = settled(&rest, 5, 0).await;
    product.age_history(10 * DAY).await;
    publish(&publisher, 3).await;
    settled(&rest, 8, 0).await;
    assert_eq!(history::delivery(&rest, old[0].delivery()).await.expect("it is there").entries().len(), 1);

    drop(put(&rest, json!({"retention_days": 30})).await.expect(200));
    assert_eq!(history::all_of_instance(&rest).await.len(), 8);
    assert_eq!(put(&rest, json!({"retention_days": 7})).await.expect(200)["retention_days"], 7);
    assert_eq!(history::all_of_instance(&rest).await.len(), 3);
    assert_eq!(history::all(&rest, hook).await.len(), 3);
    is_exported(&rest, 3).await;
    for entry in &old {
        is_gone(&rest, hook, entry).await;
    }
    drop(put(&rest, json!({"retention_days": 90})).await.expect(200));
    assert_eq!(rest.get(SETTINGS).await.expect(200)["retention_days"], 90);
    assert_eq!(history::all_of_instance(&rest).await.len(), 3, "it does not come back");
    eventually(REMOVED, "it is off the disk", async || (product.attempts_on_disk().await == 3).then_some(())).await;
    assert_eq!(history::all_of_instance(&rest).await.len(), 3);
}

async fn a_clear_leaves_what_waits_and_nothing_else(mode: Mode) {
    let product = Product::prepare(mode).set("delivery.retry_schedule", r#"["1h"]"#).start().await;
    let (rest, receiver, publisher) = (product.admin(), Receiver::start().await, product.publisher());
    receiver.script("/failing", 503);
    receiver.script("/refused", 410);
    receiver.script("/slow", Answer::status(200).delay(Duration::from_secs(4)));
    let create = async |path: &str, event: &str| {
        let mut body = webhooks::generic(&receiver.url(path));
        body["events"] = json!([event]);
        webhooks::create(&rest, body).await.id
    };
    let hook = create("/hook", "run.completed").await;
    let failing = create("/failing", "milestone.completed").await;
    let refused = create("/refused", "milestone.completed").await;
    publish(&publisher, 5).await;
    publisher.publish(events::milestone_completed(1, 1)).await.expect("an accepted event");
    // Delivered, failed and waiting for an hour, failed for good.
    let before = settled(&rest, 5 + 2 + 1, 1).await;
    create("/slow", "run.created").await;
    let under_way = publisher.publish(events::run_created(1, 2)).await.expect("an accepted event");
    receiver.wait_for("/slow", 1, SOON).await;

    rest.delete(DELIVERIES).await.expect_error(422, Some("validation_failed"), &["confirm"]);
    let refusal = rest.delete(&format!("{DELIVERIES}?confirm=yes")).await;
    refusal.expect_error(422, Some("validation_failed"), &["confirm"]);
    assert!(
        refusal.json["errors"]["confirm"][0].to_string().contains("clear-all-delivery-history"),
        "{}",
        refusal.json
    );
    assert_eq!(history::all_of_instance(&rest).await.len(), 9, "nothing is cleared yet");
    assert_eq!(rest.delete(CONFIRMED).await.status, 204);

    let left = history::all_of_instance(&rest).await;
    assert!(left.iter().all(|entry| entry.webhook() == failing || entry.event() == under_way), "{left:?}");
    assert!(left.iter().all(|entry| entry.status() == "pending" || entry.event() == under_way), "{left:?}");
    is_exported(&rest, left.len()).await;
    for entry in before.iter().filter(|entry| entry.webhook() == hook) {
        is_gone(&rest, hook, entry).await;
    }
    let last = before.iter().find(|entry| entry.webhook() == refused).expect("it has failed for good");
    rest.get(&format!("{DELIVERIES}/{}", last.delivery())).await.expect_error(404, Some("not_found"), &[]);
    let all = json!({"from": "2020-01-01T00:00:00Z", "count_only": true});
    let counted = rest.post(&format!("/api/v1/webhooks/{refused}/replay"), all).await.expect(200);
    assert_eq!(counted["count"], 0, "nothing that is hidden is replayed");

    // What was on its way is seen, as is what comes later.
    let seen = settled(&rest, 2, 1).await;
    let arrived = seen.iter().find(|entry| entry.event() == under_way).expect("it was pending");
    assert_eq!((arrived.status(), arrived.response_code()), ("delivered", Some(200)));
    let delivery = history::delivery(&rest, arrived.delivery()).await.expect("it is there");
    assert!(delivery.entries()[0].request_body().contains(&under_way), "with what was sent");
    let waiting = seen.iter().find(|entry| entry.webhook() == failing).expect("it waits on");
    let delivery = history::delivery(&rest, waiting.delivery()).await.expect("it is there");
    assert_eq!(delivery.entries().len(), 1, "without its first attempt");
    publish(&publisher, 2).await;
    settled(&rest, 4, 1).await;
}

async fn only_a_system_admin_keeps_and_clears(mode: Mode) {
    let product = Product::start(mode).await;
    let (rest, receiver, publisher) = (product.admin(), Receiver::start().await, product.publisher());
    webhooks::create_generic(&rest, &receiver.url("/hook")).await;
    publish(&publisher, 2).await;
    settled(&rest, 2, 0).await;
    let token = json!({"name": "p1", "role": "project_admin", "projects": [1]});
    let token = rest.post("/api/v1/tokens", token).await.expect(201);
    let project_admin = rest.with_token(token["token"].as_str());
    project_admin.get(SETTINGS).await.expect_error(403, Some("forbidden"), &[]);
    put(&project_admin, json!({"retention_days": 7})).await.expect_error(403, Some("forbidden"), &[]);
    project_admin.delete(CONFIRMED).await.expect_error(403, Some("forbidden"), &[]);
    for (body, field) in [
        (json!({}), "retention_days"),
        (json!({"retention_days": 8}), "retention_days"),
        (json!({"retention_days": "7"}), "retention_days"),
        (json!({"retention_days": 7, "plan": "business"}), "plan"),
        (json!({"retention_days": 7, "colour": "red"}), "colour"),
    ] {
        put(&rest, body).await.expect_error(422, Some("validation_failed"), &[field]);
    }
    assert_eq!(rest.get(SETTINGS).await.expect(200)["retention_days"], 90);
    assert_eq!(history::all_of_instance(&rest).await.len(), 2);
}
