//! Messages that nobody can work on: parked once, shown, counted, requeued and dropped, and in nobody's way.
//!
//! `queue.rs` puts messages where ingest would not.

pub(crate) mod queue;

use std::{collections::BTreeMap, path::Path, time::Duration};

use blackbox::{
    events, history, in_both_modes,
    product::{Mode, Product, Service},
    random,
    receiver::Receiver,
    run,
    wait::{eventually, stays},
    webhooks::{self, Webhook},
};
use prost::Message as _;
use proto::{
    internal::v1::{AcceptedEvent, AttemptRecord, DeliveryRef, DeliveryTask, RecordBatch},
    v1::Event,
};
use queue::{Message, put};
use serde_json::{Value, json};

use crate::command_line::told;

in_both_modes!(
    poison_is_parked_once_and_disturbs_nobody,
    requeued_is_delivered_and_dropped_is_gone,
    only_the_operator_works_on_parked
);

const SOON: Duration = Duration::from_secs(30);
const QUIET: Duration = Duration::from_secs(2);
/// No webhook ever gets it.
const NO_WEBHOOK: i64 = 900_000_001;
/// Field 111, which no message has: all that is left of a message of another version.
const OTHER_VERSION: &[u8] = &[0xf8, 0x06, 0x01];
const NO_PROTOBUF: &[u8] = b"\xff\xff not protobuf";

/// Somebody who runs `parked` against a product.
struct Operator<'a> {
    product: &'a Product,
    /// Where it is and in whose name; embedded, the defaults do.
    server: Vec<String>,
}

impl<'a> Operator<'a> {
    fn new(product: &'a Product) -> Self {
        let server = match product.mode() {
            Mode::Embedded => Vec::new(),
            Mode::Distributed => {
                let file = product.setting(Service::Subscription, "auth.bootstrap_token_file").expect("its file");
                ["--server", &product.publish_address(), "--token-file", file].map(str::to_owned).into()
            }
        };
        Self { product, server }
    }

    /// The same with another token.
    fn with_token(product: &'a Product, folder: &Path, token: &str) -> Self {
        let file = folder.join(random::hex40());
        std::fs::write(&file, token).expect("a new file");
        let file = file.display().to_string();
        Self {
            product,
            server: ["--server", &product.publish_address(), "--token-file", &file].map(str::to_owned).into(),
        }
    }

    /// Status, standard output, standard error.
    async fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = self.product.command(&["parked"]);
        command.args(arguments).args(&self.server);
        told(command).await
    }

    /// What a call prints that does what it should.
    async fn runs(&self, arguments: &[&str]) -> String {
        let (status, out, err) = self.run(arguments).await;
        assert_eq!((status, err.as_str()), (Some(0), ""), "{arguments:?}: {out}");
        out
    }

    /// What a call says that fails with one line, and prints `out`.
    async fn fails(&self, arguments: &[&str], out: &str) -> String {
        let (status, printed, err) = self.run(arguments).await;
        assert_eq!((status, printed.as_str(), err.lines().count()), (Some(1), out, 1), "{arguments:?}: {err}");
        err
    }

    /// What is parked, by id.
    async fn parked(&self) -> BTreeMap<String, Value> {
        let answer: Value = serde_json::from_str(&self.runs(&["list", "--json"]).await).expect("JSON");
        let messages = answer["messages"].as_array().expect("a list");
        assert_eq!(answer["total"], messages.len());
        let id = |message: &Value| message["id"].as_str().expect("an id").to_owned();
        let by_id: BTreeMap<_, _> = messages.iter().map(|message| (id(message), message.clone())).collect();
        assert_eq!(by_id.len(), messages.len(), "each is parked once: {messages:?}");
        by_id
    }
}

/// Waits until the metric says so.
async fn is_counted(product: &Product, count: usize) {
    let service = if product.mode() == Mode::Embedded { Service::Standalone } else { Service::Ingest };
    let health = product.health(service);
    eventually(SOON, format!("webhooks_parked is {count}"), async || {
        let answer = health.get("/metrics").await;
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        let found = text.lines().find(|line| line.starts_with("webhooks_parked"))?.rsplit(' ').next()?.to_owned();
        (found.parse() == Ok(count)).then_some(())
    })
    .await;
}

/// A delivery of nothing in particular.
fn delivery(webhook_id: i64) -> DeliveryRef {
    let id = || bytes::Bytes::copy_from_slice(random::uuid().as_bytes());
    DeliveryRef {
        delivery_id: id(),
        instance: "default".into(),
        webhook_id,
        event_id: id(),
        event_type: "run.completed".into(),
        project_id: events::PROJECT,
        format: "generic".into(),
        ..DeliveryRef::default()
    }
}

fn task(number: i32, webhook: i64) -> Vec<u8> {
    let body = b"{}".as_slice().into();
    DeliveryTask {
        delivery: Some(delivery(webhook)),
        number,
        generation: 0,
        body,
        manual: false,
        previous: None,
        due_at: 0,
    }
    .encode_to_vec()
}

/// What ingest would have queued.
fn accepted(event: &Event) -> Vec<u8> {
    let event =
        Event { instance: "default".into(), created_at: Some(prost_types::Timestamp::default()), ..event.clone() };
    let publish_id = bytes::Bytes::copy_from_slice(random::uuid().as_bytes());
    AcceptedEvent { publish_id, claim: true, accepted_at: 1, event: Some(event), ..AcceptedEvent::default() }
        .encode_to_vec()
}

/// Messages that nobody can work on, each with the lane and a part of the reason that it is parked with.
fn poison(mode: Mode, webhook: i64) -> Vec<(Message, &'static str, &'static str)> {
    let mut poison = vec![
        (Message::new("events", NO_PROTOBUF), "events", "not an accepted event"),
        (Message::new("events", OTHER_VERSION), "events", "no event in it"),
    ];
    for lane in ["deliver.fast", "deliver.slow"] {
        poison.extend([
            (Message::new(lane, NO_PROTOBUF), lane, "not a delivery"),
            (Message::new(lane, OTHER_VERSION), lane, "no delivery in it"),
            (Message::new(lane, task(999, webhook)), lane, "attempt 999 cannot be"),
        ]);
    }
    if mode == Mode::Embedded {
        // Nobody consumes its lane `history`: records go straight to history.
        return poison;
    }
    let record = AttemptRecord { delivery: Some(delivery(webhook)), number: 1, ..AttemptRecord::default() };
    let batch = RecordBatch { records: vec![record], opened: Vec::new() }.encode_to_vec();
    poison.extend([
        (Message::new("history", NO_PROTOBUF), "history", "not a RecordBatch"),
        (Message::new("history", batch), "history", "records[0].what"),
        // Moved on when the wait is over.
        (Message::new("delay.2s", NO_PROTOBUF), "deliver.slow", "not a delivery"),
    ]);
    poison
}

async fn poison_is_parked_once_and_disturbs_nobody(mode: Mode) {
    let mut product = Product::prepare(mode).set("delivery.retry_schedule", r#"["0s","2s","2s"]"#).start().await;
    let receiver = Receiver::start().await;
    let hook = webhooks::create_generic(&product.admin(), &receiver.url("/in")).await;
    is_counted(&product, 0).await;
    assert_eq!(Operator::new(&product).runs(&["list"]).await, "no message is parked\n");

    let poison = poison(mode, hook.id);
    let mut messages: Vec<Message> = Vec::new();
    let mut expected = BTreeMap::new();
    for (message, lane, reason) in poison {
        expected.insert(message.id.clone(), (lane, reason));
        messages.push(message);
    }
    // Not poison: history keeps it until somebody knows the webhook.
    messages.extend(["deliver.fast", "deliver.slow"].map(|lane| Message::new(lane, task(1, NO_WEBHOOK))));
    put(&mut product, &messages).await;

    let operator = Operator::new(&product);
    let parked = eventually(SOON, format!("{} messages are parked", expected.len()), async || {
        let parked = operator.parked().await;
        (parked.len() >= expected.len()).then_some(parked)
    })
    .await;
    for (id, (lane, reason)) in &expected {
        let message = parked.get(id).unwrap_or_else(|| panic!("{lane}, {reason}: not parked"));
        assert_eq!(message["lane"], *lane, "{message}");
        assert!(message["reason"].as_str().is_some_and(|text| text.contains(reason)), "{reason}: {message}");
        assert!(message["parked_at"].is_string(), "{message}");
        let content = match *reason {
            "attempt 999 cannot be" => json!([hook.id, 999, "default"]),
            "records[0].what" => json!([1]),
            _ => Value::Null,
        };
        let found = match &message["content"] {
            Value::Null => Value::Null,
            content if content["records"].is_u64() => json!([content["records"]]),
            content => json!([content["webhook_id"], content["attempt"], content["instance"]]),
        };
        assert_eq!(found, content, "{message}");
    }
    is_counted(&product, expected.len()).await;
    every_lane_moves_on(&product, &receiver, &hook).await;
    stays(QUIET, "what is parked stays as it is", async || operator.parked().await == parked).await;

    let text = operator.runs(&["list", "--limit", "1"]).await;
    assert!(text.contains("    reason: ") && text.contains(&format!("shown are 1 of {}", parked.len())), "{text}");
    assert_eq!(text.lines().count(), 5, "{text}");
}

/// An event, a retry, a release from history and their records take all lanes.
async fn every_lane_moves_on(product: &Product, receiver: &Receiver, hook: &Webhook) {
    let rest = product.admin();
    receiver.script("/in", [500, 200]);
    product.publisher().publish(events::run_completed(events::PROJECT, 1)).await.expect("an accepted event");
    let requests = receiver.wait_for("/in", 2, SOON).await;
    let delivery = requests[0].expect_header("x-testmo-delivery");
    history::wait_for_status(&rest, delivery, "delivered", SOON).await;

    // Paused while it waits for its third attempt, it goes on from history.
    receiver.script("/in", [500, 500, 200]);
    let event =
        product.publisher().publish(events::run_completed(events::PROJECT, 2)).await.expect("an accepted event");
    receiver.wait_for("/in", 4, SOON).await;
    webhooks::act(&rest, hook.id, "deactivate").await;
    eventually(SOON, "the retry waits in history", async || {
        let pending = history::page(&rest, hook.id, "status=pending").await;
        pending.into_iter().find(|entry| entry.event() == event && entry.waits_for() == "webhook inactive")
    })
    .await;
    webhooks::act(&rest, hook.id, "activate").await;
    receiver.wait_for("/in", 5, SOON).await;
    receiver.stays_at("/in", 5, Duration::from_millis(500)).await;
}

async fn requeued_is_delivered_and_dropped_is_gone(mode: Mode) {
    let mut product = Product::start(mode).await;
    let receiver = Receiver::start().await;
    webhooks::create_generic(&product.admin(), &receiver.url("/in")).await;
    let events = events::many(4);
    let mut messages: Vec<Message> =
        events.iter().map(|event| Message::parked("events", accepted(event), "by hand")).collect();
    messages.push(Message::parked("deliver.slow", task(1, NO_WEBHOOK), "by hand"));
    put(&mut product, &messages).await;
    let ids: Vec<&str> = messages.iter().map(|message| message.id.as_str()).collect();
    is_counted(&product, 5).await;

    let operator = Operator::new(&product);
    let parked = operator.parked().await;
    assert_eq!(parked.len(), 5);
    let event = &parked[ids[0]];
    let content = json!({"event_id": events[0].id, "instance": "default", "event": "run.completed"});
    assert_eq!((&event["content"], &event["reason"]), (&content, &json!("by hand")));
    receiver.stays_at("/in", 0, Duration::from_millis(500)).await;

    assert_eq!(operator.runs(&["requeue", ids[0], ids[0]]).await, "requeued 1 message\n");
    let requests = receiver.wait_for("/in", 1, SOON).await;
    assert_eq!(requests[0].json()["id"], events[0].id.as_str());
    let error = operator.fails(&["requeue", ids[0], ids[1], "--lane", "events"], "requeued 1 message\n").await;
    assert!(error.contains("1 of the 2 named"), "{error}");
    receiver.wait_for("/in", 2, SOON).await;

    let error = operator.fails(&["drop", ids[2]], "").await;
    assert!(error.contains("--yes"), "nobody was there to be asked: {error}");
    assert_eq!(operator.parked().await.len(), 3, "nothing was dropped");
    assert_eq!(operator.runs(&["drop", "--yes", ids[2]]).await, "dropped 1 message\n");
    assert_eq!(operator.runs(&["drop", "--yes", "--all", "--lane", "deliver.slow"]).await, "dropped 1 message\n");
    assert_eq!(operator.parked().await.keys().collect::<Vec<_>>(), [ids[3]]);
    assert_eq!(operator.runs(&["requeue", "--all"]).await, "requeued 1 message\n");
    let requests = receiver.wait_for("/in", 3, SOON).await;
    assert_eq!(requests[2].json()["id"], events[3].id.as_str());
    assert_eq!(operator.runs(&["drop", "--all", "--yes"]).await, "dropped 0 messages\n");
    receiver.stays_at("/in", 3, QUIET).await;
    assert!(operator.parked().await.is_empty());
    is_counted(&product, 0).await;
}

async fn only_the_operator_works_on_parked(mode: Mode) {
    let mut product = Product::start(mode).await;
    put(&mut product, &[Message::parked("events", NO_PROTOBUF, "by hand")]).await;
    let folder = run::folder("parked");
    let member = product.admin().post("/api/v1/tokens", json!({"name": "m", "role": "member"})).await.expect(201);
    let member = member["token"].as_str().expect("the text of the token").to_owned();
    for (token, code) in [
        (product.publisher_token().to_owned(), "PermissionDenied"),
        (member, "PermissionDenied"),
        ("tmwh_0000000000000000000000000000000000000000".to_owned(), "Unauthenticated"),
    ] {
        let other = Operator::with_token(&product, &folder, &token);
        for call in [&["list"][..], &["requeue", "--all"], &["drop", "--all", "--yes"]] {
            let error = other.fails(call, "").await;
            assert!(error.contains(code), "{call:?}: {error}");
            assert!(!error.contains(&token), "{error}");
        }
    }
    let operator = Operator::new(&product);
    assert_eq!(operator.parked().await.len(), 1, "refused calls change nothing");
    for (call, part) in [(&["requeue"][..], "--all"), (&["drop", "--yes", "--all", "some-id"], "--all")] {
        let (status, _, err) = operator.run(call).await;
        assert!(status == Some(2) && err.contains(part), "{call:?}: {status:?} {err}");
    }
    if mode == Mode::Distributed {
        // `grpc.listen` of that configuration is another service's.
        let token = operator.server[2..].iter().map(String::as_str);
        let call: Vec<&str> = ["list"].into_iter().chain(token).collect();
        let elsewhere = Operator { product: &product, server: Vec::new() };
        let error = elsewhere.fails(&call, "").await;
        assert!(error.contains("gRPC address of ingest"), "{error}");
    }
}
