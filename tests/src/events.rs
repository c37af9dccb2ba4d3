//! Events to publish.

use proto::v1::{
    Event, Milestone, MilestoneCompleted, Project, Run, RunCompleted, RunCreated, RunResult, User, event::Data,
};

use crate::random;

/// The project that most tests are about.
pub const PROJECT: i64 = 1;

/// A completed run of `project`, number `number`, with an id.
#[must_use]
pub fn run_completed(project: i64, number: i64) -> Event {
    let data = Data::RunCompleted(RunCompleted { run: Some(run(number)), result: RunResult::Failed.into() });
    event(project, data)
}

/// A created run of `project`, number `number`, with an id.
#[must_use]
pub fn run_created(project: i64, number: i64) -> Event {
    event(project, Data::RunCreated(RunCreated { run: Some(run(number)) }))
}

/// A completed milestone of `project`, number `number`, with an id.
#[must_use]
pub fn milestone_completed(project: i64, number: i64) -> Event {
    let milestone = Milestone {
        id: number,
        name: format!("Milestone {number}"),
        url: format!("https://acme.testmo.example/milestones/{number}"),
        ..Milestone::default()
    };
    event(project, Data::MilestoneCompleted(MilestoneCompleted { milestone: Some(milestone) }))
}

/// Completed runs of [`PROJECT`], numbered from 1.
#[must_use]
pub fn many(count: usize) -> Vec<Event> {
    (1..).take(count).map(|number| run_completed(PROJECT, number)).collect()
}

/// The event with a further text in its `data`, to make it large.
#[must_use]
pub fn with_extra(mut event: Event, length: usize) -> Event {
    event.extra_json = serde_json::json!({"log": "x".repeat(length)}).to_string();
    event
}

/// An event with a new id; the oneof of its data is the caller's.
#[must_use]
pub fn event(project: i64, data: Data) -> Event {
    let url = format!("https://acme.testmo.example/projects/{project}");
    Event {
        id: random::uuid().to_string(),
        project: Some(Project { id: project, name: format!("Project {project}"), url }),
        user: Some(User { id: 3, name: "Ada Lovelace".into() }),
        data: Some(data),
        ..Event::default()
    }
}

fn run(number: i64) -> Run {
    Run {
        id: number,
        name: format!("Run {number}"),
        url: format!("https://acme.testmo.example/runs/{number}"),
        total_count: Some(20),
        success_count: Some(18),
        failure_count: Some(2),
        ..Run::default()
    }
}
