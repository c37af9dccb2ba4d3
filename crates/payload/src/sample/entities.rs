//! The entities of the samples: one project of a web shop, a week before its release.

use prost_types::Timestamp;
use proto::v1::{
    AutomationLink, AutomationRun, AutomationSource, Case, Comment, Issue, Job, MentionEntity, Milestone, Project,
    Result as TestResult, ResultStatus, Run, Session, User,
};
use time::macros::datetime;

/// When all samples happened.
const NOW: i64 = datetime!(2026-03-09 14:30:00 UTC).unix_timestamp();
/// Microseconds, the unit of efforts.
const MINUTE: i64 = 60_000_000;
/// The project that every entity belongs to.
pub(super) const PROJECT_ID: i64 = 1;
const ADA: i64 = 3;
const GRACE: i64 = 8;
const MILESTONE_ID: i64 = 12;

/// How far a run, job, milestone or session has got.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Just made.
    New,
    /// Somebody works on it.
    Started,
    /// Nothing is left to do.
    Done,
}

/// So many minutes from the time of the samples.
pub(super) fn at(minutes: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds: NOW + minutes * 60, nanos: 0 })
}

/// An address in Testmo.
pub(super) fn url(path: &str) -> String {
    format!("https://example.testmo.net{path}")
}

/// Who does what the samples tell of.
pub(super) fn ada() -> User {
    User { id: ADA, name: "Ada Lovelace".to_owned() }
}

/// Who is mentioned.
pub(super) fn grace() -> User {
    User { id: GRACE, name: "Grace Hopper".to_owned() }
}

/// A test run of 48 tests; a few fail.
pub(super) fn run(stage: Stage) -> Run {
    let started = stage != Stage::New;
    let done = stage == Stage::Done;
    // Passed, failed, skipped.
    let [passed, failed, skipped] = match stage {
        Stage::New => [0, 0, 0],
        Stage::Started => [21, 1, 0],
        Stage::Done => [44, 3, 1],
    };
    let completed = passed + failed + skipped;
    Run {
        id: 214,
        name: "Checkout regression".to_owned(),
        url: url("/runs/view/214"),
        project_id: Some(PROJECT_ID),
        milestone_id: Some(MILESTONE_ID),
        config_id: Some(2),
        state_id: Some(if done { 4 } else { 1 + i64::from(started) }),
        note: Some("Full pass before release 4.2.".to_owned()),
        tags: vec!["checkout".to_owned(), "release-4.2".to_owned()],
        forecast: Some(240 * MINUTE),
        elapsed: Some(completed * 5 * MINUTE),
        is_started: Some(started),
        started_at: at(-300).filter(|_| started),
        is_closed: Some(done),
        closed_at: at(0).filter(|_| done),
        closed_by: done.then_some(ADA),
        created_at: at(if started { -360 } else { 0 }),
        created_by: Some(ADA),
        updated_at: at(0),
        updated_by: Some(ADA),
        total_count: Some(48),
        untested_count: Some(48 - completed),
        completed_count: Some(completed),
        success_count: Some(passed),
        failure_count: Some(failed),
        status1_count: Some(passed),
        status2_count: Some(failed),
        status3_count: Some(0),
        status4_count: Some(0),
        status5_count: Some(skipped),
        ..Run::default()
    }
}

/// A run of 320 automated tests, all of which pass.
pub(super) fn automation_run(stage: Stage) -> AutomationRun {
    let done = stage == Stage::Done;
    let passed = if done { 320 } else { 0 };
    AutomationRun {
        id: 1874,
        name: "Nightly end-to-end".to_owned(),
        url: url("/automation/runs/view/1874"),
        project_id: Some(PROJECT_ID),
        source: Some(AutomationSource { id: 5, name: "frontend-e2e".to_owned() }),
        milestone_id: Some(MILESTONE_ID),
        config_id: Some(2),
        tags: vec!["nightly".to_owned()],
        elapsed: Some(if done { 14 * MINUTE } else { 0 }),
        is_completed: Some(done),
        completed_at: at(0).filter(|_| done),
        thread_count: Some(4),
        created_at: at(if done { -15 } else { 0 }),
        created_by: Some(ADA),
        updated_at: at(0),
        updated_by: Some(ADA),
        total_count: Some(320),
        untested_count: Some(320 - passed),
        completed_count: Some(passed),
        success_count: Some(passed),
        failure_count: Some(0),
        status1_count: Some(passed),
        status2_count: Some(0),
        status3_count: Some(0),
        status4_count: Some(0),
        status5_count: Some(0),
        ..AutomationRun::default()
    }
}

/// A test case of the checkout.
pub(super) fn test_case() -> Case {
    Case {
        id: 1307,
        name: "Pay with a credit card".to_owned(),
        url: url("/repositories/1?case_id=1307"),
        project_id: Some(PROJECT_ID),
        repo_id: Some(1),
        folder_id: Some(42),
        template_id: Some(1),
        state_id: Some(4),
        key: Some("C-1307".to_owned()),
        estimate: Some(7 * MINUTE),
        forecast: Some(6 * MINUTE),
        tags: vec!["checkout".to_owned(), "payment".to_owned()],
        has_automation: Some(true),
        created_at: at(-40_000),
        created_by: Some(GRACE),
        updated_at: at(0),
        updated_by: Some(ADA),
    }
}

/// A link to an automated test.
pub(super) fn automation_link(id: i64, name: &str) -> AutomationLink {
    AutomationLink { id, name: name.to_owned(), url: url(&format!("/automation/cases/view/{id}")) }
}

/// A deployment to the test environment.
pub(super) fn job(stage: Stage) -> Job {
    let done = stage == Stage::Done;
    Job {
        id: 96,
        name: "Deploy and smoke test".to_owned(),
        url: url("/jobs/view/96"),
        project_id: Some(PROJECT_ID),
        provider: "github".to_owned(),
        target: "smoke.yml".to_owned(),
        external_url: "https://github.com/example/webshop/actions/runs/7351".to_owned(),
        created_at: at(if done { -9 } else { 0 }),
        created_by: Some(ADA),
        updated_at: at(0),
        updated_by: Some(ADA),
        completed_at: at(0).filter(|_| done),
    }
}

/// A release.
pub(super) fn milestone(stage: Stage) -> Milestone {
    let started = stage != Stage::New;
    let done = stage == Stage::Done;
    Milestone {
        id: MILESTONE_ID,
        name: "Release 4.2".to_owned(),
        url: url("/milestones/view/12"),
        project_id: Some(PROJECT_ID),
        parent_id: Some(10),
        type_id: Some(1),
        note: Some("New checkout and saved carts.".to_owned()),
        due_date: Some("2026-04-14".to_owned()),
        is_started: Some(started),
        started_at: at(-10_000).filter(|_| started),
        is_completed: Some(done),
        completed_at: at(0).filter(|_| done),
        created_at: at(if started { -20_000 } else { 0 }),
        created_by: Some(GRACE),
        updated_at: at(0),
        updated_by: Some(ADA),
    }
}

/// An exploratory session.
pub(super) fn session(stage: Stage) -> Session {
    let done = stage == Stage::Done;
    Session {
        id: 58,
        name: "Explore saved carts".to_owned(),
        url: url("/sessions/view/58"),
        project_id: Some(PROJECT_ID),
        milestone_id: Some(MILESTONE_ID),
        config_id: Some(2),
        state_id: Some(if done { 4 } else { 1 }),
        assignee_id: Some(GRACE),
        note: Some("Two browsers, one account.".to_owned()),
        tags: vec!["carts".to_owned()],
        estimate: Some(60 * MINUTE),
        elapsed: Some(if done { 55 * MINUTE } else { 0 }),
        is_closed: Some(done),
        closed_at: at(0).filter(|_| done),
        created_at: at(if done { -70 } else { 0 }),
        created_by: Some(ADA),
        updated_at: at(0),
        updated_by: Some(ADA),
    }
}

/// The one failure of the run that is under way.
pub(super) fn result() -> TestResult {
    TestResult {
        id: 20_931,
        url: url("/runs/view/214?result_id=20931"),
        test_id: Some(5512),
        status: Some(ResultStatus {
            id: 2,
            name: "Failed".to_owned(),
            is_success: Some(false),
            is_failure: Some(true),
        }),
        note: Some("The card is charged, but the order stays open.".to_owned()),
        elapsed: Some(6 * MINUTE),
        assignee_id: Some(GRACE),
        created_at: at(0),
        created_by: Some(ADA),
    }
}

/// What the failure turned into.
pub(super) fn issue() -> Issue {
    Issue {
        id: 731,
        key: "SHOP-417".to_owned(),
        name: "Order stays open after payment".to_owned(),
        url: "https://example.atlassian.net/browse/SHOP-417".to_owned(),
        provider: "jira".to_owned(),
    }
}

/// A comment that mentions somebody.
pub(super) fn comment() -> Comment {
    Comment {
        id: 404,
        text: "@Grace Hopper could you look at the failed payment?".to_owned(),
        url: url("/runs/view/214?comment_id=404"),
        created_at: at(0),
        created_by: Some(ADA),
    }
}

/// The run as what a comment stands on.
pub(super) fn commented_run(project: Project) -> MentionEntity {
    let run = run(Stage::Started);
    MentionEntity { r#type: "run".to_owned(), id: run.id, name: run.name, url: run.url, project: Some(project) }
}
