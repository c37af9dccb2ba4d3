//! With scripts off every action works as a plain form.

use blackbox::{browser::Setup, events, product::Mode, run_test};
use serde_json::json;

use super::World;

#[test]
fn every_action_works_without_scripts() {
    run_test(async {
        let world = World::start(Mode::Embedded, Setup { scripts: false, ..Setup::default() }).await;
        let browser = &world.browser;
        world.sign_in_as_system_admin().await;
        browser.press("Add webhook").await;
        // Both panels are on the page.
        browser.sees("This webhook applies to all projects").await;
        browser.sees_no("Select all").await;
        browser.fill("Name", "Plain").await;
        browser.fill("Target URL", &world.receiver.url("/in")).await;
        browser.tick("Generic").await;
        browser.tick("Allow insecure connections").await;
        browser.sees("Payloads can be read and changed").await;
        browser.tick("All run.*").await;
        browser.press("Save").await;
        browser.sees("shown only once").await;
        browser.sees_no("Copy to clipboard").await;
        browser.press("To the webhook").await;
        browser.fill("Name", "Plain text").await;
        browser.press("Save").await;
        browser.sees("The webhook was saved.").await;
        for (button, done) in [("Deactivate", "The webhook is inactive"), ("Activate", "The webhook is active")] {
            browser.press(button).await;
            browser.sees(done).await;
        }
        browser.press("Send test payload").await;
        browser.sees("The test payload was dispatched.").await;
        world.receiver.wait_for("/in", 1, super::SOON).await;
        failing_and_again(&world).await;
        browser.open("/webhooks/1/secret").await;
        browser.fill("Overlap in hours", "0").await;
        browser.click("//main//button").await;
        browser.sees("The secret was regenerated.").await;
        tokens(&world).await;
        settings(&world).await;
        browser.open("/webhooks/1").await;
        browser.press("Delete").await;
        browser.is_at("/webhooks/1/delete").await;
        browser.click("//main//button").await;
        browser.sees("The webhook was deleted.").await;
        browser.press("Sign out").await;
        browser.is_at("/sign-in").await;
    });
}

/// How long history is kept, and clearing it.
async fn settings(world: &World) {
    let browser = &world.browser;
    browser.open("/settings").await;
    browser.choose("Delete webhook delivery history after", "After 7 days").await;
    browser.press("Save").await;
    browser.sees("The settings were saved.").await;
    browser.press("Clear webhook delivery history").await;
    browser.is_at("/settings/clear").await;
    browser.fill("Type clear-all-delivery-history to confirm", "clear-all-delivery-history").await;
    browser.press("Clear").await;
    browser.sees("The delivery history was cleared.").await;
}

/// Retry, explain and replay.
async fn failing_and_again(world: &World) {
    let browser = &world.browser;
    world.receiver.script("/in", 410);
    world.product.publisher().publish(events::run_completed(1, 1)).await.expect("an accepted event");
    world.receiver.wait_for("/in", 2, super::SOON).await;
    blackbox::wait::eventually(super::SOON, "the page shows the failure", async || {
        browser.open("/webhooks/1/deliveries?status=failed").await;
        browser.text().await.contains("answered 410").then_some(())
    })
    .await;
    browser.press("Retry").await;
    browser.sees("A new delivery attempt was dispatched.").await;
    world.receiver.wait_for("/in", 3, super::SOON).await;
    browser.open("/webhooks/1/explain").await;
    browser.press("Explain the sample").await;
    browser.sees("all rules pass").await;
    world.receiver.script("/in", 200);
    browser.open("/webhooks/1/replays").await;
    // The keys of a field for day and time depend on the language; a driver's script may run even here.
    browser.run("document.getElementById('from').value = '2020-01-01T00:00:00'", json!([])).await;
    browser.press("Count deliveries").await;
    browser.sees("1 delivery would be tried again").await;
    browser.press("Start replay").await;
    browser.is_at("/webhooks/1/replays/").await;
    world.receiver.wait_for("/in", 4, super::SOON).await;
}

async fn tokens(world: &World) {
    let browser = &world.browser;
    browser.open("/tokens").await;
    browser.fill("Name", "plain").await;
    browser.choose("Role", "Member").await;
    browser.press("Create token").await;
    browser.sees("shown only once").await;
    browser.press("To the tokens").await;
    browser.click("//tr[contains(., 'plain')]//a[starts-with(normalize-space(.), 'Revoke')]").await;
    browser.sees("stops working at once").await;
    browser.click("//main//button").await;
    browser.sees("The token was revoked.").await;
    browser.sees_no("plain").await;
}
