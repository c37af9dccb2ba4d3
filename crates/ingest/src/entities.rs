//! The rules of what events are about: required entities, ids, names, addresses, times.

use proto::{
    event::data_members,
    v1::{self, event::Data},
};
use url::Url;

/// A mistake: the field's path and what is wrong with it.
pub(crate) type Fault = (String, String);

pub(crate) fn fault(path: impl Into<String>, message: impl Into<String>) -> Fault {
    (path.into(), message.into())
}

/// What the rules must see of an entity.
trait Entity {
    fn id(&self) -> i64;
    /// `None` where it may go without a name.
    fn name(&self) -> Option<&str> {
        None
    }
    fn url(&self) -> &str;
    fn project_id(&self) -> Option<i64> {
        None
    }
    /// Ids that may be left out.
    fn ids(&self) -> Vec<(&'static str, Option<i64>)> {
        Vec::new()
    }
    /// Counts and lengths of time that may be left out.
    fn amounts(&self) -> Vec<(&'static str, Option<i64>)> {
        Vec::new()
    }
    fn times(&self) -> Vec<(&'static str, Option<&prost_types::Timestamp>)>;
}

/// The parts of an entity: `named` ones have a name and a project, the others only what is listed.
macro_rules! entity {
    (named $type:ident, times: [$($time:ident),*], ids: [$($id:ident),*], amounts: [$($amount:ident),*]) => {
        impl Entity for v1::$type {
            entity!(@common [$($time),*], [$($id),*], [$($amount),*]);
            fn name(&self) -> Option<&str> {
                Some(&self.name)
            }
            fn project_id(&self) -> Option<i64> {
                self.project_id
            }
        }
    };
    ($type:ident, times: [$($time:ident),*], ids: [$($id:ident),*], amounts: [$($amount:ident),*]) => {
        impl Entity for v1::$type {
            entity!(@common [$($time),*], [$($id),*], [$($amount),*]);
        }
    };
    (@common [$($time:ident),*], [$($id:ident),*], [$($amount:ident),*]) => {
        fn id(&self) -> i64 {
            self.id
        }
        fn url(&self) -> &str {
            &self.url
        }
        fn times(&self) -> Vec<(&'static str, Option<&prost_types::Timestamp>)> {
            vec![$((stringify!($time), self.$time.as_ref())),*]
        }
        fn ids(&self) -> Vec<(&'static str, Option<i64>)> {
            vec![$((stringify!($id), self.$id)),*]
        }
        fn amounts(&self) -> Vec<(&'static str, Option<i64>)> {
            vec![$((stringify!($amount), self.$amount)),*]
        }
    };
}

entity!(named Run,
times: [started_at, closed_at, created_at, updated_at],
ids: [milestone_id, config_id, state_id, closed_by, created_by, updated_by],
amounts: [
    forecast, elapsed, total_count, untested_count, completed_count, success_count, failure_count, status1_count,
    status2_count, status3_count, status4_count, status5_count, status6_count, status7_count, status8_count,
    status9_count, status10_count, status11_count, status12_count, status13_count, status14_count, status15_count,
    status16_count, status17_count, status18_count, status19_count, status20_count, status21_count, status22_count,
    status23_count, status24_count
]);
entity!(named AutomationRun,
times: [completed_at, created_at, updated_at],
ids: [milestone_id, config_id, created_by, updated_by],
amounts: [
    elapsed, thread_count, total_count, untested_count, completed_count, success_count, failure_count,
    status1_count, status2_count, status3_count, status4_count, status5_count, status6_count, status7_count,
    status8_count, status9_count, status10_count, status11_count, status12_count, status13_count, status14_count,
    status15_count, status16_count, status17_count, status18_count, status19_count, status20_count, status21_count,
    status22_count, status23_count, status24_count
]);
entity!(named Case,
    times: [created_at, updated_at],
    ids: [repo_id, folder_id, template_id, state_id, created_by, updated_by],
    amounts: [estimate, forecast]);
entity!(named Job, times: [completed_at, created_at, updated_at], ids: [created_by, updated_by], amounts: []);
entity!(named Milestone,
    times: [started_at, completed_at, created_at, updated_at],
    ids: [parent_id, type_id, created_by, updated_by],
    amounts: []);
entity!(named Session,
    times: [closed_at, created_at, updated_at],
    ids: [milestone_id, config_id, state_id, assignee_id, created_by, updated_by],
    amounts: [estimate, elapsed]);
entity!(Result, times: [created_at], ids: [test_id, assignee_id, created_by], amounts: [elapsed]);
entity!(Issue, times: [], ids: [], amounts: []);
entity!(Comment, times: [created_at], ids: [created_by], amounts: []);
entity!(MentionEntity, times: [], ids: [], amounts: []);
entity!(AutomationLink, times: [], ids: [], amounts: []);

/// Checks what happened; `path` of a mistake starts at the member of `data`. `project` is the event's.
pub(crate) fn check(data: &Data, project: i64) -> Result<(), Fault> {
    let rules = Rules { project };
    match data {
        Data::RunCreated(data) => rules.required("run", data.run.as_ref()),
        Data::RunStarted(data) => rules.required("run", data.run.as_ref()),
        Data::RunDeleted(data) => rules.required("run", data.run.as_ref()),
        Data::RunCompleted(data) => {
            rules.required("run", data.run.as_ref())?;
            chosen("result", data.result, proto::json::RunResult::name, proto::json::RunResult::NAMES)
        }
        Data::CaseCreated(data) => rules.required("case", data.case.as_ref()),
        Data::CaseUpdated(data) => rules.required("case", data.case.as_ref()),
        Data::CaseDeleted(data) => rules.required("case", data.case.as_ref()),
        Data::CaseStateChanged(data) => {
            rules.required("case", data.case.as_ref())?;
            chosen("state", data.state, proto::json::CaseState::name, proto::json::CaseState::NAMES)
        }
        Data::CaseAutomationLinksChanged(data) => {
            rules.required("case", data.case.as_ref())?;
            rules.links(data.links.as_ref())
        }
        Data::AutomationRunCreated(data) => rules.automation_run(data.automation_run.as_ref()),
        Data::AutomationRunDeleted(data) => rules.automation_run(data.automation_run.as_ref()),
        Data::AutomationRunCompleted(data) => {
            rules.automation_run(data.automation_run.as_ref())?;
            chosen("result", data.result, proto::json::RunResult::name, proto::json::RunResult::NAMES)
        }
        Data::JobQueued(data) => rules.job(data.job.as_ref()),
        Data::JobCompleted(data) => {
            rules.job(data.job.as_ref())?;
            chosen("result", data.result, proto::json::JobResult::name, proto::json::JobResult::NAMES)
        }
        Data::MilestoneCreated(data) => rules.milestone(data.milestone.as_ref()),
        Data::MilestoneUpdated(data) => rules.milestone(data.milestone.as_ref()),
        Data::MilestoneDueDateChanged(data) => rules.milestone(data.milestone.as_ref()),
        Data::MilestoneCompleted(data) => rules.milestone(data.milestone.as_ref()),
        Data::SessionCreated(data) => rules.required("session", data.session.as_ref()),
        Data::SessionClosed(data) => rules.required("session", data.session.as_ref()),
        Data::ResultChanged(data) => rules.result(data.result.as_ref(), data.run.as_ref(), data.case.as_ref()),
        Data::ResultIssueLinked(data) => {
            rules.result(data.result.as_ref(), data.run.as_ref(), data.case.as_ref())?;
            rules.required("issue", data.issue.as_ref())
        }
        Data::UserMentioned(data) => rules.mention(data),
    }
}

struct Rules {
    project: i64,
}

impl Rules {
    fn required<E: Entity>(&self, path: &str, entity: Option<&E>) -> Result<(), Fault> {
        self.entity(path, entity.ok_or_else(|| fault(path, "is required"))?)
    }

    fn entity<E: Entity>(&self, path: &str, entity: &E) -> Result<(), Fault> {
        positive(&format!("{path}.id"), entity.id())?;
        if entity.name().is_some_and(|name| name.trim().is_empty()) {
            return Err(fault(format!("{path}.name"), "is required"));
        }
        address(&format!("{path}.url"), entity.url())?;
        if entity.project_id().is_some_and(|project| project != self.project) {
            let text = format!("differs from the event's project {}", self.project);
            return Err(fault(format!("{path}.project_id"), text));
        }
        for (name, value) in entity.times() {
            time(&format!("{path}.{name}"), value)?;
        }
        if let Some((name, _)) = entity.ids().into_iter().find(|(_, id)| id.is_some_and(|id| id < 1)) {
            return Err(fault(format!("{path}.{name}"), "must be an id from 1, or left out"));
        }
        match entity.amounts().into_iter().find(|(_, amount)| amount.is_some_and(|amount| amount < 0)) {
            Some((name, _)) => Err(fault(format!("{path}.{name}"), "must not be negative")),
            None => Ok(()),
        }
    }

    fn automation_run(&self, run: Option<&v1::AutomationRun>) -> Result<(), Fault> {
        self.required("automation_run", run)?;
        let source = run.and_then(|run| run.source.as_ref());
        source.map_or(Ok(()), |source| positive("automation_run.source.id", source.id))
    }

    fn links(&self, links: Option<&v1::AutomationLinks>) -> Result<(), Fault> {
        let links = links.ok_or_else(|| fault("links", "is required"))?;
        let lists = [("added", &links.added), ("removed", &links.removed), ("modified", &links.modified)];
        if lists.iter().all(|(_, list)| list.is_empty()) {
            return Err(fault("links", "must hold at least one link in added, removed or modified"));
        }
        for (name, list) in lists {
            for (index, link) in list.iter().enumerate() {
                self.entity(&format!("links.{name}[{index}]"), link)?;
            }
        }
        Ok(())
    }

    fn job(&self, job: Option<&v1::Job>) -> Result<(), Fault> {
        self.required("job", job)?;
        job.map_or(Ok(()), |job| address("job.external_url", &job.external_url))
    }

    fn milestone(&self, milestone: Option<&v1::Milestone>) -> Result<(), Fault> {
        self.required("milestone", milestone)?;
        match milestone.and_then(|milestone| milestone.due_date.as_deref()) {
            Some(text) if !is_date(text) => {
                Err(fault("milestone.due_date", format!("`{text}` is not a day, such as 2026-11-30")))
            }
            _ => Ok(()),
        }
    }

    fn result(&self, result: Option<&v1::Result>, run: Option<&v1::Run>, case: Option<&v1::Case>) -> Result<(), Fault> {
        self.required("result", result)?;
        self.required("run", run)?;
        case.map_or(Ok(()), |case| self.entity("case", case))?;
        let status = result.and_then(|result| result.status.as_ref());
        let status = status.ok_or_else(|| fault("result.status", "is required"))?;
        if !(1..=24).contains(&status.id) {
            return Err(fault("result.status.id", "must be 1 to 24"));
        }
        if status.name.trim().is_empty() { Err(fault("result.status.name", "is required")) } else { Ok(()) }
    }

    fn mention(&self, data: &v1::UserMentioned) -> Result<(), Fault> {
        let user = data.mentioned_user.as_ref().ok_or_else(|| fault("mentioned_user", "is required"))?;
        positive("mentioned_user.id", user.id)?;
        self.required("comment", data.comment.as_ref())?;
        self.required("entity", data.entity.as_ref())?;
        if data.entity.as_ref().is_some_and(|entity| entity.r#type.is_empty()) {
            return Err(fault("entity.type", "is required"));
        }
        Ok(())
    }
}

pub(crate) fn positive(path: &str, id: i64) -> Result<(), Fault> {
    match id {
        1.. => Ok(()),
        0 => Err(fault(path, "is required; ids start at 1")),
        _ => Err(fault(path, "must not be negative; ids start at 1")),
    }
}

pub(crate) fn address(path: &str, text: &str) -> Result<(), Fault> {
    let fits = |url: Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    // The parser forgives these, but what is sent on is the text.
    let strays = |letter: char| letter.is_control() || letter.is_whitespace();
    if text.is_empty() || (!text.contains(strays) && Url::parse(text).is_ok_and(fits)) {
        return Ok(());
    }
    Err(fault(path, "must be an address that starts with https:// or http://, without spaces"))
}

pub(crate) fn time(path: &str, value: Option<&prost_types::Timestamp>) -> Result<(), Fault> {
    let fits = |value: &prost_types::Timestamp| {
        (0..1_000_000_000).contains(&value.nanos) && proto::json::timestamp::format(value).is_some()
    };
    if value.is_none_or(fits) { Ok(()) } else { Err(fault(path, "is outside the years 0 to 9999")) }
}

fn is_date(text: &str) -> bool {
    let format = time::macros::format_description!("[year]-[month]-[day]");
    text.len() == 10 && time::Date::parse(text, format).is_ok()
}

fn chosen(path: &str, value: i32, name: fn(i32) -> Option<&'static str>, names: &[&str]) -> Result<(), Fault> {
    let known = names.join(", ");
    match (name(value), value) {
        (Some(_), _) => Ok(()),
        (None, 0) => Err(fault(path, format!("is required; one of {known}"))),
        (None, value) => Err(fault(path, format!("unknown enum value {value}; must be one of {known}"))),
    }
}

/// Checks `extra_json`: an object with none of the names that the schema itself gives to this data.
pub(crate) fn check_extra(data: &Data, text: &str) -> Result<(), Fault> {
    if text.is_empty() {
        return Ok(());
    }
    let wrong = |error: serde_json::Error| fault("extra_json", format!("must be a JSON object: {error}"));
    let members: proto::event::Members<'_> = serde_json::from_str(text).map_err(wrong)?;
    // All of it, too: the values are sent on as they are, and receivers refuse lone surrogates and endless nesting.
    serde_json::from_str::<serde_json::Value>(text).map_err(wrong)?;
    let own = data_members(data.event_type());
    match members.0.iter().find(|(name, _)| own.contains(&name.as_str())) {
        Some((name, _)) => {
            Err(fault("extra_json", format!("`{name}` has its own field in the schema; leave it out here")))
        }
        None => Ok(()),
    }
}
