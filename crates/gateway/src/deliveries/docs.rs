//! The routes of `/webhooks/deliveries`, and what the document says of them.

use domain::EventType;
use proto::error::ErrorCode;
use serde_json::{Value, json};

use crate::openapi::{Operation, Route, Tag, schema};

use super::{FORMATS, Format, STATUSES};

const ID: &str = "0190a8f2-5b7e-7c1d-9a3e-1f2d3c4b5a69";

/// The routes of this resource.
pub(crate) fn routes() -> Vec<Route> {
    let of_all = Operation::new(Tag::Deliveries, "listDeliveries", "List the deliveries of all webhooks").describe(
        "Entries, newest first: one for each attempt, and one for each delivery that waits for its next attempt. For \
         a `system_admin` only.",
    );
    let of_one = Operation::new(Tag::Deliveries, "listWebhookDeliveries", "List the deliveries of a webhook")
        .describe(
            "Entries, newest first: one for each attempt, and one for each delivery that waits for its next attempt.",
        )
        .of("webhook", schema::id("The id of a webhook."), 7);
    let read = Operation::new(Tag::Deliveries, "getDelivery", "Read a delivery")
        .describe("With all its attempts: what was sent and what came back. Secret parts are masked.")
        .of("delivery", schema::formatted("uuid", "The id of a delivery."), ID)
        .answers(200, "The delivery.", schema::single(schema::named("Delivery")), json!({"result": delivery()}));
    vec![
        Route::get("/webhooks/deliveries", super::list, listed(of_all)),
        Route::delete("/webhooks/deliveries", super::clear, clear()),
        Route::get("/webhooks/{id}/deliveries", super::list_of_webhook, listed(of_one)),
        Route::get("/webhooks/deliveries/export", super::export::export, export()),
        Route::get("/webhooks/deliveries/{id}", super::read, read),
        Route::post("/webhooks/deliveries/{id}/retry", super::retry, retry()),
    ]
}

fn clear() -> Operation {
    const CONFIRMATION: &str = "clear-all-delivery-history";
    let confirm =
        schema::with(schema::text("Has to be given, so that nobody does it by mistake."), "const", CONFIRMATION);
    Operation::new(Tag::Deliveries, "clearDeliveries", "Clear the history of deliveries")
        .describe(
            "Removes all attempts that have ended, for good: out of sight at once, off the disk within the hour. What is \
             pending goes on, and what becomes of it is seen. For a `system_admin` only. Takes no body.",
        )
        .query("confirm", confirm, CONFIRMATION)
        .reads_body()
        .answers_nothing(204, "It is cleared.")
}

fn retry() -> Operation {
    let made = schema::object([
        ("delivery_id", schema::formatted("uuid", "The delivery.")),
        ("attempt", schema::integer(2, i64::from(i32::MAX), "The number of the attempt.")),
    ]);
    Operation::new(Tag::Deliveries, "retryDelivery", "Retry a delivery")
        .describe(
            "Makes one more attempt of a delivery that has failed for good, at once; no other follows it by itself. What \
             was sent first is sent again, with the URL, headers and secret that the webhook has now. Of several \
             requests at the same time one makes an attempt. 409 if the delivery is pending, delivered or a test \
             payload, or its webhook inactive or deleted. Answered as soon as the attempt is on durable storage. Takes \
             no body.",
        )
        .of("delivery", schema::formatted("uuid", "The id of a delivery."), ID)
        .reads_body()
        .answers(
            202,
            "The attempt is being made.",
            schema::single(schema::described(made, "The attempt that is made.")),
            json!({"result": {"delivery_id": ID, "attempt": 5}}),
        )
        .fails(ErrorCode::Conflict)
}

fn export() -> Operation {
    let operation = Operation::new(Tag::Deliveries, "exportDeliveries", "Export deliveries").describe(
        "All entries, newest first and whole: what was sent and what came back, secret parts masked. They are as they were \
         when the request came, whatever is written meanwhile. Streamed: an answer that breaks off is not whole (the JSON \
         is then not valid). To go on after it, give the `cursor` of the last entry that came. Compressed with gzip if \
         `Accept-Encoding` says so. For a `system_admin` only; two at the same time.",
    );
    let webhook = schema::with(schema::id("Only of this webhook."), "minimum", json!(1));
    let format =
        schema::with(schema::choice(FORMATS.map(|row| row.0), "An array, or an object a line."), "default", "json");
    filters(operation.query("format", format, "ndjson").query("webhook", webhook, 7))
        .query(
            "cursor",
            schema::text("`cursor` of an entry that was exported with the same filters: only what is older."),
            "",
        )
        .answers(
            200,
            "The entries.",
            schema::list(schema::named("ExportedEntry"), "Newest first."),
            json!([exported()]),
        )
        .or_as(Format::Ndjson.media_type(), schema::text("An entry a line."), format!("{}\n", exported()))
        .with_header("X-Total-Count", schema::integer(0, i64::MAX, "How many entries will come."))
        .fails(ErrorCode::NotFound)
        .fails(ErrorCode::RateLimited)
}

/// An operation that takes the filters of lists.
fn filters(operation: Operation) -> Operation {
    let types = schema::choice(EventType::ALL.iter().map(|event| event.name()), "Only of events of this type.");
    operation
        .query("status", schema::choice(STATUSES.map(|(_, name)| name), "Only of this status."), "failed")
        .query("event", types, "run.completed")
        .query("from", schema::time("Only entries of this time or later."), "2026-11-23T08:00:00Z")
        .query("to", schema::time("Only entries before this time."), "2026-11-23T09:00:00Z")
        .query("test", schema::flag("Only test payloads (true), or only others (false)."), false)
}

fn listed(operation: Operation) -> Operation {
    let cursor = |about| schema::or_null(schema::text(about));
    let page = schema::object([
        ("result", schema::list(schema::named("Entry"), "The page, newest first.")),
        ("per_page", schema::integer(15, 100, "How many on a page.")),
        ("next_cursor", cursor("For the page of older entries; null: there is none.")),
        ("prev_cursor", cursor("For the page of newer entries; null: this is the first.")),
    ]);
    let example = json!({"result": [entry()], "per_page": 100, "next_cursor": null, "prev_cursor": null});
    filters(operation)
        .per_page()
        .query(
            "cursor",
            schema::text(
                "`next_cursor` or `prev_cursor` of an earlier answer to the same request, with the same filters; left out: \
                 the newest.",
            ),
            "",
        )
        .answers(200, "A page.", page, example)
}

fn entry() -> Value {
    json!({
        "id": "0190a8f2-5b7e-7c1d-9a3e-000000000001", "delivery_id": ID,
        "event_id": "5f0c1c5e-8a4b-4d5e-9c3a-6b1f2e7d9a03", "event": "run.completed", "webhook_id": 7, "project_id": 1,
        "attempt": 1, "status": "failed", "is_test": false, "orphaned": false, "time": "2026-11-23T08:15:00Z",
        "due_at": null, "waits_for": null, "duration_ms": 12.345, "response_code": 503,
        "error": {"class": "server_error", "message": "the endpoint answered 503"},
        "url": "https://ci.example.com/hook", "remote_address": "93.184.216.34:443",
    })
}

/// An entry with what was sent and what came back.
fn attempt() -> Value {
    let mut attempt = entry();
    attempt["trace_id"] = "4bf92f3577b34da6a3ce929d0e0e4736".into();
    attempt["timings"] = json!({
        "dns_ms": 1.204, "connect_ms": 2.871, "tls_ms": 4.36, "first_byte_ms": 12.018, "total_ms": 12.345,
        "connection_reused": false,
    });
    attempt["request"] = json!({
        "headers": [{"name": "x-testmo-event", "value": "run.completed"}], "body": "{}", "body_encoding": "utf8",
        "body_sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", "secret_ids": [2],
    });
    attempt["response"] = json!({
        "headers": [{"name": "content-type", "value": "text/plain"}], "body": "busy", "body_encoding": "utf8",
        "truncated": false,
    });
    attempt
}

fn exported() -> Value {
    let mut exported = attempt();
    exported["cursor"] = "AgAABh4Vq…".into();
    exported
}

fn delivery() -> Value {
    json!({
        "id": ID, "event_id": "5f0c1c5e-8a4b-4d5e-9c3a-6b1f2e7d9a03", "event": "run.completed", "webhook_id": 7,
        "project_id": 1, "status": "failed", "is_test": false, "orphaned": false, "created_at": "2026-11-23T08:15:00Z",
        "attempts": [attempt()],
    })
}

/// What an entry and a delivery have in common.
fn common() -> Vec<(&'static str, Value)> {
    vec![
        ("event_id", schema::text("The id of the event.")),
        ("event", schema::text("The type of the event.")),
        ("webhook_id", schema::id("The id of the webhook.")),
        ("project_id", schema::id("The project of the event.")),
        ("status", schema::with(schema::text("Where it stands."), "examples", STATUSES.map(|(_, name)| name).to_vec())),
        ("is_test", schema::flag("Whether it is a test payload.")),
        ("orphaned", schema::flag("Whether its project was deleted.")),
    ]
}

fn entry_members() -> Vec<(&'static str, Value)> {
    let error = schema::object([
        ("class", schema::text("What kind of error, one word, such as `timeout`.")),
        ("message", schema::text("What went wrong, for people.")),
    ]);
    let duration = json!({"type": ["number", "null"], "minimum": 0,
        "description": "How long the attempt took, in milliseconds; null where none was made: it is pending, or was \
                        cancelled."});
    let mut members = common();
    members.extend([
        ("id", schema::text("Its id.")),
        ("delivery_id", schema::text("The delivery that it belongs to.")),
        ("attempt", schema::integer(1, i64::from(i32::MAX), "The number of the attempt.")),
        (
            "time",
            schema::time(
                "When the attempt started; of a pending entry, when it was matched or its last attempt ended.",
            ),
        ),
        ("due_at", schema::or_null(schema::time("When the next attempt is due, of a pending entry."))),
        (
            "waits_for",
            schema::or_null(schema::text(
                "Why a pending entry waits, where it is not for its turn or the schedule of retries.",
            )),
        ),
        ("duration_ms", duration),
        ("response_code", schema::or_null(schema::integer(100, 999, "The HTTP status that came back; null: none."))),
        ("error", schema::described(schema::or_null(error), "What went wrong; null: nothing.")),
        (
            "url",
            schema::or_null(schema::text(
                "Where it was posted to, secret parts masked; null where nothing was posted.",
            )),
        ),
        ("remote_address", schema::or_null(schema::text("The address connected to."))),
    ]);
    members
}

const TIMINGS: &str = "Where the time of the attempt went, in milliseconds; null: none was made. What did not happen is \
                       null; what failed took as long as it took to fail. Of a connection that was opened for another \
                       attempt, there is nothing but that it was reused.";

fn timings() -> Value {
    let step = |about: &str| json!({"type": ["number", "null"], "minimum": 0, "description": about});
    schema::object([
        ("dns_ms", step("Looking up the host's name.")),
        ("connect_ms", step("Connecting to its address.")),
        ("tls_ms", step("The TLS handshake.")),
        ("first_byte_ms", step("From the start until the head of the answer had come.")),
        ("total_ms", json!({"type": "number", "minimum": 0, "description": "All of it: `duration_ms`."})),
        (
            "connection_reused",
            schema::flag("Whether the request went over a connection that was opened for another attempt."),
        ),
    ])
}

/// An entry with what was sent and what came back.
fn attempt_members() -> Vec<(&'static str, Value)> {
    let exchange = |headers| {
        vec![
            ("headers", schema::list(schema::named("Header"), headers)),
            ("body", schema::text("As text, or base64 where it is not UTF-8.")),
            ("body_encoding", schema::choice(["utf8", "base64"], "Which of the two.")),
        ]
    };
    let mut request = exchange("In the order sent.");
    request.extend([
        (
            "body_sha256",
            schema::or_null(schema::with(
                schema::text("SHA-256 of the body as it was sent; null: recorded by an older version."),
                "pattern",
                "^[0-9a-f]{64}$",
            )),
        ),
        (
            "secret_ids",
            schema::list(
                schema::integer(0, i64::MAX, "The `secret_id` that the webhook had."),
                "The secrets that signed, the current one first: the first `X-Testmo-Signature-256`, all of them \
                 `webhook-signature`.",
            ),
        ),
    ]);
    let mut response = exchange("In the order received.");
    response.push(("truncated", schema::flag("Whether there was more than the 64 KiB that are kept.")));
    let mut attempt = entry_members();
    attempt.extend([
        (
            "trace_id",
            schema::or_null(schema::with(
                schema::text(
                    "The W3C trace id of the event: of the `traceparent` that it was published with, or one that was made \
                     then; null: not known, as for a pending entry.",
                ),
                "pattern",
                "^[0-9a-f]{32}$",
            )),
        ),
        ("timings", schema::described(schema::or_null(timings()), TIMINGS)),
        (
            "request",
            schema::described(
                schema::or_null(schema::object(request)),
                "What was sent; null: nothing.",
            ),
        ),
        ("response", schema::described(schema::or_null(schema::object(response)), "What came back; null: nothing.")),
    ]);
    attempt
}

/// The schemas of this resource, by name.
pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let header = schema::object([
        ("name", schema::text("Its name.")),
        ("value", schema::text("Its value; masked where it is secret.")),
    ]);
    let attempt = attempt_members();
    let mut exported = attempt.clone();
    exported.push(("cursor", schema::text("To go on after it with another export.")));
    let mut delivery = common();
    delivery.extend([
        ("id", schema::text("Its id, the same on every attempt.")),
        ("created_at", schema::time("When the event was matched.")),
        ("attempts", schema::list(schema::named("Attempt"), "Its entries, oldest first.")),
    ]);
    vec![
        ("Header", schema::described(header, "A header.")),
        ("Entry", schema::described(schema::object(entry_members()), "One attempt, made or waited for.")),
        ("ExportedEntry", schema::described(schema::object(exported), "An entry of an export.")),
        ("Attempt", schema::described(schema::object(attempt), "An entry with what was sent and what came back.")),
        ("Delivery", schema::described(schema::object(delivery), "One event for one webhook.")),
    ]
}
