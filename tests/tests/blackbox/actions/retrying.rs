//! *Retry*: one more attempt of what has failed for good.

use std::time::Duration;

use blackbox::{
    events, history, in_both_modes,
    product::{Mode, Product},
    receiver::{Answer, Receiver, Script},
    rest::Rest,
    webhooks::{self, Webhook},
};
use futures::future::join_all;
use serde_json::json;

use super::{QUIET, SOON, press_retry, set_plan};

in_both_modes!(
    a_failed_delivery_is_retried_once,
    pressing_many_times_makes_one_attempt,
    a_retry_that_fails_is_final_again,
    only_what_has_failed_for_good_is_retried,
    a_retry_needs_an_active_webhook_and_a_plan,
    a_retry_outlives_a_crash,
);

/// A webhook whose one delivery came to what the script says.
struct Scene {
    product: Product,
    rest: Rest,
    receiver: Receiver,
    hook: Webhook,
    delivery: String,
}

impl Scene {
    async fn play(mode: Mode, script: impl Into<Script>) -> Self {
        let product = Product::prepare(mode).set("delivery.retry_schedule", r#"["0s","1s","30s"]"#).start().await;
        let (rest, receiver) = (product.admin(), Receiver::start().await);
        receiver.script("/in", script);
        let hook = webhooks::create_generic(&rest, &receiver.url("/in")).await;
        product.publisher().publish(events::run_completed(events::PROJECT, 1)).await.expect("an accepted event");
        let delivery = receiver.wait_for("/in", 1, SOON).await[0].expect_header("x-testmo-delivery").to_owned();
        Self { product, rest, receiver, hook, delivery }
    }

    /// With a delivery that the endpoint has refused.
    async fn failed(mode: Mode) -> Self {
        let scene = Self::play(mode, 410).await;
        scene.ends("failed", &[410]).await;
        scene
    }

    async fn press(&self) -> blackbox::rest::Answer {
        press_retry(&self.rest, &self.delivery).await
    }

    async fn refused(&self, about: &str) {
        let answer = self.press().await;
        answer.expect_error(409, Some("conflict"), &[]);
        let message = answer.json["message"].as_str().expect("a message");
        assert!(message.contains(about), "no {about} in: {message}");
    }

    /// Waits until the delivery stands so, with these answers to its attempts.
    async fn ends(&self, status: &str, codes: &[i64]) {
        blackbox::wait::eventually(SOON, format!("{status} after {codes:?}"), async || {
            let found = history::delivery(&self.rest, &self.delivery).await?;
            let entries = found.entries();
            let made: Vec<_> = entries.iter().filter_map(history::Entry::response_code).collect();
            let numbered = entries.iter().zip(1..).all(|(entry, number)| entry.attempt() == number);
            (found.status() == status && made == codes && numbered).then_some(())
        })
        .await;
    }
}

async fn a_failed_delivery_is_retried_once(mode: Mode) {
    let scene = Scene::failed(mode).await;
    // The endpoint is mended, and moves.
    scene.receiver.script("/mended", 200);
    let path = format!("/api/v1/webhooks/{}", scene.hook.id);
    let moved = scene.rest.patch(&path, json!({"url": scene.receiver.url("/mended")})).await;
    assert_eq!(moved.status, 200, "{}", moved.json);
    let result = scene.press().await.expect(202);
    assert_eq!(result, json!({"delivery_id": scene.delivery, "attempt": 2}));
    let request = scene.receiver.wait_for("/mended", 1, SOON).await.remove(0);
    let first = scene.receiver.requests("/in").remove(0);
    assert_eq!(request.expect_header("x-testmo-attempt"), "2");
    assert_eq!(request.expect_header("x-testmo-delivery"), scene.delivery);
    assert_eq!(request.body, first.body, "the body is the one first rendered");
    blackbox::signature::verify(&request, &scene.hook.secret);
    scene.ends("delivered", &[410, 200]).await;
    scene.refused("delivered already").await;
    scene.receiver.stays_at("/mended", 1, QUIET).await;
    scene.receiver.stays_at("/in", 1, Duration::ZERO).await;
}

async fn pressing_many_times_makes_one_attempt(mode: Mode) {
    let scene = Scene::failed(mode).await;
    for made in [2, 3] {
        scene.receiver.script("/in", Answer::status(410).delay(Duration::from_secs(1)));
        let answers = join_all((0..10).map(|_| scene.press())).await;
        let accepted = answers.iter().filter(|answer| answer.status == 202).count();
        assert_eq!(accepted, 1, "{answers:?}");
        assert!(answers.iter().all(|answer| matches!(answer.status, 202 | 409)), "{answers:?}");
        scene.ends("failed", &[410].repeat(made)).await;
        scene.receiver.stays_at("/in", made, Duration::from_secs(1)).await;
    }
}

async fn a_retry_that_fails_is_final_again(mode: Mode) {
    let scene = Scene::failed(mode).await;
    // What would be tried again on its own is not, after a retry.
    scene.receiver.script("/in", 503);
    assert_eq!(scene.press().await.expect(202)["attempt"], 2);
    scene.ends("failed", &[410, 503]).await;
    scene.receiver.stays_at("/in", 2, QUIET).await;
    scene.receiver.script("/in", 200);
    assert_eq!(scene.press().await.expect(202)["attempt"], 3);
    scene.ends("delivered", &[410, 503, 200]).await;
    scene.receiver.stays_at("/in", 3, QUIET).await;
}

async fn only_what_has_failed_for_good_is_retried(mode: Mode) {
    let scene = Scene::play(mode, [500, 500, 500, 200]).await;
    scene.receiver.wait_for("/in", 3, SOON).await;
    // The fourth attempt is due half a minute later.
    scene.refused("pending").await;
    scene.receiver.stays_at("/in", 3, QUIET).await;
    let never = press_retry(&scene.rest, "0b4a2c55-1c1c-5a3e-9a3e-5f6d0a7c9b11").await;
    never.expect_error(404, Some("not_found"), &[]);
}

async fn a_retry_needs_an_active_webhook_and_a_plan(mode: Mode) {
    let scene = Scene::failed(mode).await;
    scene.receiver.script("/in", 200);
    webhooks::act(&scene.rest, scene.hook.id, "deactivate").await;
    scene.refused("activate it first").await;
    set_plan(&scene.product, "free", 1).await;
    scene.press().await.expect_error(403, Some("plan_required"), &[]);
    set_plan(&scene.product, "business", 2).await;
    scene.refused("activate it first").await;
    webhooks::delete(&scene.rest, scene.hook.id).await;
    scene.refused("deleted").await;
    scene.receiver.stays_at("/in", 1, QUIET).await;
    scene.ends("failed", &[410]).await;
}

async fn a_retry_outlives_a_crash(mode: Mode) {
    let mut scene = Scene::failed(mode).await;
    scene.receiver.script("/in", [Answer::hang(), Answer::status(200)]);
    assert_eq!(scene.press().await.expect(202)["attempt"], 2);
    scene.receiver.wait_for("/in", 2, SOON).await;
    scene.product.kill_all();
    scene.product.start_all().await;
    scene.rest = scene.product.admin();
    scene.ends("delivered", &[410, 200]).await;
    scene.receiver.stays_at("/in", 3, QUIET).await;
}
