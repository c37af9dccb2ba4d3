//! Replays: what is asked of history, and what is made of its answers.

use serde_json::{Value, json};

use crate::{answers::with, fake::REPLAY, support::Api};

const PATH: &str = "/webhooks/7/replay";
const NONE: &str = "0190a8f2-5b7e-7c1d-9a3e-000000000000";

fn one() -> String {
    format!("/webhooks/7/replays/{REPLAY}")
}

fn replay(changes: Value) -> Value {
    let running = json!({
        "id": REPLAY, "webhook_id": 7, "from": "2027-01-15T08:00:00Z", "to": "2027-01-15T09:00:00Z", "events": [],
        "state": "running", "reason": null, "total": 10, "queued": 8, "delivered": 4, "failed": 1, "pending": 3,
        "created_at": "2027-01-15T10:00:00Z", "created_by": "deploy", "ended_at": null,
    });
    json!({"result": with(running, changes)})
}

#[tokio::test]
async fn a_replay_is_counted_or_started_as_asked() {
    let api = Api::new();
    let (from, to) = ("2027-01-15T08:00:00Z", "2027-01-15T08:00:00.5Z");
    let asked = |to: &str, events: &str| {
        let from = "Some(Timestamp { seconds: 1800000000, nanos: 0 })";
        format!("{{ selection: Some(ReplaySelection {{ webhook_id: 7, from: {from}, to: {to}, events: {events} }}) }}")
    };
    for (body, expected) in [
        (json!({"from": from}), asked("None", "[]")),
        (json!({"from": from, "to": null, "count_only": false}), asked("None", "[]")),
        (
            json!({"from": from, "to": to, "events": ["run.*", "case.created"]}),
            asked("Some(Timestamp { seconds: 1800000000, nanos: 500000000 })", r#"["run.*", "case.created"]"#),
        ),
    ] {
        let answer = api.post(PATH, &body).await.ok(202);
        let to = body["to"].as_str().unwrap_or("2027-01-15T09:00:00Z");
        let events = body.get("events").cloned().unwrap_or_else(|| json!([]));
        assert_eq!(answer.json, replay(json!({"to": to, "events": events})));
        assert_eq!(api.fake.calls(), [format!("StartReplayRequest {expected}")]);
    }

    let counted = api.post(PATH, &json!({"from": from, "to": to, "count_only": true})).await.ok(200);
    let mut expected = json!({
        "webhook_id": 7, "from": from, "to": to, "events": [], "count": 5, "oldest": from,
        "newest": "2027-01-15T08:00:01Z",
    });
    assert_eq!(counted.json["result"], expected);
    assert!(api.fake.calls()[0].starts_with("CountReplayRequest"));
    let nothing = json!({"from": from, "to": to, "events": ["case.*"], "count_only": true});
    let nothing = api.post(PATH, &nothing).await.ok(200);
    expected = with(expected, json!({"events": ["case.*"], "count": 0, "oldest": null, "newest": null}));
    assert_eq!(nothing.json["result"], expected);
}

#[tokio::test]
async fn replays_are_listed_read_and_cancelled() {
    let api = Api::new();
    let done = json!({"state": "done", "ended_at": "2027-01-15T10:01:00Z"});
    let listed = api.get("/webhooks/7/replays?per_page=15&page=2").await.ok(200).json;
    assert_eq!((&listed["total"], &listed["next_page"]), (&json!(40), &json!(3)));
    assert_eq!(listed["result"][0], replay(done)["result"]);
    assert_eq!(
        api.get(&one().to_uppercase().replace("/WEBHOOKS/7/REPLAYS", "/webhooks/7/replays")).await.ok(200).json,
        replay(json!({}))
    );
    let cancelled = api.send("admin", "DELETE", &one(), None).await.ok(200);
    let changes = json!({"state": "cancelled", "reason": "cancelled by deploy", "ended_at": "2027-01-15T10:01:00Z"});
    assert_eq!(cancelled.json, replay(changes));
    let expected = ["ListReplaysRequest { webhook_id: 7, page: 2, per_page: 15 }".to_owned()]
        .into_iter()
        .chain(["Get", "Cancel"].map(|what| format!("{what}ReplayRequest {{ webhook_id: 7, replay_id: {REPLAY:?} }}")));
    assert_eq!(api.fake.calls(), expected.collect::<Vec<_>>());
    for (method, path) in [
        ("GET", format!("/webhooks/7/replays/{NONE}")),
        ("DELETE", format!("/webhooks/7/replays/{NONE}")),
        ("GET", "/webhooks/7/replays/none".to_owned()),
        ("GET", format!("/webhooks/none/replays/{REPLAY}")),
        ("GET", format!("/webhooks/41/replays/{REPLAY}")),
        ("GET", "/webhooks/41/replays".to_owned()),
    ] {
        api.send("admin", method, &path, None).await.refused(404, "not_found", &[]);
    }
    let from = r#"{"from":"2027-01-15T08:00:00Z"}"#;
    api.send("later-conflict", "POST", PATH, Some(from)).await.refused(409, "conflict", &[]);
}

#[tokio::test]
async fn mistakes_are_named_all_at_once() {
    let api = Api::new();
    let from = "2027-01-15T08:00:00Z";
    for (body, fields) in [
        (json!({}), &["from"][..]),
        (json!({"from": null}), &["from"]),
        (json!({"from": "yesterday"}), &["from"]),
        (json!({"from": 1_800_000_000}), &["from"]),
        (json!({"from": from, "to": "tomorrow"}), &["to"]),
        (json!({"from": from, "events": []}), &["events"]),
        (json!({"from": from, "events": null}), &["events"]),
        (json!({"from": from, "events": "run.*"}), &["events"]),
        (json!({"from": from, "events": [1]}), &["events"]),
        (json!({"from": from, "count_only": 1}), &["count_only"]),
        (json!({"from": from, "until": from}), &["until"]),
        (json!({"to": 1, "events": [], "count_only": "yes", "x": 1}), &["count_only", "events", "from", "to", "x"]),
    ] {
        api.post(PATH, &body).await.refused(422, "validation_failed", fields);
    }
    assert!(api.fake.calls().is_empty());
}
