//! Why a webhook gets an event or does not: what is asked of the services, and what is made of their answers.

use proto::v1::{
    ExplainWebhookRequest, GetDeliveryRequest, GetEventRequest, SampleEvent, explain_webhook_request::Event,
};
use serde_json::{Value, json};

use crate::{
    fake::{BROKEN_EVENT, EVENT},
    support::Api,
};

const PATH: &str = "/webhooks/7/explain";

fn explain(event: Event) -> String {
    format!("{:?}", ExplainWebhookRequest { id: 7, event: Some(event) })
}

fn explanation(delivery: Value) -> Value {
    let condition = |condition: &str, found: Value, missing: bool, reason: Value| json!({"condition": condition, "passed": false, "found": found, "missing": missing, "reason": reason});
    let conditions = [
        condition("a == 1", json!({"b": 1.10, "a": null}), false, json!(null)),
        condition("b == 1", json!(null), false, json!(null)),
        condition("c == 1", json!(null), true, json!("nothing stands there")),
        condition("d == 1", json!(1), false, json!(null)),
    ];
    json!({"result": {
        "event_id": EVENT, "event": "run.completed", "project": 3, "delivers": false,
        "rules": [
            {"rule": "instance", "passed": true, "reason": "why instance", "conditions": []},
            {"rule": "filter", "passed": false, "reason": "why filter", "conditions": conditions},
        ],
        "delivery": delivery,
    }})
}

#[tokio::test]
async fn an_event_in_history_is_explained_with_its_delivery() {
    let api = Api::new();
    let answer = api.post(PATH, &json!({"event_id": EVENT.to_uppercase()})).await.ok(200);
    let delivery_id = domain::delivery_id(EVENT.parse().unwrap(), 7).to_string();
    let delivery = json!({"id": delivery_id, "status": "pending", "created_at": "2027-01-15T08:00:00Z"});
    assert_eq!(answer.json, explanation(delivery));
    assert!(answer.text.contains(r#"{"b":1.10,"a":null}"#), "as it was found: {}", answer.text);
    let asked = [
        format!("{:?}", GetEventRequest { event_id: EVENT.into() }),
        explain(Event::PayloadJson(r#"{"a":1.10}"#.into())),
        format!("{:?}", GetDeliveryRequest { delivery_id }),
    ];
    assert_eq!(api.fake.calls(), asked);

    let none = api.post("/webhooks/9/explain", &json!({"event_id": EVENT})).await.ok(200);
    assert_eq!(none.json, explanation(json!(null)), "no delivery was made to this one");
    api.fake.calls();
    let unknown = "5f0c1c5e-8a4b-4d5e-9c3a-000000000000";
    api.post(PATH, &json!({"event_id": unknown})).await.refused(404, "not_found", &[]);
    assert_eq!(api.fake.calls().len(), 1, "nobody is asked about an event that there is not");
}

#[tokio::test]
async fn samples_and_payloads_are_handed_on() {
    let api = Api::new();
    let sample = |project_id| Event::Sample(SampleEvent { r#type: "run.created".into(), project_id });
    // Numbers keep their digits and members their order.
    let text = r#"{ "payload" : {"z": 1.10,"a":[1e2, "\u00e9"], "project":{"id":7}} }"#;
    let pasted = r#"{"z": 1.10,"a":[1e2, "\u00e9"], "project":{"id":7}}"#;
    for (body, expected) in [
        (r#"{"event":"run.created"}"#, sample(0)),
        (r#"{"project":7,"event":"run.created"}"#, sample(7)),
        (text, Event::PayloadJson(pasted.into())),
    ] {
        let answer = api.send("admin", "POST", PATH, Some(body)).await.ok(200);
        assert_eq!(answer.json, explanation(json!(null)));
        assert_eq!(api.fake.calls(), [explain(expected)], "history is not asked");
    }
    let anonymous = api.post("/webhooks/8/explain", &json!({"event": "run.created"})).await.ok(200);
    assert_eq!(anonymous.json["result"]["event_id"], json!(null));
}

#[tokio::test]
async fn one_event_is_named_and_rightly() {
    let api = Api::new();
    let all = ["event", "event_id", "payload"];
    let required = "one of event_id, event and payload is required";
    let only = "give one of event_id, event and payload only";
    let list = "; GET /api/v1/webhooks/events lists them";
    let meant = format!("`run.complete` is not an event type (did you mean `run.completed`?){list}");
    let cases: [(Value, &[&str], &str); 18] = [
        (json!({}), &all, required),
        (json!({"event_id": EVENT, "event": "run.created"}), &["event", "event_id"], only),
        (json!({"event": "run.created", "payload": {}}), &["event", "payload"], only),
        (json!({"event_id": EVENT, "event": "run.created", "payload": {}}), &all, only),
        (json!({"project": 7}), &["event", "event_id", "payload", "project"], required),
        (json!({"event_id": EVENT, "project": 7}), &["project"], "goes with event only"),
        (json!({"payload": {}, "project": 7}), &["project"], "goes with event only"),
        (json!({"event": "run.complete"}), &["event"], &meant),
        (json!({"event": "*"}), &["event"], "`*` is not an event type"),
        (json!({"event": 1}), &["event"], "must be a string"),
        (json!({"event": null}), &["event"], "must be a string"),
        (json!({"event": "run.created", "project": 0}), &["project"], "must be a project id, an integer from 1"),
        (json!({"event": "run.created", "project": "7"}), &["project"], "must be a project id, an integer from 1"),
        (json!({"event_id": "x"}), &["event_id"], "must be a UUID, such as"),
        (json!({"event_id": 7}), &["event_id"], "must be a UUID, such as"),
        (json!({"payload": "{}"}), &["payload"], "must be an object"),
        (json!({"payload": null}), &["payload"], "must be an object"),
        (
            json!({"event": "run.created", "colour": 1}),
            &["colour"],
            "unknown field; known are event_id, event, project, payload",
        ),
    ];
    for (body, fields, complaint) in cases {
        let answer = api.post(PATH, &body).await.refused(422, "validation_failed", fields);
        let text = answer.json["errors"][fields[0]][0].as_str().unwrap();
        assert!(text.starts_with(complaint), "{body}: {text}");
    }
    let twice = r#"{"payload":{"a":1},"payload":{"a":2}}"#;
    api.send("admin", "POST", PATH, Some(twice)).await.refused(422, "validation_failed", &["payload"]);
    assert!(api.fake.calls().is_empty());
}

#[tokio::test]
async fn while_a_service_is_away_nothing_is_made_up() {
    let api = Api::new();
    let body = json!({"event_id": EVENT}).to_string();
    api.send("later-down", "POST", PATH, Some(&body)).await.refused(503, "unavailable", &[]);
    let broken = json!({"event_id": BROKEN_EVENT});
    Api::new().post(PATH, &broken).await.refused(500, "internal", &[]);
    api.post("/webhooks/13/explain", &json!({"event": "run.created"})).await.refused(500, "internal", &[]);
}
