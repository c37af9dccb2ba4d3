//! The script for looking into one delivery by hand.

use std::{path::Path, process::Output, time::Duration};

use blackbox::{
    events,
    product::Mode,
    product::Product,
    random,
    receiver::{Received, Receiver},
    run, run_test, servers, signature, webhooks,
};

use super::{page::Page, program::write};

/// Runs what the page says in `folder`, with these files.
async fn check(folder: &Path, secret: &str, headers: &str, body: &[u8], max_age: Option<&str>) -> (bool, String) {
    let mut command = Page::read("shell").install(folder, secret);
    write(folder, &[("headers.txt", headers.as_bytes()), ("body.json", body)]);
    if let Some(seconds) = max_age {
        command.env("MAX_AGE", seconds);
    }
    let Output { status, stdout, stderr } = servers::blocking(move || command.output()).await.expect("sh");
    (status.success(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

fn headers(request: &Received) -> String {
    request.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
}

#[test]
fn shell_verifies() {
    run_test(async {
        let product = Product::start(Mode::Embedded).await;
        let receiver = Receiver::start().await;
        let hook = webhooks::create_generic(&product.admin(), &receiver.url("/in")).await;
        product.publisher().publish(events::run_completed(events::PROJECT, 1)).await.expect("an accepted event");
        let request = receiver.wait_for("/in", 1, Duration::from_secs(20)).await.remove(0);
        let (folder, saved) = (run::folder("shell"), headers(&request));
        let (body, secret) = (&request.body[..], hook.secret.as_str());

        for max_age in [None, Some("300")] {
            let (right, said) = check(&folder, secret, &saved, body, max_age).await;
            assert!(right && said.starts_with("right: both"), "{said}");
        }
        let other = format!("whsec_{}", random::key());
        let (id, old) = (request.expect_header("webhook-id"), "1700000000");
        let timestamp = request.expect_header("webhook-timestamp");
        let aged = saved.replace(timestamp, old).replace(
            request.expect_header("webhook-signature"),
            &format!("v1,x {}", signature::sign_standard(secret, id, old, body)),
        );
        let (right, said) = check(&folder, secret, &aged, body, None).await;
        assert!(right, "its age does not matter unless asked: {said}");
        let without = |name: &str| saved.lines().filter(|line| !line.starts_with(name)).collect::<Vec<_>>().join("\n");
        let foreign = saved.replace(request.expect_header("x-testmo-signature-256"), "sha256=00");
        for (what, secret, headers, body, named) in [
            ("a longer body", secret, saved.clone(), [body, b"\n"].concat(), "webhook-signature"),
            ("another secret", &other, saved.clone(), body.to_vec(), "webhook-signature"),
            ("no secret", "", saved.clone(), body.to_vec(), "WEBHOOK_SECRET"),
            ("too old", secret, aged, body.to_vec(), "webhook-timestamp"),
            ("no timestamp", secret, without("webhook-timestamp"), body.to_vec(), "webhook-timestamp"),
            ("no signature", secret, without("webhook-signature"), body.to_vec(), "webhook-signature"),
            ("no own signature", secret, without("x-testmo-signature"), body.to_vec(), "x-testmo-signature-256"),
            ("a wrong own signature", secret, foreign, body.to_vec(), "x-testmo-signature-256"),
        ] {
            let (right, said) = check(&folder, secret, &headers, &body, Some("300")).await;
            assert!(!right && said.starts_with(&format!("WRONG: {named}")), "{what}: {said}");
        }
    });
}
