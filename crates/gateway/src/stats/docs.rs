//! What the document says of statistics.

use serde_json::{Value, json};

use crate::openapi::{Operation, Route, Tag, schema};

use super::INTERVALS;

/// The routes of this resource.
pub(crate) fn routes() -> Vec<Route> {
    vec![Route::get("/webhooks/{id}/stats", super::read, operation())]
}

fn operation() -> Operation {
    let interval =
        schema::choice(INTERVALS.map(|(_, name)| name), "How long an interval is; `hour` where it is left out.");
    let from = "From when; left out: 24 hours, or 30 days, before the end.";
    Operation::new(Tag::Webhooks, "getWebhookStats", "Read the statistics of a webhook")
        .describe(
            "What became of its events over time, for charts: how many entries were delivered and failed, how long \
             attempts took, and how many events were skipped because the webhook was inactive, by reason. The \
             intervals are whole hours or days in UTC, oldest first: all that lie in the time from `from` to `to`, if \
             only in part, with nothing to count or not; at most 744 of them. Counts are of the whole webhook, whoever \
             asks; they go back 90 days, whatever the history shows, and leave out test payloads.",
        )
        .of("webhook", schema::id("The id of a webhook."), 7)
        .query("from", schema::time(from), "2026-11-22T09:00:00Z")
        .query("to", schema::time("Until when, exclusive; left out: now."), "2026-11-23T09:00:00Z")
        .query("interval", schema::with(interval, "default", "hour"), "hour")
        .answers(200, "The counts.", schema::single(schema::named("Stats")), json!({"result": example()}))
}

fn example() -> Value {
    let skipped = |inactive: i64| json!({"inactive": inactive, "plan": 0, "project_deleted": 0, "failing": 0});
    json!({
        "interval": "hour",
        "intervals": [
            {"start": "2026-11-23T07:00:00Z", "delivered": 118, "failed": 2, "skipped": skipped(0)},
            {"start": "2026-11-23T08:00:00Z", "delivered": 41, "failed": 0, "skipped": skipped(17)},
        ],
        "totals": {
            "delivered": 159, "failed": 2, "not_attempted": 0, "success_rate": 0.9876,
            "latency_ms": {"p50": 42.17, "p95": 133.352, "p99": 2371.374}, "skipped": skipped(17),
        },
        "pending": 3, "oldest_pending_since": "2026-11-23T08:15:00Z",
    })
}

fn outcomes() -> Vec<(&'static str, Value)> {
    vec![
        ("delivered", schema::count("Entries that were delivered, by the time that the attempt started.")),
        ("failed", schema::count("Entries that failed, by the time that the attempt started or the delivery ended.")),
        ("skipped", schema::named("SkippedEvents")),
    ]
}

/// The schemas of this resource, by name.
pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let mut interval = outcomes();
    interval.push(("start", schema::time("When it began.")));
    let millis = |about: &str| json!({"type": "number", "minimum": 0, "maximum": 10000, "description": about});
    let latency = schema::object([
        ("p50", millis("Half of all attempts took at most this long.")),
        ("p95", millis("95 of 100.")),
        ("p99", millis("99 of 100.")),
    ]);
    let about_latency = "How long attempts took, delivered and failed ones together, in milliseconds; null: none was made. \
                         Estimated from counts by duration (17 limits from 1 ms to 10 s, each 1.8 times the one before): \
                         within a factor of 1.8, usually much closer, and never more than 10,000.";
    let rate = json!({"type": ["number", "null"], "minimum": 0, "maximum": 1,
        "description": "The part of the entries that was delivered; null: there are none."});
    let mut totals = outcomes();
    totals.extend([
        (
            "not_attempted",
            schema::count("How many of the failed ones are of deliveries that ended without an attempt."),
        ),
        ("success_rate", rate),
        ("latency_ms", schema::described(schema::or_null(latency), about_latency)),
    ]);
    let stats = schema::object([
        ("interval", schema::with(schema::text("How long an interval is."), "examples", json!(["hour", "day"]))),
        ("intervals", schema::list(schema::named("StatsInterval"), "Oldest first.")),
        ("totals", schema::described(schema::object(totals), "Of all intervals together.")),
        (
            "pending",
            schema::integer(0, 100_000, "How many deliveries wait for an attempt now; 100,000: so many or more."),
        ),
        ("oldest_pending_since", schema::or_null(schema::time("Since when the first of them waits; null: none does."))),
    ]);
    let skipped = schema::object([
        ("inactive", schema::count("An operator had deactivated it.")),
        ("plan", schema::count("The plan of the instance had lost webhooks.")),
        ("project_deleted", schema::count("Its last project was deleted.")),
        ("failing", schema::count("Its endpoint kept failing.")),
    ]);
    vec![
        ("Stats", schema::described(stats, "What became of a webhook's events over time.")),
        ("StatsInterval", schema::described(schema::object(interval), "The counts of an hour or a day.")),
        (
            "SkippedEvents",
            schema::described(
                skipped,
                "Events that the webhook would have got (type, project and filter fit), had it been active, by the reason \
                 why it was not and the time that they came. Each counts once, however often it was published; those that \
                 came while history could not be reached are not among them.",
            ),
        ),
    ]
}
