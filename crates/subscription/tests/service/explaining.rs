//! Why a webhook gets an event or does not.

use domain::EventType;
use proto::{
    error::{ApiError, ErrorCode},
    v1::{
        CreateWebhookRequest, DeactivateWebhookRequest, DeleteWebhookRequest, ExplainWebhookRequest,
        ExplainWebhookResponse, SampleEvent, explain_webhook_request::Event,
    },
};
use serde_json::json;

use crate::fixture::{ADMIN, Fixture, MEMBER, PROJECT_ADMIN, PUBLISHER, STRANGER, fields, good, list, with};

fn sample(kind: &str, project_id: i64) -> Event {
    Event::Sample(SampleEvent { r#type: kind.into(), project_id })
}

fn pasted(payload: impl ToString) -> Event {
    Event::PayloadJson(payload.to_string())
}

impl Fixture {
    async fn explain(&self, token: &str, id: i64, event: Option<Event>) -> Result<ExplainWebhookResponse, ApiError> {
        let answer = self.webhooks().explain_webhook(with(token, ExplainWebhookRequest { id, event })).await;
        answer.map(tonic::Response::into_inner).map_err(|status| ApiError::from(&status))
    }

    /// The rules that stop an event on its way to a webhook, with their reasons.
    async fn stops(&self, id: i64, event: Event) -> Vec<(String, String)> {
        let explained = self.explain(ADMIN, id, Some(event)).await.unwrap();
        let rules: Vec<&str> = explained.rules.iter().map(|outcome| outcome.rule.as_str()).collect();
        assert_eq!(rules, ["instance", "plan", "active", "event", "project", "filter"]);
        assert!(explained.rules.iter().all(|outcome| !outcome.reason.is_empty()));
        let stops = explained.rules.into_iter().filter(|outcome| !outcome.passed);
        let stops: Vec<_> = stops.map(|outcome| (outcome.rule, outcome.reason)).collect();
        assert_eq!(explained.delivers, stops.is_empty());
        stops
    }
}

fn stop(rule: &str, reason: &str) -> Vec<(String, String)> {
    vec![(rule.to_owned(), reason.to_owned())]
}

#[tokio::test]
async fn each_rule_answers_for_itself() {
    let fixture = Fixture::start().await;
    let request = CreateWebhookRequest { events: vec!["run.*".into()], projects: list(Some(&[1, 2])), ..good() };
    let id = fixture.create_from(request).await.id;
    assert!(fixture.stops(id, sample("run.completed", 0)).await.is_empty());
    assert_eq!(
        fixture.stops(id, sample("run.completed", 7)).await,
        stop("project", "the event is of project 7; the webhook is for projects 1, 2")
    );
    assert_eq!(
        fixture.stops(id, sample("case.created", 2)).await,
        stop("event", "the event is case.created; the webhook selects run.*")
    );
    let elsewhere = json!({"event": "run.created", "project": {"id": 2}, "instance": "other"});
    assert_eq!(
        fixture.stops(id, pasted(elsewhere)).await,
        stop("instance", "the event is of the instance other; the webhook is of acme")
    );

    let pause = DeactivateWebhookRequest { id, if_version: None };
    fixture.webhooks().deactivate_webhook(with(ADMIN, pause)).await.unwrap();
    let paused = stop("active", "the webhook is inactive; events that occur meanwhile are skipped");
    assert_eq!(fixture.stops(id, sample("run.completed", 0)).await, paused);

    let fallen = fixture.create(None).await.id;
    fixture.set_plan("starter", 1).await;
    let of_plan = stop("plan", "the plan of the instance is starter; webhooks need business or enterprise");
    let downgraded =
        stop("active", "the webhook is inactive since the plan of the instance has lost webhooks (plan_downgraded)");
    let expected = [of_plan, downgraded.clone()].concat();
    assert_eq!(fixture.stops(fallen, sample("run.completed", 0)).await, expected);
    fixture.set_plan("business", 2).await;
    assert_eq!(fixture.stops(fallen, sample("run.completed", 0)).await, downgraded, "the plan alone activates nothing");

    fixture.delete_project(1, 3).await;
    fixture.delete_project(2, 4).await;
    let stopped = fixture.stops(id, sample("run.completed", 1)).await;
    assert_eq!(
        stopped[1..],
        stop(
            "project",
            "the event is of project 1; the webhook is for no project any more, because its last one was deleted"
        )
    );
}

#[tokio::test]
async fn samples_of_all_types_are_the_callers() {
    let fixture = Fixture::start().await;
    let request = CreateWebhookRequest {
        events: vec!["*".into()],
        filter: vec!["instance == acme".into(), "project.id == 1".into(), "is_test == false".into()],
        ..good()
    };
    let id = fixture.create_from(request).await.id;
    let filter = vec!["project.id == 7".into()];
    let of_seven = fixture.create_from(CreateWebhookRequest { events: vec!["*".into()], filter, ..good() }).await.id;
    for event in EventType::ALL {
        assert!(fixture.stops(id, sample(event.name(), 0)).await.is_empty(), "{event}");
        let explained = fixture.explain(ADMIN, of_seven, Some(sample(event.name(), 7))).await.unwrap();
        assert!(explained.delivers, "{event}: {explained:?}");
        assert_eq!((explained.event_type.as_str(), explained.project_id), (event.name(), 7));
        assert_eq!(explained.event_id.len(), 36);
    }
}

#[tokio::test]
async fn conditions_say_what_they_found() {
    let fixture = Fixture::start().await;
    let conditions = [
        "data.result == failed",
        "data.run.milestone_id == null",
        "data.flavour exists",
        "data.log exists",
        "data.counts exists",
    ];
    let filter = conditions.map(ToOwned::to_owned).to_vec();
    let id = fixture.create_from(CreateWebhookRequest { filter, ..good() }).await.id;
    let log = "x".repeat(4 * 1024);
    let data = json!({"result": "passed", "run": {"milestone_id": null}, "log": log, "counts": [1, 2.5]});
    let payload = json!({"event": "run.completed", "project": {"id": 1}, "data": data});
    let explained = fixture.explain(ADMIN, id, Some(pasted(payload))).await.unwrap();
    assert_eq!((explained.event_id.as_str(), explained.delivers), ("", false));
    let rule = &explained.rules[5];
    assert_eq!(rule.reason, "2 of 5 conditions do not hold: `data.result == failed`, `data.flavour exists`");
    let outcomes = rule.conditions.iter().map(|outcome| {
        let found = outcome.found_json.as_deref();
        (outcome.condition.as_str(), outcome.passed, found, outcome.missing, outcome.reason.as_str())
    });
    let too_long = "what stands there has 4098 bytes, more than is shown";
    let expected = [
        (conditions[0], false, Some(r#""passed""#), false, ""),
        (conditions[1], true, Some("null"), false, ""),
        (conditions[2], false, None, true, "nothing stands there"),
        (conditions[3], true, None, false, too_long),
        (conditions[4], true, Some("[1,2.5]"), false, ""),
    ];
    assert_eq!(outcomes.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_payload_may_be_deep_and_hold_anything() {
    let fixture = Fixture::start().await;
    let plain = fixture.create(None).await.id;
    let filter = vec!["event == run.completed".into()];
    let filtered = fixture.create_from(CreateWebhookRequest { filter, ..good() }).await.id;
    let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
    let envelope = r#""id":"e","event":"run.completed","project":{"id":3},"instance":null"#;
    let payload = format!(r#" {{"data":{deep},{envelope},"changes":1e999}}"#);
    let explained = fixture.explain(ADMIN, plain, Some(pasted(&payload))).await.unwrap();
    assert!(explained.delivers, "as it would be: {explained:?}");
    assert_eq!((explained.event_id.as_str(), explained.project_id), ("e", 3));
    let explained = fixture.explain(ADMIN, filtered, Some(pasted(&payload))).await.unwrap();
    let filter = &explained.rules[5];
    assert!(!explained.delivers && filter.reason.starts_with("the payload cannot be read"), "{filter:?}");
    let condition = &filter.conditions[0];
    assert_eq!(
        (condition.passed, &condition.found_json, condition.missing, condition.reason.as_str()),
        (false, &None, false, "the payload cannot be read")
    );
}

#[tokio::test]
async fn mistakes_name_the_member_and_the_fix() {
    let fixture = Fixture::start().await;
    let id = fixture.create(None).await.id;
    let event = "`run.complete` is not an event type (did you mean `run.completed`?)";
    let required = "is required: the id of the event's project, from 1";
    let type_required = "is required: an event type, such as `run.completed`";
    let instance = "must be 1 to 64 characters of a-z, 0-9, - and _";
    let object = "must be a generic payload, a JSON object: ";
    let cases: [(Option<Event>, &[&str], &str); 18] = [
        (None, &["event"], "is required; give payload_json or sample"),
        (Some(pasted("")), &["payload_json"], object),
        (Some(pasted("{")), &["payload_json"], object),
        (Some(pasted("[1,2,3,4]")), &["payload_json"], object),
        (Some(pasted(r#"{"event":"run.created","event":"run.created"}"#)), &["payload_json"], object),
        (Some(pasted("{}")), &["payload.event", "payload.project.id"], type_required),
        (Some(pasted(json!({"event": 1, "project": {"id": 1}}))), &["payload.event"], type_required),
        (Some(pasted(json!({"event": "run.complete", "project": {"id": 1}}))), &["payload.event"], event),
        (Some(pasted(json!({"event": "run.completed", "project": 1}))), &["payload.project.id"], required),
        (Some(pasted(json!({"event": "run.completed", "project": {"id": 0}}))), &["payload.project.id"], required),
        (Some(pasted(json!({"event": "run.completed", "project": {"id": "1"}}))), &["payload.project.id"], required),
        (
            Some(pasted(json!({"event": "run.completed", "project": {"id": 1}, "instance": "No Name"}))),
            &["payload.instance"],
            instance,
        ),
        (
            Some(pasted(json!({"event": "run.completed", "project": {"id": 1}, "instance": 7}))),
            &["payload.instance"],
            instance,
        ),
        (Some(sample("", 0)), &["sample.type"], type_required),
        (Some(sample("run.complete", 0)), &["sample.type"], event),
        (Some(sample("run.*", 0)), &["sample.type"], "`run.*` is not an event type"),
        (Some(sample("run.completed", -1)), &["sample.project_id"], "must be a project id from 1"),
        (Some(sample("run", -1)), &["sample.project_id", "sample.type"], "must be a project id from 1"),
    ];
    for (event, named, text) in cases {
        let shown = format!("{event:?}");
        let mistake = fixture.explain(ADMIN, id, event).await.unwrap_err();
        assert_eq!((mistake.code, fields(&mistake).as_slice()), (ErrorCode::Validation, named), "{shown}");
        assert!(mistake.fields[0].1.starts_with(text), "{shown}: {mistake:?}");
    }
}

#[tokio::test]
async fn it_is_explained_to_whoever_may_read_the_webhook() {
    let fixture = Fixture::start().await;
    let of_all = fixture.create(None).await.id;
    let own = fixture.create(Some(&[1, 2])).await.id;
    let deleted = fixture.create(Some(&[1])).await.id;
    fixture
        .webhooks()
        .delete_webhook(with(ADMIN, DeleteWebhookRequest { id: deleted, if_version: None }))
        .await
        .unwrap();
    fixture.set_plan("starter", 1).await;
    for (token, id, expected) in [
        (ADMIN, of_all, None),
        (ADMIN, own, None),
        (PROJECT_ADMIN, own, None),
        (PROJECT_ADMIN, of_all, Some(ErrorCode::NotFound)),
        (PROJECT_ADMIN, 99, Some(ErrorCode::NotFound)),
        (ADMIN, deleted, Some(ErrorCode::NotFound)),
        (STRANGER, own, Some(ErrorCode::NotFound)),
        (MEMBER, own, Some(ErrorCode::Forbidden)),
        (PUBLISHER, own, Some(ErrorCode::Forbidden)),
        ("nobody", own, Some(ErrorCode::Unauthenticated)),
    ] {
        // What does not exist for the caller is not complained about.
        for event in [Some(sample("run.completed", 9)), None] {
            let is_mistake = event.is_none();
            let found = fixture.explain(token, id, event).await.map(drop).map_err(|error| error.code);
            match expected {
                Some(code) => assert_eq!(found, Err(code), "{token} {id}"),
                None if is_mistake => assert_eq!(found, Err(ErrorCode::Validation), "{token} {id}"),
                None => assert_eq!(found, Ok(()), "{token} {id}"),
            }
        }
    }
    let before = fixture.get(own).await;
    fixture.explain(ADMIN, own, Some(sample("run.completed", 1))).await.unwrap();
    assert_eq!(fixture.get(own).await, before);
}
