//! What the document says of explaining.

use domain::EventType;
use serde_json::{Value, json};

use crate::{
    openapi::{Operation, Route, Tag, schema},
    webhooks::docs::of_webhook,
};

/// The rules, in their order.
const RULES: [&str; 6] = ["instance", "plan", "active", "event", "project", "filter"];
const EVENT: &str = "5f0c1c5e-8a4b-4d5e-9c3a-6b1f2e7d9a03";

/// The route.
pub(in crate::webhooks) fn route() -> Route {
    Route::post("/webhooks/{id}/explain", super::explain, operation())
}

fn operation() -> Operation {
    let payload = json!({
        "event": "run.completed", "project": {"id": 7},
        "data": {"run": {"id": 501, "name": "Release 3.2"}, "result": "passed"},
    });
    of_webhook(Operation::new(Tag::Webhooks, "explainWebhook", "Explain what becomes of an event"))
        .describe(
            "Why did the webhook not get an event? Says for every rule whether it lets the event through to the \
             webhook as it is now, and what was compared. The event is one in history (`event_id`), the sample of a \
             type (`event`, in `project` if that is given), or a generic payload (`payload`). History has the events \
             whose type some webhook of the instance selected when they came, whatever its projects, its filter, and \
             whether it was active; what came while history could not be reached and was delivered to nobody is not \
             among them. Nothing is sent or changed; possible on any plan.",
        )
        .takes(
            "EventToExplain",
            true,
            &[
                ("past", json!({"event_id": EVENT})),
                ("sample", json!({"event": "run.completed", "project": 7})),
                ("payload", json!({"payload": payload})),
            ],
        )
        .answers(200, "What comes of every rule.", schema::single(schema::named("Explanation")), example())
}

fn example() -> Value {
    let rule = |rule: &str, passed: bool, reason: &str| json!({"rule": rule, "passed": passed, "reason": reason, "conditions": []});
    let mut filter = rule("filter", false, "a condition of the filter does not hold: `data.result == failed`");
    filter["conditions"] = json!([
        {"condition": "data.result == failed", "passed": false, "found": "passed", "missing": false, "reason": null},
    ]);
    json!({"result": {
        "event_id": EVENT, "event": "run.completed", "project": 7, "delivers": false,
        "rules": [
            rule("instance", true, "the event and the webhook are of the instance acme"),
            rule("plan", true, "the plan of the instance is business, which has webhooks"),
            rule("active", true, "the webhook is active"),
            rule("event", true, "the event is run.completed, which the webhook selects by run.*"),
            rule("project", false, "the event is of project 7; the webhook is for projects 1, 2"),
            filter,
        ],
        "delivery": null,
    }})
}

/// What asks, in each of the three ways, by name.
fn ways() -> [(&'static str, Value); 3] {
    let event_type = |about| schema::choice(EventType::ALL.iter().map(|event| event.name()), about);
    let past =
        schema::request(&["event_id"], [("event_id", schema::formatted("uuid", "The id of an event in history."))]);
    let sample = schema::request(
        &["event"],
        [
            ("event", event_type("The event type whose sample is meant.")),
            ("project", schema::id("The project that the sample is to be of; left out: the one that samples have.")),
        ],
    );
    let project = json!({
        "type": "object", "required": ["id"], "properties": {"id": schema::id("Its id.")},
        "additionalProperties": {}, "description": "The project of the event.",
    });
    let instance =
        schema::with(schema::text("The instance; null and left out: the caller's."), "pattern", "^[a-z0-9_-]{1,64}$");
    let payload = json!({
        "type": "object", "required": ["event", "project"],
        "properties": {"event": event_type("The event type."), "project": project, "instance": schema::or_null(instance)},
        "additionalProperties": {}, "description": "A generic payload, as history shows it. Members beside these are for the filter alone.",
    });
    let pasted = schema::request(&["payload"], [("payload", payload)]);
    [
        ("PastEventToExplain", schema::described(past, "An event in history.")),
        ("SampleToExplain", schema::described(sample, "The sample of an event type.")),
        ("PayloadToExplain", schema::described(pasted, "A generic payload.")),
    ]
}

/// The schemas, by name.
pub(in crate::webhooks) fn schemas() -> Vec<(&'static str, Value)> {
    let condition = schema::object([
        ("condition", schema::text("The condition as written.")),
        ("passed", schema::flag("Whether it holds.")),
        ("found", json!({"description": "What stands at its path; null: null, nothing, or more than is shown."})),
        ("missing", schema::flag("Whether nothing stands at its path.")),
        ("reason", schema::or_null(schema::text("Why nothing is shown as found; null where something is."))),
    ]);
    let rule = schema::object([
        ("rule", schema::with(schema::text("Its name."), "examples", RULES.to_vec())),
        ("passed", schema::flag("Whether it lets the event through.")),
        ("reason", schema::text("What was compared, as a sentence for people.")),
        (
            "conditions",
            schema::list(schema::named("ConditionOutcome"), "What comes of each condition; of the rule `filter` only."),
        ),
    ]);
    let delivery = schema::object([
        ("id", schema::text("Its id.")),
        ("status", schema::text("Where it stands: `pending`, `delivered` or `failed`.")),
        ("created_at", schema::time("When the event was matched.")),
    ]);
    let about = "What history has of this event for this webhook; null: no delivery was made, or the event is not one \
                 in history.";
    let explanation = schema::object([
        ("event_id", schema::or_null(schema::text("The event's id; null: the payload has none."))),
        ("event", schema::text("The event's type.")),
        ("project", schema::id("The event's project.")),
        ("delivers", schema::flag("Whether all rules pass, so that such an event would be delivered now.")),
        (
            "rules",
            schema::list(
                schema::named("RuleOutcome"),
                "All of them, always in this order: `instance`, `plan`, `active`, `event`, `project`, `filter`.",
            ),
        ),
        ("delivery", schema::described(schema::or_null(delivery), about)),
    ]);
    let ways = ways();
    let one_of = json!({"anyOf": ways.each_ref().map(|(name, _)| schema::named(name))});
    let mut schemas = vec![
        ("EventToExplain", schema::described(one_of, "The event to explain, named in one of three ways.")),
        ("Explanation", schema::described(explanation, "What comes of every rule for an event at a webhook.")),
        ("RuleOutcome", schema::described(rule, "What comes of a rule.")),
        ("ConditionOutcome", schema::described(condition, "What comes of a condition of the filter.")),
    ];
    schemas.extend(ways);
    schemas
}
