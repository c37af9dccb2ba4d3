//! What a REST client may get wrong: each mistake has a status, a code, and the fields at fault.

use blackbox::{
    in_both_modes,
    product::{Mode, Product},
    webhooks,
};
use hyper::Method;
use serde_json::{Value, json};

in_both_modes!(bodies_are_checked, fields_are_checked, queries_and_paths_are_checked);

const WEBHOOKS: &str = "/api/v1/webhooks";
const URL: &str = "http://127.0.0.1:9/in";

/// A body that is right, with one member changed.
fn with(member: &str, value: Value) -> Value {
    let mut body = webhooks::generic(URL);
    body[member] = value;
    body
}

async fn bodies_are_checked(mode: Mode) {
    let product = Product::start(mode).await;
    let rest = product.admin();
    let good = webhooks::generic(URL).to_string();
    rest.post_raw(WEBHOOKS, "text/plain", good.clone()).await.expect_error(415, Some("unsupported_media_type"), &[]);
    let form = "application/x-www-form-urlencoded";
    rest.post_raw(WEBHOOKS, form, "name=test").await.expect_error(415, Some("unsupported_media_type"), &[]);
    for broken in ["", "{", "nonsense", "{\"name\": \"a\"", "{\"name\": \"\u{0}\"}"] {
        rest.post_raw(WEBHOOKS, "application/json", broken).await.expect_error(400, Some("malformed"), &[]);
    }
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(300 * 1024));
    rest.post_raw(WEBHOOKS, "application/json", large).await.expect_error(413, Some("too_large"), &[]);
    let made = rest.post_raw(WEBHOOKS, "application/json; charset=utf-8", good).await.expect(201);
    assert_eq!(made["name"], "test");
    assert_eq!(rest.get(WEBHOOKS).await.json["total"], 1, "of all these, one was made");
}

async fn fields_are_checked(mode: Mode) {
    let product = Product::start(mode).await;
    let rest = product.admin();
    let mistakes = [
        (json!({}), vec!["name", "url", "type", "events"]),
        (with("colour", json!("red")), vec!["colour"]),
        (with("name", json!(5)), vec!["name"]),
        (with("name", json!("")), vec!["name"]),
        (with("name", json!("x".repeat(256))), vec!["name"]),
        (with("url", json!(null)), vec!["url"]),
        (with("url", json!("not a url")), vec!["url"]),
        (with("url", json!("ftp://127.0.0.1/in")), vec!["url"]),
        (with("url", json!("http://user:password@127.0.0.1/in")), vec!["url"]),
        (with("url", json!("http://127.0.0.1/in#fragment")), vec!["url"]),
        (with("url", json!(format!("http://127.0.0.1/{}", "x".repeat(2_048)))), vec!["url"]),
        (with("type", json!("fax")), vec!["type"]),
        (with("type", json!(["generic"])), vec!["type"]),
        (with("events", json!([])), vec!["events"]),
        (with("events", json!("run.completed")), vec!["events"]),
        (with("events", json!(["run.exploded"])), vec!["events"]),
        (with("projects", json!([])), vec!["projects"]),
        (with("projects", json!(["one"])), vec!["projects"]),
        (with("projects", json!([0])), vec!["projects"]),
        (with("allow_insecure", json!("yes")), vec!["allow_insecure"]),
        (with("allow_insecure", json!(false)), vec!["url"]),
    ];
    for (body, fields) in mistakes {
        println!("{body}");
        rest.post(WEBHOOKS, body).await.expect_error(422, Some("validation_failed"), &fields);
    }
    let two = json!({"name": "", "url": URL, "type": "generic", "events": [], "allow_insecure": true});
    rest.post(WEBHOOKS, two).await.expect_error(422, Some("validation_failed"), &["name", "events"]);
    assert_eq!(rest.get(WEBHOOKS).await.json["total"], 0, "nothing was made");
    webhooks::create(&rest, with("name", json!("ä".repeat(255)))).await;
}

async fn queries_and_paths_are_checked(mode: Mode) {
    let product = Product::start(mode).await;
    let rest = product.admin();
    let hook = webhooks::create_generic(&rest, URL).await.id;
    for (path, field) in [
        (format!("{WEBHOOKS}?per_page=7"), "per_page"),
        (format!("{WEBHOOKS}?per_page=many"), "per_page"),
        (format!("{WEBHOOKS}?page=0"), "page"),
        (format!("{WEBHOOKS}/{hook}/deliveries?status=lost"), "status"),
        (format!("{WEBHOOKS}/{hook}/deliveries?per_page=1000"), "per_page"),
    ] {
        println!("{path}");
        rest.get(&path).await.expect_error(422, Some("validation_failed"), &[field]);
    }
    // Nobody makes cursors by hand: it is not a value that breaks a rule, but something that cannot be read.
    let cursor = format!("{WEBHOOKS}/{hook}/deliveries?cursor=nonsense");
    rest.get(&cursor).await.expect_error(400, Some("malformed"), &["cursor"]);
    for path in [
        "/api/v1/nothing",
        "/api/v2/webhooks",
        "/api/v1/webhooks/999999",
        "/api/v1/webhooks/none",
        "/api/v1/webhooks/deliveries/none",
        "/api/v1/webhooks/deliveries/0b4a2c55-1c1c-5a3e-9a3e-5f6d0a7c9b11",
    ] {
        println!("{path}");
        rest.get(path).await.expect_error(404, Some("not_found"), &[]);
    }
    for (method, path) in [(Method::PUT, "/api/v1/webhooks"), (Method::POST, "/api/v1/webhooks/events")] {
        rest.send(method, path, None).await.expect_error(405, Some("method_not_allowed"), &[]);
    }
    let list = rest.get(&format!("{WEBHOOKS}?page=1&per_page=15")).await;
    assert_eq!(list.status, 200);
    for (member, expected) in [
        ("page", json!(1)),
        ("prev_page", json!(null)),
        ("next_page", json!(null)),
        ("last_page", json!(1)),
        ("per_page", json!(15)),
        ("total", json!(1)),
    ] {
        assert_eq!(list.json[member], expected, "{member} in {}", list.json);
    }
}
