//! The signing secret is shown once, and is nowhere else.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use blackbox::{
    events, history, in_both_modes,
    product::{Mode, Product},
    receiver::Receiver,
    webhooks,
};

in_both_modes!(a_secret_is_shown_once, a_secret_is_nowhere_else);

const SOON: Duration = Duration::from_secs(20);

async fn a_secret_is_shown_once(mode: Mode) {
    let product = Product::start(mode).await;
    let rest = product.admin();
    let one = webhooks::create_generic(&rest, "http://127.0.0.1:9/in").await;
    let other = webhooks::create_generic(&rest, "http://127.0.0.1:9/in").await;
    assert_ne!(one.secret, other.secret);
    let key = BASE64_STANDARD.decode(one.secret.strip_prefix("whsec_").expect("whsec_…")).expect("base64");
    assert_eq!(key.len(), 32);

    let last_four = &one.secret[one.secret.len() - 4..];
    let shown = rest.get(&format!("/api/v1/webhooks/{}", one.id)).await.expect(200);
    let listed = rest.get("/api/v1/webhooks").await;
    let in_list = listed.json["result"].as_array().expect("a list").iter().find(|hook| hook["id"] == one.id).cloned();
    let deactivated = webhooks::act(&rest, one.id, "deactivate").await;
    for seen in [shown, in_list.expect("the webhook is listed"), deactivated] {
        let masked = seen["secret"].as_str().unwrap_or_else(|| panic!("no masked secret in {seen}"));
        assert!(masked.ends_with(last_four), "{masked} does not end with the last four characters");
        let body = one.secret.trim_start_matches("whsec_");
        let reveals = (0..body.len() - 8).any(|start| masked.contains(&body[start..start + 8]));
        assert!(!reveals, "{masked} shows more than it should of {}", one.secret);
    }
}

async fn a_secret_is_nowhere_else(mode: Mode) {
    let product = Product::start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    receiver.script("/in", [500, 200]);
    let hook = webhooks::create_generic(&rest, &receiver.url("/in")).await;
    product.publisher().publish(events::run_completed(1, 1)).await.expect("an accepted event");
    let requests = receiver.wait_for("/in", 2, SOON).await;
    let delivery = requests[0].expect_header("x-testmo-delivery");
    let shown = history::wait_for_status(&rest, delivery, "delivered", SOON).await;
    rest.post("/api/v1/webhooks", webhooks::generic("nonsense")).await.expect_error(422, None, &["url"]);

    let text = hook.secret.strip_prefix("whsec_").expect("whsec_…");
    let key = BASE64_STANDARD.decode(text).expect("base64");
    let forms = [text.as_bytes().to_vec(), key.clone(), hex::encode(&key).into(), hex::encode(text).into()];
    let mut places = vec![("history".to_owned(), shown.0.to_string().into_bytes())];
    places.extend(product.written().await);
    assert!(places.iter().any(|(_, bytes)| contains(bytes, delivery.as_bytes())), "the search finds what is there");
    for (place, bytes) in places {
        for form in &forms {
            assert!(!contains(&bytes, form), "the secret is in {place}");
        }
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let first = needle[0];
    let mut rest = haystack;
    while let Some(found) = rest.iter().position(|byte| *byte == first) {
        if rest[found..].starts_with(needle) {
            return true;
        }
        rest = &rest[found + 1..];
    }
    false
}
