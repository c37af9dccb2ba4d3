//! Filters and wildcards: what is saved, what is refused, and what each lets through.

use std::{collections::BTreeMap, time::Duration};

use blackbox::{
    events, in_both_modes,
    product::{Mode, Product},
    receiver::Receiver,
    webhooks,
};
use proto::v1::{Change, Event, Milestone, MilestoneDueDateChanged, event::Data};
use serde_json::json;

in_both_modes!(
    a_filter_lets_through_what_all_its_conditions_hold_for,
    wildcards_stand_for_their_events,
    slips_are_told
);

const SOON: Duration = Duration::from_secs(20);

/// Events of all payloads that the table is about, by name.
fn payloads() -> [(&'static str, Event); 5] {
    let mut passed = events::run_completed(1, 1);
    if let Some(Data::RunCompleted(data)) = &mut passed.data {
        data.result = proto::v1::RunResult::Passed.into();
        if let Some(run) = &mut data.run {
            (run.failure_count, run.name) = (Some(0), "Smoke \"nightly\" \u{1f680}".to_owned());
        }
    }
    let mut extra = events::run_completed(2, 3);
    extra.extra_json = json!({"build": {"branch": "main", "tags": ["a", 7, null]}, "flaky": 0.25}).to_string();
    let milestone = Milestone { id: 9, name: "Beta".to_owned(), ..Milestone::default() };
    let cleared = MilestoneDueDateChanged { milestone: Some(milestone) };
    let mut due = events::event(1, Data::MilestoneDueDateChanged(cleared));
    due.user = None;
    let change = Change { field: "due_date".into(), from_json: "\"2026-12-01\"".into(), to_json: String::new() };
    due.changes = vec![change];
    [
        ("passed", passed),
        ("failed", events::run_completed(1, 2)),
        ("extra", extra),
        ("created", events::run_created(2, 4)),
        ("due", due),
    ]
}

/// Conditions, and the payloads that all of them hold for.
const TABLE: [(&[&str], &[&str]); 24] = [
    (&[], &["passed", "failed", "extra", "created", "due"]),
    (&["data.result == failed"], &["failed", "extra"]),
    (&["data.result != failed"], &["passed"]),
    (&["data.result not exists"], &["created", "due"]),
    (&["data.result in [passed, failed]", "project.id == 1"], &["passed", "failed"]),
    (&["event starts_with run."], &["passed", "failed", "extra", "created"]),
    (&["event not starts_with run."], &["due"]),
    (&["data.run.failure_count > 0"], &["failed", "extra", "created"]),
    (&["data.run.failure_count < 1"], &["passed"]),
    (&["data.run.name contains \"nightly\""], &["passed"]),
    (&["data.run.name contains \u{1f680}"], &["passed"]),
    (&["data.run.name == \"Smoke \\\"nightly\\\" \u{1f680}\""], &["passed"]),
    (&["user == null"], &["due"]),
    (&["user.name == Ada Lovelace"], &["passed", "failed", "extra", "created"]),
    (&["changes.due_date.to == null"], &["due"]),
    (&["changes.due_date.from >= 2026-06-01"], &["due"]),
    (&["data.build.branch == main"], &["extra"]),
    (&["data.build.tags contains 7", "data.flaky >= 0.25"], &["extra"]),
    (&["data.build.tags.2 == null"], &["extra"]),
    // What is missing: false, whatever is asked, but `not exists`.
    (&["data.nothing == 1"], &[]),
    (&["data.nothing != 1"], &[]),
    (&["data.nothing.at.all not contains x"], &[]),
    (&["nothing not in [1]"], &[]),
    (&["data.nothing not exists", "is_test == false"], &["passed", "failed", "extra", "created", "due"]),
];

async fn a_filter_lets_through_what_all_its_conditions_hold_for(mode: Mode) {
    let product = Product::start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    for (row, (filter, _)) in TABLE.iter().enumerate() {
        let mut body = webhooks::generic(&receiver.url(&format!("/{row}")));
        (body["events"], body["filter"]) = (json!(["*"]), json!(filter));
        webhooks::create(&rest, body).await;
    }
    let payloads = payloads();
    let names: BTreeMap<_, _> = payloads.iter().map(|(name, event)| (event.id.clone(), *name)).collect();
    let published: Vec<_> = payloads.into_iter().map(|(_, event)| event).collect();
    product.publisher().publish_all(&published, 10, SOON).await;
    for (row, (_, wanted)) in TABLE.iter().enumerate() {
        receiver.wait_for(&format!("/{row}"), wanted.len(), SOON).await;
    }
    // The first lets everything through, so all were matched; what a filter lets through wrongly would come with it.
    receiver.stays_at("/0", names.len(), Duration::from_secs(1)).await;
    for (row, (filter, wanted)) in TABLE.iter().enumerate() {
        let requests = receiver.requests(&format!("/{row}"));
        let mut came: Vec<_> = requests.iter().map(|request| names[request.json()["id"].as_str().unwrap()]).collect();
        let mut wanted = wanted.to_vec();
        came.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(came, wanted, "{filter:?}");
    }
}

async fn wildcards_stand_for_their_events(mode: Mode) {
    let product = Product::start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    let wanted: [(&str, &[&str], usize); 4] = [
        ("/all", &["*"], 4),
        ("/runs", &["run.*"], 3),
        ("/runs-twice", &["run.completed", "run.*"], 3),
        ("/milestones", &["milestone.*", "run.created"], 2),
    ];
    for (path, selected, _) in &wanted {
        let mut body = webhooks::generic(&receiver.url(path));
        body["events"] = json!(selected);
        webhooks::create(&rest, body).await;
    }
    let published = [
        events::run_created(1, 1),
        events::run_completed(1, 1),
        events::run_completed(2, 2),
        events::milestone_completed(2, 5),
    ];
    product.publisher().publish_all(&published, 10, SOON).await;
    for (path, _, count) in &wanted {
        receiver.wait_for(path, *count, SOON).await;
    }
    receiver.stays_at("/runs-twice", 3, Duration::from_secs(1)).await;
    for (path, _, count) in wanted {
        assert_eq!(receiver.count(path), count, "{path}");
    }
}

async fn slips_are_told(mode: Mode) {
    let product = Product::start(mode).await;
    let rest = product.admin();
    let with = |member: &str, value: serde_json::Value| {
        let mut body = webhooks::generic("http://127.0.0.1:9/");
        body[member] = value;
        body
    };
    for (member, value, expected) in [
        ("filter", json!(vec!["data.result == failed"; 1000]), "at most 20 conditions"),
        ("filter", json!(["data.result = failed"]), "condition 1 has `=`, which is no operator"),
        ("filter", json!(["data.result == failed", "data.run.name"]), "condition 2 has no operator"),
        ("filter", json!("data.result == failed"), "list"),
        ("events", json!(["run.*", "runs.*"]), "runs.*"),
        ("events", json!(["*.completed"]), "*.completed"),
        ("events", json!([]), "at least one"),
    ] {
        let answer = rest.post("/api/v1/webhooks", with(member, value)).await;
        let told = answer.json["errors"][member].to_string();
        assert!(answer.status == 422 && told.contains(expected), "{}: {}", answer.status, answer.json);
    }
    let made = rest.post("/api/v1/webhooks", with("filter", json!(["date.result == failed"]))).await.expect(201);
    let warnings = made["warnings"].to_string();
    assert!(warnings.contains("condition 1 never holds: it starts with `date`, which no event has"), "{warnings}");
}
