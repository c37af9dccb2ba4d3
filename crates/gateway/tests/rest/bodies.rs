//! What is wrong with bodies.

use axum::{body::Body, http::header};
use serde_json::{Value, json};

use crate::support::{Answer, Api};

/// What takes a body that must be there.
const ROUTES: [(&str, &str); 4] =
    [("POST", "/webhooks"), ("PATCH", "/webhooks/7"), ("POST", "/tokens"), ("POST", "/webhooks/7/explain")];
const ACTIONS: [(&str, &str); 6] = [
    ("POST", "/webhooks/7/activate"),
    ("POST", "/webhooks/7/deactivate"),
    ("POST", "/webhooks/7/test"),
    ("POST", "/webhooks/deliveries/0190a8f2-5b7e-7c1d-9a3e-1f2d3c4b5a69/retry"),
    ("DELETE", "/webhooks/7"),
    ("DELETE", "/tokens/7"),
];

async fn send(api: &Api, (method, path): (&str, &str), content_type: Option<&str>, body: impl Into<Body>) -> Answer {
    let mut request = api.request(method, path).header(header::AUTHORIZATION, "Bearer admin");
    if let Some(content_type) = content_type {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    api.answer(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn bodies_are_json_by_their_type() {
    let api = Api::new();
    for route in ROUTES {
        for content_type in [
            None,
            Some(""),
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
            Some("application/jsonp"),
            Some("application/merge-patch+json"),
        ] {
            let answer = send(&api, route, content_type, "{}").await.refused(415, "unsupported_media_type", &[]);
            assert!(answer.json["message"].as_str().unwrap().contains("send application/json"));
            let accepted = answer.headers.get("accept-patch").map(|value| value.to_str().unwrap());
            assert_eq!(accepted, (route.0 == "PATCH").then_some("application/json"));
        }
        for content_type in ["application/json; charset=utf-8", "Application/JSON", " application/json ;x=y"] {
            send(&api, route, Some(content_type), "{").await.refused(400, "malformed", &[]);
        }
    }
}

#[tokio::test]
async fn malformed_json_is_placed() {
    let api = Api::new();
    let deep = format!("{{\"name\":{}", "[".repeat(100_000));
    for route in ROUTES {
        for (body, place) in [
            ("", "line 1 column 0"),
            ("{", "line 1 column 1"),
            ("{\n  \"name\": x}", "line 2 column 11"),
            ("{\"name\":\"a\",}", "line 1 column 13"),
            ("{} {}", "line 1 column 4"),
            ("{\"name\":1e999}", "line 1 column"),
            (&deep, "line 1 column"),
        ] {
            let answer = send(&api, route, Some("application/json"), body.to_owned()).await;
            let answer = answer.refused(400, "malformed", &[]);
            let message = answer.json["message"].as_str().unwrap();
            assert!(message.contains(place), "{route:?}: {message}");
        }
        send(&api, route, Some("application/json"), b"{\"name\":\"\xff\"}".to_vec()).await.refused(
            400,
            "malformed",
            &[],
        );
        for body in ["[]", "1", "null", "\"name\""] {
            let answer = send(&api, route, Some("application/json"), body).await;
            let answer = answer.refused(422, "validation_failed", &[]);
            assert_eq!(answer.json["message"], "the body must be a JSON object");
        }
    }
    assert!(api.fake.calls().is_empty());
}

#[tokio::test]
async fn large_bodies_are_refused_and_those_at_the_limit_read() {
    let api = Api::new();
    for route in ROUTES {
        let padded = |length: usize| format!("{{{}}}", " ".repeat(length - 2));
        let answer = send(&api, route, Some("application/json"), padded(256 * 1024)).await;
        match required(route.1) {
            [] => answer.ok(200),
            required => answer.refused(422, "validation_failed", required),
        };
        api.fake.calls();
        send(&api, route, Some("application/json"), padded(256 * 1024 + 1)).await.refused(413, "too_large", &[]);
        // Without a length ahead.
        let chunks = std::iter::repeat_with(|| Ok::<_, std::io::Error>(" ".repeat(64 * 1024))).take(5);
        let body = Body::from_stream(futures::stream::iter(chunks));
        send(&api, route, Some("application/json"), body).await.refused(413, "too_large", &[]);
        let broken = futures::stream::iter([Ok("{"), Err(std::io::Error::other("reset"))]);
        send(&api, route, Some("application/json"), Body::from_stream(broken)).await.refused(400, "malformed", &[]);
    }
    for (method, path) in ACTIONS {
        let large = " ".repeat(256 * 1024 + 1);
        api.send("admin", method, path, Some(&large)).await.refused(413, "too_large", &[]);
    }
    assert!(api.fake.calls().is_empty());
}

fn required(path: &str) -> &'static [&'static str] {
    match path {
        "/webhooks" => &["events", "name", "type", "url"],
        "/tokens" => &["name", "role"],
        "/webhooks/7/explain" => &["event", "event_id", "payload"],
        _ => &[],
    }
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let api = Api::new();
    for path in ["/webhooks", "/tokens"] {
        let answer = api.post(path, &json!({})).await.refused(422, "validation_failed", required(path));
        assert_eq!(answer.json["errors"]["name"], json!(["is required"]));
    }
    let webhook = json!({"name": "a", "url": "https://a.example", "type": "generic", "events": ["run.created"]});
    let token = json!({"name": "a", "role": "member"});
    let cases: [(&str, &Value, &str, Value, &str); 35] = [
        ("/webhooks", &webhook, "name", json!(null), "must be a string"),
        ("/webhooks", &webhook, "name", json!(1), "must be a string"),
        ("/webhooks", &webhook, "url", json!({}), "must be a string"),
        ("/webhooks", &webhook, "type", json!(["slack"]), "must be a string"),
        ("/webhooks", &webhook, "events", json!(null), "must be a list of strings"),
        ("/webhooks", &webhook, "events", json!("run.created"), "must be a list of strings"),
        ("/webhooks", &webhook, "events", json!(["run.created", 1, 2]), "item 2 must be a string"),
        ("/webhooks", &webhook, "projects", json!("all"), "must be null or a list of integers"),
        ("/webhooks", &webhook, "projects", json!(1), "must be null or a list of integers"),
        ("/webhooks", &webhook, "projects", json!(["1"]), "item 1 must be an integer"),
        ("/webhooks", &webhook, "projects", json!([1, 2.5]), "item 2 must be an integer"),
        ("/webhooks", &webhook, "projects", json!([u64::MAX]), "item 1 must be an integer"),
        ("/webhooks", &webhook, "allow_insecure", json!("yes"), "must be true or false"),
        ("/webhooks", &webhook, "allow_insecure", json!(null), "must be true or false"),
        ("/webhooks", &webhook, "allow_insecure", json!(1), "must be true or false"),
        ("/webhooks", &webhook, "send_traceparent", json!("01"), "must be true or false"),
        ("/webhooks", &webhook, "Name", json!("a"), "unknown field; known are name, url, type, events, projects, "),
        ("/webhooks", &webhook, "id", json!(7), "is read only; leave it out"),
        ("/webhooks", &webhook, "secret", json!("whsec_x"), "is read only; leave it out"),
        ("/webhooks", &webhook, "active", json!(null), "must be true or false"),
        ("/webhooks", &webhook, "headers", json!(null), "must be an object with a string for each header"),
        ("/webhooks", &webhook, "headers", json!([]), "must be an object with a string for each header"),
        ("/webhooks", &webhook, "headers", json!({"x-a": "1", "x-b": 2}), "header 2 must have a string as its value"),
        ("/webhooks", &webhook, "filter", json!("data.result == failed"), "must be null or a list of strings"),
        ("/webhooks", &webhook, "filter", json!(["data.result == failed", null]), "item 2 must be a string"),
        ("/webhooks", &webhook, "validate_only", json!(true), "unknown field; known are"),
        ("/tokens", &token, "name", json!(false), "must be a string"),
        ("/tokens", &token, "role", json!(null), "must be a string"),
        ("/tokens", &token, "projects", json!({}), "must be null or a list of integers"),
        ("/tokens", &token, "projects", json!([null]), "item 1 must be an integer"),
        ("/tokens", &token, "expires_at", json!(1_800_000_000), "must be null or a time in RFC 3339"),
        ("/tokens", &token, "expires_at", json!("tomorrow"), "must be null or a time in RFC 3339"),
        ("/tokens", &token, "expires_at", json!("2027-02-30T00:00:00Z"), "must be null or a time in RFC 3339"),
        ("/tokens", &token, "all_instances", json!("yes"), "must be true or false"),
        ("/tokens", &token, "instance", json!("acme"), "unknown field; known are name, role, projects, expires_at"),
    ];
    for (path, good, field, value, complaint) in cases {
        let mut body = good.clone();
        body[field] = value;
        let answer = api.post(path, &body).await.refused(422, "validation_failed", &[field]);
        let text = answer.json["errors"][field][0].as_str().unwrap();
        assert!(text.starts_with(complaint), "{body}: {text}");
    }
    assert!(api.fake.calls().is_empty());
}

#[tokio::test]
async fn all_mistakes_come_at_once() {
    let api = Api::new();
    let body = r#"{"name":1,"events":[],"events":["run.created"],"events":1,"colour":"red","allow_insecure":0}"#;
    let answer = api.send("admin", "POST", "/webhooks", Some(body)).await;
    let fields = ["allow_insecure", "colour", "events", "name", "type", "url"];
    let answer = answer.refused(422, "validation_failed", &fields);
    assert_eq!(answer.json["errors"]["events"], json!(["comes twice; send it once"]));
    assert_eq!(answer.json["message"], "events: comes twice; send it once (and 5 more)");
}

#[tokio::test]
async fn many_mistakes_make_no_huge_answer() {
    let api = Api::new();
    let names = |times: usize| (0..20_000 / times).map(move |number| format!("\"{number}\":1,").repeat(times));
    for times in [1, 2] {
        let body = format!("{{{}\"name\":1}}", names(times).collect::<String>());
        let answer = api.send("admin", "POST", "/tokens", Some(&body)).await.ok(422);
        assert_eq!(answer.json["errors"].as_object().unwrap().len(), 100, "{times}");
    }
}

#[tokio::test]
async fn actions_take_no_fields() {
    let api = Api::new();
    for (method, path) in ACTIONS {
        let answer = api.send("admin", method, path, Some(r#"{"force":true}"#)).await;
        let answer = answer.refused(422, "validation_failed", &["force"]);
        assert_eq!(answer.json["errors"]["force"], json!(["unknown field; none is taken here"]));
        api.send("admin", method, path, Some("force=1")).await.refused(400, "malformed", &[]);
        assert!(api.fake.calls().is_empty(), "{method} {path}");
        assert!(api.send("admin", method, path, Some("{}")).await.status < 300, "{method} {path}");
        assert_eq!(api.fake.calls().len(), 1, "{method} {path}");
    }
}
