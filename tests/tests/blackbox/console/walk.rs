//! A system administrator walks through the article: creating, managing, sending a test payload, viewing and managing
//! delivery history, bulk operations.

use blackbox::{
    browser::Setup,
    events, in_both_modes,
    product::Mode,
    receiver::{Answer, Received},
    signature,
};
use proto::v1::SetPlanRequest;
use serde_json::json;

use super::{SOON, World};

in_both_modes!(a_system_administrator_walks_through_the_article);

async fn a_system_administrator_walks_through_the_article(mode: Mode) {
    let world = World::start(mode, Setup::default()).await;
    world.sign_in_as_system_admin().await;
    let secret = creating(&world).await;
    sending_a_test_payload(&world, &secret).await;
    let secret = managing(&world).await;
    delivery_history(&world, &secret).await;
    plan_requirement(&world).await;
    deleting(&world).await;
    bulk_operations(&world).await;
    signing_out(&world).await;
    world.is_quiet().await;
}

/// *Creating webhooks*, *URL requirements*, the secret that is shown once. The secret.
async fn creating(world: &World) -> String {
    let browser = &world.browser;
    browser.sees("No webhooks yet").await;
    browser.press("Add webhook").await;
    browser.is_at("/webhooks/new").await;
    browser.fill("Name", "Builds").await;
    browser.fill("Target URL", &world.receiver.url("/in")).await;
    browser.tick("Slack").await;
    browser.sees_no("Allow insecure connections").await;
    browser.tick("Generic").await;
    browser.sees_no("Payloads can be read and changed").await;
    // Without an event it is not saved, and nothing that was written is lost.
    browser.press("Save").await;
    browser.sees("The webhook was not saved.").await;
    browser.sees("HTTPS").await;
    assert_eq!(browser.run("return document.getElementById('name').value", json!([])).await, "Builds");
    assert_eq!(
        browser.run("return document.getElementById('url').getAttribute('aria-invalid')", json!([])).await,
        "true"
    );
    // The amber warning is there before saving.
    browser.tick("Allow insecure connections").await;
    browser.sees("Payloads can be read and changed").await;
    browser.tick("Test run completed").await;
    let select_all = "//fieldset[legend='Milestones']//button";
    browser.click(select_all).await;
    let milestones = "return document.querySelectorAll('input[value^=\"milestone.\"]:checked').length";
    assert_eq!(browser.run(milestones, json!([])).await, 4);
    // The panel PROJECTS, by keyboard.
    browser.sees_no("This webhook applies to all projects").await;
    browser.run("document.querySelector('.tabs a').focus()", json!([])).await;
    browser.keys(&["\u{e014}", "\u{e007}"]).await;
    browser.sees("This webhook applies to all projects").await;
    browser.tick("This webhook applies to the following projects only").await;
    browser.tick("Webshop").await;
    browser.press("Save").await;
    browser.sees("shown only once").await;
    let secret = browser.run("return document.getElementById('secret').textContent", json!([])).await;
    let secret = secret.as_str().expect("a secret").to_owned();
    assert!(secret.starts_with("whsec_") && secret.len() > 40, "{secret}");
    browser.press("Copy to clipboard").await;
    browser.sees("Copied to clipboard").await;
    // Loading the page anew does not make another webhook, and shows no secret.
    browser.run("location.reload()", json!([])).await;
    browser.sees("Send test payload").await;
    let page = browser.run("return document.documentElement.outerHTML", json!([])).await;
    assert!(!page.as_str().expect("a page").contains(&secret));
    secret
}

/// *Sending a test payload*: to an inactive webhook too, labelled Test.
async fn sending_a_test_payload(world: &World, secret: &str) {
    let browser = &world.browser;
    browser.press("Deactivate").await;
    browser.sees("The webhook is inactive").await;
    browser.press("Send test payload").await;
    browser.is_at("/deliveries/").await;
    // What becomes of it comes by itself.
    browser.sees("Delivered").await;
    browser.sees("HTTP 200").await;
    let requests = world.receiver.wait_for("/in", 1, SOON).await;
    signature::verify(&requests[0], secret);
    assert_eq!(requests[0].json()["event"], "run.completed", "the first selected event type");
    browser.press("Delivery history").await;
    browser.sees("Test run completed").await;
    browser.sees("Test").await;
}

/// *Managing webhooks*: activate, edit, regenerate the secret. The new secret.
async fn managing(world: &World) -> String {
    let browser = &world.browser;
    browser.press("Activate").await;
    browser.sees("The webhook is active").await;
    browser.fill("Name", "Nightly builds").await;
    browser.press("Save").await;
    browser.sees("The webhook was saved.").await;
    browser.sees("Nightly builds").await;
    browser.press("Regenerate secret").await;
    // A dialog of the same page.
    assert!(browser.path().await.starts_with("/webhooks/"));
    browser.sees("Overlap in hours").await;
    browser.keys(&["\u{e00c}"]).await;
    browser.sees_no("Overlap in hours").await;
    browser.press("Regenerate secret").await;
    browser.fill("Overlap in hours", "2").await;
    browser.click("//dialog//button[contains(., 'Regenerate secret')]").await;
    browser.sees("The secret was regenerated.").await;
    let secret = browser.run("return document.getElementById('secret').textContent", json!([])).await;
    browser.press("To the webhook").await;
    browser.sees("The old secret goes on signing").await;
    browser.press("Change log").await;
    browser.sees("Secret regenerated").await;
    browser.sees("Nightly builds").await;
    secret.as_str().expect("a secret").to_owned()
}

/// *Viewing and managing delivery history*: live rows, the status filter, the detail with copies, Retry, Explain.
async fn delivery_history(world: &World, secret: &str) {
    let browser = &world.browser;
    world.receiver.script("/in", Answer::status(410).body("gone for good"));
    browser.press("Delivery history").await;
    browser.sees("Live").await;
    // Rows come while the page is looked at.
    let publisher = world.product.publisher();
    let event = publisher.publish(events::run_completed(1, 7)).await.expect("an accepted event");
    browser.sees("Failed").await;
    browser.has("//tbody//code[.='410']").await;
    browser.choose("Status", "Delivered").await;
    browser.press("Filter").await;
    browser.is_at("/webhooks/1/deliveries?status=delivered").await;
    browser.lacks("//tbody//code[.='410']").await;
    browser.choose("Status", "Failed").await;
    browser.press("Filter").await;
    browser.has("//tbody//code[.='410']").await;
    browser.click("//tbody//th/a").await;
    browser.is_at("/deliveries/").await;
    browser.sees("Attempt 1").await;
    browser.sees("gone for good").await;
    let payload = browser.run("return document.getElementById('request-1').textContent", json!([])).await;
    let sent: &Received = &world.receiver.requests("/in")[1];
    assert_eq!(payload.as_str().expect("a payload").as_bytes(), &sent.body[..], "what is shown is what was sent");
    assert_eq!(sent.expect_header("x-testmo-signature-256"), signature::sign_testmo(secret, &sent.body));
    assert_eq!(sent.expect_header("webhook-signature").split(' ').count(), 2, "the old secret signs as well");
    for button in ["Copy to clipboard: error", "Copy to clipboard: request payload", "Copy to clipboard: response body"]
    {
        browser.press(button).await;
        browser.sees("Copied to clipboard").await;
    }
    // Retry makes one more attempt.
    world.receiver.script("/in", 200);
    browser.press("Retry").await;
    browser.sees("A new delivery attempt was dispatched.").await;
    browser.sees("Attempt 2").await;
    browser.sees("HTTP 200").await;
    browser.press("Explain").await;
    browser.press("Explain this event").await;
    browser.sees("all rules pass").await;
    assert!(browser.run("return document.getElementById('event_id').value", json!([])).await == json!(event));
    replaying(world).await;
}

/// Replay, with the count first.
async fn replaying(world: &World) {
    let browser = &world.browser;
    world.receiver.script("/in", 410);
    world.product.publisher().publish(events::run_completed(1, 8)).await.expect("an accepted event");
    browser.press("Delivery history").await;
    browser.choose("Status", "Failed").await;
    browser.press("Filter").await;
    browser.has("//tbody//code[.='410']").await;
    world.receiver.script("/in", 200);
    browser.press("Replay").await;
    let from = "document.getElementById('from').value = '2020-01-01T00:00:00'";
    browser.run(from, json!([])).await;
    browser.press("Count deliveries").await;
    browser.sees("1 delivery would be tried again").await;
    browser.press("Start replay").await;
    browser.is_at("/webhooks/1/replays/").await;
    browser.sees("Done").await;
}

/// *Plan requirement*: a downgrade deactivates and keeps; after an upgrade each webhook is activated by hand.
async fn plan_requirement(world: &World) {
    let browser = &world.browser;
    let core = world.product.grpc(Some(world.product.publisher_token()));
    let told = |plan: &str, version| {
        let (instance, plan) = ("default".to_owned(), plan.to_owned());
        SetPlanRequest { instance, plan, version }
    };
    core.instances().set_plan(told("team", 1)).await.expect("a plan is told");
    browser.open("/").await;
    browser.sees("Webhooks are not available on this plan.").await;
    browser.sees("Deactivated because the plan was downgraded.").await;
    browser.open("/webhooks/1").await;
    browser.press("Activate").await;
    browser.sees("Plan required").await;
    core.instances().set_plan(told("business", 2)).await.expect("a plan is told");
    browser.open("/").await;
    browser.sees_no("Webhooks are not available on this plan.").await;
    browser.open("/webhooks/1").await;
    browser.press("Activate").await;
    browser.sees("The webhook is active").await;
}

/// *Deleting webhooks*: with confirmation; the history stays.
async fn deleting(world: &World) {
    let browser = &world.browser;
    browser.press("Delete").await;
    browser.sees("Historical delivery records are retained").await;
    browser.press("Cancel").await;
    browser.press("Delete").await;
    browser.click("//dialog//button[normalize-space(.)='Delete']").await;
    browser.sees("The webhook was deleted.").await;
    browser.sees("No webhooks yet").await;
    browser.click("//nav//a[.='Delivery history']").await;
    browser.sees("Deleted").await;
    browser.sees("Test run completed").await;
}

/// *Bulk operations*, and how long history is kept.
async fn bulk_operations(world: &World) {
    let browser = &world.browser;
    browser.click("//nav//a[.='Settings']").await;
    browser.choose("Delete webhook delivery history after", "After 30 days").await;
    browser.press("Save").await;
    browser.sees("The settings were saved.").await;
    browser.has("//option[.='After 30 days' and @selected]").await;
    let download = "const done = arguments[0]; fetch(document.querySelector(\"a[href*='format=json']\").href)\
         .then(answer => answer.json()).then(entries => done(entries.length))";
    let entries = browser.run_async(download, json!([])).await;
    assert!(entries.as_u64().is_some_and(|count| count > 3), "all entries are downloaded: {entries}");
    browser.press("Clear webhook delivery history").await;
    browser.sees("This cannot be undone.").await;
    browser.fill("Type clear-all-delivery-history to confirm", "yes").await;
    browser.click("//button[.='Clear']").await;
    browser.sees("what is cleared does not come back").await;
    browser.fill("Type clear-all-delivery-history to confirm", "clear-all-delivery-history").await;
    browser.click("//button[.='Clear']").await;
    browser.sees("The delivery history was cleared.").await;
    browser.click("//nav//a[.='Delivery history']").await;
    browser.sees("No deliveries").await;
}

async fn signing_out(world: &World) {
    let browser = &world.browser;
    browser.press("Sign out").await;
    browser.is_at("/sign-in").await;
    browser.open("/deliveries").await;
    browser.is_at("/sign-in").await;
}
