//! Tokens: made, listed, revoked, and what each role may do.

use std::time::Duration;

use blackbox::{
    events, history, in_both_modes,
    product::{Mode, Product},
    receiver::Receiver,
    rest::Rest,
    wait::eventually,
    webhooks,
};
use serde_json::{Value, json};
use tonic::Code;

in_both_modes!(tokens_are_made_listed_and_revoked, roles_have_their_bounds, a_revoked_publisher_is_refused);

const SOON: Duration = Duration::from_secs(20);
const TOKENS: &str = "/api/v1/tokens";
const WEBHOOKS: &str = "/api/v1/webhooks";

/// Makes a token; its id and text.
async fn token(rest: &Rest, body: Value) -> (i64, String) {
    let made = rest.post(TOKENS, body).await.expect(201);
    let text = made["token"].as_str().unwrap_or_else(|| panic!("no text in {made}")).to_owned();
    (made["id"].as_i64().unwrap_or_else(|| panic!("no id in {made}")), text)
}

async fn tokens_are_made_listed_and_revoked(mode: Mode) {
    let product = Product::start(mode).await;
    let rest = product.admin();
    let (id, text) = token(&rest, json!({"name": "second", "role": "system_admin"})).await;
    let second = product.rest(Some(&text));
    eventually(SOON, "the new token works", async || (second.get(WEBHOOKS).await.status == 200).then_some(())).await;

    let list = rest.get(TOKENS).await;
    assert_eq!(list.status, 200, "{}", list.json);
    let tokens = list.json["result"].as_array().expect("a list").clone();
    let shown = tokens.iter().find(|token| token["id"] == id).unwrap_or_else(|| panic!("not listed: {}", list.json));
    assert_eq!((&shown["name"], &shown["role"]), (&json!("second"), &json!("system_admin")));
    assert!(!list.json.to_string().contains(&text), "the list shows the text of a token");

    let answer = rest.delete(&format!("{TOKENS}/{id}")).await;
    assert!(matches!(answer.status, 200 | 204), "{}", answer.json);
    eventually(SOON, "the revoked token no longer works", async || {
        (second.get(WEBHOOKS).await.status == 401).then_some(())
    })
    .await;
    second.get(WEBHOOKS).await.expect_error(401, Some("unauthenticated"), &[]);
    rest.delete(&format!("{TOKENS}/{id}")).await.expect_error(404, Some("not_found"), &[]);
    let wrong = json!({"name": "", "role": "king"});
    rest.post(TOKENS, wrong).await.expect_error(422, Some("validation_failed"), &["name", "role"]);
}

async fn roles_have_their_bounds(mode: Mode) {
    let product = Product::start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    let with = async |body: Value| product.rest(Some(&token(&rest, body).await.1));
    let member = with(json!({"name": "member", "role": "member"})).await;
    let project_admin = with(json!({"name": "p1", "role": "project_admin", "projects": [1]})).await;
    let publisher = product.rest(Some(product.publisher_token()));
    let nobody = product.rest(None);
    let stranger = product.rest(Some("tmwh_0000000000000000000000000000000000000000"));

    for path in [WEBHOOKS, TOKENS, "/api/v1/webhooks/1", "/api/v1/webhooks/deliveries"] {
        nobody.get(path).await.expect_error(401, Some("unauthenticated"), &[]);
        stranger.get(path).await.expect_error(401, Some("unauthenticated"), &[]);
        member.get(path).await.expect_error(403, Some("forbidden"), &[]);
        publisher.get(path).await.expect_error(403, Some("forbidden"), &[]);
    }
    let body = |projects: Value| {
        let mut body = webhooks::generic(&receiver.url("/in"));
        body["projects"] = projects;
        body
    };
    member.post(WEBHOOKS, body(json!([1]))).await.expect_error(403, Some("forbidden"), &[]);
    nobody.post(WEBHOOKS, body(json!([1]))).await.expect_error(401, Some("unauthenticated"), &[]);

    let of_all = webhooks::create(&rest, body(json!(null))).await.id;
    let of_two = webhooks::create(&rest, body(json!([1, 2]))).await.id;
    let own = webhooks::create(&project_admin, body(json!([1]))).await.id;
    for scope in [json!(null), json!([2]), json!([1, 2])] {
        project_admin.post(WEBHOOKS, body(scope)).await.expect_error(403, Some("forbidden"), &[]);
    }
    project_admin.get(TOKENS).await.expect_error(403, Some("forbidden"), &[]);
    project_admin.get("/api/v1/webhooks/deliveries").await.expect_error(403, Some("forbidden"), &[]);
    for hidden in [of_all, of_two] {
        let path = format!("{WEBHOOKS}/{hidden}");
        project_admin.get(&path).await.expect_error(404, Some("not_found"), &[]);
        project_admin.delete(&path).await.expect_error(404, Some("not_found"), &[]);
        project_admin.act(&format!("{path}/deactivate")).await.expect_error(404, Some("not_found"), &[]);
    }
    let listed = project_admin.get(WEBHOOKS).await;
    assert_eq!(listed.json["total"], 1, "{}", listed.json);
    assert_eq!(listed.json["result"][0]["id"], own);

    product.publisher().publish(events::run_completed(1, 1)).await.expect("an accepted event");
    let requests = receiver.wait_for("/in", 3, SOON).await;
    for request in requests {
        let id = request.expect_header("x-testmo-delivery");
        history::wait_for_status(&rest, id, "delivered", SOON).await;
    }
    assert_eq!(history::page(&project_admin, own, "").await.len(), 1);
}

async fn a_revoked_publisher_is_refused(mode: Mode) {
    let product = Product::start(mode).await;
    let rest = product.admin();
    let (id, text) = token(&rest, json!({"name": "short-lived", "role": "publisher"})).await;
    let publisher = product.publisher_with(Some(&text));
    let publish = async || publisher.publish(events::run_completed(1, 1)).await;
    eventually(SOON, "the new publisher is known", async || publish().await.ok()).await;
    let answer = rest.delete(&format!("{TOKENS}/{id}")).await;
    assert!(matches!(answer.status, 200 | 204), "{}", answer.json);
    let status = eventually(SOON, "the revoked publisher is refused", async || publish().await.err()).await;
    assert_eq!(status.code(), Code::Unauthenticated, "{status}");
    product.publisher().publish(events::run_completed(1, 2)).await.expect("the other publisher goes on");
}
