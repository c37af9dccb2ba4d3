//! The routes of `/webhooks`, and what the document says of them.

use proto::error::ErrorCode;
use serde_json::{Value, json};

use crate::{
    openapi::{Operation, Route, Tag, schema},
    query::TEXT_LIMIT,
};

use super::{explain::docs as explain, schemas::TYPES};

const SHOWN: &str = "The webhook as it is now.";

/// The routes of this resource.
pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/webhooks", super::list, list()),
        Route::post("/webhooks", super::create, create()),
        Route::get("/webhooks/{id}", super::read, read()),
        Route::patch("/webhooks/{id}", super::change, change()),
        Route::delete("/webhooks/{id}", super::remove, remove()),
        Route::post("/webhooks/{id}/activate", super::activate, activate()),
        Route::post("/webhooks/{id}/deactivate", super::deactivate, deactivate()),
        Route::post("/webhooks/{id}/secret", super::regenerate_secret, regenerate_secret()),
        Route::post("/webhooks/{id}/test", super::test, test()),
        explain::route(),
        Route::get("/webhooks/{id}/changes", super::changes, changes()),
    ]
}

pub(super) fn of_webhook(operation: Operation) -> Operation {
    operation.of("webhook", schema::id("The id of a webhook."), 7)
}

fn list() -> Operation {
    let wanted = schema::bounded(
        "Only those with this text in their name or URL, whatever the case, no control characters; empty: any.",
        0,
        TEXT_LIMIT,
    );
    Operation::new(Tag::Webhooks, "listWebhooks", "List webhooks")
        .describe("The webhooks that the caller may see, oldest first.")
        .query("active", schema::flag("Only active ones, or only inactive ones."), true)
        .query("type", schema::choice(TYPES, "Only of this type."), "generic")
        .query(
            "project",
            schema::id("Only those that events of this project fire, those for all projects included."),
            1,
        )
        .query("q", schema::with(wanted, "pattern", schema::PRINTABLE), "build")
        .answers_page("Webhook", json!([webhook()]))
}

fn create() -> Operation {
    let mut made = webhook();
    made["secret"] = json!("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=");
    made["secret_id"] = json!(1);
    let mut preview = webhook();
    for name in ["id", "version", "secret", "secret_id", "created_at", "updated_at"] {
        preview[name] = Value::Null;
    }
    let minimal = json!({"name": "CI", "url": "https://ci.example.com/hook", "type": "generic", "events": ["run.*"]});
    Operation::new(Tag::Webhooks, "createWebhook", "Create a webhook")
        .describe(
            "The answer holds the signing secret; it is not shown again. `projects: null` (all projects) is for a \
             `system_admin`. The URL must lead to public addresses, which are looked up now and again at every \
             attempt.",
        )
        .query("validate_only", schema::flag("Check everything and save nothing; the answer is 200."), false)
        .takes("WebhookToCreate", true, &[("minimal", minimal), ("full", request())])
        .answers(
            200,
            "Only validated: the webhook as it would be.",
            schema::single(schema::named("WebhookPreview")),
            json!({"result": preview}),
        )
        .answers(
            201,
            "The new webhook, with its secret whole.",
            schema::single(schema::named("Webhook")),
            json!({"result": made}),
        )
        .tagged(true)
}

fn read() -> Operation {
    let description =
        "The entity tags of versions that the caller has already; the answer is 304 if the webhook is in one of them.";
    shown(of_webhook(Operation::new(Tag::Webhooks, "getWebhook", "Read a webhook")))
        .tags("If-None-Match", "\"41\"", description)
        .answers_nothing(304, "The caller has this version already.")
        .tagged(true)
}

fn change() -> Operation {
    let changed = schema::object([
        ("result", schema::named("Webhook")),
        ("changes", schema::list(schema::named("FieldChange"), "What was changed (or would be); empty: nothing.")),
    ]);
    let answer = json!({"result": webhook(), "changes": [{"field": "name", "from": "Builds", "to": "CI"}]});
    of_webhook(Operation::new(Tag::Webhooks, "changeWebhook", "Change a webhook"))
        .describe(
            "Changes the members that are given and no others; lists and `headers` are replaced as a whole. Headers \
             are dropped when the host of the URL changes, unless they are given as well. What waits is sent to the \
             new URL with the new headers.",
        )
        .query(
            "validate_only",
            schema::flag("Check everything and save nothing; the answer shows what would be, and has no `ETag`."),
            false,
        )
        .conditional()
        .takes(
            "WebhookToChange",
            true,
            &[
                ("rename", json!({"name": "CI"})),
                ("headers", json!({"headers": {"x-api-key": "…", "x-team": "payments"}, "filter": null})),
            ],
        )
        .answers(
            200,
            "The webhook as it is now, and what was changed. No `ETag` where it was only validated.",
            changed,
            answer,
        )
        .tagged(false)
        .fails(ErrorCode::Conflict)
}

fn remove() -> Operation {
    of_webhook(Operation::new(Tag::Webhooks, "deleteWebhook", "Delete a webhook"))
        .describe("Nothing more is sent; what waits ends as failed, and the history stays until its retention ends.")
        .conditional()
        .reads_body()
        .answers_nothing(204, "It is deleted.")
}

fn activate() -> Operation {
    shown(of_webhook(Operation::new(Tag::Webhooks, "activateWebhook", "Activate a webhook")))
        .describe("What waits goes on. Activating an active webhook changes nothing. Takes no body.")
        .conditional()
        .reads_body()
        .fails(ErrorCode::Conflict)
}

fn deactivate() -> Operation {
    shown(of_webhook(Operation::new(Tag::Webhooks, "deactivateWebhook", "Deactivate a webhook")))
        .describe("Nothing is sent until it is activated again; events in the meantime are skipped. Takes no body.")
        .conditional()
        .reads_body()
}

fn regenerate_secret() -> Operation {
    let mut whole = webhook();
    whole["secret"] = json!("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=");
    whole["secret_id"] = json!(3);
    whole["previous_secret_expires_at"] = json!("2026-11-24T08:15:00Z");
    of_webhook(Operation::new(Tag::Webhooks, "regenerateWebhookSecret", "Regenerate the secret of a webhook"))
        .describe(
            "The answer holds the new secret; it is not shown again. Without an overlap the old one stops at once.",
        )
        .conditional()
        .takes("SecretToRegenerate", false, &[("overlap", json!({"overlap_hours": 24}))])
        .answers(
            200,
            "The webhook, with its new secret whole.",
            schema::single(schema::named("Webhook")),
            json!({"result": whole}),
        )
        .tagged(true)
        .fails(ErrorCode::Conflict)
}

fn test() -> Operation {
    let sent = schema::object([
        ("delivery_id", schema::formatted("uuid", "The delivery; history shows what becomes of it.")),
        ("event_id", schema::formatted("uuid", "The id of the event in the payload, a fresh one.")),
        ("event", schema::text("The type of the event.")),
        ("project_id", schema::id("The project of the event.")),
    ]);
    let example = json!({"result": {
        "delivery_id": "0190a8f2-5b7e-5c1d-9a3e-1f2d3c4b5a69", "event_id": "5f0c1c5e-8a4b-4d5e-9c3a-6b1f2e7d9a03",
        "event": "run.completed", "project_id": 1,
    }});
    of_webhook(Operation::new(Tag::Webhooks, "testWebhook", "Send a test payload"))
        .describe(
            "Sends the sample of the first event type that the webhook selects, with `is_test: true`, once and at once, \
             be the webhook active or not; a filter does not count. The project of the event is the first one that the \
             webhook is for. Answered as soon as it is on durable storage. Takes no body.",
        )
        .reads_body()
        .answers(202, "It is being sent.", schema::single(schema::described(sent, "What is sent as a test.")), example)
}

fn changes() -> Operation {
    let change = json!({"version": 42, "at": "2026-11-23T08:15:00Z", "action": "updated", "actor": "deploy",
        "actor_role": "system_admin", "fields": [{"field": "name", "from": "Builds", "to": "CI"}]});
    of_webhook(Operation::new(Tag::Webhooks, "listWebhookChanges", "List the changes of a webhook"))
        .describe(
            "Who changed what and when, newest first; never a secret. A `system_admin` reads that of deleted webhooks \
             as well.",
        )
        .answers_page("WebhookChange", json!([change]))
}

fn shown(operation: Operation) -> Operation {
    operation.answers(200, SHOWN, schema::single(schema::named("Webhook")), json!({"result": webhook()})).tagged(true)
}

fn request() -> Value {
    json!({
        "name": "CI", "url": "https://ci.example.com/hook", "type": "generic", "events": ["run.completed"],
        "projects": [1, 2], "allow_insecure": false, "send_traceparent": false, "headers": {"x-api-key": "secret"},
        "filter": ["data.result == failed"], "active": true,
    })
}

fn webhook() -> Value {
    json!({
        "id": 7, "version": 42, "name": "CI", "url": "https://ci.example.com/hook", "type": "generic",
        "events": ["run.completed"], "projects": [1, 2], "allow_insecure": false, "send_traceparent": false, "headers": {"x-api-key": "…"},
        "filter": ["data.result == failed"], "active": true, "inactive_reason": null, "secret": "whsec_…GKYo",
        "secret_id": 2, "previous_secret_expires_at": null, "warnings": [], "created_at": "2026-11-20T10:00:00Z",
        "updated_at": "2026-11-23T08:15:00Z",
    })
}
