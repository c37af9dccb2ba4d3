//! No screen has what the accessibility checker axe finds fault with, in light and in dark.

use blackbox::{browser::Setup, events, history, product::Mode, receiver::Answer, run_test, webhooks};
use serde_json::{Value, json};

use super::{SOON, World};

#[test]
fn the_checker_finds_nothing_on_any_screen() {
    run_test(async {
        let world = World::start(Mode::Embedded, Setup::default()).await;
        let axe = axe();
        let (id, delivery) = fill(&world).await;
        let browser = &world.browser;
        for theme in ["light", "dark"] {
            let features = json!({"features": [{"name": "prefers-color-scheme", "value": theme}]});
            browser.devtools("Emulation.setEmulatedMedia", features).await;
            browser.open("/sign-in").await;
            check(&world, &axe, theme).await;
            world.sign_in_as_system_admin().await;
            for path in screens(id, &delivery) {
                browser.open(&path).await;
                check(&world, &axe, theme).await;
            }
            // What only comes by pressing something.
            browser.open("/webhooks/new").await;
            browser.fill("Name", "x").await;
            browser.fill("Target URL", "http://127.0.0.1:1/").await;
            browser.tick("Generic").await;
            browser.press("Save").await;
            browser.sees("The webhook was not saved.").await;
            check(&world, &axe, theme).await;
            browser.press("PROJECTS").await;
            check(&world, &axe, theme).await;
            browser.open(&format!("/webhooks/{id}")).await;
            browser.press("Delete").await;
            browser.sees("Historical delivery records").await;
            check(&world, &axe, theme).await;
            browser.press("Cancel").await;
            browser.press("Sign out").await;
            browser.is_at("/sign-in").await;
        }
        world.is_quiet().await;
    });
}

fn screens(id: i64, delivery: &str) -> Vec<String> {
    let of_webhook = ["", "/deliveries", "/explain", "/replays", "/changes", "/secret", "/delete"];
    let mut screens: Vec<String> = of_webhook.iter().map(|part| format!("/webhooks/{id}{part}")).collect();
    let others =
        ["/", "/?q=nothing", "/webhooks/new", "/deliveries", "/deliveries?status=pending", "/tokens", "/settings"];
    screens.extend(others.map(str::to_owned));
    screens.extend([
        format!("/deliveries/{delivery}"),
        "/settings/clear".to_owned(),
        "/nonsense".to_owned(),
        "/tokens/1/revoke".to_owned(),
    ]);
    screens
}

/// A webhook with something to show: delivered and failed, with a warning, a filter and a header.
async fn fill(world: &World) -> (i64, String) {
    let admin = world.product.admin();
    world.receiver.script("/in", [Answer::status(200).body("{\"ok\":true}"), Answer::status(410).body("gone")]);
    let mut body = webhooks::generic(&world.receiver.url("/in"));
    (body["headers"], body["filter"]) = (json!({"x-team": "qa"}), json!(["data.result exists"]));
    let id = webhooks::create(&admin, body).await.id;
    for number in [1, 2] {
        world.product.publisher().publish(events::run_completed(1, number)).await.expect("an accepted event");
        world.receiver.wait_for("/in", usize::try_from(number).expect("small"), SOON).await;
    }
    let failed = blackbox::wait::eventually(SOON, "a failed entry", async || {
        history::page(&admin, id, "status=failed").await.first().map(|entry| entry.delivery().to_owned())
    })
    .await;
    (id, failed)
}

/// The checker's own text: `tests/run` has put it there.
fn axe() -> String {
    let program = std::env::current_exe().expect("the path of this program");
    let target = program.ancestors().nth(3).expect("a test program is in target/<profile>/deps");
    let path = target.join("axe-core/axe.min.js");
    std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run tests/run --prepare", path.display()))
}

async fn check(world: &World, axe: &str, theme: &str) {
    let path = world.browser.path().await;
    world.browser.run(axe, json!([])).await;
    let script = "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then((found) => done(
        found.violations.map((one) => ({id: one.id, help: one.help, nodes: one.nodes.map((node) => node.html + ' ' + node.failureSummary)}))
    ), (error) => done([String(error)]))";
    let violations = world.browser.run_async(script, json!([])).await;
    assert_eq!(violations, Value::Array(Vec::new()), "{path} in {theme}: {violations:#}");
}
