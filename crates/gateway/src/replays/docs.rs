//! The routes of replays, and what the document says of them.

use proto::error::ErrorCode;
use serde_json::{Value, json};

use super::STATES;
use crate::openapi::{Operation, Route, Tag, event_selectors, schema};

const ID: &str = "0190a8f2-5b7e-7c1d-9a3e-1f2d3c4b5a70";

/// The routes of this resource.
pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::post("/webhooks/{id}/replay", super::start, start()),
        Route::get("/webhooks/{id}/replays", super::list, list()),
        Route::get("/webhooks/{id}/replays/{replay_id}", super::read_one, read()),
        Route::delete("/webhooks/{id}/replays/{replay_id}", super::cancel, cancel()),
    ]
}

fn of_webhook(operation: Operation) -> Operation {
    operation.of("webhook", schema::id("The id of a webhook."), 7)
}

fn of_replay(operation: Operation) -> Operation {
    of_webhook(operation).within("replay_id", "replay", schema::formatted("uuid", "The id of a replay."), ID)
}

fn shown(operation: Operation, status: u16, about: &str) -> Operation {
    operation.answers(status, about, schema::single(schema::named("Replay")), json!({"result": replay()}))
}

fn start() -> Operation {
    let (from, to) = ("2026-11-23T08:00:00Z", "2026-11-23T10:00:00Z");
    let counted = json!({
        "webhook_id": 7, "from": from, "to": to, "events": [], "count": 1250,
        "oldest": "2026-11-23T08:00:12.5Z", "newest": "2026-11-23T09:58:01Z",
    });
    let operation = of_webhook(Operation::new(Tag::Deliveries, "replayDeliveries", "Replay failed deliveries"))
        .describe(
            "Gives every delivery of the webhook that has failed for good one more attempt, as *Retry* does, if its last \
             attempt started in the range of time: the oldest first, some at a time. What is pending, was delivered \
             or is a test payload is not meant, nor what the caller may not see. With `count_only` they are counted and \
             nothing is done. An attempt that fails again is not followed by others. While the webhook is inactive the \
             replay waits with it. 409 if a replay of the webhook runs already (the message names it), or the webhook \
             is inactive or deleted.",
        )
        .takes(
            "ReplayToStart",
            true,
            &[
                ("all", json!({"from": from})),
                ("some", json!({"from": from, "to": to, "events": ["run.*"]})),
                ("count", json!({"from": from, "to": to, "count_only": true})),
            ],
        )
        .answers(
            200,
            "Only counted.",
            schema::single(schema::named("ReplayCount")),
            json!({"result": counted}),
        );
    shown(operation, 202, "The replay, which has begun.").fails(ErrorCode::Conflict)
}

fn list() -> Operation {
    of_webhook(Operation::new(Tag::Deliveries, "listReplays", "List the replays of a webhook"))
        .describe(
            "Newest first; the last hundred are kept. A `project_admin` sees those that are about its projects alone.",
        )
        .answers_page("Replay", json!([replay()]))
}

fn read() -> Operation {
    let operation = of_replay(Operation::new(Tag::Deliveries, "getReplay", "Read a replay"))
        .describe("How far it has come, at most a second ago.");
    shown(operation, 200, "The replay.")
}

fn cancel() -> Operation {
    let operation = of_replay(Operation::new(Tag::Deliveries, "cancelReplay", "Cancel a replay")).describe(
        "It asks for nothing more. What waits is failed again, without an attempt; what was sent off ends. Cancelling \
         twice is cancelling once. 409 if everything has had its attempt. Takes no body.",
    );
    shown(operation.reads_body(), 200, "The replay, cancelled.").fails(ErrorCode::Conflict)
}

fn replay() -> Value {
    json!({
        "id": ID, "webhook_id": 7, "from": "2026-11-23T08:00:00Z", "to": "2026-11-23T10:00:00Z", "events": ["run.*"],
        "state": "running", "reason": null, "total": 1250, "queued": 700, "delivered": 480, "failed": 20, "pending": 200,
        "created_at": "2026-11-23T10:15:00Z", "created_by": "deploy", "ended_at": null,
    })
}

/// What a count and a replay have in common.
fn selected() -> Vec<(&'static str, Value)> {
    vec![
        ("webhook_id", schema::id("The id of the webhook.")),
        ("from", schema::time("Meant is what failed at this time or later …")),
        ("to", schema::time("… and before this one, which is never in the future.")),
        (
            "events",
            schema::list(schema::text("An event type or wildcard."), "Only of these event types; empty: of all."),
        ),
    ]
}

/// The schemas of this resource, by name.
pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let selectors = event_selectors();
    let events = schema::list(
        schema::choice(selectors.iter().map(String::as_str), "An event type or wildcard."),
        "Only of these event types; left out: of all.",
    );
    let events = schema::with(schema::with(events, "minItems", 1), "maxItems", 100);
    let to_start = schema::request(
        &["from"],
        [
            ("from", schema::time("Those whose last attempt started at this time or later; not in the future.")),
            (
                "to",
                schema::or_null(schema::time(
                    "Those whose last attempt started before this time; null, left out and in the future: before now.",
                )),
            ),
            ("events", events),
            ("count_only", schema::flag("Count them and do nothing; the answer is 200.")),
        ],
    );
    let mut count = selected();
    count.extend([
        ("count", schema::count("How many deliveries a replay would try again now.")),
        ("oldest", schema::or_null(schema::time("When the last attempt of the first of them started."))),
        ("newest", schema::or_null(schema::time("When the last attempt of the last of them started."))),
    ]);
    let mut replay = selected();
    replay.extend([
        ("id", schema::text("Its id.")),
        ("state", schema::with(schema::text("Where it stands."), "examples", STATES.map(|(_, name)| name).to_vec())),
        ("reason", schema::or_null(schema::text("Why it was cancelled; null: it was not."))),
        ("total", schema::count("How many deliveries were meant when it started.")),
        (
            "queued",
            schema::count(
                "How many of them it has asked an attempt for: `delivered`, `failed` and `pending` together. What \
                 somebody has retried before its turn came is not among them, nor what a cancelled replay did not come \
                 to.",
            ),
        ),
        ("delivered", schema::count("How many of those were delivered.")),
        ("failed", schema::count("How many of those have failed again.")),
        ("pending", schema::count("How many of those are waited for.")),
        ("created_at", schema::time("When it was started.")),
        ("created_by", schema::text("The name of the token that it was started with.")),
        ("ended_at", schema::or_null(schema::time("When it was over, with everything that it had asked for."))),
    ]);
    vec![
        ("ReplayToStart", schema::described(to_start, "Which failed deliveries are meant.")),
        ("ReplayCount", schema::described(schema::object(count), "How many deliveries a replay would try again.")),
        (
            "Replay",
            schema::described(schema::object(replay), "One more attempt of everything that failed in a range of time."),
        ),
    ]
}
