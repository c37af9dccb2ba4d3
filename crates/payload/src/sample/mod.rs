//! An event of each type, as Testmo would send it: fixed ids and times, counts that add up.

mod entities;

use domain::EventType;
use proto::v1::{
    AutomationLinks, AutomationRunCompleted, AutomationRunCreated, AutomationRunDeleted, CaseAutomationLinksChanged,
    CaseCreated, CaseDeleted, CaseState, CaseStateChanged, CaseUpdated, Change, Event, JobCompleted, JobQueued,
    JobResult, MilestoneCompleted, MilestoneCreated, MilestoneDueDateChanged, MilestoneUpdated, Project, ResultChanged,
    ResultIssueLinked, RunCompleted, RunCreated, RunDeleted, RunResult, RunStarted, SessionClosed, SessionCreated,
    UserMentioned, event::Data,
};

use entities::Stage;

/// A sample event of this type. It has the same id and the same times on every call.
#[must_use]
pub fn sample(kind: EventType) -> Event {
    Event {
        id: format!("5f0c1c5e-8a4b-4d5e-9c3a-6b1f2e7d9a{:02x}", kind.index() + 1),
        created_at: entities::at(0),
        instance: "acme".to_owned(),
        project: Some(project()),
        user: Some(entities::ada()),
        changes: changes(kind),
        extra_json: String::new(),
        data: Some(data(kind)),
    }
}

/// The project of all samples.
fn project() -> Project {
    Project { id: entities::PROJECT_ID, name: "Webshop".to_owned(), url: entities::url("/projects/view/1") }
}

fn data(kind: EventType) -> Data {
    use EventType as E;
    use entities::{automation_run, job, milestone, run, session, test_case};
    match kind {
        E::RunCreated => Data::RunCreated(RunCreated { run: Some(run(Stage::New)) }),
        E::RunStarted => Data::RunStarted(RunStarted { run: Some(run(Stage::Started)) }),
        E::RunCompleted => {
            Data::RunCompleted(RunCompleted { run: Some(run(Stage::Done)), result: RunResult::Failed.into() })
        }
        E::RunDeleted => Data::RunDeleted(RunDeleted { run: Some(run(Stage::Done)) }),
        E::CaseCreated => Data::CaseCreated(CaseCreated { case: Some(test_case()) }),
        E::CaseUpdated => Data::CaseUpdated(CaseUpdated { case: Some(test_case()) }),
        E::CaseAutomationLinksChanged => Data::CaseAutomationLinksChanged(links_changed()),
        E::CaseStateChanged => {
            Data::CaseStateChanged(CaseStateChanged { case: Some(test_case()), state: CaseState::Archived.into() })
        }
        E::CaseDeleted => Data::CaseDeleted(CaseDeleted { case: Some(test_case()) }),
        E::AutomationRunCreated => {
            Data::AutomationRunCreated(AutomationRunCreated { automation_run: Some(automation_run(Stage::New)) })
        }
        E::AutomationRunCompleted => Data::AutomationRunCompleted(AutomationRunCompleted {
            automation_run: Some(automation_run(Stage::Done)),
            result: RunResult::Passed.into(),
        }),
        E::AutomationRunDeleted => {
            Data::AutomationRunDeleted(AutomationRunDeleted { automation_run: Some(automation_run(Stage::Done)) })
        }
        E::JobQueued => Data::JobQueued(JobQueued { job: Some(job(Stage::New)) }),
        E::JobCompleted => {
            Data::JobCompleted(JobCompleted { job: Some(job(Stage::Done)), result: JobResult::Success.into() })
        }
        E::MilestoneCreated => Data::MilestoneCreated(MilestoneCreated { milestone: Some(milestone(Stage::New)) }),
        E::MilestoneUpdated => Data::MilestoneUpdated(MilestoneUpdated { milestone: Some(milestone(Stage::Started)) }),
        E::MilestoneDueDateChanged => {
            Data::MilestoneDueDateChanged(MilestoneDueDateChanged { milestone: Some(milestone(Stage::Started)) })
        }
        E::MilestoneCompleted => {
            Data::MilestoneCompleted(MilestoneCompleted { milestone: Some(milestone(Stage::Done)) })
        }
        E::SessionCreated => Data::SessionCreated(SessionCreated { session: Some(session(Stage::New)) }),
        E::SessionClosed => Data::SessionClosed(SessionClosed { session: Some(session(Stage::Done)) }),
        E::ResultChanged => Data::ResultChanged(result_changed()),
        E::ResultIssueLinked => Data::ResultIssueLinked(issue_linked()),
        E::UserMentioned => Data::UserMentioned(mention()),
    }
}

fn links_changed() -> CaseAutomationLinksChanged {
    let links = AutomationLinks {
        added: vec![entities::automation_link(9021, "checkout.spec.ts > pays with a credit card")],
        removed: vec![entities::automation_link(8770, "CheckoutTest.paysWithCard")],
        modified: Vec::new(),
    };
    CaseAutomationLinksChanged { case: Some(entities::test_case()), links: Some(links) }
}

fn result_changed() -> ResultChanged {
    ResultChanged {
        result: Some(entities::result()),
        run: Some(entities::run(Stage::Started)),
        case: Some(entities::test_case()),
    }
}

fn issue_linked() -> ResultIssueLinked {
    ResultIssueLinked {
        result: Some(entities::result()),
        run: Some(entities::run(Stage::Started)),
        case: Some(entities::test_case()),
        issue: Some(entities::issue()),
    }
}

fn mention() -> UserMentioned {
    UserMentioned {
        mentioned_user: Some(entities::grace()),
        comment: Some(entities::comment()),
        entity: Some(entities::commented_run(project())),
    }
}

/// What changed, for the types that are about a change. The values after are those of the entity.
fn changes(kind: EventType) -> Vec<Change> {
    let change = |field: &str, from: &str, to: &str| Change {
        field: field.to_owned(),
        from_json: from.to_owned(),
        to_json: to.to_owned(),
    };
    match kind {
        EventType::CaseUpdated => vec![
            change("name", r#""Pay by card""#, r#""Pay with a credit card""#),
            change("estimate", "300000000", "420000000"),
        ],
        EventType::CaseStateChanged => vec![change("state", r#""active""#, r#""archived""#)],
        EventType::MilestoneUpdated => vec![
            change("name", r#""Spring release""#, r#""Release 4.2""#),
            change("note", "", r#""New checkout and saved carts.""#),
        ],
        EventType::MilestoneDueDateChanged => vec![change("due_date", r#""2026-03-31""#, r#""2026-04-14""#)],
        EventType::ResultChanged => vec![change(
            "status",
            r#"{"id":1,"name":"Passed","is_success":true,"is_failure":false}"#,
            r#"{"id":2,"name":"Failed","is_success":false,"is_failure":true}"#,
        )],
        _ => Vec::new(),
    }
}
