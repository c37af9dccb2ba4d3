//! Statistics of a webhook: skipped events with the reason, outcomes as the history shows them, and latency.

use std::time::Duration;

use blackbox::{
    events, history, in_both_modes,
    product::{Mode, Product},
    receiver::{Answer, Receiver},
    rest::Rest,
    wait::eventually,
    webhooks,
};
use proto::v1::{DeleteProjectRequest, Event, SetPlanRequest};
use serde_json::{Value, json};

in_both_modes!(
    what_is_skipped_is_counted_once_with_the_reason,
    an_event_skipped_before_a_crash_is_not_counted_again,
    outcomes_agree_with_the_history,
    latency_is_about_what_it_was,
    the_time_is_chosen,
);

const SOON: Duration = Duration::from_secs(20);

async fn stats(rest: &Rest, webhook: i64, query: &str) -> Value {
    rest.get(&format!("/api/v1/webhooks/{webhook}/stats?{query}")).await.expect(200)
}

fn skipped(inactive: i64, plan: i64, project_deleted: i64) -> Value {
    json!({"inactive": inactive, "plan": plan, "project_deleted": project_deleted, "failing": 0})
}

/// Waits until that many were skipped; the totals are then those of the intervals.
async fn wait_for_skipped(rest: &Rest, webhook: i64, expected: &Value) {
    let found = eventually(SOON, format!("webhook {webhook} has skipped {expected}"), async || {
        let found = stats(rest, webhook, "").await;
        (found["totals"]["skipped"] == *expected).then_some(found)
    })
    .await;
    for reason in ["inactive", "plan", "project_deleted", "failing"] {
        let of = |interval: &Value| interval["skipped"][reason].as_i64().expect("a count");
        let sum: i64 = found["intervals"].as_array().expect("intervals").iter().map(of).sum();
        assert_eq!(found["totals"]["skipped"][reason], sum, "{found}");
    }
}

async fn create(rest: &Rest, url: &str, changes: Value) -> i64 {
    let mut body = webhooks::generic(url);
    for (name, value) in changes.as_object().expect("an object") {
        body[name] = value.clone();
    }
    webhooks::create(rest, body).await.id
}

async fn publish(product: &Product, event: Event) -> String {
    product.publisher().publish(event).await.expect("an accepted event")
}

async fn what_is_skipped_is_counted_once_with_the_reason(mode: Mode) {
    let product = Product::start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    let core = product.grpc(Some(product.publisher_token()));
    let url = receiver.url("/in");
    let off = create(&rest, &url, json!({})).await;
    webhooks::act(&rest, off, "deactivate").await;
    let of_one = create(&rest, &url, json!({"projects": [1], "active": false})).await;
    let filtered = create(&rest, &url, json!({"filter": ["data.run.id == 1"], "active": false})).await;
    let other_type = create(&rest, &url, json!({"events": ["run.created"], "active": false})).await;
    let homeless = create(&rest, &url, json!({"projects": [5]})).await;
    let active = create(&rest, &receiver.url("/active"), json!({})).await;

    // One that is published again and again, in one batch, at once and later, is one.
    let first = events::run_completed(1, 1);
    let publisher = product.publisher();
    let again = || publisher.publish_batch(vec![first.clone(), first.clone()]);
    let results = again().await.expect("a batch with repeats");
    assert!(results.iter().all(|result| result.error.is_none()), "{results:?}");
    publish(&product, events::run_completed(2, 2)).await;
    receiver.wait_for("/active", 2, SOON).await;
    again().await.expect("a batch with repeats");
    // Without an id of the publisher's.
    publish(&product, Event { id: String::new(), ..events::run_completed(1, 3) }).await;
    wait_for_skipped(&rest, off, &skipped(3, 0, 0)).await;
    wait_for_skipped(&rest, of_one, &skipped(2, 0, 0)).await;
    wait_for_skipped(&rest, filtered, &skipped(1, 0, 0)).await;

    let deletion = DeleteProjectRequest { instance: String::new(), project_id: 5, version: 1 };
    core.instances().delete_project(deletion).await.expect("an accepted deletion");
    let patched = rest.patch(&format!("/api/v1/webhooks/{homeless}"), json!({"projects": [1]})).await.expect(200);
    assert_eq!((&patched["active"], &patched["inactive_reason"]), (&json!(false), &json!("projects_deleted")));
    publish(&product, events::run_completed(1, 4)).await;
    wait_for_skipped(&rest, homeless, &skipped(0, 0, 1)).await;

    let plan = SetPlanRequest { instance: String::new(), plan: "free".to_owned(), version: 1 };
    core.instances().set_plan(plan).await.expect("an accepted plan");
    publish(&product, events::run_completed(1, 5)).await;
    wait_for_skipped(&rest, active, &skipped(0, 1, 0)).await;
    // What an operator did before stays its doing.
    wait_for_skipped(&rest, off, &skipped(5, 0, 0)).await;
    wait_for_skipped(&rest, homeless, &skipped(0, 0, 2)).await;
    wait_for_skipped(&rest, of_one, &skipped(4, 0, 0)).await;
    wait_for_skipped(&rest, filtered, &skipped(1, 0, 0)).await;
    wait_for_skipped(&rest, other_type, &skipped(0, 0, 0)).await;
    receiver.stays_at("/in", 0, Duration::from_millis(500)).await;
    receiver.stays_at("/active", 4, Duration::from_millis(500)).await;
    let totals = &stats(&rest, off, "").await["totals"];
    assert_eq!((&totals["delivered"], &totals["success_rate"]), (&json!(0), &json!(null)), "{totals}");
}

async fn an_event_skipped_before_a_crash_is_not_counted_again(mode: Mode) {
    let mut product = Product::start(mode).await;
    let receiver = Receiver::start().await;
    let off = create(&product.admin(), &receiver.url("/in"), json!({"active": false})).await;
    let events = events::many(30);
    product.publisher().publish_all(&events, 7, SOON).await;
    // Some are opened and not acknowledged, some are neither.
    product.kill_all();
    product.start_all().await;
    product.publisher().publish_all(&events, 7, SOON).await;
    let rest = product.admin();
    wait_for_skipped(&rest, off, &skipped(30, 0, 0)).await;
    // Whatever still lay in a queue before these is worked on when they are counted.
    product.publisher().publish_all(&[events::run_completed(events::PROJECT, 99)], 1, SOON).await;
    wait_for_skipped(&rest, off, &skipped(31, 0, 0)).await;
}

async fn outcomes_agree_with_the_history(mode: Mode) {
    let product = Product::prepare(mode).set("delivery.retry_schedule", r#"["0s","1s","600s"]"#).start().await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    let hook = create(&rest, &receiver.url("/in"), json!({})).await;
    let test = rest.act(&format!("/api/v1/webhooks/{hook}/test")).await.expect(202);
    let test = test["delivery_id"].as_str().expect("an id").to_owned();
    history::wait_for_status(&rest, &test, "delivered", SOON).await;
    // Whichever attempts these fall to: one delivery fails for good.
    receiver.script("/in", [500, 410, 200]);
    for number in 1..=12 {
        publish(&product, events::run_completed(events::PROJECT, number)).await;
    }
    let found = wait_until_counted(&rest, hook, [11, 2, 0]).await;
    assert_eq!((&found["not_attempted"], &found["success_rate"]), (&json!(0), &json!(11.0 / 13.0)), "{found}");

    receiver.script("/stuck", 500);
    let stuck = create(&rest, &receiver.url("/stuck"), json!({"projects": [77]})).await;
    publish(&product, events::run_completed(77, 1)).await;
    wait_until_counted(&rest, stuck, [0, 3, 1]).await;
    let waiting = history::page(&rest, stuck, "status=pending").await.remove(0);
    assert_eq!(stats(&rest, stuck, "").await["oldest_pending_since"], waiting.0["time"]);
    webhooks::delete(&rest, stuck).await;
    let found = wait_until_counted(&rest, stuck, [0, 4, 0]).await;
    assert_eq!((&found["not_attempted"], &found["success_rate"]), (&json!(1), &json!(0.0)), "{found}");
}

/// Waits until so many entries are counted as delivered, failed and pending; answers the totals, with which the list of
/// entries then agrees.
async fn wait_until_counted(rest: &Rest, webhook: i64, expected: [usize; 3]) -> Value {
    let totals = eventually(SOON, format!("webhook {webhook} has {expected:?} entries"), async || {
        let found = stats(rest, webhook, "").await;
        let counts = json!([found["totals"]["delivered"], found["totals"]["failed"], found["pending"]]);
        (counts == json!(expected)).then(|| found["totals"].clone())
    })
    .await;
    let entries = history::all(rest, webhook).await;
    let listed = ["delivered", "failed", "pending"]
        .map(|status| entries.iter().filter(|entry| entry.status() == status && entry.0["is_test"] == false).count());
    assert_eq!(listed, expected, "{entries:?}");
    totals
}

async fn latency_is_about_what_it_was(mode: Mode) {
    let product = Product::start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    receiver.script("/slow", Answer::status(200).delay(Duration::from_millis(300)));
    let slow = create(&rest, &receiver.url("/slow"), json!({})).await;
    product.publisher().publish_all(&events::many(10), 10, SOON).await;
    let found = eventually(SOON, "all are counted", async || {
        let found = stats(&rest, slow, "").await;
        (found["totals"]["delivered"] == 10).then_some(found)
    })
    .await;
    let mut durations: Vec<f64> =
        history::all(&rest, slow).await.iter().map(|entry| entry.duration().as_secs_f64() * 1_000.0).collect();
    durations.sort_by(f64::total_cmp);
    for (name, place) in [("p50", 4), ("p95", 9), ("p99", 9)] {
        let estimate = found["totals"]["latency_ms"][name].as_f64().expect("an estimate");
        let truth = durations[place].min(10_000.0);
        assert!((truth / 1.8..truth * 1.8).contains(&estimate), "{name}: {estimate} instead of {truth}");
    }
}

async fn the_time_is_chosen(mode: Mode) {
    let product = Product::start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    let hook = create(&rest, &receiver.url("/in"), json!({})).await;
    publish(&product, events::run_completed(events::PROJECT, 1)).await;
    let by_hour = eventually(SOON, "it is counted", async || {
        let found = stats(&rest, hook, "").await;
        (found["totals"]["delivered"] == 1).then_some(found)
    })
    .await;
    let intervals = by_hour["intervals"].as_array().expect("intervals");
    assert_eq!((intervals.len(), &by_hour["interval"]), (24, &json!("hour")));
    let counted: Vec<_> = intervals.iter().filter(|hour| hour["delivered"] == 1).collect();
    let start = counted[0]["start"].as_str().expect("a time");
    assert!(counted.len() == 1 && start.ends_with(":00:00Z"), "{by_hour}");
    let of_hour = stats(&rest, hook, &format!("from={start}&to={}", start.replace(":00:00Z", ":59:59Z"))).await;
    assert_eq!(of_hour["intervals"], json!([counted[0]]));
    let by_day = stats(&rest, hook, "interval=day").await;
    assert_eq!(by_day["intervals"].as_array().map(Vec::len), Some(30));
    assert_eq!(by_day["totals"]["delivered"], 1);
    let past = stats(&rest, hook, "interval=day&from=2020-01-01T00:00:00Z&to=2020-01-03T00:00:00Z").await;
    let days: Vec<_> = past["intervals"].as_array().expect("days").iter().map(|day| &day["start"]).collect();
    assert_eq!(days, ["2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z"]);
    for (query, field) in [
        ("from=2020-01-01T00:00:00Z", "from"),
        ("from=2020-01-01T00:00:00Z&to=2020-02-02T00:00:00Z", "from"),
        ("from=2020-01-02T00:00:00Z&to=2020-01-02T00:00:00Z", "to"),
        ("from=monday", "from"),
        ("interval=week", "interval"),
    ] {
        let refused = rest.get(&format!("/api/v1/webhooks/{hook}/stats?{query}")).await;
        refused.expect_error(422, Some("validation_failed"), &[field]);
    }
}
