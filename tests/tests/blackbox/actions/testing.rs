//! *Send test payload*: one attempt at once, labelled, whether the webhook is active or not.

use std::time::Duration;

use blackbox::{
    history, in_both_modes,
    product::{Mode, Product},
    receiver::{Answer, Authority, Receiver},
    signature,
    webhooks::{self, Webhook},
};
use proto::v1::PutProjectRequest;
use serde_json::json;

use super::{QUIET, SOON, send_test, sent, set_plan};

in_both_modes!(
    every_type_is_tested_active_or_not,
    a_test_is_the_sample_of_the_first_event,
    a_test_is_not_tried_again,
    project_administrators_test_their_webhooks,
    without_webhooks_in_the_plan_nothing_is_tested,
    a_test_outlives_a_crash,
);

async fn every_type_is_tested_active_or_not(mode: Mode) {
    let authority = Authority::new();
    let product = Product::prepare(mode).set("delivery.ca_file", &authority.file()).start().await;
    let receiver = Receiver::start_tls(&authority, "127.0.0.1").await;
    let rest = product.admin();
    for kind in ["generic", "slack", "teams", "discord"] {
        let path = format!("/{kind}");
        let body = json!({"name": kind, "url": receiver.url(&path), "type": kind, "events": ["*"], "projects": null});
        let hook = webhooks::create(&rest, body).await;
        let first = sent(&rest, hook.id).await;
        receiver.wait_for(&path, 1, SOON).await;
        webhooks::act(&rest, hook.id, "deactivate").await;
        let second = sent(&rest, hook.id).await;
        let requests = receiver.wait_for(&path, 2, SOON).await;
        for (request, delivery) in requests.iter().zip([&first, &second]) {
            signature::verify(request, &hook.secret);
            assert_eq!(request.expect_header("x-testmo-delivery"), delivery, "{kind}");
            assert_eq!(request.expect_header("x-testmo-attempt"), "1");
            assert_eq!(request.expect_header("x-testmo-event"), "run.created");
            let text = String::from_utf8_lossy(&request.body).into_owned();
            assert!(text.contains("Test") || text.contains(r#""is_test": true"#) || text.contains(r#""is_test":true"#));
            let stored = history::wait_for_status(&rest, delivery, "delivered", SOON).await;
            assert_eq!(stored.0["is_test"], true, "{kind}");
            assert_eq!(stored.entries()[0].request_body(), text, "{kind}: what is shown is what was sent");
        }
        let listed = history::page(&rest, hook.id, "").await;
        assert_eq!(listed.len(), 2, "{listed:?}");
        assert!(listed.iter().all(|entry| entry.0["is_test"] == true), "{listed:?}");
    }
}

async fn a_test_is_the_sample_of_the_first_event(mode: Mode) {
    let product = Product::start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    let told = PutProjectRequest {
        instance: "default".to_owned(),
        project_id: 7,
        name: "Tills".to_owned(),
        url: "https://acme.testmo.example/projects/7".to_owned(),
        version: 1,
    };
    let core = product.grpc(Some(product.publisher_token()));
    core.instances().put_project(told).await.expect("a project is told");
    let mut body = webhooks::generic(&receiver.url("/in"));
    (body["events"], body["projects"]) = (json!(["user.mentioned", "session.*"]), json!([9, 7]));
    let hook = webhooks::create(&rest, body).await;
    let result = send_test(&rest, hook.id).await.expect(202);
    let request = receiver.wait_for("/in", 1, SOON).await.remove(0);
    let payload = request.json();
    assert_eq!(payload["event"], "session.created", "the first in the order of the catalogue: {payload}");
    assert_eq!((&payload["is_test"], &payload["instance"]), (&json!(true), &json!("default")));
    assert_eq!(payload["project"], json!({"id": 7, "name": "Tills", "url": "https://acme.testmo.example/projects/7"}));
    assert_eq!(
        result,
        json!({
            "delivery_id": request.expect_header("x-testmo-delivery"), "event_id": payload["id"],
            "event": "session.created", "project_id": 7,
        })
    );
    // Each test is an event of its own.
    let again = send_test(&rest, hook.id).await.expect(202);
    assert_ne!(again["event_id"], result["event_id"]);
    // Deleted ones are not there.
    webhooks::delete(&rest, hook.id).await;
    send_test(&rest, hook.id).await.expect_error(404, Some("not_found"), &[]);
}

async fn a_test_is_not_tried_again(mode: Mode) {
    let product = Product::start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    receiver.script("/in", 500);
    let hook = webhooks::create_generic(&rest, &receiver.url("/in")).await;
    let delivery = sent(&rest, hook.id).await;
    let failed = history::wait_for_status(&rest, &delivery, "failed", SOON).await;
    assert_eq!(failed.entries().len(), 1, "{failed:?}");
    receiver.stays_at("/in", 1, QUIET).await;
    // Another test is sent instead.
    super::press_retry(&rest, &delivery).await.expect_error(409, Some("conflict"), &[]);
    sent(&rest, hook.id).await;
    receiver.wait_for("/in", 2, SOON).await;
}

async fn project_administrators_test_their_webhooks(mode: Mode) {
    let product = Product::start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    let with_token = async |body| {
        let made = rest.post("/api/v1/tokens", body).await.expect(201);
        product.rest(made["token"].as_str())
    };
    let of_1 = with_token(json!({"name": "one", "role": "project_admin", "projects": [1]})).await;
    let member = with_token(json!({"name": "member", "role": "member"})).await;
    let scoped = async |projects| -> Webhook {
        let mut body = webhooks::generic(&receiver.url("/in"));
        body["projects"] = projects;
        webhooks::create(&rest, body).await
    };
    let (own, of_all) = (scoped(json!([1])).await, scoped(json!(null)).await);
    let delivery = sent(&of_1, own.id).await;
    // It is seen by whoever has sent it.
    history::wait_for_status(&of_1, &delivery, "delivered", SOON).await;
    send_test(&of_1, of_all.id).await.expect_error(404, Some("not_found"), &[]);
    send_test(&member, own.id).await.expect_error(403, Some("forbidden"), &[]);
    receiver.stays_at("/in", 1, Duration::from_millis(500)).await;
}

async fn without_webhooks_in_the_plan_nothing_is_tested(mode: Mode) {
    let product = Product::start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    let hook = webhooks::create_generic(&rest, &receiver.url("/in")).await;
    set_plan(&product, "free", 1).await;
    send_test(&rest, hook.id).await.expect_error(403, Some("plan_required"), &[]);
    receiver.stays_at("/in", 0, QUIET).await;
    // An upgrade activates nothing, and a test needs no activation.
    set_plan(&product, "business", 2).await;
    sent(&rest, hook.id).await;
    receiver.wait_for("/in", 1, SOON).await;
}

async fn a_test_outlives_a_crash(mode: Mode) {
    let mut product = Product::start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    receiver.script("/in", [Answer::hang(), Answer::status(200)]);
    let hook = webhooks::create_generic(&rest, &receiver.url("/in")).await;
    webhooks::act(&rest, hook.id, "deactivate").await;
    let delivery = sent(&rest, hook.id).await;
    receiver.wait_for("/in", 1, SOON).await;
    product.kill_all();
    product.start_all().await;
    history::wait_for_status(&product.admin(), &delivery, "delivered", 2 * SOON).await;
}
