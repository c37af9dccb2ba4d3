//! Changing webhooks, and what tells of changes: what the services are asked, and what becomes of their answers.

use serde_json::{Value, json};

use crate::{
    answers::{webhook, with},
    support::Api,
};

/// The one call that the fake saw.
fn asked(api: &Api) -> String {
    let calls = api.fake.calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    calls.into_iter().next().unwrap()
}

async fn patch(api: &Api, query: &str, body: &str) -> crate::support::Answer {
    api.send("admin", "PATCH", &format!("/webhooks/7{query}"), Some(body)).await
}

#[tokio::test]
async fn only_what_is_given_is_changed() {
    let api = Api::new();
    let nothing = [
        "if_version: None",
        "name: None",
        "url: None",
        "r#type: None",
        "events: None",
        "allow_insecure: None",
        "send_traceparent: None",
        "headers: None",
        "filter: None",
        "active: None",
        "validate_only: false",
        "scope: None",
    ];
    let unchanged = patch(&api, "", "{}").await.ok(200);
    assert_eq!(unchanged.json, json!({"result": webhook(7), "changes": []}));
    let call = asked(&api);
    for part in nothing {
        assert!(call.contains(part), "{part} is not in {call}");
    }
    for (body, given) in [
        (r#"{"name":"é"}"#, r#"name: Some("é")"#),
        (r#"{"url":"https://b.example"}"#, r#"url: Some("https://b.example")"#),
        (r#"{"type":"slack"}"#, r#"r#type: Some("slack")"#),
        (r#"{"events":["run.*","*"]}"#, r#"events: Some(EventList { events: ["run.*", "*"] })"#),
        (r#"{"events":[]}"#, "events: Some(EventList { events: [] })"),
        (r#"{"projects":null}"#, "scope: Some(AllProjects(true))"),
        (r#"{"projects":[3,1]}"#, "scope: Some(Projects(ProjectList { ids: [3, 1] }))"),
        (r#"{"allow_insecure":false}"#, "allow_insecure: Some(false)"),
        (r#"{"send_traceparent":true}"#, "send_traceparent: Some(true)"),
        (
            r#"{"headers":{"x-b":"…","x-a":"1","X-B":"2"}}"#,
            r#"headers: Some([("x-b", "…"), ("x-a", "1"), ("X-B", "2")])"#,
        ),
        (r#"{"headers":{}}"#, "headers: Some([])"),
        (
            r#"{"filter":["data.result == failed"]}"#,
            r#"filter: Some(FilterList { conditions: ["data.result == failed"] })"#,
        ),
        (r#"{"filter":null}"#, "filter: Some(FilterList { conditions: [] })"),
        (r#"{"filter":[]}"#, "filter: Some(FilterList { conditions: [] })"),
        (r#"{"active":false}"#, "active: Some(false)"),
    ] {
        patch(&api, "", body).await.ok(200);
        let call = asked(&api);
        assert!(call.contains(given), "{given} is not in {call}");
        let same = nothing.iter().filter(|part| call.contains(**part)).count();
        assert_eq!(same, nothing.len() - 1, "{body} changes more: {call}");
    }
}

#[tokio::test]
async fn a_change_is_answered_with_what_changed() {
    let api = Api::new();
    let changed = patch(&api, "", r#"{"name":"Büro"}"#).await.ok(200);
    let changes = json!([{"field": "name", "from": "CI", "to": "Büro"}]);
    let result = with(webhook(7), json!({"name": "Büro", "version": 13}));
    assert_eq!(changed.json, json!({"result": result, "changes": changes}));
    assert_eq!(changed.headers["etag"], "\"13\"");

    api.fake.calls();
    let preview = patch(&api, "?validate_only=true", r#"{"name":"Büro"}"#).await.ok(200);
    assert_eq!((&preview.json["changes"], &preview.json["result"]["name"]), (&changes, &json!("Büro")));
    assert!(!preview.headers.contains_key("etag"), "what would be has no tag");
    assert!(asked(&api).contains("validate_only: true"));
    patch(&api, "?validate_only=false", "{}").await.ok(200);
    assert!(asked(&api).contains("validate_only: false"));
}

#[tokio::test]
async fn what_is_read_only_is_refused_by_name() {
    let api = Api::new();
    for field in [
        "id",
        "secret",
        "secret_id",
        "version",
        "created_at",
        "updated_at",
        "warnings",
        "inactive_reason",
        "previous_secret_expires_at",
    ] {
        for value in [json!(null), json!(7), json!("x")] {
            let answer = patch(&api, "", &json!({field: value}).to_string()).await;
            let answer = answer.refused(422, "validation_failed", &[field]);
            assert_eq!(answer.json["errors"][field], json!(["is read only; leave it out"]));
        }
    }
    let own = patch(&api, "", &webhook(7).to_string()).await.ok(422);
    assert_eq!(own.json["errors"].as_object().unwrap().len(), 9, "{}", own.text);
    for field in ["name", "url", "type", "events", "allow_insecure", "send_traceparent", "headers", "active"] {
        patch(&api, "", &json!({field: null}).to_string()).await.refused(422, "validation_failed", &[field]);
    }
    patch(&api, "", r#"{"colour":"red","changes":[]}"#).await.refused(422, "validation_failed", &["changes", "colour"]);
    assert!(api.fake.calls().is_empty());
}

#[tokio::test]
async fn a_webhook_is_created_with_all_that_it_can_have() {
    let api = Api::new();
    let body = json!({
        "name": "a", "url": "https://a.example", "type": "generic", "events": ["run.*"], "headers": {"x-key": "top"},
        "filter": ["data.result == failed"], "active": false,
    });
    let made = api.post("/webhooks", &body).await.ok(201);
    assert_eq!((&made.json["result"]["active"], &made.headers["etag"]), (&json!(false), &"\"12\"".parse().unwrap()));
    assert_eq!(made.json["result"]["filter"], json!(["data.result == failed"]));
    assert!(asked(&api).ends_with(
        r#"filter: ["data.result == failed"], inactive: true, validate_only: false, headers: [("x-key", "top")] }"#
    ));

    let preview = api.post("/webhooks?validate_only=true", &body).await.ok(200);
    assert!(!preview.headers.contains_key("etag"));
    let own = json!({
        "id": null, "version": null, "secret": null, "secret_id": null, "created_at": null, "updated_at": null,
        "active": false, "name": "a", "url": "https://a.example", "filter": ["data.result == failed"],
    });
    assert_eq!(preview.json, json!({"result": with(webhook(41), own)}));
    assert!(asked(&api).contains("validate_only: true"));
}

#[tokio::test]
async fn a_secret_is_regenerated() {
    let api = Api::new();
    for (body, hours) in [
        (None, 0),
        (Some("{}"), 0),
        (Some(r#"{"overlap_hours":0}"#), 0),
        (Some(r#"{"overlap_hours":72}"#), 72),
        (Some(r#"{"overlap_hours":71.0}"#), 71),
    ] {
        let made = api.send("admin", "POST", "/webhooks/7/secret", body).await.ok(200);
        assert_eq!(made.json["result"]["secret"], "whsec_new");
        assert_eq!(made.json["result"]["previous_secret_expires_at"].is_null(), hours == 0);
        assert_eq!(made.headers["etag"], "\"13\"");
        assert_eq!(
            asked(&api),
            format!("RegenerateSecretRequest {{ id: 7, overlap_hours: {hours}, if_version: None }}")
        );
    }
    for hours in [json!(-1), json!(73), json!(1.5), json!("1"), json!(null), json!(u64::MAX), json!(i64::MIN)] {
        let body = json!({"overlap_hours": hours}).to_string();
        let answer = api.send("admin", "POST", "/webhooks/7/secret", Some(&body)).await;
        let answer = answer.refused(422, "validation_failed", &["overlap_hours"]);
        assert_eq!(answer.json["errors"]["overlap_hours"], json!(["must be an integer from 0 to 72"]));
    }
    api.send("admin", "POST", "/webhooks/7/secret", Some(r#"{"secret":"x"}"#)).await.refused(
        422,
        "validation_failed",
        &["secret"],
    );
    // Without a content type: only nothing will do.
    let request = |body: &'static str| {
        let request = api.request("POST", "/webhooks/7/secret").header("authorization", "Bearer admin");
        request.body(axum::body::Body::from(body)).unwrap()
    };
    api.answer(request("{}")).await.refused(415, "unsupported_media_type", &[]);
    assert!(api.fake.calls().is_empty());
    api.answer(request("")).await.ok(200);
}

#[tokio::test]
async fn the_change_log_has_values_as_json() {
    let api = Api::new();
    let page = api.get("/webhooks/7/changes?per_page=15&page=2").await.ok(200);
    let first = json!({
        "version": 16, "at": "2027-01-15T08:00:00Z", "action": "updated", "actor": "deploy", "actor_role": "system_admin",
        "fields": [
            {"field": "projects", "from": null, "to": [3, 1]},
            {"field": "filter", "from": {"b": 1.10, "a": null}, "to": null},
        ],
    });
    assert_eq!(page.json["result"][0], first);
    assert!(page.text.contains(r#""from":{"b":1.10,"a":null}"#), "as it was written: {}", page.text);
    assert_eq!(asked(&api), "ListWebhookChangesRequest { id: 7, page: 2, per_page: 15 }");
}

#[tokio::test]
async fn projects_have_names_and_addresses() {
    let api = Api::new();
    let page = api.get("/projects?per_page=25").await.ok(200);
    let expected = json!([
        {"id": 1, "name": "Project 1", "url": "https://acme.testmo.net/projects/view/1"},
        {"id": 2, "name": "Project 2", "url": null},
    ]);
    assert_eq!(page.json["result"].as_array().unwrap()[..2], *expected.as_array().unwrap());
    assert_eq!(asked(&api), "ListProjectsRequest { page: 1, per_page: 25 }");
}

#[tokio::test]
async fn lists_are_filtered_by_the_service() {
    let api = Api::new();
    let request = |rest: &str| format!("ListWebhooksRequest {{ page: 1, per_page: 100, {rest} }}");
    for (query, rest) in [
        ("", r#"active: None, r#type: "", project_id: 0, query: """#),
        ("?active=true", r#"active: Some(true), r#type: "", project_id: 0, query: """#),
        ("?active=false&type=teams", r#"active: Some(false), r#type: "teams", project_id: 0, query: """#),
        ("?project=9223372036854775807", r#"active: None, r#type: "", project_id: 9223372036854775807, query: """#),
        ("?q=B%C3%BCro+1%25", r#"active: None, r#type: "", project_id: 0, query: "Büro 1%""#),
        ("?q=", r#"active: None, r#type: "", project_id: 0, query: """#),
    ] {
        let page = api.get(&format!("/webhooks{query}")).await.ok(200);
        assert_eq!(page.json["total"], Value::from(40));
        assert_eq!(asked(&api), request(rest));
    }
}
