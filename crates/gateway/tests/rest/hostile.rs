//! Whatever comes: an answer that is documented, and never a fault of the server.

use std::sync::LazyLock;

use axum::{
    body::Body,
    http::{HeaderValue, Method, Request, Uri},
};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::Api;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static API: LazyLock<Api> = LazyLock::new(Api::new);

const PATHS: [&str; 21] = [
    "/webhooks",
    "/webhooks/7",
    "/webhooks/7/activate",
    "/webhooks/7/deactivate",
    "/webhooks/7/secret",
    "/webhooks/7/explain",
    "/webhooks/7/changes",
    "/webhooks/7/deliveries",
    "/webhooks/7/stats",
    "/webhooks/deliveries",
    "/webhooks/deliveries/0190a8f2-5b7e-7c1d-9a3e-1f2d3c4b5a69",
    "/webhooks/events",
    "/webhooks/7/replay",
    "/webhooks/7/replays",
    "/webhooks/7/replays/0190a8f2-5b7e-7c1d-9a3e-1f2d3c4b5a70",
    "/projects",
    "/tokens",
    "/tokens/7",
    "/openapi.json",
    "/docs",
    "/docs.css",
];
const METHODS: [&str; 5] = ["GET", "POST", "PATCH", "DELETE", "PUT"];
const MEMBERS: [&str; 18] = [
    "name",
    "url",
    "type",
    "events",
    "projects",
    "allow_insecure",
    "send_traceparent",
    "headers",
    "filter",
    "active",
    "overlap_hours",
    "role",
    "expires_at",
    "all_instances",
    "id",
    "from",
    "to",
    "count_only",
];
const PARAMETERS: [&str; 9] =
    ["page", "per_page", "status", "cursor", "active", "type", "project", "q", "validate_only"];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!("…")),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let object = vec((any::<String>(), inner.clone()), 0..6).prop_map(|members| members.into_iter().collect());
        prop_oneof![vec(inner, 0..6).prop_map(Value::Array), object.prop_map(Value::Object)]
    })
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let member = (
        prop_oneof![4 => proptest::sample::select(&MEMBERS[..]).prop_map(str::to_owned), 1 => any::<String>()],
        any_json(),
    );
    // Written by hand, so that names may come twice.
    let object = vec(member, 0..6).prop_map(|members| {
        let members: Vec<String> = members.iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
        format!("{{{}}}", members.join(",")).into_bytes()
    });
    let deep = (0_usize..20_000).prop_map(|depth| format!("{{\"headers\":{}", "[{\"a\":".repeat(depth)).into_bytes());
    let number = "[0-9]{1,400}".prop_map(|digits| format!("{{\"projects\":[-{digits}e{digits}]}}").into_bytes());
    prop_oneof![4 => object, 2 => vec(any::<u8>(), 0..200), 1 => deep, 1 => number, 1 => any_json().prop_map(|value| value.to_string().into_bytes())]
}

/// Percent-encoded bytes, or characters as they are.
fn any_part() -> impl Strategy<Value = String> {
    let encoded = vec(any::<u8>(), 0..30).prop_map(|bytes| bytes.iter().map(|byte| format!("%{byte:02X}")).collect());
    prop_oneof![encoded, "[a-zA-Z0-9%&=+./;:@!$'()*,~_-]{0,30}"]
}

fn any_query() -> impl Strategy<Value = String> {
    let pair = (
        prop_oneof![3 => proptest::sample::select(&PARAMETERS[..]).prop_map(str::to_owned), 1 => any_part()],
        any_part(),
    );
    vec(pair, 0..4)
        .prop_map(|pairs| pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&"))
}

fn any_path() -> impl Strategy<Value = String> {
    let known = proptest::sample::select(&PATHS[..]).prop_map(str::to_owned);
    let with_id = (proptest::sample::select(&PATHS[..]), any_part()).prop_map(|(path, id)| path.replace('7', &id));
    // 13 is where the fake breaks its schema.
    let with_id = with_id.prop_filter("a fault of the fake", |path| !path.contains("/13"));
    let any = vec(any_part(), 0..4).prop_map(|parts| format!("/{}", parts.join("/")));
    prop_oneof![4 => known, 3 => with_id, 1 => any.prop_filter("a fault of the fake", |path| !path.contains("/13"))]
}

fn any_headers() -> impl Strategy<Value = Vec<(&'static str, Vec<u8>)>> {
    let name = proptest::sample::select(&["if-match", "if-none-match", "content-type", "accept", "x-anything"][..]);
    let value = prop_oneof![
        vec(any::<u8>(), 0..40),
        "(W/)?\"[0-9a-f]{0,20}\"(, ?\"[0-9]{0,3}\"){0,3}".prop_map(String::into_bytes)
    ];
    vec((name, value), 0..3)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_makes_the_server_fail(
        method in proptest::sample::select(&METHODS[..]),
        path in any_path(),
        query in any_query(),
        headers in any_headers(),
        token in prop_oneof![9 => Just(b"Bearer admin".to_vec()), 1 => vec(any::<u8>(), 0..30)],
        body in any_body(),
    ) {
        let Ok(uri) = format!("/api/v1{path}?{query}").parse::<Uri>() else { return Ok(()) };
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(uri);
        if let Ok(token) = HeaderValue::from_bytes(&token) {
            request = request.header("authorization", token);
        }
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                request = request.header(name, value);
            }
        }
        let answer = RUNTIME.block_on(API.answer(request.body(Body::from(body)).unwrap()));
        prop_assert!(answer.status < 500, "{answer:?}");
    }
}

#[tokio::test]
async fn what_is_wrong_deep_inside_is_refused() {
    let api = Api::new();
    let nested = |depth: usize| format!("{{\"headers\":{}1{}}}", "{\"a\":".repeat(depth), "}".repeat(depth));
    for (method, path) in [("POST", "/webhooks"), ("PATCH", "/webhooks/7"), ("POST", "/webhooks/7/secret")] {
        for body in [
            nested(10),
            nested(200),
            nested(20_000),
            format!("{{\"filter\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000)),
        ] {
            let answer = api.send("admin", method, path, Some(&body)).await;
            assert!([400, 422].contains(&answer.status), "{method} {path}: {}", answer.status);
        }
        for body in [r#"{"name":"a","name":"a"}"#, r#"{"projects":[1e400]}"#, r#"{"projects":[18446744073709551616]}"#]
        {
            let answer = api.send("admin", method, path, Some(body)).await;
            assert!([400, 422].contains(&answer.status), "{method} {path} {body}: {}", answer.status);
        }
    }
    assert!(api.fake.calls().is_empty());
}
