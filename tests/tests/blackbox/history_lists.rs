//! Lists of history: filters, and cursors that are for their own list.

use std::{ops::Range, time::Duration};

use blackbox::{
    events,
    history::{self, Entry},
    in_both_modes,
    product::{Mode, Product},
    receiver::{Answer, Receiver},
    rest::Rest,
    wait::eventually,
    webhooks,
};
use serde_json::json;

in_both_modes!(entries_are_found_by_status_type_time_and_test, a_cursor_is_for_its_own_list);

const SOON: Duration = Duration::from_secs(30);

/// Whether an entry, by its place in the list of all, is among those asked for.
type Holds<'a> = &'a dyn Fn(usize) -> bool;

struct Scene {
    product: Product,
    rest: Rest,
    receiver: Receiver,
    hook: i64,
}

impl Scene {
    /// A webhook of two types, of whose deliveries two attempts are made.
    async fn new(mode: Mode) -> Self {
        let product = Product::prepare(mode).set("delivery.retry_schedule", r#"["0s"]"#).start().await;
        let (rest, receiver) = (product.admin(), Receiver::start().await);
        let mut body = webhooks::generic(&receiver.url("/hook"));
        body["events"] = json!(["run.created", "run.completed"]);
        let hook = webhooks::create(&rest, body).await.id;
        Self { product, rest, receiver, hook }
    }

    /// Publishes runs in turn created and completed.
    async fn publish(&self, numbers: Range<i64>) {
        let publisher = self.product.publisher();
        for number in numbers {
            let event = if number % 2 == 0 { events::run_created } else { events::run_completed };
            publisher.publish(event(events::PROJECT, number)).await.expect("an accepted event");
        }
    }

    /// All entries, once there are this many and none is pending.
    async fn settled(&self, count: usize) -> Vec<Entry> {
        eventually(SOON, format!("{count} attempts stand in history"), async || {
            let found = history::all(&self.rest, self.hook).await;
            (found.len() == count && found.iter().all(|entry| entry.status() != "pending")).then_some(found)
        })
        .await
    }
}

async fn entries_are_found_by_status_type_time_and_test(mode: Mode) {
    let scene = Scene::new(mode).await;
    scene.publish(1..11).await;
    let newest = scene.settled(10).await.remove(0);
    scene.receiver.script("/hook", Answer::status(500));
    scene.publish(11..21).await;
    scene.settled(30).await;
    for _ in 0..2 {
        drop(scene.rest.act(&format!("/api/v1/webhooks/{}/test", scene.hook)).await.expect(202));
    }
    let everything = scene.settled(32).await;

    let since = everything.iter().position(|entry| entry.id() == newest.id()).expect("it is still there");
    let is = |index: usize, status: &str, event: &str| {
        let entry = &everything[index];
        (status.is_empty() || entry.status() == status) && (event.is_empty() || entry.event_type() == event)
    };
    let test = |index: usize| everything[index].is_test();
    let time = newest.time();
    let cases: [(String, Holds<'_>, usize); 13] = [
        ("status=delivered".into(), &|index| is(index, "delivered", ""), 10),
        ("status=failed".into(), &|index| is(index, "failed", ""), 22),
        ("event=run.created".into(), &|index| is(index, "", "run.created"), 17),
        ("event=run.completed&status=failed".into(), &|index| is(index, "failed", "run.completed"), 10),
        ("event=milestone.created".into(), &|_| false, 0),
        ("test=true".into(), &test, 2),
        ("test=true&event=run.created&status=failed".into(), &test, 2),
        ("test=false".into(), &|index| !test(index), 30),
        ("test=true&status=delivered".into(), &|_| false, 0),
        (format!("to={time}"), &|index| index > since, 9),
        (format!("from={time}"), &|index| index <= since, 23),
        (format!("from={time}&status=delivered"), &|index| index == since, 1),
        ("from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z".into(), &|_| false, 0),
    ];
    for (query, holds, count) in cases {
        let expected: Vec<_> = (0..everything.len()).filter(|index| holds(*index)).collect();
        assert_eq!(expected.len(), count, "{query}");
        let ids: Vec<_> = expected.into_iter().map(|index| everything[index].id()).collect();
        let found = history::filtered(&scene.rest, scene.hook, &query).await;
        assert_eq!(found.iter().map(Entry::id).collect::<Vec<_>>(), ids, "{query}");
        let of_all = scene.rest.get(&format!("/api/v1/webhooks/deliveries?{query}")).await.expect(200);
        assert_eq!(of_all.as_array().map(Vec::len), Some(count), "{query}, of all webhooks");
    }
    let refused = scene.rest.get(&format!("/api/v1/webhooks/{}/deliveries?from={time}&to={time}", scene.hook)).await;
    refused.expect_error(422, Some("validation_failed"), &["to"]);
}

async fn a_cursor_is_for_its_own_list(mode: Mode) {
    let scene = Scene::new(mode).await;
    scene.publish(1..41).await;
    scene.settled(40).await;
    let other = webhooks::create_generic(&scene.rest, &scene.receiver.url("/other")).await.id;
    let list = format!("/api/v1/webhooks/{}/deliveries?event=run.created&per_page=15", scene.hook);
    let first = scene.rest.get(&list).await;
    assert_eq!(first.status, 200, "{}", first.json);
    let cursor = first.json["next_cursor"].as_str().expect("20 are more than a page");
    assert_eq!(scene.rest.get(&format!("{list}&cursor={cursor}")).await.expect(200).as_array().map(Vec::len), Some(5));
    // Any part of it may have been changed.
    let changed: String = cursor.chars().rev().collect();
    let cut = &cursor[..cursor.len() - 1];
    for path in [
        format!("{list}&cursor={changed}"),
        format!("{list}&cursor={cut}"),
        format!("{list}&status=failed&cursor={cursor}"),
        format!("/api/v1/webhooks/{}/deliveries?cursor={cursor}", scene.hook),
        format!("/api/v1/webhooks/{other}/deliveries?event=run.created&cursor={cursor}"),
        format!("/api/v1/webhooks/deliveries?event=run.created&cursor={cursor}"),
    ] {
        scene.rest.get(&path).await.expect_error(400, None, &["cursor"]);
    }
}
