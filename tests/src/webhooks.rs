//! Webhooks as REST makes and shows them.

use serde_json::{Value, json};

use crate::rest::Rest;

/// A webhook that was created.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Its id.
    pub id: i64,
    /// Its signing secret, as it was shown once.
    pub secret: String,
}

/// What to create: a generic webhook for `run.completed` of all projects, unless changed.
#[must_use]
pub fn generic(url: &str) -> Value {
    json!({
        "name": "test", "url": url, "type": "generic", "events": ["run.completed"], "projects": null,
        "allow_insecure": true
    })
}

/// Creates a webhook.
pub async fn create(rest: &Rest, body: Value) -> Webhook {
    let made = rest.post("/api/v1/webhooks", body).await.expect(201);
    let id = made["id"].as_i64().unwrap_or_else(|| panic!("no id in {made}"));
    let secret = made["secret"].as_str().unwrap_or_else(|| panic!("no secret in {made}")).to_owned();
    Webhook { id, secret }
}

/// Creates a generic webhook for `run.completed` of all projects.
pub async fn create_generic(rest: &Rest, url: &str) -> Webhook {
    create(rest, generic(url)).await
}

/// Does `activate` or `deactivate`; the webhook afterwards.
pub async fn act(rest: &Rest, id: i64, action: &str) -> Value {
    rest.act(&format!("/api/v1/webhooks/{id}/{action}")).await.expect(200)
}

/// Deletes a webhook.
pub async fn delete(rest: &Rest, id: i64) {
    let answer = rest.delete(&format!("/api/v1/webhooks/{id}")).await;
    assert!(matches!(answer.status, 200 | 204), "answered {}: {}", answer.status, answer.json);
}
