//! Why a webhook gets an event or does not: for events that were, for samples and for payloads.

use std::time::Duration;

use blackbox::{
    events, in_both_modes, jwt,
    product::{Mode, Product, Service},
    random,
    receiver::Receiver,
    rest::Rest,
    run_test,
    wait::eventually,
    webhooks,
};
use proto::v1::{Event, PublishRequest, SetPlanRequest};
use serde_json::{Value, json};

in_both_modes!(
    a_past_event_is_explained_to_each_webhook,
    a_plan_without_webhooks_is_named,
    what_nobody_got_is_explained,
    what_is_not_ones_own_does_not_exist,
    samples_and_payloads_are_explained,
    mistakes_are_named,
);

const SOON: Duration = Duration::from_secs(20);
const RULES: [&str; 6] = ["instance", "plan", "active", "event", "project", "filter"];

fn path(webhook: i64) -> String {
    format!("/api/v1/webhooks/{webhook}/explain")
}

/// What comes of an event, in the answer's own words.
async fn explain(rest: &Rest, webhook: i64, event: Value) -> Value {
    checked(rest.post(&path(webhook), event).await.expect(200))
}

/// The same once history has the event.
async fn explain_soon(rest: &Rest, webhook: i64, event_id: &str) -> Value {
    let explained = eventually(SOON, format!("history has the event {event_id}"), async || {
        let answer = rest.post(&path(webhook), json!({"event_id": event_id})).await;
        (answer.status != 404).then_some(answer)
    });
    checked(explained.await.expect(200))
}

/// Every rule is there, in its place and with its reason; and it is delivered if all pass.
fn checked(explained: Value) -> Value {
    let rules = explained["rules"].as_array().expect("rules");
    let names: Vec<_> = rules.iter().map(|rule| rule["rule"].as_str().unwrap_or_default()).collect();
    assert_eq!(names, RULES, "{explained}");
    assert!(rules.iter().all(|rule| rule["reason"].as_str().is_some_and(|reason| !reason.is_empty())), "{explained}");
    assert_eq!(explained["delivers"], json!(rules.iter().all(|rule| rule["passed"] == true)), "{explained}");
    explained
}

/// The rules that stop the event, with their reasons.
fn stops(explained: &Value) -> Vec<(&str, &str)> {
    let rules = explained["rules"].as_array().into_iter().flatten();
    let stopping = rules.filter(|rule| rule["passed"] != true);
    stopping.map(|rule| (rule["rule"].as_str().expect("a name"), rule["reason"].as_str().expect("a reason"))).collect()
}

async fn create(rest: &Rest, url: &str, changes: Value) -> i64 {
    let mut body = webhooks::generic(url);
    for (name, value) in changes.as_object().expect("an object") {
        body[name] = value.clone();
    }
    webhooks::create(rest, body).await.id
}

async fn a_past_event_is_explained_to_each_webhook(mode: Mode) {
    let product = Product::start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    let url = receiver.url("/in");
    let delivered = create(&rest, &url, json!({"filter": ["data.result == failed"], "projects": [1, 2]})).await;
    let filter = json!(["data.result == passed", "event == run.completed", "data.run.milestone_id exists"]);
    let filtered = create(&rest, &receiver.url("/filtered"), json!({"filter": filter})).await;
    let inactive = create(&rest, &receiver.url("/inactive"), json!({"active": false})).await;
    let elsewhere = create(&rest, &receiver.url("/elsewhere"), json!({"projects": [1, 2]})).await;
    let other_type = create(&rest, &receiver.url("/type"), json!({"events": ["run.created", "case.*"]})).await;
    let publisher = product.publisher();
    let id = publisher.publish(events::run_completed(1, 1)).await.expect("an accepted event");
    let of_seven = publisher.publish(events::run_completed(7, 2)).await.expect("an accepted event");
    let request = receiver.wait_for("/in", 1, SOON).await.remove(0);
    let delivery_id = request.expect_header("x-testmo-delivery");

    let explained = eventually(SOON, "the delivery is shown as delivered", async || {
        let explained = explain(&rest, delivered, json!({"event_id": id})).await;
        (explained["delivery"]["status"] == "delivered").then_some(explained)
    })
    .await;
    assert_eq!(stops(&explained), []);
    assert_eq!((&explained["event_id"], &explained["event"]), (&json!(id), &json!("run.completed")));
    assert_eq!((&explained["project"], &explained["delivery"]["id"]), (&json!(1), &json!(delivery_id)));
    assert!(explained["delivery"]["created_at"].is_string(), "{explained}");
    let condition = json!({"condition": "data.result == failed", "passed": true, "found": "failed", "missing": false, "reason": null});
    assert_eq!(explained["rules"][5]["conditions"], json!([condition]));

    let explained = explain_soon(&rest, filtered, &id).await;
    let reason = "2 of 3 conditions do not hold: `data.result == passed`, `data.run.milestone_id exists`";
    assert_eq!((stops(&explained), &explained["delivery"]), (vec![("filter", reason)], &json!(null)));
    let condition = |text: &str, passed: bool, found: Value, missing: bool, reason: Value| json!({"condition": text, "passed": passed, "found": found, "missing": missing, "reason": reason});
    let conditions = json!([
        condition("data.result == passed", false, json!("failed"), false, json!(null)),
        condition("event == run.completed", true, json!("run.completed"), false, json!(null)),
        condition("data.run.milestone_id exists", false, json!(null), true, json!("nothing stands there")),
    ]);
    assert_eq!(explained["rules"][5]["conditions"], conditions);

    for (webhook, event, rule, reason) in [
        (inactive, &id, "active", "the webhook is inactive; events that occur meanwhile are skipped"),
        (elsewhere, &of_seven, "project", "the event is of project 7; the webhook is for projects 1, 2"),
        (other_type, &id, "event", "the event is run.completed; the webhook selects run.created, case.*"),
    ] {
        let explained = explain_soon(&rest, webhook, event).await;
        assert_eq!((stops(&explained), &explained["delivery"]), (vec![(rule, reason)], &json!(null)));
    }
    // It tells of the webhook as it is now, and of the delivery as it was made.
    webhooks::act(&rest, delivered, "deactivate").await;
    webhooks::act(&rest, inactive, "activate").await;
    let explained = explain(&rest, delivered, json!({"event_id": id})).await;
    assert_eq!((stops(&explained)[0].0, &explained["delivery"]["status"]), ("active", &json!("delivered")));
    let explained = explain(&rest, inactive, json!({"event_id": id})).await;
    assert_eq!((stops(&explained), &explained["delivery"]), (vec![], &json!(null)));
}

async fn a_plan_without_webhooks_is_named(mode: Mode) {
    let product = Product::start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    let webhook = create(&rest, &receiver.url("/in"), json!({})).await;
    let event_id = product.publisher().publish(events::run_completed(1, 1)).await.expect("an accepted event");
    receiver.wait_for("/in", 1, SOON).await;
    let request = SetPlanRequest { instance: "default".into(), plan: "starter".into(), version: 1 };
    let core = product.grpc(Some(product.publisher_token()));
    core.instances().set_plan(request).await.expect("Testmo core tells a plan");
    for event in [json!({"event_id": event_id}), json!({"event": "run.completed"})] {
        let explained = explain(&rest, webhook, event).await;
        let expected = [
            ("plan", "the plan of the instance is starter; webhooks need business or enterprise"),
            ("active", "the webhook is inactive since the plan of the instance has lost webhooks (plan_downgraded)"),
        ];
        assert_eq!(stops(&explained), expected);
    }
}

async fn what_nobody_got_is_explained(mode: Mode) {
    let product = Product::start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    let url = receiver.url("/in");
    let paused = create(&rest, &url, json!({"events": ["run.created"], "active": false})).await;
    let filtered = create(&rest, &url, json!({"events": ["milestone.*"], "filter": ["project.id == 3"]})).await;
    let slack = format!("https://{}/chat", receiver.address());
    let slack = create(&rest, &slack, json!({"type": "slack", "allow_insecure": false})).await;
    let publisher = product.publisher();
    let created = publisher.publish(events::run_created(1, 1)).await.expect("an accepted event");
    // Without an id of its own it claims nothing.
    let nameless = publisher.publish(Event { id: String::new(), ..events::run_created(1, 2) }).await;
    let nameless = nameless.expect("an accepted event");
    let milestone = publisher.publish(events::milestone_completed(1, 3)).await.expect("an accepted event");
    let completed = publisher.publish(events::run_completed(1, 4)).await.expect("an accepted event");
    for (event, kind) in [
        (&created, "run.created"),
        (&nameless, "run.created"),
        (&milestone, "milestone.completed"),
        (&completed, "run.completed"),
    ] {
        for (webhook, selects, rule) in [
            (paused, kind == "run.created", "active"),
            (filtered, kind == "milestone.completed", "filter"),
            (slack, kind == "run.completed", ""),
        ] {
            let explained = explain_soon(&rest, webhook, event).await;
            assert_eq!((&explained["event"], &explained["event_id"]), (&json!(kind), &json!(event)));
            let stopping: Vec<_> = stops(&explained).into_iter().map(|(rule, _)| rule).collect();
            match (selects, rule) {
                (true, "") => assert_eq!((stopping, explained["delivery"].is_object()), (vec![], true), "{explained}"),
                (true, rule) => assert_eq!((stopping, &explained["delivery"]), (vec![rule], &json!(null))),
                (false, _) => assert!(stopping.contains(&"event"), "{explained}"),
            }
        }
    }
    assert_eq!(receiver.count("/in"), 0);
    // What nobody selects leaves no trace, though it was matched before what was published after it.
    webhooks::delete(&rest, paused).await;
    let unselected = publisher.publish(events::run_created(1, 5)).await.expect("an accepted event");
    let witness = publisher.publish(events::milestone_completed(1, 6)).await.expect("an accepted event");
    explain_soon(&rest, filtered, &witness).await;
    rest.post(&path(filtered), json!({"event_id": unselected})).await.expect_error(404, Some("not_found"), &[]);
    // The first content of an id wins, be it delivered or not.
    let again = Event { id: milestone.clone(), ..events::milestone_completed(3, 7) };
    publisher.publish(again).await.expect("a repeat is accepted");
    let last = publisher.publish(events::milestone_completed(1, 8)).await.expect("an accepted event");
    explain_soon(&rest, filtered, &last).await;
    let explained = explain(&rest, filtered, json!({"event_id": milestone})).await;
    assert_eq!((&explained["project"], stops(&explained)[0].0), (&json!(1), "filter"));
}

fn claims(instance: &str, role: &str, projects: &[i64]) -> Value {
    let mut claims = json!({"sub": "test", "instance": instance, "role": role, "exp": jwt::in_seconds(3_600)});
    if !projects.is_empty() {
        claims["projects"] = json!(projects);
    }
    claims
}

async fn what_is_not_ones_own_does_not_exist(mode: Mode) {
    let secret = random::hex40();
    let product = Product::prepare(mode).set("auth.jwt_key_file", &jwt::key_file(&secret)).start().await;
    let receiver = Receiver::start().await;
    let with = |claims: Value| product.rest(Some(&jwt::hs256(&secret, &claims)));
    let (own, theirs) = (product.admin(), with(claims("acme", "system_admin", &[])));
    let all = create(&own, &receiver.url("/own"), json!({})).await;
    let of_one = create(&own, &receiver.url("/one"), json!({"projects": [1]})).await;
    let of_theirs = create(&theirs, &receiver.url("/theirs"), json!({})).await;
    let publisher = product.publisher();
    let first = publisher.publish(events::run_completed(1, 1)).await.expect("an accepted event");
    let second = publisher.publish(events::run_completed(2, 2)).await.expect("an accepted event");
    let token = jwt::hs256(&secret, &claims("acme", "publisher", &[]));
    let event = Event { instance: "acme".into(), ..events::run_completed(1, 3) };
    let third = product.grpc(Some(&token)).events().publish(PublishRequest { event: Some(event) }).await;
    let third = third.expect("an accepted event").into_inner().id;
    for (rest, webhook, event) in [(&own, all, &first), (&own, all, &second), (&theirs, of_theirs, &third)] {
        assert_eq!(stops(&explain_soon(rest, webhook, event).await), []);
    }

    let project_admin = with(claims("default", "project_admin", &[1]));
    assert_eq!(stops(&explain(&project_admin, of_one, json!({"event_id": first})).await), []);
    let never = random::uuid().to_string();
    let missing = own.post(&path(all), json!({"event_id": never})).await;
    missing.expect_error(404, Some("not_found"), &[]);
    for (rest, webhook, event) in [(&own, all, &third), (&theirs, of_theirs, &first), (&project_admin, of_one, &second)]
    {
        let hidden = rest.post(&path(webhook), json!({"event_id": event})).await;
        assert_eq!(
            (hidden.status, &hidden.json),
            (404, &missing.json),
            "an event that is hidden and one that never was"
        );
    }
    for (rest, webhook) in [(&project_admin, all), (&theirs, all), (&own, of_theirs)] {
        let hidden = rest.post(&path(webhook), json!({"event": "run.completed"})).await;
        hidden.expect_error(404, Some("not_found"), &[]);
    }
    let member = with(claims("default", "member", &[]));
    member.post(&path(all), json!({"event": "run.completed"})).await.expect_error(403, Some("forbidden"), &[]);
}

async fn samples_and_payloads_are_explained(mode: Mode) {
    let product = Product::start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    let filter = json!(["data.result == failed", "changes.state.to == null"]);
    let changes = json!({"events": ["run.*", "user.mentioned"], "projects": [7], "filter": filter});
    let filtered = create(&rest, &receiver.url("/in"), changes).await;
    let changes = json!({"events": ["run.*", "user.mentioned"], "projects": [7]});
    let webhook = create(&rest, &receiver.url("/in"), changes).await;
    let own = json!({"event": "run.completed", "project": {"id": 7}});
    let foreign = json!({"event": "case.created", "project": {"id": 3}, "instance": "acme", "id": "mine"});
    let failed = json!({
        "event": "run.completed", "project": {"id": 7}, "data": {"result": "failed"},
        "changes": {"state": {"from": 1, "to": null}},
    });
    for (webhook, event, expected) in [
        (webhook, json!({"event": "run.completed"}), vec!["project"]),
        (webhook, json!({"event": "run.completed", "project": 7}), vec![]),
        (webhook, json!({"event": "user.mentioned", "project": 7}), vec![]),
        (webhook, json!({"event": "case.created", "project": 8}), vec!["event", "project"]),
        (webhook, json!({"payload": own}), vec![]),
        (webhook, json!({"payload": foreign}), vec!["instance", "event", "project"]),
        (filtered, json!({"payload": own}), vec!["filter"]),
        (filtered, json!({"payload": failed}), vec![]),
    ] {
        let explained = explain(&rest, webhook, event.clone()).await;
        let stopping: Vec<_> = stops(&explained).into_iter().map(|(rule, _)| rule).collect();
        assert_eq!((stopping, &explained["delivery"]), (expected, &json!(null)), "{event}");
    }
    let explained = explain(&rest, filtered, json!({"payload": failed})).await;
    assert_eq!(explained["event_id"], json!(null));
    let conditions = &explained["rules"][5]["conditions"];
    assert_eq!(
        (&conditions[1]["found"], &conditions[1]["missing"]),
        (&json!(null), &json!(false)),
        "null is something"
    );
    let catalogue = rest.get("/api/v1/webhooks/events").await.expect(200);
    for entry in catalogue.as_array().expect("event types") {
        let mut sample = entry["sample"].clone();
        sample["instance"] = json!("default");
        let pasted = explain(&rest, webhook, json!({"payload": sample})).await;
        let named = explain(&rest, webhook, json!({"event": entry["event"]})).await;
        assert_eq!(pasted, named, "the sample of {}", entry["event"]);
    }
    assert_eq!(receiver.count("/in"), 0, "nothing is sent");
}

async fn mistakes_are_named(mode: Mode) {
    let product = Product::start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    let webhook = create(&rest, &receiver.url("/in"), json!({})).await;
    for (body, fields, fix) in [
        (json!({}), ["event", "event_id", "payload"].as_slice(), "one of event_id, event and payload is required"),
        (
            json!({"event": "run.created", "payload": {}}),
            &["event", "payload"],
            "give one of event_id, event and payload",
        ),
        (json!({"event_id": "x"}), &["event_id"], "must be a UUID"),
        (json!({"event": "run.complete"}), &["event"], "did you mean `run.completed`?"),
        (json!({"event": "run.completed", "project": 0}), &["project"], "must be a project id"),
        (json!({"payload": {}}), &["payload.event", "payload.project.id"], "an event type, such as"),
        (json!({"payload": {"event": "run.completed"}}), &["payload.project.id"], "the id of the event's project"),
        (json!({"payload": []}), &["payload"], "must be an object"),
    ] {
        let answer = rest.post(&path(webhook), body).await;
        answer.expect_error(422, Some("validation_failed"), fields);
        let text = answer.json["errors"][fields[0]][0].as_str().unwrap_or_default();
        assert!(text.contains(fix), "{text}");
    }
    let unknown = json!({"event_id": random::uuid().to_string()});
    let answer = rest.post(&path(webhook), unknown).await;
    answer.expect_error(404, Some("not_found"), &[]);
    rest.post(&path(900_000_001), json!({"event": "run.created"})).await.expect_error(404, Some("not_found"), &[]);
}

#[test]
fn without_history_samples_are_explained_and_past_events_are_not() {
    run_test(async {
        let mut product = Product::start(Mode::Distributed).await;
        let (rest, receiver) = (product.admin(), Receiver::start().await);
        let webhook = create(&rest, &receiver.url("/in"), json!({})).await;
        let event_id = product.publisher().publish(events::run_completed(1, 1)).await.expect("an accepted event");
        explain_soon(&rest, webhook, &event_id).await;
        product.stop(Service::History).await;
        let answer = rest.post(&path(webhook), json!({"event_id": event_id})).await;
        answer.expect_error(503, Some("unavailable"), &[]);
        assert_eq!(stops(&explain(&rest, webhook, json!({"event": "run.completed"})).await), []);
        product.resume(Service::History).await;
        explain_soon(&rest, webhook, &event_id).await;
    });
}
