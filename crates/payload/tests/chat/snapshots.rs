//! Every sample for every target, and what a test message and a few other endings look like.

use domain::{EventType, WebhookKind};
use payload::{render, sample};
use proto::v1::{Change, Event, JobResult, RunResult, event::Data};
use serde_json::Value;

use crate::{TARGETS, rendered};

fn pretty(message: &Value) -> String {
    serde_json::to_string_pretty(message).unwrap()
}

#[test]
fn messages_of_the_samples() {
    for target in TARGETS {
        for kind in EventType::ALL {
            insta::assert_snapshot!(format!("{target}-{kind}"), pretty(&rendered(&sample(*kind), target)));
        }
    }
}

#[test]
fn test_messages_are_labelled() {
    for target in TARGETS {
        let body = render(&sample(EventType::SessionClosed), target, true).unwrap();
        let message: Value = serde_json::from_slice(&body).unwrap();
        insta::assert_snapshot!(format!("{target}-test"), pretty(&message));
        assert!(message.to_string().contains("Test ·") || message.to_string().contains("*Test*"));
        assert!(!rendered(&sample(EventType::SessionClosed), target).to_string().contains("🧪"));
    }
}

/// The line that says what happened, as Discord gets it.
fn title(event: &Event) -> String {
    rendered(event, WebhookKind::Discord)["embeds"][0]["title"].as_str().unwrap().to_owned()
}

#[test]
fn other_endings_have_other_titles() {
    let with = |kind: EventType, alter: &dyn Fn(&mut Event)| {
        let mut event = sample(kind);
        alter(&mut event);
        title(&event)
    };
    let passed = with(EventType::RunCompleted, &|event| {
        let Some(Data::RunCompleted(data)) = &mut event.data else { panic!() };
        data.result = RunResult::Passed.into();
    });
    assert_eq!(passed, "✅ Test run passed · Checkout regression");
    let failed = with(EventType::JobCompleted, &|event| {
        let Some(Data::JobCompleted(data)) = &mut event.data else { panic!() };
        data.result = JobResult::Failure.into();
    });
    assert_eq!(failed, "❌ CI job failed · Deploy and smoke test");
    let late = with(EventType::MilestoneCompleted, &|event| {
        let Some(Data::MilestoneCompleted(data)) = &mut event.data else { panic!() };
        data.milestone.as_mut().unwrap().due_date = Some("2026-03-08".into());
    });
    assert_eq!(late, "🏁 Milestone completed 1 day late · Release 4.2");
}

#[test]
fn due_dates_tell_which_way_they_moved() {
    let cases = [
        (r#""2026-03-31""#, r#""2026-04-14""#, "Due date moved 14 days later"),
        (r#""2026-04-15""#, r#""2026-04-14""#, "Due date moved 1 day earlier"),
        (r#""2026-04-15""#, "null", "Due date removed"),
        ("", r#""2026-04-14""#, "Due date set"),
        (r#""2026-04-14""#, r#""2026-04-14""#, "Due date changed"),
        (r#""soon""#, r#""later""#, "Due date changed"),
    ];
    for (from, to, expected) in cases {
        let changes = vec![Change { field: "due_date".into(), from_json: from.into(), to_json: to.into() }];
        let title = title(&Event { changes, ..sample(EventType::MilestoneDueDateChanged) });
        assert_eq!(title, format!("📅 {expected} · Release 4.2"));
    }
}
