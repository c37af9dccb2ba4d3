//! The schemas of webhooks and of their changes.

use serde_json::{Value, json};

use crate::openapi::{event_selectors, schema};

use super::explain::docs as explain;

/// What a webhook's bodies can be made for.
pub(super) const TYPES: [&str; 4] = ["generic", "slack", "teams", "discord"];
/// What was done, in the change log.
const ACTIONS: [&str; 9] = [
    "created",
    "updated",
    "activated",
    "deactivated",
    "secret_regenerated",
    "deleted",
    "plan_downgraded",
    "project_deleted",
    "endpoint_failing",
];
/// The value of a header: visible ASCII, with spaces and tabs between.
const VALUE: &str = r"^[\t -~]*[!-~][\t -~]*$";
/// The same, or the mask of a value that is to stay.
const VALUE_OR_MASK: &str = r"^([\t -~]*[!-~][\t -~]*|…)$";

/// The schemas of this resource, by name.
pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let required = ["name", "url", "type", "events"];
    let scope = "The projects whose events fire it; null and left out: all projects.";
    let to_create = schema::request(&required, writable(scope, VALUE));
    let scope = "The projects whose events fire it; null: all projects.";
    let to_change = schema::request(&[], writable(scope, VALUE_OR_MASK));
    let overlap = schema::integer(
        0,
        72,
        "How many hours the secrets so far go on signing beside the new one; 0 where it is left out.",
    );
    let change = schema::object([
        ("version", schema::id("The version that it made.")),
        ("at", schema::time("When.")),
        ("action", schema::with(schema::text("What was done."), "examples", ACTIONS.to_vec())),
        ("actor", schema::text("Who: the name of the token, or `Testmo core`.")),
        ("actor_role", schema::text("The role that it had.")),
        ("fields", schema::list(schema::named("FieldChange"), "The fields that changed.")),
    ]);
    let field = schema::object([
        ("field", schema::text("The field, such as `url`.")),
        ("from", json!({"description": "What it was; null: it was not there. Masked where it may be secret."})),
        (
            "to",
            json!({"description": "What it is; null: it is not there. Masked where it may be secret; the same as \
                                   before where only what is masked has changed."}),
        ),
    ]);
    let of_this = vec![
        ("Webhook", schema::described(schema::object(members(|schema| schema)), "A webhook.")),
        ("WebhookPreview", schema::described(schema::object(members(as_null)), "A webhook that was only validated.")),
        ("WebhookToCreate", schema::described(to_create, "The webhook to create.")),
        ("WebhookToChange", schema::described(to_change, "What is to change; what is left out stays as it is.")),
        (
            "SecretToRegenerate",
            schema::described(schema::request(&[], [("overlap_hours", overlap)]), "How to regenerate a secret."),
        ),
        ("WebhookChange", schema::described(change, "What somebody did to a webhook.")),
        ("FieldChange", schema::described(field, "A field that has changed. Never holds a secret.")),
    ];
    of_this.into_iter().chain(explain::schemas()).collect()
}

/// What the server gives, and gives only once a webhook is saved.
fn as_null(schema: Value) -> Value {
    json!({"type": "null", "description": schema["description"]})
}

const PROJECTS: &str = "The projects whose events fire it; null: all projects. Empty after the last one was deleted.";
const SEND_TRACEPARENT: &str = "Whether each delivery tells its W3C trace context in a header `traceparent`.";

/// The members of a webhook; `given` makes the schema of what is the server's to give.
fn members(given: fn(Value) -> Value) -> Vec<(&'static str, Value)> {
    vec![
        ("id", given(schema::id("Its id."))),
        ("version", given(schema::id("Grows with each change; the number in its entity tag."))),
        ("name", schema::text("For reference only.")),
        ("url", schema::uri("Where deliveries are posted to.")),
        ("type", schema::choice(TYPES, "What its bodies are made for.")),
        ("events", schema::list(schema::text("An event type or a wildcard."), "What it selects.")),
        ("projects", schema::or_null(schema::list(schema::id("The id of a project."), PROJECTS))),
        ("allow_insecure", schema::flag("Whether `http://` and certificates that cannot be verified are permitted.")),
        ("send_traceparent", schema::flag(SEND_TRACEPARENT)),
        (
            "headers",
            json!({"type": "object", "additionalProperties": {"type": "string", "const": "…"},
            "description": "Further request headers, their values masked."}),
        ),
        (
            "filter",
            schema::or_null(schema::list(
                schema::text("A condition."),
                "Conditions over the generic payload, all of which must hold; null: none.",
            )),
        ),
        ("active", schema::flag("Whether deliveries are sent.")),
        (
            "inactive_reason",
            schema::or_null(schema::text(
                "Why it is inactive, where that was not an operator's doing: `plan_downgraded`, `projects_deleted`, or \
                 `endpoint_failing: ` and what was failing.",
            )),
        ),
        (
            "secret",
            given(schema::text(
                "The signing secret, masked to its last four characters; whole only in the answers to create and to \
                 regenerate.",
            )),
        ),
        (
            "secret_id",
            given(schema::id(
                "Which secret it is: 1 for the one that the webhook was created with, one more with each that was made \
                 since. History names the secrets that signed by it.",
            )),
        ),
        (
            "previous_secret_expires_at",
            schema::or_null(schema::time("Until when an older secret signs beside the current one; null: none does.")),
        ),
        (
            "warnings",
            schema::list(schema::text("A warning, for people."), "What to beware of, such as insecure connections."),
        ),
        ("created_at", given(schema::time("When it was created."))),
        ("updated_at", given(schema::time("When it was last changed."))),
    ]
}

/// The members that callers write; `values` is the pattern of a header's value.
fn writable(scope: &str, values: &str) -> Vec<(&'static str, Value)> {
    let url = "Where deliveries are posted to: `https`, with `allow_insecure` `http` as well; no user information, no \
               fragment, and no address that is not public.";
    let url = schema::bounded(url, 1, 2_048);
    let selectors = event_selectors();
    let selector = schema::choice(selectors.iter().map(String::as_str), "An event type or a wildcard.");
    let events = schema::with(schema::list(selector, "What it selects."), "minItems", 1);
    let projects = schema::with(schema::list(schema::id("The id of a project."), scope), "minItems", 1);
    let name = schema::bounded("For reference only; no control characters.", 1, 255);
    let condition = schema::bounded("A condition, such as `data.result == failed`.", 1, 500);
    let filter =
        schema::list(condition, "Conditions over the generic payload, all of which must hold; null and empty: none.");
    vec![
        ("name", schema::with(name, "pattern", schema::VISIBLE)),
        ("url", schema::with(url, "pattern", r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s#]+$")),
        ("type", schema::choice(TYPES, "What its bodies are made for.")),
        ("events", events),
        ("projects", schema::or_null(projects)),
        (
            "allow_insecure",
            schema::flag(
                "Whether `http://` and certificates that cannot be verified are permitted; only with type `generic`.",
            ),
        ),
        ("send_traceparent", schema::flag(SEND_TRACEPARENT)),
        ("headers", headers(values)),
        ("filter", schema::or_null(schema::with(filter, "maxItems", 20))),
        ("active", schema::flag("Whether deliveries are sent.")),
    ]
}

/// `values` is the pattern of a value.
fn headers(values: &str) -> Value {
    json!({
        "type": "object",
        "maxProperties": 20,
        "propertyNames": {
            "type": "string", "minLength": 1, "maxLength": 100, "pattern": "^[a-zA-Z0-9!#$%&'*+.^_`|~-]+$",
        },
        "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 4096, "pattern": values},
        "description": "Further request headers by name, at most 20 and together at most 16 KiB; names of the \
                        connection and of what the service sets itself are refused. When a webhook is changed, `…` \
                        keeps the value that the header of this name has.",
    })
}
