//! The complete record of an attempt: where its time went, what was sent, which secret signed, and the trace of its event.

use std::time::Duration;

use blackbox::{
    events,
    history::{self, Entry},
    in_both_modes,
    product::{Mode, Product},
    receiver::{Answer, Received, Receiver, Script},
    rest::Rest,
    wait::eventually,
    webhooks::{self, Webhook},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

in_both_modes!(
    every_attempt_tells_where_its_time_went_and_what_was_sent,
    secrets_are_told_apart_by_their_number,
    all_attempts_of_a_delivery_are_in_the_trace_of_its_event,
    what_no_trace_came_with_gets_one,
);

const SOON: Duration = Duration::from_secs(30);
const EXPORT: &str = "/api/v1/webhooks/deliveries/export";
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A product with a webhook.
struct Scene {
    product: Product,
    rest: Rest,
    receiver: Receiver,
    hook: Webhook,
}

impl Scene {
    async fn new(mode: Mode, script: impl Into<Script>) -> Self {
        let product = Product::prepare(mode).set("delivery.retry_schedule", r#"["0s"]"#).start().await;
        let (rest, receiver) = (product.admin(), Receiver::start().await);
        receiver.script("/in", script);
        let hook = webhooks::create_generic(&rest, &receiver.url("/in")).await;
        Self { product, rest, receiver, hook }
    }

    async fn publish(&self, number: i64) {
        self.product.publisher().publish(events::run_completed(1, number)).await.expect("an accepted event");
    }

    /// The attempts of the delivery that came `number`th, counted from 0, once it stands so.
    async fn attempts(&self, number: usize, status: &str) -> Vec<Entry> {
        let id = self.delivery_id(number).await;
        history::wait_for_status(&self.rest, &id, status, SOON).await.entries()
    }

    async fn delivery_id(&self, number: usize) -> String {
        eventually(SOON, format!("{} deliveries have come", number + 1), async || {
            let mut ids: Vec<String> = Vec::new();
            for request in self.receiver.requests("/in") {
                let id = request.expect_header("x-testmo-delivery").to_owned();
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            ids.into_iter().nth(number)
        })
        .await
    }

    /// The entries of the export as an array, which is the same as the one line by line.
    async fn exported(&self) -> Vec<Entry> {
        let array = self.rest.get(EXPORT).await.expect(200);
        let lines = self.rest.get(&format!("{EXPORT}?format=ndjson")).await;
        let lines = String::from_utf8(lines.bytes.to_vec()).expect("UTF-8");
        let lines: Vec<Value> =
            lines.lines().map(|line| serde_json::from_str(line).expect("an entry a line")).collect();
        assert_eq!(array, json!(lines));
        lines.into_iter().map(Entry).collect()
    }
}

/// What history shows of an attempt is what the receiver saw of it, and adds up.
fn is_complete(entry: &Entry, request: &Received, hook: &Webhook) {
    assert_eq!(entry.body_sha256(), hex::encode(Sha256::digest(&request.body)));
    assert_eq!(entry.secret_ids(), [1]);
    let trace = entry.trace_id();
    assert!(trace.len() == 32 && trace.bytes().all(|byte| byte.is_ascii_hexdigit()), "{trace}");
    let step = |name| entry.timing(name);
    let (total, first) = (step("total_ms").expect("a total"), step("first_byte_ms").expect("an answer"));
    assert_eq!(Some(total), entry.0["duration_ms"].as_f64());
    assert!(0.0 < first && first <= total, "{}", entry.0);
    assert_eq!((step("dns_ms"), step("tls_ms")), (None, None), "a literal address, and no TLS");
    match step("connect_ms") {
        Some(connect) => assert!(!entry.is_reused() && connect <= first, "{}", entry.0),
        None => assert!(entry.is_reused(), "{}", entry.0),
    }
    assert!(!entry.0.to_string().contains(&hook.secret), "the secret itself is nowhere");
}

async fn every_attempt_tells_where_its_time_went_and_what_was_sent(mode: Mode) {
    let slow = Answer::status(200).delay(Duration::from_millis(50));
    let scene = Scene::new(mode, Script::by_attempt(vec![Answer::status(503), slow])).await;
    scene.publish(1).await;
    let attempts = scene.attempts(0, "delivered").await;
    let [failed, delivered] = attempts.as_slice() else { panic!("{attempts:?}") };
    assert_eq!((failed.status(), delivered.status()), ("failed", "delivered"));
    let requests = scene.receiver.requests("/in");
    for (entry, request) in attempts.iter().zip(&requests) {
        is_complete(entry, request, &scene.hook);
    }
    assert_eq!(failed.trace_id(), delivered.trace_id());
    assert!(!failed.is_reused(), "nothing was connected before");
    assert!(delivered.timing("first_byte_ms").is_some_and(|first| first >= 50.0), "{}", delivered.0);
    let exported = scene.exported().await;
    assert_eq!(exported.len(), 2);
    for (exported, entry) in exported.iter().zip(attempts.iter().rev()) {
        for member in ["timings", "trace_id", "request", "response"] {
            assert_eq!(exported.0[member], entry.0[member], "{member}");
        }
    }
    let listed = history::all(&scene.rest, scene.hook.id).await;
    assert!(listed.iter().all(|entry| entry.0.get("timings").is_none()), "lists have the small form");
}

async fn secrets_are_told_apart_by_their_number(mode: Mode) {
    let scene = Scene::new(mode, 200).await;
    let path = format!("/api/v1/webhooks/{}", scene.hook.id);
    // The overlap in hours, and which secrets sign then.
    let mut secret = scene.hook.secret.clone();
    for (number, (overlap, ids)) in [(None, &[1][..]), (Some(1), &[2, 1]), (Some(0), &[3])].into_iter().enumerate() {
        if let Some(hours) = overlap {
            let made = scene.rest.post(&format!("{path}/secret"), json!({"overlap_hours": hours})).await.expect(200);
            assert_eq!(made["secret_id"], ids[0]);
            secret = made["secret"].as_str().expect("a secret").to_owned();
        }
        scene.publish(1 + number as i64).await;
        let attempts = scene.attempts(number, "delivered").await;
        assert_eq!(attempts[0].secret_ids(), ids);
        assert_eq!(scene.rest.get(&path).await.expect(200)["secret_id"], ids[0], "what the webhook shows");
        let request = scene.receiver.requests("/in").pop().expect("the newest");
        let signature = blackbox::signature::sign_testmo(&secret, &request.body);
        assert_eq!(request.expect_header("x-testmo-signature-256"), signature, "the first has signed it");
        assert!(!attempts[0].0.to_string().contains(&secret), "the secret itself is nowhere");
    }
}

async fn all_attempts_of_a_delivery_are_in_the_trace_of_its_event(mode: Mode) {
    // The second attempt waits in history, because the endpoint asks for it.
    let answers = [503, 410, 410].map(|status| Answer::status(status).header("retry-after", "1"));
    let answers = answers.into_iter().chain([Answer::status(200)]).collect();
    let scene = Scene::new(mode, Script::by_attempt(answers)).await;
    scene
        .product
        .publisher()
        .publish_traced(events::run_completed(1, 1), TRACEPARENT)
        .await
        .expect("an accepted event");
    scene.attempts(0, "failed").await;
    let id = scene.delivery_id(0).await;
    drop(scene.rest.act(&format!("/api/v1/webhooks/deliveries/{id}/retry")).await.expect(202));
    scene.receiver.wait_for("/in", 3, SOON).await;
    scene.attempts(0, "failed").await;
    let range = json!({"from": "2020-01-01T00:00:00Z"});
    drop(scene.rest.post(&format!("/api/v1/webhooks/{}/replay", scene.hook.id), range).await.expect(202));
    let attempts = scene.attempts(0, "delivered").await;
    let found: Vec<_> = attempts.iter().map(|entry| (entry.response_code(), entry.trace_id())).collect();
    let expected = [503, 410, 410, 200].map(|status| (Some(status), TRACE_ID));
    assert_eq!(found, expected, "retried by itself, by hand and by a replay");
    assert!(scene.exported().await.iter().all(|entry| entry.trace_id() == TRACE_ID));
}

async fn what_no_trace_came_with_gets_one(mode: Mode) {
    let scene = Scene::new(mode, 200).await;
    let publisher = scene.product.publisher();
    scene.publish(1).await;
    let malformed = TRACEPARENT.to_uppercase();
    publisher.publish_traced(events::run_completed(1, 2), &malformed).await.expect("an accepted event");
    drop(scene.rest.act(&format!("/api/v1/webhooks/{}/test", scene.hook.id)).await.expect(202));
    let mut traces = Vec::new();
    for number in 0..3 {
        let attempts = scene.attempts(number, "delivered").await;
        let trace = attempts[0].trace_id().to_owned();
        assert!(trace.len() == 32 && trace != TRACE_ID && trace != "0".repeat(32), "{trace}");
        assert!(!traces.contains(&trace), "{traces:?} {trace}");
        traces.push(trace);
    }
}
