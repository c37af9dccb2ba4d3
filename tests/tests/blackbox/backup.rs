//! A backup that is restored on an empty machine: everything is there, and deliveries go on.

use std::time::Duration;

use blackbox::{
    events,
    history::{self, Entry},
    in_both_modes,
    product::{Mode, Preparation, Product},
    receiver::{Answer, Received, Receiver, Script},
    rest::Rest,
    signature,
    wait::eventually,
    webhooks::{self, Webhook},
};

in_both_modes!(what_is_restored_elsewhere_goes_on);

const SOON: Duration = Duration::from_secs(30);
/// History looks for deliveries whose message is gone once a minute, and waits for a second look.
const SWEPT: Duration = Duration::from_secs(240);
const PATHS: [&str; 3] = ["/healthy", "/paused", "/waiting"];

fn prepare(mode: Mode) -> Preparation {
    Product::prepare(mode).set("delivery.retry_schedule", r#"["30s"]"#)
}

/// All that history has, with bodies.
async fn exported(rest: &Rest) -> Vec<u8> {
    let answer = rest.get("/api/v1/webhooks/deliveries/export?format=ndjson").await;
    assert_eq!(answer.status, 200, "answered: {}", answer.json);
    answer.bytes.to_vec()
}

fn last(receiver: &Receiver, path: &str) -> std::sync::Arc<Received> {
    receiver.requests(path).pop().expect("it came")
}

async fn what_is_restored_elsewhere_goes_on(mode: Mode) {
    let receiver = Receiver::start().await;
    for path in &PATHS[1..] {
        receiver.script(path, Script::by_attempt(vec![Answer::status(500), Answer::status(200)]));
    }
    let mut product = prepare(mode).start().await;
    let rest = product.admin();
    let mut hooks: Vec<Webhook> = Vec::new();
    for path in PATHS {
        hooks.push(webhooks::create_generic(&rest, &receiver.url(path)).await);
    }
    product.publisher().publish(events::run_completed(1, 1)).await.expect("an accepted event");
    for path in PATHS {
        receiver.wait_for(path, 1, SOON).await;
    }
    webhooks::act(&rest, hooks[1].id, "deactivate").await;
    // Three attempts, of which two failed and wait for their next.
    eventually(SOON, "the attempts are on record", async || {
        let entries = history::all_of_instance(&rest).await;
        (entries.len() == 5 && entries.iter().filter(|entry| entry.status() == "pending").count() == 2).then_some(())
    })
    .await;
    let before = exported(&rest).await;
    let backup = product.back_up().await;
    // The machine is lost with all that it had, the broker's messages too.
    product.kill_all();
    drop(product);

    let product = prepare(mode).restored(&backup).start().await;
    let rest = product.rest(Some(&backup.admin_token));
    assert!(exported(&rest).await == before, "history is the same, bodies and what waits included");
    if let Some(database) = product.database() {
        // Overdue for so long that their messages must be gone.
        database.run("UPDATE history.pending SET due_at = due_at - 1800000000").await;
    }
    webhooks::act(&rest, hooks[1].id, "activate").await;
    product.publisher().publish(events::run_completed(1, 2)).await.expect("an accepted event");
    receiver.wait_for("/healthy", 2, SOON).await;
    for (path, hook) in PATHS.into_iter().zip(&hooks) {
        history::wait_until_settled(&rest, hook.id, SWEPT).await;
        let entries = history::by_event(history::all(&rest, hook.id).await);
        assert_eq!(entries.len(), 2, "{path}: {entries:?}");
        for entries in entries.values() {
            assert_eq!(entries.first().map(Entry::status), Some("delivered"), "{path}: {entries:?}");
        }
        signature::verify(&last(&receiver, path), &hook.secret);
    }
}
