//! How long history is kept, and clearing it.

use serde_json::json;

use crate::support::Api;

#[tokio::test]
async fn settings_are_read_and_put() {
    let api = Api::new();
    let read = api.get("/webhooks/settings").await.ok(200).json;
    assert_eq!(read, json!({"result": {"retention_days": 90, "plan": "business"}}));
    let put = api.send("admin", "PUT", "/webhooks/settings", Some(r#"{"retention_days": 7}"#)).await.ok(200).json;
    assert_eq!(put, json!({"result": {"retention_days": 7, "plan": "business"}}));
    for (body, field) in [
        ("{}", "retention_days"),
        (r#"{"retention_days": 8}"#, "retention_days"),
        (r#"{"retention_days": null}"#, "retention_days"),
        (r#"{"retention_days": 30, "plan": "business"}"#, "plan"),
        (r#"{"retention_days": 30, "days": 30}"#, "days"),
    ] {
        let answer = api.send("admin", "PUT", "/webhooks/settings", Some(body)).await;
        answer.refused(422, "validation_failed", &[field]);
    }
}

#[tokio::test]
async fn history_is_cleared_only_when_that_is_said() {
    let api = Api::new();
    for query in ["", "?confirm=", "?confirm=yes"] {
        let answer = api.send("admin", "DELETE", &format!("/webhooks/deliveries{query}"), None).await;
        answer.refused(422, "validation_failed", &["confirm"]);
    }
    let confirmed = "/webhooks/deliveries?confirm=clear-all-delivery-history";
    let answer = api.send("admin", "DELETE", &format!("{confirmed}&webhook=7"), None).await;
    answer.refused(422, "validation_failed", &["webhook"]);
    api.send("admin", "DELETE", confirmed, None).await.ok(204);
}

#[tokio::test]
async fn both_are_for_system_administrators() {
    let api = Api::new();
    for (method, path) in
        [("GET", "/webhooks/settings"), ("PUT", "/webhooks/settings"), ("DELETE", "/webhooks/deliveries")]
    {
        for role in ["project_admin", "member", "publisher"] {
            api.send(role, method, path, None).await.refused(403, "forbidden", &[]);
        }
    }
}
