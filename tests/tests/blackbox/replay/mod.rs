//! *Replay*: one more attempt of everything that failed in a range of time, counted first and watched to its end.

mod command;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use blackbox::{
    events, history, in_both_modes,
    product::{Mode, Product, Service},
    receiver::{Answer, Receiver},
    rest::Rest,
    wait::eventually,
    webhooks::{self, Webhook},
};
use command::the_command_counts_asks_and_shows_how_it_goes;
use serde_json::{Value, json};

in_both_modes!(
    what_failed_in_the_range_is_tried_once_more,
    a_cancelled_replay_leaves_the_rest_failed,
    a_replay_outlives_a_crash,
    a_replay_waits_while_its_webhook_is_inactive,
    project_administrators_replay_what_they_see,
    the_command_counts_asks_and_shows_how_it_goes,
);

const SOON: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(120);
const QUIET: Duration = Duration::from_secs(2);
const LONG_AGO: &str = "2020-01-01T00:00:00Z";
/// More than are sent at once.
const COUNT: usize = 65;

/// A webhook whose endpoint has refused everything so far.
struct Scene {
    product: Product,
    rest: Rest,
    receiver: Receiver,
    hook: Webhook,
}

impl Scene {
    async fn failed(mode: Mode, count: usize) -> Self {
        let product = Product::start(mode).await;
        let (rest, receiver) = (product.admin(), Receiver::start().await);
        receiver.script("/in", 410);
        let hook = webhooks::create_generic(&rest, &receiver.url("/in")).await;
        let scene = Self { product, rest, receiver, hook };
        scene.fail(count).await;
        scene
    }

    /// Has so many more deliveries fail.
    async fn fail(&self, count: usize) {
        let before = self.receiver.count("/in");
        self.product.publisher().publish_all(&events::many(count), 100, SOON).await;
        self.receiver.wait_for("/in", before + count, SOON).await;
        history::wait_until_settled(&self.rest, self.hook.id, SOON).await;
    }

    fn path(&self) -> String {
        format!("/api/v1/webhooks/{}", self.hook.id)
    }

    async fn post(&self, body: Value) -> blackbox::rest::Answer {
        self.rest.post(&format!("{}/replay", self.path()), body).await
    }

    async fn count(&self, from: &str) -> i64 {
        let counted = self.post(json!({"from": from, "count_only": true})).await.expect(200);
        counted["count"].as_i64().expect("a count")
    }

    /// Starts a replay; its id.
    async fn start(&self, from: &str) -> String {
        let started = self.post(json!({"from": from})).await.expect(202);
        started["id"].as_str().expect("an id").to_owned()
    }

    async fn look(&self, id: &str) -> Value {
        let found = self.rest.get(&format!("{}/replays/{id}", self.path())).await.expect(200);
        let number = |name: &str| found[name].as_i64().unwrap_or_else(|| panic!("no {name} in {found}"));
        assert_eq!(number("queued"), number("delivered") + number("failed") + number("pending"), "{found}");
        assert!(number("queued") <= number("total") && number("pending") >= 0, "{found}");
        found
    }

    /// Looks on until it is over.
    async fn over(&self, id: &str) -> Value {
        let mut ended = 0;
        eventually(LONG, "the replay is over", async || {
            let found = self.look(id).await;
            let now = found["delivered"].as_i64()? + found["failed"].as_i64()?;
            assert!(now >= ended, "it goes back: {found}");
            ended = now;
            (!found["ended_at"].is_null()).then_some(found)
        })
        .await
    }

    /// The attempts that have come for `path`, by delivery, in the order of arrival.
    fn attempts(&self, path: &str) -> BTreeMap<String, Vec<i64>> {
        let mut found: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for request in self.receiver.requests(path) {
            let number = request.expect_header("x-testmo-attempt").parse().expect("a number");
            found.entry(request.expect_header("x-testmo-delivery").to_owned()).or_default().push(number);
        }
        found
    }

    /// Attempts and statuses in history, by delivery, oldest first.
    async fn recorded(&self) -> BTreeMap<String, Vec<(i64, String)>> {
        let mut found: BTreeMap<String, Vec<(i64, String)>> = BTreeMap::new();
        for entry in history::all(&self.rest, self.hook.id).await {
            let recorded = (entry.attempt(), entry.status().to_owned());
            found.entry(entry.delivery().to_owned()).or_default().push(recorded);
        }
        found.values_mut().for_each(|entries| entries.sort());
        found
    }
}

fn recorded(statuses: &[&str]) -> Vec<(i64, String)> {
    (1..).zip(statuses).map(|(number, status)| (number, (*status).to_owned())).collect()
}

async fn what_failed_in_the_range_is_tried_once_more(mode: Mode) {
    let scene = Scene::failed(mode, 5).await;
    let (rest, receiver) = (&scene.rest, &scene.receiver);
    receiver.script("/other", 410);
    webhooks::create_generic(rest, &receiver.url("/other")).await;
    let earlier: BTreeSet<_> = scene.attempts("/in").into_keys().collect();
    scene.fail(COUNT).await;
    let entries = history::all(rest, scene.hook.id).await;
    let later = entries.iter().filter(|entry| !earlier.contains(entry.delivery()));
    let from = later.map(|entry| entry.0["time"].as_str().expect("a time")).min().expect("entries").to_owned();
    assert_eq!((scene.count(LONG_AGO).await, scene.count(&from).await), (70, 65));
    let some = json!({"from": from, "events": ["case.*"], "count_only": true});
    assert_eq!(scene.post(some).await.expect(200)["count"], 0);

    // Mended, and not fast.
    receiver.script("/in", Answer::status(200).delay(Duration::from_millis(500)));
    let id = scene.start(&from).await;
    let second = scene.post(json!({"from": from})).await;
    second.expect_error(409, Some("conflict"), &[]);
    assert!(second.json["message"].as_str().expect("a message").contains(&id), "{}", second.json);
    let over = scene.over(&id).await;
    assert_eq!((&over["state"], &over["total"], &over["delivered"]), (&json!("done"), &json!(65), &json!(65)));
    receiver.stays_at("/in", 5 + 2 * COUNT, QUIET).await;
    for (delivery, attempts) in scene.attempts("/in") {
        assert_eq!(attempts, if earlier.contains(&delivery) { vec![1] } else { vec![1, 2] }, "{delivery}");
    }
    assert_eq!(receiver.count("/other"), COUNT, "another webhook's");
    for (delivery, entries) in scene.recorded().await {
        let replayed = recorded(&["failed", "delivered"]);
        assert_eq!(entries, if earlier.contains(&delivery) { recorded(&["failed"]) } else { replayed }, "{delivery}");
    }

    // Those before; they fail again, and are not tried again by themselves, though this could be temporary.
    receiver.script("/in", 503);
    let id = scene.start(LONG_AGO).await;
    let over = scene.over(&id).await;
    assert_eq!((&over["state"], &over["total"], &over["failed"]), (&json!("done"), &json!(5), &json!(5)));
    receiver.stays_at("/in", 10 + 2 * COUNT, QUIET).await;
    assert_eq!(scene.count(LONG_AGO).await, 5, "they are failed again");
    let listed = rest.get(&format!("{}/replays", scene.path())).await.expect(200);
    let listed: Vec<_> = listed.as_array().expect("a list").iter().map(|replay| &replay["total"]).collect();
    assert_eq!(listed, [5, 65]);
}

async fn a_cancelled_replay_leaves_the_rest_failed(mode: Mode) {
    let scene = Scene::failed(mode, 100).await;
    scene.receiver.script("/in", Answer::status(200).delay(Duration::from_secs(2)));
    let id = scene.start(LONG_AGO).await;
    scene.receiver.wait_for("/in", 105, SOON).await;
    let path = format!("{}/replays/{id}", scene.path());
    let cancelled = scene.rest.delete(&path).await.expect(200);
    assert_eq!(cancelled["state"], "cancelled", "{cancelled}");
    let over = scene.over(&id).await;
    let tried = scene.receiver.count("/in") - 100;
    assert!((5..100).contains(&tried), "{over}");
    assert_eq!((&over["total"], &over["queued"], &over["delivered"]), (&json!(100), &json!(tried), &json!(tried)));
    scene.receiver.stays_at("/in", 100 + tried, QUIET).await;
    let again = scene.rest.delete(&path).await.expect(200);
    assert_eq!(again, over, "cancelling again changes nothing");
    let untried = scene.recorded().await.into_values().filter(|entries| *entries == recorded(&["failed"])).count();
    assert_eq!(untried, 100 - tried);

    // Another one does what is left.
    scene.receiver.script("/in", 200);
    let over = scene.over(&scene.start(LONG_AGO).await).await;
    assert_eq!(
        (&over["state"], &over["total"], &over["delivered"]),
        (&json!("done"), &json!(untried), &json!(untried))
    );
    assert_eq!(scene.receiver.count("/in"), 200);
    assert!(scene.attempts("/in").values().all(|attempts| *attempts == [1, 2]));
}

async fn a_replay_outlives_a_crash(mode: Mode) {
    let mut scene = Scene::failed(mode, 150).await;
    scene.receiver.script("/in", Answer::status(200).delay(Duration::from_millis(300)));
    let id = scene.start(LONG_AGO).await;
    let service = if mode == Mode::Embedded { Service::Standalone } else { Service::History };
    for reached in [160, 220] {
        scene.receiver.wait_for("/in", reached, LONG).await;
        scene.product.kill(service);
        scene.product.resume(service).await;
    }
    let over = scene.over(&id).await;
    assert_eq!((&over["state"], &over["total"], &over["delivered"]), (&json!("done"), &json!(150), &json!(150)));
    let attempts = scene.attempts("/in");
    assert_eq!(attempts.len(), 150);
    for (delivery, attempts) in attempts {
        // Of a crash, what was on the wire may come again: the same attempt, and no other.
        assert!(
            attempts.len() >= 2 && attempts[0] == 1 && attempts[1..].iter().all(|number| *number == 2),
            "{delivery}"
        );
    }
    for (delivery, entries) in scene.recorded().await {
        assert_eq!(entries, recorded(&["failed", "delivered"]), "{delivery}");
    }
}

async fn a_replay_waits_while_its_webhook_is_inactive(mode: Mode) {
    let scene = Scene::failed(mode, 100).await;
    scene.receiver.script("/in", Answer::status(200).delay(Duration::from_secs(1)));
    let id = scene.start(LONG_AGO).await;
    scene.receiver.wait_for("/in", 101, SOON).await;
    webhooks::act(&scene.rest, scene.hook.id, "deactivate").await;
    let count = eventually(SOON, "nothing more comes", async || {
        let count = scene.receiver.count("/in");
        let found = scene.look(&id).await;
        (found["delivered"] == count - 100).then_some(count)
    })
    .await;
    scene.receiver.stays_at("/in", count, QUIET).await;
    assert!(count < 200 && scene.look(&id).await["state"] == "running");
    scene.post(json!({"from": LONG_AGO})).await.expect_error(409, Some("conflict"), &[]);
    webhooks::act(&scene.rest, scene.hook.id, "activate").await;
    assert_eq!(scene.over(&id).await["delivered"], 100);
    assert!(scene.attempts("/in").values().all(|attempts| *attempts == [1, 2]));

    // Deleted, it takes its replay along.
    scene.receiver.script("/in", 410);
    scene.fail(50).await;
    scene.receiver.script("/in", Answer::hang());
    let id = scene.start(LONG_AGO).await;
    scene.receiver.wait_for("/in", 251, SOON).await;
    webhooks::delete(&scene.rest, scene.hook.id).await;
    let over = scene.over(&id).await;
    assert_eq!((&over["state"], &over["reason"]), (&json!("cancelled"), &json!("webhook deleted")));
    scene.post(json!({"from": LONG_AGO})).await.expect_error(409, Some("conflict"), &[]);
}

async fn project_administrators_replay_what_they_see(mode: Mode) {
    let product = Product::start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    receiver.script("/in", 410);
    let mut body = webhooks::generic(&receiver.url("/in"));
    body["projects"] = json!([1, 2]);
    let hook = webhooks::create(&rest, body).await;
    for project in [1, 1, 2, 1] {
        product.publisher().publish(events::run_completed(project, 1)).await.expect("an accepted event");
    }
    receiver.wait_for("/in", 4, SOON).await;
    history::wait_until_settled(&rest, hook.id, SOON).await;
    let path = format!("/api/v1/webhooks/{}", hook.id);
    let token = json!({"name": "of 1", "role": "project_admin", "projects": [1]});
    let token = rest.post("/api/v1/tokens", token).await.expect(201);
    let mut scene = Scene { rest: product.rest(token["token"].as_str()), product, receiver, hook };
    // Not while it is for others as well.
    scene.post(json!({"from": LONG_AGO})).await.expect_error(404, Some("not_found"), &[]);
    assert_eq!(rest.patch(&path, json!({"projects": [1]})).await.status, 200);
    assert_eq!(scene.count(LONG_AGO).await, 3);
    scene.receiver.script("/in", 200);
    let over = scene.over(&scene.start(LONG_AGO).await).await;
    assert_eq!((&over["total"], &over["delivered"], &over["created_by"]), (&json!(3), &json!(3), &json!("of 1")));
    scene.receiver.stays_at("/in", 7, QUIET).await;
    let own = std::mem::replace(&mut scene.rest, rest);
    assert_eq!(scene.count(LONG_AGO).await, 1, "the one of project 2");
    let whole = scene.start(LONG_AGO).await;
    assert_eq!(scene.over(&whole).await["delivered"], 1);
    own.get(&format!("{path}/replays/{whole}")).await.expect_error(404, Some("not_found"), &[]);
}
