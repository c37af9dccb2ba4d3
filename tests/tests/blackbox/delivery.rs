//! The main job: many events, each delivered once to every webhook that wants it, signed, and on record.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use blackbox::{
    events,
    history::{self, Entry},
    in_both_modes,
    product::{Mode, Product},
    receiver::{Answer, Received, Receiver},
    rest::Rest,
    signature,
    webhooks::{self, Webhook},
};
use proto::v1::Event;
use serde_json::json;

in_both_modes!(every_event_reaches_every_webhook_once, a_delivery_is_what_the_documentation_says);

const EVENTS: usize = 5_000;
const PATHS: [&str; 3] = ["/a", "/b", "/c"];

async fn every_event_reaches_every_webhook_once(mode: Mode) {
    let product = Product::start(mode).await;
    let rest = product.admin();
    let receiver = Receiver::start().await;
    let mut hooks = Vec::new();
    for path in PATHS {
        receiver.script(path, Answer::status(200).body("taken"));
        hooks.push(webhooks::create_generic(&rest, &receiver.url(path)).await);
    }
    let published = events::many(EVENTS);
    product.publisher().publish_all(&published, 500, Duration::from_secs(120)).await;
    for (path, hook) in PATHS.iter().zip(&hooks) {
        let requests = receiver.wait_for(path, EVENTS, Duration::from_secs(180)).await;
        each_event_once(&requests, &published);
        for request in &requests {
            looks_right(request, hook);
        }
    }
    for (path, hook) in PATHS.iter().zip(&hooks) {
        history::wait_until_settled(&rest, hook.id, Duration::from_secs(60)).await;
        all_on_record(&rest, hook, &receiver.requests(path)).await;
        receiver.stays_at(path, EVENTS, Duration::from_secs(1)).await;
    }
    // Connections are kept alive: nowhere near one for each delivery.
    assert!(receiver.connections() < EVENTS / 2, "{} connections", receiver.connections());
}

async fn a_delivery_is_what_the_documentation_says(mode: Mode) {
    let product = Product::start(mode).await;
    let rest = product.admin();
    let receiver = Receiver::start().await;
    receiver.script("/in", Answer::status(202).header("x-answer", "yes").body("{\"ok\":true}"));
    let hook = webhooks::create_generic(&rest, &receiver.url("/in")).await;
    let event = events::run_completed(7, 42);
    let id = product.publisher().publish(event.clone()).await.expect("an event that is accepted");
    assert_eq!(id, event.id);

    let request = receiver.wait_for("/in", 1, Duration::from_secs(20)).await.remove(0);
    looks_right(&request, &hook);
    let body = request.json();
    assert_eq!(body["id"], id.as_str());
    assert_eq!(body["event"], "run.completed");
    assert_eq!(body["is_test"], false);
    assert_eq!(body["instance"], "default");
    assert_eq!(body["project"]["id"], 7);
    assert_eq!(body["user"], json!({"id": 3, "name": "Ada Lovelace"}));
    assert_eq!(body["data"]["result"], "failed");
    assert_eq!(body["data"]["run"]["id"], 42);
    assert_eq!(body["data"]["run"]["failure_count"], 2);
    let created_at = body["created_at"].as_str().expect("a time");
    assert!(created_at.contains('T') && created_at.ends_with('Z'), "{created_at} is not RFC 3339 in UTC");

    let delivery = request.expect_header("x-testmo-delivery");
    let shown = history::wait_for_status(&rest, delivery, "delivered", Duration::from_secs(20)).await;
    let entries = shown.entries();
    assert_eq!(entries.len(), 1, "{shown:?}");
    whole_on_record(&entries[0], &request);
    assert_eq!(entries[0].response_code(), Some(202));
    assert_eq!(entries[0].response_body(), "{\"ok\":true}");
    assert_eq!(entries[0].response_header("x-answer"), Some("yes"));
    let address = receiver.address().to_string();
    assert!(shown.0.to_string().contains(&address), "the address connected to is not in {}", shown.0);
}

/// Panics unless there is exactly one request for each event.
fn each_event_once(requests: &[Arc<Received>], published: &[Event]) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for request in requests {
        let id = request.json()["id"].as_str().expect("an id in the body").to_owned();
        *seen.entry(id).or_default() += 1;
    }
    let lost: Vec<_> = published.iter().filter(|event| !seen.contains_key(&event.id)).collect();
    assert!(lost.is_empty(), "{} events are lost, the first is {:?}", lost.len(), lost[0]);
    let twice: Vec<_> = seen.iter().filter(|(_, count)| **count > 1).collect();
    assert!(
        twice.is_empty(),
        "{} events came more than once: {:?}",
        twice.len(),
        twice.iter().take(3).collect::<Vec<_>>()
    );
    assert_eq!(requests.len(), published.len(), "events that nobody has published");
}

/// Panics unless the signatures verify and all documented headers of a first attempt are there.
fn looks_right(request: &Received, hook: &Webhook) {
    signature::verify(request, &hook.secret);
    assert_eq!(request.method, "POST");
    assert_eq!(request.expect_header("content-type"), "application/json; charset=utf-8");
    let agent = request.expect_header("user-agent");
    assert!(agent.strip_prefix("Testmo-Webhooks/").is_some_and(|version| version.contains('.')), "user-agent {agent}");
    assert_eq!(request.expect_header("x-testmo-event"), "run.completed");
    assert_eq!(request.expect_header("x-testmo-webhook"), hook.id.to_string());
    assert_eq!(request.expect_header("x-testmo-attempt"), "1");
    let delivery = request.expect_header("x-testmo-delivery");
    assert!(uuid::Uuid::parse_str(delivery).is_ok(), "x-testmo-delivery {delivery} is no UUID");
}

/// Panics unless history has one delivered entry for each request, and, for some of them, all of what was sent.
async fn all_on_record(rest: &Rest, hook: &Webhook, requests: &[Arc<Received>]) {
    let entries = history::all(rest, hook.id).await;
    let ids: BTreeSet<_> = entries.iter().map(Entry::id).collect();
    assert_eq!(ids.len(), entries.len(), "paging repeats entries");
    let by_event = history::by_event(entries.clone());
    assert_eq!(by_event.len(), requests.len(), "events with an entry");
    for (event, entries) in &by_event {
        assert_eq!(entries.len(), 1, "event {event} has {} entries", entries.len());
        let entry = &entries[0];
        assert_eq!(
            (entry.status(), entry.attempt(), entry.response_code()),
            ("delivered", 1, Some(200)),
            "{}",
            entry.0
        );
    }
    for request in requests.iter().step_by(50) {
        let id = request.expect_header("x-testmo-delivery");
        let delivery = history::delivery(rest, id).await.unwrap_or_else(|| panic!("no delivery {id}"));
        assert_eq!(delivery.status(), "delivered");
        let entries = delivery.entries();
        assert_eq!(entries.len(), 1, "{delivery:?}");
        whole_on_record(&entries[0], request);
        assert_eq!(entries[0].response_body(), "taken");
    }
}

/// Panics unless the entry shows the bytes and headers that were sent.
fn whole_on_record(entry: &Entry, request: &Received) {
    assert_eq!((entry.status(), entry.attempt()), ("delivered", 1), "{}", entry.0);
    assert_eq!(entry.request_body().as_bytes(), &request.body[..]);
    for name in ["x-testmo-signature-256", "x-testmo-delivery", "webhook-signature", "webhook-timestamp", "user-agent"]
    {
        assert_eq!(entry.request_header(name), Some(request.expect_header(name)), "header {name} on record");
    }
}
