//! What the services answer, as JSON; and what they are asked.

use serde_json::{Value, json};

use crate::{
    fake::{DELIVERY, EVENT},
    support::Api,
};

pub(crate) fn webhook(id: i64) -> Value {
    json!({
        "headers": {"x-team": "…", "x-api-key": "…"}, "filter": null, "version": 12, "previous_secret_expires_at": null,
        "id": id, "name": "CI", "url": "https://ci.example.com/hook", "type": "generic", "events": ["run.completed"],
        "projects": null, "allow_insecure": false, "send_traceparent": false, "active": true, "inactive_reason": null, "secret": "whsec_…abcd",
        "secret_id": 2, "warnings": [], "created_at": "2027-01-15T08:00:00Z", "updated_at": "2027-01-15T08:00:01.5Z",
    })
}

fn token(id: i64) -> Value {
    json!({
        "id": id, "name": "deploy", "role": "project_admin", "projects": [3, 7], "instance": "acme",
        "prefix": "tmw_ab", "created_at": "2027-01-15T08:00:00Z", "expires_at": null,
    })
}

fn failed() -> Value {
    json!({
        "id": "a", "delivery_id": DELIVERY, "event_id": "e", "event": "run.completed", "webhook_id": 1, "project_id": 3,
        "attempt": 1, "status": "failed", "is_test": false, "orphaned": false, "time": "2027-01-15T08:00:00Z", "due_at": null,
        "waits_for": null, "duration_ms": 12.345, "response_code": 503,
        "error": {"class": "server_error", "message": "the endpoint answered 503"},
        "url": "https://ci.example.com/hook", "remote_address": "93.184.216.34:443",
    })
}

fn pending() -> Value {
    with(
        failed(),
        json!({
            "id": "b", "attempt": 2, "status": "pending", "due_at": "2027-01-15T08:02:00Z",
            "waits_for": "webhook inactive", "orphaned": true, "duration_ms": null, "response_code": null, "error": null, "url": null,
            "remote_address": null,
        }),
    )
}

fn cancelled() -> Value {
    with(
        failed(),
        json!({
            "id": "c", "duration_ms": null, "response_code": null, "url": null, "remote_address": null,
            "error": {"class": "cancelled", "message": "webhook deleted"},
        }),
    )
}

pub(crate) fn with(mut value: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else { panic!("{changes} is no object") };
    value.as_object_mut().unwrap().extend(changes);
    value
}

#[tokio::test]
async fn lists_have_pages() {
    let api = Api::new();
    for path in ["/webhooks", "/tokens", "/projects", "/webhooks/7/changes"] {
        for (query, page, prev, next, last, per_page, count) in [
            ("", 1, json!(null), json!(null), 1, 100, 40),
            ("?per_page=15", 1, json!(null), json!(2), 3, 15, 15),
            ("?per_page=15&page=2", 2, json!(1), json!(3), 3, 15, 15),
            ("?page=3&per_page=15", 3, json!(2), json!(null), 3, 15, 10),
            ("?page=9&per_page=15", 9, json!(3), json!(null), 3, 15, 0),
            ("?per_page=50", 1, json!(null), json!(null), 1, 50, 40),
            ("?page=2147483647&per_page=25", 2_147_483_647, json!(2), json!(null), 2, 25, 0),
        ] {
            let mut answer = api.get(&format!("{path}{query}")).await.ok(200).json;
            let result = answer.as_object_mut().unwrap().remove("result").unwrap();
            let expected = json!({
                "page": page, "prev_page": prev, "next_page": next, "last_page": last, "per_page": per_page, "total": 40,
            });
            assert_eq!(answer, expected, "{path}{query}");
            assert_eq!(result.as_array().unwrap().len(), count, "{path}{query}");
        }
    }
    assert_eq!(api.get("/webhooks?per_page=15&page=2").await.json["result"][0], webhook(16));
    assert_eq!(api.get("/tokens?per_page=15&page=2").await.json["result"][0], token(16));
}

#[tokio::test]
async fn webhooks_are_read_and_changed() {
    let api = Api::new();
    assert_eq!(api.get("/webhooks/7").await.ok(200).json, json!({"result": webhook(7)}));
    let active = api.send("admin", "POST", "/webhooks/7/activate", None).await.ok(200);
    assert_eq!(active.json, json!({"result": webhook(7)}));
    let inactive = api.send("admin", "POST", "/webhooks/7/deactivate", Some("{}")).await.ok(200);
    let reason = json!({"active": false, "inactive_reason": "endpoint kept failing"});
    assert_eq!(inactive.json, json!({"result": with(webhook(7), reason)}));
    let deleted = api.send("admin", "DELETE", "/webhooks/7", None).await.ok(204);
    assert_eq!(deleted.text, "");
    let asked = ["Get", "Activate", "Deactivate", "Delete"].map(|what| match what {
        "Get" => "GetWebhookRequest { id: 7 }".to_owned(),
        what => format!("{what}WebhookRequest {{ id: 7, if_version: None }}"),
    });
    assert_eq!(api.fake.calls(), asked);
}

#[tokio::test]
async fn a_webhook_is_created_as_asked() {
    let api = Api::new();
    let full = json!({
        "name": "Büro", "url": "https://a.example", "type": "generic", "events": ["run.created", "run.completed"],
        "projects": [3, 1], "allow_insecure": true, "send_traceparent": true,
    });
    let made = api.post("/webhooks", &full).await.ok(201).json;
    let own = json!({"name": "Büro", "url": "https://a.example", "projects": [3, 1], "secret": "whsec_whole"});
    assert_eq!(made, json!({"result": with(webhook(41), own)}));
    let expected = r#"CreateWebhookRequest { name: "Büro", url: "https://a.example", r#type: "generic", events: ["run.created", "run.completed"], projects: Some(ProjectList { ids: [3, 1] }), allow_insecure: true, send_traceparent: true, filter: [], inactive: false, validate_only: false, headers: [] }"#;
    assert_eq!(api.fake.calls(), [expected]);

    for (projects, expected) in
        [(json!(null), "projects: None"), (json!([]), "projects: Some(ProjectList { ids: [] })")]
    {
        let mut body = full.clone();
        body["projects"] = projects;
        api.post("/webhooks", &body).await.ok(201);
        assert!(api.fake.calls()[0].contains(expected));
    }
    let short = json!({"name": "a", "url": "https://a.example", "type": "slack", "events": ["run.created"]});
    api.post("/webhooks", &short).await.ok(201);
    assert!(api.fake.calls()[0].contains("projects: None, allow_insecure: false, send_traceparent: false, filter: []"));
}

#[tokio::test]
async fn mistakes_that_a_service_finds_keep_their_fields() {
    let api = Api::new();
    let body = json!({"name": "a", "url": "ftp://a", "type": "generic", "events": []});
    let answer = api.post("/webhooks", &body).await.refused(422, "validation_failed", &["events", "url"]);
    assert_eq!(answer.json["errors"]["url"], json!(["must be https", "has no host"]));
}

#[tokio::test]
async fn a_token_is_shown_once() {
    let api = Api::new();
    let body =
        json!({"name": "b", "role": "project_admin", "projects": [3], "expires_at": "2027-01-15T09:00:00+01:00"});
    let made = api.post("/tokens", &body).await.ok(201).json;
    let own = json!({"name": "b", "expires_at": "2027-01-15T08:00:00Z", "token": "tmw_abcdef"});
    assert_eq!(made, json!({"result": with(token(41), own)}));
    assert!(api.fake.calls()[0].contains(r#"role: "project_admin", projects: [3]"#));
    api.post("/tokens", &json!({"name": "b", "role": "member", "projects": null, "expires_at": null})).await.ok(201);
    assert!(api.fake.calls()[0].ends_with("projects: [], expires_at: None, all_instances: false }"));
    api.post("/tokens", &json!({"name": "b", "role": "publisher", "all_instances": true})).await.ok(201);
    assert!(api.fake.calls()[0].ends_with("all_instances: true }"));
    api.send("admin", "DELETE", "/tokens/40", None).await.ok(204);
    assert_eq!(api.fake.calls(), ["RevokeTokenRequest { id: 40 }"]);
}

#[tokio::test]
async fn history_is_listed_by_cursor() {
    let api = Api::new();
    let first = api.get("/webhooks/deliveries").await.ok(200).json;
    let expected = json!({"result": [pending(), failed(), cancelled()], "per_page": 100, "next_cursor": "older", "prev_cursor": null});
    assert_eq!(first, expected);
    assert_eq!(
        api.fake.calls(),
        [
            r#"ListEntriesRequest { webhook_id: 0, status: Unspecified, per_page: 100, cursor: "", event_type: "", from: None, to: None, is_test: None }"#
        ]
    );
    let filter = "event=run.created&from=1970-01-01T00:00:07Z&to=1970-01-01T01:00:08%2B01:00&test=false";
    let path = format!("/webhooks/5/deliveries?status=failed&per_page=25&cursor=a%2Bb%26c&{filter}");
    let next = api.get(&path).await.ok(200).json;
    assert_eq!(
        (&next["per_page"], &next["next_cursor"], &next["prev_cursor"]),
        (&json!(25), &json!(null), &json!("a+b&c"))
    );
    assert_eq!(
        api.fake.calls(),
        [concat!(
            r#"ListEntriesRequest { webhook_id: 5, status: Failed, per_page: 25, cursor: "a+b&c", "#,
            r#"event_type: "run.created", from: Some(Timestamp { seconds: 7, nanos: 0 }), "#,
            r#"to: Some(Timestamp { seconds: 8, nanos: 0 }), is_test: Some(false) }"#
        )]
    );
}

#[tokio::test]
async fn a_delivery_has_what_was_sent_and_what_came_back() {
    let api = Api::new();
    let answer = api.get(&format!("/webhooks/deliveries/{}", DELIVERY.to_uppercase())).await.ok(200).json;
    let headers = json!([{"name": "x-testmo-event", "value": "run.completed"}]);
    let exchange = json!({
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "timings": {
            "dns_ms": 1.204, "connect_ms": 2.0, "tls_ms": null, "first_byte_ms": 12.001, "total_ms": 12.345,
            "connection_reused": false,
        },
        "request": {
            "headers": headers, "body": "{\"é\":1}", "body_encoding": "utf8", "body_sha256": "0b".repeat(32),
            "secret_ids": [3, 2],
        },
        "response": {"headers": headers, "body": "//4=", "body_encoding": "base64", "truncated": true},
    });
    let none = json!({"trace_id": null, "timings": null, "request": null, "response": null});
    let expected = json!({"result": {
        "id": DELIVERY, "event_id": "e", "event": "run.completed", "webhook_id": 1, "project_id": 3,
        "status": "pending", "is_test": false, "orphaned": true, "created_at": "2027-01-15T08:00:00Z",
        "attempts": [with(failed(), exchange), with(pending(), none)],
    }});
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn the_catalogue_keeps_the_bytes_of_its_samples() {
    let answer = Api::new().get("/webhooks/events").await.ok(200);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.json["result"].as_array().unwrap().len(), 23);
    let entry = r#"{"event":"run.completed","group":"Test Runs","title":"Test run completed","sample":{"id":"1","event":"run.completed","a":1.10}}"#;
    assert!(answer.text.contains(entry), "{}", answer.text);
    let wrong = gateway::Catalogue::new(|_| Ok::<_, std::fmt::Error>(b"{".to_vec())).err().unwrap();
    assert!(wrong.to_string().starts_with("the sample of run.created is no payload"), "{wrong}");
}

#[tokio::test]
async fn what_is_sent_on_demand_is_accepted() {
    let api = Api::new();
    let sent = api.send("admin", "POST", "/webhooks/7/test", None).await.ok(202);
    let test = json!({"delivery_id": DELIVERY, "event_id": EVENT, "event": "run.created", "project_id": 3});
    assert_eq!(sent.json, json!({"result": test}));
    let path = format!("/webhooks/deliveries/{DELIVERY}/retry");
    let retried = api.send("admin", "POST", &path, Some("{}")).await.ok(202);
    assert_eq!(retried.json, json!({"result": {"delivery_id": DELIVERY, "attempt": 2}}));
    for path in ["/webhooks/7/test", &path] {
        api.send("later-plan", "POST", path, None).await.refused(403, "plan_required", &[]);
    }
    api.send("later-conflict", "POST", &path, None).await.refused(409, "conflict", &[]);
}
