//! The programs that `docs/receivers/verify` shows receive real deliveries, and refuse whatever is not one.

mod delivery;
mod page;
mod program;
mod shell;

use std::time::Duration;

use blackbox::{
    events, history,
    product::{Mode, Product},
    random, run_test, signature,
    wait::{eventually, stays},
    webhooks::{self, Webhook},
};
use serde_json::json;

use delivery::Delivery;
use page::Page;
use program::{Program, Scheme, place};

const SOON: Duration = Duration::from_secs(30);

/// Makes a test of each page with a program that receives.
macro_rules! receivers {
    ($($test:ident: $page:literal in $mode:ident),+ $(,)?) => {
        $(#[test] fn $test() { run_test(verifies($page, Mode::$mode)); })+

        const TESTED: &[&str] = &[$($page),+];
    };
}

receivers!(
    node_verifies: "node" in Embedded,
    node_verifies_in_distributed_mode: "node" in Distributed,
    python_verifies: "python" in Embedded,
    rust_verifies: "rust" in Embedded,
    go_verifies: "go" in Embedded,
    php_verifies: "php" in Embedded,
    java_verifies: "java" in Embedded,
    csharp_verifies: "csharp" in Embedded,
);

#[test]
fn every_page_is_tested() {
    let untested: Vec<_> = page::names().into_iter().filter(|name| !TESTED.contains(&name.as_str())).collect();
    assert_eq!(untested, ["shell"], "which has tests of its own");
}

async fn verifies(name: &str, mode: Mode) {
    let page = Page::read(name);
    let product = Product::start(mode).await;
    for scheme in [Scheme::Standard, Scheme::Testmo] {
        receives(&page, scheme, &product).await;
    }
    refuses_to_run_without_a_secret(&page).await;
}

async fn receives(page: &Page, scheme: Scheme, product: &Product) {
    let rest = product.admin();
    let (port, url) = place();
    let hook = webhooks::create_generic(&rest, &url).await;
    let mut program = Program::start(page, scheme, port, &hook.secret);
    program.listens().await;

    let delivery = publish(product, &hook, "delivered").await;
    let id = delivery.header("x-testmo-delivery");
    assert_eq!(id, delivery.header("webhook-id"), "what the pages say");
    let lines = eventually(SOON, format!("{} takes {id}", page.name()), async || {
        Some(program.lines(&id)).filter(|lines| !lines.is_empty())
    })
    .await;
    assert!(lines[0].contains("run.completed"), "{lines:?}");
    accepts(&program, &delivery, &hook).await;
    refuses(&program, &delivery, &hook).await;
    refuses_another_webhook(product, &url).await;
    lives_through_a_new_secret(product, &program, &hook).await;
    stays(Duration::from_millis(100), "each delivery is taken once", async || program.lines(&id).len() == 1).await;
    webhooks::delete(&rest, hook.id).await;
}

/// Publishes an event; its delivery to `hook`, when it has come to `status`.
async fn publish(product: &Product, hook: &Webhook, status: &str) -> Delivery {
    let rest = product.admin();
    let event = product.publisher().publish(events::run_completed(events::PROJECT, 1)).await.expect("it is accepted");
    let entry = eventually(SOON, format!("event {event} has an entry for webhook {}", hook.id), async || {
        history::page(&rest, hook.id, "").await.into_iter().find(|entry| entry.event() == event)
    })
    .await;
    let delivery = history::wait_for_status(&rest, entry.delivery(), status, SOON).await;
    let entries = delivery.entries();
    assert_eq!(entries.len(), 1, "{delivery:?}");
    let code = if status == "delivered" { 200..=299 } else { 401..=401 };
    assert!(entries[0].response_code().is_some_and(|got| code.contains(&got)), "{delivery:?}");
    Delivery::of(&entries[0])
}

/// What is genuine is answered with success, however often it comes; once it is taken, and no more.
async fn accepts(program: &Program, delivery: &Delivery, hook: &Webhook) {
    let (now, id) = (timestamp(delivery), random::uuid().to_string());
    let late = delivery.signed_again(&hook.secret, &id, &(now - 200).to_string());
    let signatures = format!("v1,{} {} v1a,x", "A".repeat(43), late.header("webhook-signature"));
    for (what, genuine) in [
        ("again", delivery.clone()),
        ("another one, on its way for a while", late.clone()),
        ("the same, signed with several secrets", late.with("webhook-signature", signatures)),
    ] {
        let status = genuine.post(program.port).await;
        assert!((200..=299).contains(&status), "{what}: {status}\n{}", program.tail());
    }
    eventually(SOON, "the other one is taken", async || (program.lines(&id).len() == 1).then_some(())).await;
}

/// What is not genuine is answered 401, whatever is wrong with it.
async fn refuses(program: &Program, delivery: &Delivery, hook: &Webhook) {
    let stranger = format!("whsec_{}", random::key());
    let mut tampered = delivery.body.clone();
    *tampered.iter_mut().find(|byte| **byte == b'1').expect("a digit") = b'2';
    let id = random::uuid().to_string();
    let resigned = delivery.signed_again(&stranger, &id, &delivery.header("webhook-timestamp"));
    let mut cases = vec![
        ("a changed body", delivery.with_body(tampered)),
        ("a longer body", delivery.with_body([&delivery.body[..], b"\n"].concat())),
        ("no body", delivery.with_body("")),
        ("a wrong secret", resigned),
    ];
    let header = match program.scheme {
        Scheme::Standard => "webhook-signature",
        Scheme::Testmo => "x-testmo-signature-256",
    };
    let signature = delivery.header(header);
    cases.extend([
        ("no signature", delivery.without(header)),
        ("an empty signature", delivery.with(header, "")),
        ("half a signature", delivery.with(header, &signature[..20])),
        ("a longer signature", delivery.with(header, format!("{signature}0"))),
        ("a signature that is no text", delivery.with(header, b"\xc3\xa9\xff")),
    ]);
    match program.scheme {
        Scheme::Standard => cases.extend(standard_cases(delivery, hook, &id)),
        Scheme::Testmo => {
            let empty = signature::sign_testmo("", &delivery.body);
            cases.push(("an empty secret", delivery.with(header, empty)));
            cases.push(("without sha256=", delivery.with(header, signature.trim_start_matches("sha256="))));
        }
    }
    for (what, case) in cases {
        let status = case.post(program.port).await;
        assert_eq!(status, 401, "{:?}, {what}\n{}", program.scheme, program.tail());
    }
    assert!(program.lines(&id).is_empty(), "it has taken what it refused\n{}", program.tail());
}

/// What is wrong under the rules of Standard Webhooks; where no signature is changed, it is right for the rest.
fn standard_cases(delivery: &Delivery, hook: &Webhook, id: &str) -> Vec<(&'static str, Delivery)> {
    let now = timestamp(delivery);
    let signed = |timestamp: &str| delivery.signed_again(&hook.secret, id, timestamp);
    let signature = delivery.header("webhook-signature");
    let wrong = format!("v1,{} v1a,{}", "A".repeat(43), signature.trim_start_matches("v1,"));
    vec![
        ("an old timestamp", signed(&(now - 600).to_string())),
        ("a timestamp ahead", signed(&(now + 600).to_string())),
        ("a timestamp of 1970", signed("0")),
        ("a timestamp that is no number", signed("soon")),
        ("a timestamp with a fraction", signed(&format!("{now}.5"))),
        ("a huge timestamp", signed(&"9".repeat(5_000))),
        ("a negative timestamp", signed("-1")),
        ("an empty timestamp", signed("")),
        ("another timestamp", delivery.with("webhook-timestamp", (now + 1).to_string())),
        ("no timestamp", delivery.without("webhook-timestamp")),
        ("another id", delivery.with("webhook-id", id)),
        ("no id", delivery.without("webhook-id")),
        ("wrong signatures only", delivery.with("webhook-signature", wrong)),
        ("without v1", delivery.with("webhook-signature", signature.trim_start_matches("v1,"))),
    ]
}

/// A webhook with a secret of its own, pointed at the same program by mistake.
async fn refuses_another_webhook(product: &Product, url: &str) {
    let rest = product.admin();
    let other = webhooks::create_generic(&rest, url).await;
    publish(product, &other, "failed").await;
    webhooks::delete(&rest, other.id).await;
}

/// While two secrets overlap, the header of Standard Webhooks is right for both, and the other one for the new one alone.
async fn lives_through_a_new_secret(product: &Product, program: &Program, hook: &Webhook) {
    let path = format!("/api/v1/webhooks/{}/secret", hook.id);
    let _ = product.admin().post(&path, json!({"overlap_hours": 1})).await.expect(200);
    let status = if program.scheme == Scheme::Standard { "delivered" } else { "failed" };
    let delivery = publish(product, hook, status).await;
    assert_eq!(delivery.header("webhook-signature").split(' ').count(), 2, "one for each secret");
}

/// A program with an empty key would believe anybody.
async fn refuses_to_run_without_a_secret(page: &Page) {
    for secret in ["", "whsec_", "whsec_AAEC"] {
        let (port, _) = place();
        let mut program = Program::start(page, Scheme::Testmo, port, secret);
        let body = br#"{"event":"run.completed"}"#;
        let signature = signature::sign_testmo(secret, body).into_bytes();
        let headers = vec![("webhook-id", b"1".to_vec()), ("x-testmo-signature-256", signature)];
        let forged = Delivery { headers, body: body.to_vec() };
        // PHP's own server runs anyway; the program then answers that it can't work.
        let what = format!("{} gives up with the secret `{secret}`", page.name());
        eventually(SOON, what, async || {
            let listens = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok();
            (program.failed() || (listens && forged.post(port).await == 500)).then_some(())
        })
        .await;
    }
}

fn timestamp(delivery: &Delivery) -> i64 {
    delivery.header("webhook-timestamp").parse().expect("a number of seconds")
}
