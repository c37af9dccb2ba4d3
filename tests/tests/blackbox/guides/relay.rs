//! The relay to GitHub, as the guide shows it, runs: between the product and a receiver that plays `api.github.com`.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use blackbox::{
    events, history, in_both_modes, jwt, ports,
    process::Process,
    product::{Mode, Product},
    receiver::{Answer, Receiver},
    rest::Rest,
    run,
    signature::sign_standard,
    wait::eventually,
    webhooks::{self, Webhook},
};
use hyper::Method;
use serde_json::{Value, json};

use super::{SOON, markdown, page};
use crate::stock_tools::python;

in_both_modes!(the_relay_dispatches_what_is_genuine_and_nothing_else);

const DISPATCHES: &str = "/repos/acme/shop/dispatches";

async fn the_relay_dispatches_what_is_genuine_and_nothing_else(mode: Mode) {
    let product = Product::start(mode).await;
    let github = Receiver::start().await;
    let refusal = Answer::status(422).body(r#"{"message":"No more than 10 properties are allowed"}"#);
    github.script(DISPATCHES, [Answer::status(204), refusal, Answer::status(204)]);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
    let body = webhooks::generic(&format!("http://{address}/testmo"));
    let hook = webhooks::create(&product.admin(), body).await;
    let _relay = start(&hook.secret, address, &github).await;

    let event = events::run_completed(events::PROJECT, 42);
    let id = product.publisher().publish(event).await.expect("an accepted event");
    let request = github.wait_for(DISPATCHES, 1, SOON).await.remove(0);
    assert_eq!(request.method, "POST");
    assert_eq!(request.expect_header("authorization"), "Bearer github_pat_of_the_test");
    assert_eq!(request.expect_header("content-type"), "application/json");
    let sent = request.json();
    let delivery = sent["client_payload"]["delivery"].as_str().expect("the id of the delivery").to_owned();
    let shown = history::wait_for_status(&product.admin(), &delivery, "delivered", SOON).await;
    assert_eq!(shown.entries()[0].response_code(), Some(202));
    let payload = &sent["client_payload"]["testmo"];
    assert_eq!((&payload["id"], &payload["data"]["run"]["id"]), (&json!(id), &json!(42)));
    as_the_guide_says(&sent);

    // GitHub refuses the next one; the relay says so, and the product tries again.
    let event = events::run_completed(events::PROJECT, 43);
    product.publisher().publish(event).await.expect("an accepted event");
    let last = github.wait_for(DISPATCHES, 3, SOON).await.remove(2).json();
    let delivery = last["client_payload"]["delivery"].as_str().expect("the id of the delivery").to_owned();
    let shown = history::wait_for_status(&product.admin(), &delivery, "delivered", SOON).await;
    let entries = shown.entries();
    let refused = entries.iter().find(|entry| entry.response_code() == Some(502)).expect("the first attempt");
    assert!(refused.response_body().contains("No more than 10 properties"), "{}", refused.response_body());

    refuses_what_is_not_genuine(address, &hook, &github).await;
}

/// The workflow waits for the type that is dispatched, and the body has the form that the guide shows.
fn as_the_guide_says(sent: &Value) {
    let page = page("github");
    let kind = sent["event_type"].as_str().expect("a type");
    let workflow = markdown::blocks(&page, "yaml").concat();
    assert!(workflow.contains(&format!("types: [{kind}]")), "{kind} is not what this waits for:\n{workflow}");
    let shown = markdown::blocks(&page, "json");
    let shown = shown.iter().map(|block| serde_json::from_str::<Value>(block).expect("JSON"));
    let shown = shown.into_iter().find(|block| block.get("event_type").is_some()).expect("the body of a dispatch");
    assert_eq!(shown["event_type"], kind);
    let names = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&shown["client_payload"]), names(&sent["client_payload"]));
}

async fn refuses_what_is_not_genuine(address: SocketAddr, hook: &Webhook, github: &Receiver) {
    let before = github.count(DISPATCHES);
    let body = json!({"id": "1", "event": "run.completed", "data": {}});
    let now = jwt::in_seconds(0);
    let other = format!("whsec_{}", BASE64_STANDARD.encode([7; 32]));
    let right = signature(&hook.secret, now, &body);
    let post = async |timestamp: i64, signature: &str, body: &Value| {
        let client = Rest::new(address, None).with_header("webhook-id", "msg_1");
        let client = client.with_header("webhook-timestamp", &timestamp.to_string());
        client.with_header("webhook-signature", signature).post("/testmo", body.clone()).await.status
    };
    assert_eq!(post(now, &signature(&other, now, &body), &body).await, 401, "another secret");
    assert_eq!(post(now, "", &body).await, 401, "an empty signature");
    assert_eq!(post(now, &right, &json!({"id": "2"})).await, 401, "another body");
    assert_eq!(post(now + 1, &right, &body).await, 401, "another time");
    let old = now - 3_600;
    assert_eq!(post(old, &signature(&hook.secret, old, &body), &body).await, 401, "an hour old");
    assert_eq!(Rest::new(address, None).post("/testmo", body.clone()).await.status, 401, "no signature at all");
    assert_eq!(github.count(DISPATCHES), before, "nothing of that was dispatched");
    // The same, done right, also beside the signature of an older secret: it was not for another reason.
    let both = format!("{} {right}", signature(&other, now, &body));
    assert_eq!(post(now, &both, &body).await, 202);
    assert_eq!(github.count(DISPATCHES), before + 1);
}

/// `webhook-signature` of a body, for the id `msg_1`.
fn signature(secret: &str, timestamp: i64, body: &Value) -> String {
    sign_standard(secret, "msg_1", &timestamp.to_string(), body.to_string().as_bytes())
}

/// Runs the guide's program with the guide's variables.
async fn start(secret: &str, address: SocketAddr, github: &Receiver) -> Process {
    let folder = run::folder("relay");
    let programs = markdown::blocks(&page("github"), "python");
    let [program] = programs.as_slice() else { panic!("{} programs in the guide", programs.len()) };
    fs::write(folder.join("relay.py"), program).expect("a new file");
    let mut command = python(&folder);
    command.arg("relay.py").env("WEBHOOK_SECRET", secret).env("LISTEN_PORT", address.port().to_string());
    command.env("GITHUB_REPOSITORY", "acme/shop").env("GITHUB_TOKEN", "github_pat_of_the_test");
    command.env("GITHUB_API", format!("http://{}", github.address())).env("no_proxy", "*");
    let mut process = Process::start("relay", &mut command, &folder, "KILL");
    let client = Rest::new(address, None);
    eventually(Duration::from_secs(30), "the relay listens", async || {
        assert!(process.ended().is_none(), "{}", process.output());
        client.try_send(Method::POST, "/", None).await.ok()
    })
    .await;
    process
}
