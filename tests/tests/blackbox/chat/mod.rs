//! Messages for Slack, Teams and Discord, delivered over TLS: every event type, hostile text, retries, certificates.

mod limits;
mod shape;

use std::{collections::BTreeSet, time::Duration};

use blackbox::{
    events, history, in_both_modes,
    product::{Mode, Product},
    random,
    receiver::{Authority, Receiver},
    rest::Rest,
    signature,
    webhooks::{self, Webhook},
};
use proto::v1::{Event, event::Data};
use serde_json::{Value, json};

use shape::Target;

in_both_modes!(
    every_event_type_reaches_every_target,
    hostile_text_stays_inside_the_targets_limits,
    a_retry_carries_the_same_message,
    a_delivery_keeps_its_format_when_the_type_changes,
    certificates_that_nobody_vouches_for_are_refused,
);

const SOON: Duration = Duration::from_secs(60);
const LOCALHOST: &str = "127.0.0.1";
/// In the path of each URL, where chat systems have their secret.
const PATH_SECRET: &str = "Xk7PathSecretQ9";

/// A webhook for everything, for messages to one target.
struct Chat {
    target: Target,
    path: String,
    hook: Webhook,
}

impl Chat {
    async fn create(rest: &Rest, receiver: &Receiver, target: Target) -> Self {
        let path = format!("/{}/{PATH_SECRET}", target.name());
        let body = json!({
            "name": target.name(), "url": receiver.url(&path), "type": target.name(), "events": ["*"], "projects": null
        });
        Self { target, path, hook: webhooks::create(rest, body).await }
    }

    async fn create_all(rest: &Rest, receiver: &Receiver) -> Vec<Self> {
        let mut chats = Vec::new();
        for target in Target::ALL {
            chats.push(Self::create(rest, receiver, target).await);
        }
        chats
    }
}

/// A product that trusts a receiver.
async fn start(mode: Mode) -> (Product, Receiver) {
    let authority = Authority::new();
    let product = Product::prepare(mode).set("delivery.ca_file", &authority.file()).start().await;
    (product, Receiver::start_tls(&authority, LOCALHOST).await)
}

/// The catalogue's sample of each event type, as an event to publish; and the sample.
async fn samples(rest: &Rest) -> Vec<(Event, Value)> {
    let catalogue = rest.get("/api/v1/webhooks/events").await.expect(200);
    let entries = catalogue.as_array().expect("a list").iter();
    entries
        .map(|entry| {
            let sample = entry["sample"].clone();
            let mut event = proto::event::from_json(&sample.to_string()).expect("a sample is an event");
            event.id = random::uuid().to_string();
            event.instance.clear();
            (event, sample)
        })
        .collect()
}

async fn every_event_type_reaches_every_target(mode: Mode) {
    let (product, receiver) = start(mode).await;
    let rest = product.admin();
    let chats = Chat::create_all(&rest, &receiver).await;
    let samples = samples(&rest).await;
    assert_eq!(samples.len(), 23);
    let published: Vec<_> = samples.iter().map(|(event, _)| event.clone()).collect();
    product.publisher().publish_all(&published, 23, SOON).await;
    for chat in &chats {
        let requests = receiver.wait_for(&chat.path, 23, SOON).await;
        let mut seen = BTreeSet::new();
        for request in &requests {
            signature::verify(request, &chat.hook.secret);
            assert_eq!(request.expect_header("content-type"), "application/json; charset=utf-8");
            let kind = request.expect_header("x-testmo-event");
            seen.insert(kind.to_owned());
            let (_, sample) = samples.iter().find(|(_, sample)| sample["event"] == kind).expect("a known type");
            chat.target.check(&request.body);
            tells(&request.json(), sample);
        }
        assert_eq!(seen.len(), 23, "{seen:?}");
        on_record(&rest, chat, &receiver).await;
    }
    for chat in &chats {
        receiver.stays_at(&chat.path, 23, Duration::ZERO).await;
    }
}

/// Panics unless the message names the project and what the event is about, both as links into Testmo.
fn tells(message: &Value, sample: &Value) {
    let text = texts(message).join("\n");
    let text_of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let subjects = sample["data"].as_object().expect("an object").values();
    let mut links: Vec<_> = subjects.map(|entity| text_of(&entity["url"])).filter(|url| !url.is_empty()).collect();
    assert!(!links.is_empty() || sample["event"] == "job.queued", "the sample has no link: {sample}");
    links.retain(|url| text.contains(url.as_str()));
    assert!(!links.is_empty(), "no link to the subject of {sample} in {message}");
    for expected in [&sample["project"]["name"], &sample["project"]["url"], &sample["user"]["name"]] {
        assert!(text.contains(&text_of(expected)), "no {expected} in {message}");
    }
}

/// All texts of a message.
fn texts(message: &Value) -> Vec<&str> {
    match message {
        Value::String(text) => vec![text],
        Value::Array(list) => list.iter().flat_map(texts).collect(),
        Value::Object(members) => members.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// Panics unless history has every message as it was sent, and nowhere the secret part of the URL.
async fn on_record(rest: &Rest, chat: &Chat, receiver: &Receiver) {
    history::wait_until_settled(rest, chat.hook.id, SOON).await;
    let entries = history::all(rest, chat.hook.id).await;
    assert_eq!(entries.len(), 23);
    for entry in &entries {
        assert_eq!(entry.status(), "delivered", "{}", entry.0);
        let whole = history::delivery(rest, entry.delivery()).await.expect("an entry's delivery");
        let request = receiver.requests(&chat.path).into_iter();
        let mut requests = request.filter(|request| request.expect_header("x-testmo-delivery") == entry.delivery());
        let request = requests.next().expect("its request");
        assert_eq!(whole.entries()[0].request_body().as_bytes(), &request.body[..]);
        for shown in [entry.0.to_string(), whole.0.to_string()] {
            assert!(shown.contains(&receiver.address().to_string()), "no host in {shown}");
            assert!(!shown.contains(PATH_SECRET), "the path of the URL is not masked in {shown}");
        }
    }
}

async fn hostile_text_stays_inside_the_targets_limits(mode: Mode) {
    let (product, receiver) = start(mode).await;
    let rest = product.admin();
    let chats = Chat::create_all(&rest, &receiver).await;
    let mut event = events::run_completed(events::PROJECT, 7);
    let hostile = shape::HOSTILE.join(" ");
    // 100,000 characters and more in all, and below 256 KiB.
    let long = format!("{hostile} {}", "🧪é".repeat(20_000));
    let Some(Data::RunCompleted(completed)) = &mut event.data else { panic!("a completed run") };
    let run = completed.run.as_mut().expect("a run");
    run.name.clone_from(&long);
    run.note = Some(format!("{hostile}\n{}", "n".repeat(60_000)));
    event.user.as_mut().expect("a user").name.clone_from(&hostile);
    event.project.as_mut().expect("a project").name = hostile;
    product.publisher().publish(event).await.expect("it is inside the limit of an event");
    for chat in &chats {
        let request = receiver.wait_for(&chat.path, 1, SOON).await.remove(0);
        signature::verify(&request, &chat.hook.secret);
        chat.target.check(&request.body);
        chat.target.check_escaped(&request.json());
        assert!(texts(&request.json()).iter().any(|text| text.contains("…")), "it is cut, and says so");
        assert!(texts(&request.json()).iter().any(|text| text.contains("https://acme.testmo.example/runs/7")));
        let id = request.expect_header("x-testmo-delivery");
        history::wait_for_status(&rest, id, "delivered", SOON).await;
    }
}

async fn a_retry_carries_the_same_message(mode: Mode) {
    let (product, receiver) = start(mode).await;
    let rest = product.admin();
    let chats = Chat::create_all(&rest, &receiver).await;
    for chat in &chats {
        receiver.script(&chat.path, [503, 500, 200]);
    }
    product.publisher().publish(events::run_completed(events::PROJECT, 7)).await.expect("an accepted event");
    for chat in &chats {
        let requests = receiver.wait_for(&chat.path, 3, SOON).await;
        for (request, number) in requests.iter().zip(1..) {
            assert_eq!(request.expect_header("x-testmo-attempt"), format!("{number}"));
            assert_eq!(request.body, requests[0].body);
            signature::verify(request, &chat.hook.secret);
        }
        let id = requests[0].expect_header("x-testmo-delivery");
        history::wait_for_status(&rest, id, "delivered", SOON).await;
    }
}

async fn a_delivery_keeps_its_format_when_the_type_changes(mode: Mode) {
    let authority = Authority::new();
    let product = Product::prepare(mode)
        .set("delivery.ca_file", &authority.file())
        .set("delivery.retry_schedule", r#"["3s","3s","3s"]"#)
        .start()
        .await;
    let receiver = Receiver::start_tls(&authority, LOCALHOST).await;
    let rest = product.admin();
    let chat = Chat::create(&rest, &receiver, Target::Slack).await;
    receiver.script(&chat.path, [503, 200]);
    product.publisher().publish(events::run_completed(events::PROJECT, 7)).await.expect("an accepted event");
    receiver.wait_for(&chat.path, 1, SOON).await;
    let changed =
        rest.patch(&format!("/api/v1/webhooks/{}", chat.hook.id), json!({"type": "discord"})).await.expect(200);
    assert_eq!(changed["type"], "discord");
    assert_eq!(receiver.count(&chat.path), 1, "the change comes before the retry");

    let requests = receiver.wait_for(&chat.path, 2, SOON).await;
    assert_eq!(requests[1].expect_header("x-testmo-attempt"), "2");
    assert_eq!(requests[1].body, requests[0].body);
    Target::Slack.check(&requests[1].body);
    product.publisher().publish(events::run_completed(events::PROJECT, 8)).await.expect("an accepted event");
    let requests = receiver.wait_for(&chat.path, 3, SOON).await;
    Target::Discord.check(&requests[2].body);
}

async fn certificates_that_nobody_vouches_for_are_refused(mode: Mode) {
    let authority = Authority::new();
    let product = Product::prepare(mode).set("delivery.ca_file", &authority.file()).start().await;
    let rest = product.admin();
    let strange = Receiver::start_tls(&Authority::new(), LOCALHOST).await;
    let misnamed = Receiver::start_tls(&authority, "receiver.example").await;
    let good = Receiver::start_tls(&authority, LOCALHOST).await;
    let mut refused = Vec::new();
    let mut permitted = Vec::new();
    for receiver in [&strange, &misnamed] {
        for chat in Chat::create_all(&rest, receiver).await {
            refused.push(chat.hook.id);
        }
        let mut body = webhooks::generic(&receiver.url("/in"));
        permitted.push((receiver, webhooks::create(&rest, body.clone()).await));
        body["allow_insecure"] = json!(false);
        body["url"] = json!(receiver.url("/strict"));
        refused.push(webhooks::create(&rest, body).await.id);
    }
    let mut body = webhooks::generic(&good.url("/in"));
    body["allow_insecure"] = json!(false);
    permitted.push((&good, webhooks::create(&rest, body).await));
    product.publisher().publish(events::run_completed(events::PROJECT, 7)).await.expect("an accepted event");
    for (receiver, hook) in permitted {
        let request = receiver.wait_for("/in", 1, SOON).await.remove(0);
        signature::verify(&request, &hook.secret);
        history::wait_for_status(&rest, request.expect_header("x-testmo-delivery"), "delivered", SOON).await;
    }
    for hook in refused {
        let entry = history::all(&rest, hook).await.pop().expect("an entry");
        let delivery = history::wait_for_status(&rest, entry.delivery(), "failed", SOON).await;
        assert_eq!(delivery.entries().len(), 4, "it may be put right, so it is tried again: {delivery:?}");
        for entry in delivery.entries() {
            assert!(entry.error().starts_with("tls: "), "{}", entry.0);
            assert_eq!(entry.response_code(), None);
        }
    }
    for receiver in [&strange, &misnamed] {
        receiver.stays_at("/strict", 0, Duration::ZERO).await;
        for target in Target::ALL {
            receiver.stays_at(&format!("/{}/{PATH_SECRET}", target.name()), 0, Duration::ZERO).await;
        }
    }
}
