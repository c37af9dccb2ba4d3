//! What is posted to receivers: the section `webhooks` of the document, the headers of a delivery, the envelopes.

use domain::EventType;
use serde_json::{Map, Value, json};

use crate::Catalogue;

use super::{entities::Source, schema};

/// Headers of every delivery: name, example, what it says.
const HEADERS: [(&str, &str, &str); 9] = [
    ("User-Agent", "Testmo-Webhooks/0.1.0", "`Testmo-Webhooks/` and the version of the service."),
    (
        "X-Testmo-Signature-256",
        "sha256=5f0c1c5e8a4b4d5e9c3a6b1f2e7d9a015f0c1c5e8a4b4d5e9c3a6b1f2e7d9a01",
        "`sha256=` and the HMAC-SHA256 of the raw body in lower-case hex, keyed with the secret as it was shown, \
         `whsec_` included. Compare in constant time.",
    ),
    ("X-Testmo-Event", "run.completed", "The type of the event."),
    ("X-Testmo-Webhook", "7", "The id of the webhook."),
    (
        "X-Testmo-Delivery",
        "0190a8f2-5b7e-7c1d-9a3e-1f2d3c4b5a69",
        "The id of the delivery, the same on every attempt: what a receiver has seen before it can skip.",
    ),
    ("X-Testmo-Attempt", "1", "The number of the attempt, from 1."),
    ("webhook-id", "0190a8f2-5b7e-7c1d-9a3e-1f2d3c4b5a69", "Standard Webhooks: the id of the delivery."),
    ("webhook-timestamp", "1795594500", "Standard Webhooks: when the attempt was made, in seconds since 1970."),
    (
        "webhook-signature",
        "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
        "Standard Webhooks: `v1,` and the HMAC-SHA256 of `<webhook-id>.<webhook-timestamp>.<raw body>` in base64, \
         keyed with the bytes that the secret holds in base64 after `whsec_`. While an older secret goes on signing, \
         two signatures with a space between.",
    ),
];

/// The headers as components, by name.
pub(super) fn headers() -> Map<String, Value> {
    let parameter = |(name, example, description): (&str, &str, &str)| {
        let schema = json!({"type": "string"});
        let parameter = json!({"name": name, "in": "header", "required": true, "schema": schema,
            "description": description, "example": example});
        (name.to_owned(), parameter)
    };
    HEADERS.into_iter().map(parameter).collect()
}

/// One entry for each type of event.
pub(super) fn webhooks(source: &Source, catalogue: &Catalogue) -> Map<String, Value> {
    let headers: Vec<Value> =
        HEADERS.iter().map(|(name, ..)| json!({"$ref": format!("#/components/parameters/{name}")})).collect();
    let samples = catalogue.samples();
    let entry = |event: &EventType| {
        let sample = samples.get(event.index()).cloned().unwrap_or_default();
        let content =
            json!({"application/json": {"schema": schema::named(&payload_name(source, *event)), "example": sample}});
        let post = json!({
            "operationId": format!("on{}", source.data_name(*event)),
            "tags": [super::Tag::Events.name()],
            "summary": event.title(),
            "description": "Posted to webhooks of type `generic` that select it. Webhooks of type `slack`, `teams` \
                            and `discord` get a message for people instead, in the format of their target.",
            "parameters": headers,
            "requestBody": {"required": true, "content": content},
            "responses": responses(),
            "security": [],
        });
        (event.name().to_owned(), json!({"post": post}))
    };
    EventType::ALL.iter().map(entry).collect()
}

/// What the receiver's answer means.
fn responses() -> Value {
    json!({
        "2XX": {"description": "Delivered. The body is kept in the history, up to 64 KiB, and means nothing."},
        "3XX": {"description": "Failed, and tried again: redirects are not followed."},
        "429": {"description": "Failed, and tried again; `Retry-After` lengthens the wait, up to an hour."},
        "4XX": {"description": "Failed for good: it is not tried again."},
        "5XX": {"description": "Failed, and tried again: at once, after 2 minutes, after 10 more minutes."},
    })
}

fn payload_name(source: &Source, event: EventType) -> String {
    format!("{}Payload", source.data_name(event))
}

/// The envelopes, by name.
pub(super) fn schemas(source: &Source) -> impl Iterator<Item = (String, Value)> {
    EventType::ALL.iter().map(|event| (payload_name(source, *event), envelope(source, *event)))
}

fn envelope(source: &Source, event: EventType) -> Value {
    let changes = json!({
        "type": "object",
        "additionalProperties": schema::object([
            ("from", json!({"description": "The value before."})),
            ("to", json!({"description": "The value after; null where it was cleared."})),
        ]),
        "description": "What changed, by field; empty for events that are about no change.",
    });
    let data = schema::described(
        schema::named(&source.data_name(event)),
        "What happened. May have further members that Testmo adds.",
    );
    let envelope = schema::object([
        ("id", schema::formatted("uuid", "The id of the event, the same for all webhooks.")),
        ("event", json!({"const": event.name(), "type": "string", "description": "The type of the event."})),
        ("created_at", schema::time("When it happened.")),
        ("is_test", schema::flag("Whether it is a test payload that an operator asked for.")),
        ("instance", schema::text("The instance of Testmo.")),
        ("project", schema::described(schema::named("Project"), "The project that it belongs to.")),
        ("user", schema::described(schema::or_null(schema::named("User")), "Who did it; null: nobody in particular.")),
        ("data", data),
        ("changes", changes),
    ]);
    schema::described(envelope, &format!("{} (`{}`).", event.title(), event.name()))
}
