//! Which webhook gets which event.

use std::{collections::BTreeMap, time::Duration};

use blackbox::{
    events, in_both_modes,
    product::{Mode, Product},
    receiver::Receiver,
    webhooks,
};
use serde_json::json;

in_both_modes!(type_project_and_activity_decide, a_saved_change_holds_for_the_next_event);

const SOON: Duration = Duration::from_secs(20);

async fn type_project_and_activity_decide(mode: Mode) {
    let product = Product::start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    let runs = ["run.created", "run.completed"];
    let all = ["run.created", "run.completed", "milestone.completed"];
    let wanted: [(&str, &[&str], serde_json::Value, usize); 7] = [
        ("/created", &["run.created"], json!(null), 1),
        ("/runs-of-1", &runs, json!([1]), 2),
        ("/runs-of-2", &runs, json!([2]), 1),
        ("/runs-of-both", &runs, json!([1, 2]), 3),
        ("/of-3", &all, json!([3]), 0),
        ("/system", &all, json!(null), 4),
        ("/inactive", &all, json!(null), 0),
    ];
    for (path, events, projects, _) in &wanted {
        let mut body = webhooks::generic(&receiver.url(path));
        body["events"] = json!(events);
        body["projects"] = projects.clone();
        let hook = webhooks::create(&rest, body).await;
        if *path == "/inactive" {
            assert_eq!(webhooks::act(&rest, hook.id, "deactivate").await["active"], false);
        }
    }
    let published = [
        events::run_created(1, 1),
        events::run_completed(1, 1),
        events::run_completed(2, 2),
        events::milestone_completed(2, 5),
    ];
    product.publisher().publish_all(&published, 10, SOON).await;
    for (path, _, _, count) in &wanted {
        receiver.wait_for(path, *count, SOON).await;
    }
    receiver.stays_at("/inactive", 0, Duration::from_secs(1)).await;
    let counts: BTreeMap<_, _> = wanted.iter().map(|(path, ..)| (*path, receiver.count(path))).collect();
    assert_eq!(counts, wanted.iter().map(|(path, _, _, count)| (*path, *count)).collect());
    assert_eq!(receiver.requests("/created")[0].expect_header("x-testmo-event"), "run.created");
}

async fn a_saved_change_holds_for_the_next_event(mode: Mode) {
    let product = Product::start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    let publisher = product.publisher();
    // It gets every event: what has arrived there was matched for the others, too.
    webhooks::create_generic(&rest, &receiver.url("/witness")).await;
    // Each round, an event right after the answer to a change; and the next change when the event was matched.
    for round in 1..=5_i64 {
        let path = format!("/{round}");
        let seen = |count| {
            let so_far = usize::try_from(4 * (round - 1)).expect("a small number");
            receiver.wait_for("/witness", so_far + count, SOON)
        };
        let hook = webhooks::create_generic(&rest, &receiver.url(&path)).await;
        publisher.publish(events::run_completed(1, round)).await.expect("an accepted event");
        receiver.wait_for(&path, 1, SOON).await;
        webhooks::act(&rest, hook.id, "deactivate").await;
        publisher.publish(events::run_completed(1, 100 + round)).await.expect("an accepted event");
        seen(2).await;
        webhooks::act(&rest, hook.id, "activate").await;
        publisher.publish(events::run_completed(1, 200 + round)).await.expect("an accepted event");
        receiver.wait_for(&path, 2, SOON).await;
        webhooks::delete(&rest, hook.id).await;
        publisher.publish(events::run_completed(1, 300 + round)).await.expect("an accepted event");
        seen(4).await;
    }
    receiver.stays_at("/5", 2, Duration::from_secs(1)).await;
    for round in 1..=5_i64 {
        let requests = receiver.requests(&format!("/{round}"));
        let runs: Vec<_> = requests.iter().map(|request| request.json()["data"]["run"]["id"].as_i64()).collect();
        assert_eq!(runs, [Some(round), Some(200 + round)]);
    }
}
