//! What a project administrator sees and may do, and what becomes of a session whose token is revoked.

use blackbox::{browser::Setup, in_both_modes, product::Mode, webhooks};
use serde_json::json;

use super::World;

in_both_modes!(a_project_administrator_manages_its_own);

async fn a_project_administrator_manages_its_own(mode: Mode) {
    let world = World::start(mode, Setup { window: (390, 844), ..Setup::default() }).await;
    let admin = world.product.admin();
    let other = webhooks::create(&admin, webhooks::generic(&world.receiver.url("/other"))).await;
    let browser = &world.browser;
    world.sign_in(&world.project_admin().await).await;
    // Of others there is nothing.
    browser.sees("No webhooks yet").await;
    for hidden in ["API tokens", "Settings"] {
        browser.sees_no(hidden).await;
    }
    for path in ["/deliveries", "/tokens", "/settings", "/settings/clear"] {
        browser.open(path).await;
        browser.sees("for system administrators").await;
    }
    browser.open(&format!("/webhooks/{}", other.id)).await;
    browser.sees("Not found").await;
    // Its own are made for its own projects alone.
    browser.open("/webhooks/new").await;
    browser.fill("Name", "Shop").await;
    browser.fill("Target URL", &world.receiver.url("/in")).await;
    browser.tick("Allow insecure connections").await;
    browser.tick("Test run completed").await;
    browser.press("PROJECTS").await;
    browser.sees("Webshop").await;
    browser.sees_no("Mobile app").await;
    browser.sees_no("all projects").await;
    browser.tick("Webshop").await;
    browser.press("Save").await;
    browser.sees("shown only once").await;
    browser.press("To the webhook").await;
    browser.press("Send test payload").await;
    browser.sees("Delivered").await;
    // Nothing is wider than a phone.
    let delivery = browser.path().await;
    for path in ["/", "/webhooks/2", "/webhooks/2/deliveries", &delivery, "/webhooks/2/explain", "/webhooks/2/replays"]
    {
        browser.open(path).await;
        let overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(browser.run(overflow, json!([])).await, 0, "{path} is wider than the window");
    }
    // A revoked token ends its session at once.
    let tokens = admin.get("/api/v1/tokens").await.expect(200);
    let own = tokens.as_array().expect("a list").iter().find(|token| token["name"] == "webshop").expect("the token");
    assert_eq!(admin.delete(&format!("/api/v1/tokens/{}", own["id"])).await.status, 204);
    browser.open("/").await;
    browser.sees("Your session has ended").await;
    browser.fill("Token", world.product.publisher_token()).await;
    browser.press("Sign in").await;
    browser.sees("This token is of a publisher.").await;
    world.is_quiet().await;
}
