//! CI/CD jobs, results, linked issues and mentions.

use proto::{
    json,
    v1::{self, Change, Job, ResultIssueLinked, ResultStatus, User, UserMentioned},
};

use super::{IN_HEADLINE, Story, Thing, Tone, cases, changed, fact, link_fact, moment, quote, required, user_name};
use crate::{RenderError, link::Link, phrase, text::Text};

pub(super) fn job_queued(job: &Job) -> Story {
    let story = Story::new("⏳", Tone::News, "CI job queued", job_thing(job), "Queued");
    job_buttons(story.facts([pipeline(job), build(job)]), job)
}

pub(super) fn job_completed(job: &Job, result: i32) -> Result<Story, RenderError> {
    let (emoji, tone, headline) = match json::JobResult::name(result) {
        Some("success") => ("✅", Tone::Good, "CI job succeeded"),
        Some(_) => ("❌", Tone::Bad, "CI job failed"),
        None => return Err(RenderError::Missing("data.result")),
    };
    let took = job.created_at.as_ref().zip(job.completed_at.as_ref()).and_then(|(from, to)| {
        let seconds = moment(to)? - moment(from)?;
        phrase::duration(seconds.whole_seconds().checked_mul(1_000_000))
    });
    let facts = [fact("Took", took), pipeline(job), build(job)];
    Ok(job_buttons(Story::new(emoji, tone, headline, job_thing(job), "Triggered").facts(facts), job))
}

/// The status is the news; what was tested is the subject.
pub(super) fn result_changed(data: &v1::ResultChanged, changes: &[Change]) -> Result<Story, RenderError> {
    let result = required("data.result", data.result.as_ref())?;
    let run = required("data.run", data.run.as_ref())?;
    let (emoji, tone, status) = verdict(result.status.as_ref());
    let link = Link::new(&result.url);
    let mut subject = tested(data.case.as_ref(), result);
    subject.link = link.clone().or(subject.link);
    Ok(Story::new(emoji, tone, &format!("Test result: {}", status.short(IN_HEADLINE)), subject, "Logged")
        .part(changed(changes)?)
        .part(quote(result.note.as_deref()))
        .facts([
            link_fact("Test run", Thing::new(&run.name, run.id, &run.url)),
            fact("Took", phrase::duration(result.elapsed)),
        ])
        .opens("Open result")
        .button("Open test run", Link::new(&run.url).as_ref()))
}

/// The issue is the news; the result that it explains comes after it.
pub(super) fn issue_linked(data: &ResultIssueLinked) -> Result<Story, RenderError> {
    let result = required("data.result", data.result.as_ref())?;
    let run = required("data.run", data.run.as_ref())?;
    let issue = required("data.issue", data.issue.as_ref())?;
    let key = Text::line(&issue.key);
    let title = Text::line(&issue.name);
    // The headline has the key already.
    let name = match title.is_blank() && !key.is_blank() {
        true => key.clone(),
        false => Text::name(&issue.name, issue.id),
    };
    let (_, _, status) = verdict(result.status.as_ref());
    let result_link = Link::new(&result.url);
    let headline =
        if key.is_blank() { "Issue linked".to_owned() } else { format!("Issue {} linked", key.short(IN_HEADLINE)) };
    let case = tested(data.case.as_ref(), result);
    let subject = Thing { name, link: Link::new(&issue.url) };
    Ok(Story::new("🐞", Tone::Warning, &headline, subject, "Linked")
        .part(quote(result.note.as_deref()))
        .facts([
            link_fact("Test case", case),
            link_fact("Result", Thing { name: status, link: result_link.clone() }),
            link_fact("Test run", Thing::new(&run.name, run.id, &run.url)),
            fact("Tracker", Some(named(&issue.provider))),
        ])
        .opens("Open issue")
        .button("Open result", result_link.as_ref()))
}

/// Reads like a message: who to whom, and what they said.
pub(super) fn mentioned(data: &UserMentioned, author: Option<&User>) -> Result<Story, RenderError> {
    let user = required("data.mentioned_user", data.mentioned_user.as_ref())?;
    let comment = required("data.comment", data.comment.as_ref())?;
    let entity = required("data.entity", data.entity.as_ref())?;
    let whom = user_name(user).short(IN_HEADLINE);
    let headline = match author {
        Some(author) => format!("{} mentioned {whom}", user_name(author).short(IN_HEADLINE)),
        None => format!("{whom} was mentioned"),
    };
    let place = Thing::new(&entity.name, entity.id, &entity.url);
    let link = Link::new(&comment.url).or_else(|| place.link.clone());
    let mut story = Story::new("💬", Tone::Change, &headline, place.clone(), "Written");
    (story.subject, story.link) = (None, link);
    let (label, button) = noun(&entity.r#type);
    let place_link = place.link.clone();
    Ok(story
        .part(quote(Some(&comment.text)))
        .facts([link_fact(label, place)])
        .opens("Open comment")
        .button(button, place_link.as_ref()))
}

/// What a comment stands on, and what opens it.
fn noun(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "run" => ("On test run", "Open test run"),
        "case" => ("On test case", "Open test case"),
        "automation_run" => ("On automation run", "Open automation run"),
        "milestone" => ("On milestone", "Open milestone"),
        "session" => ("On session", "Open session"),
        "result" => ("On result", "Open result"),
        _ => ("On", "Open in Testmo"),
    }
}

fn verdict(status: Option<&ResultStatus>) -> (&'static str, Tone, Text) {
    let Some(status) = status else { return ("🔸", Tone::Change, Text::line("unknown")) };
    let name = Text::name(&status.name, status.id);
    match (status.is_success, status.is_failure) {
        (_, Some(true)) => ("❌", Tone::Bad, name),
        (Some(true), _) => ("✅", Tone::Good, name),
        _ => ("🔸", Tone::Change, name),
    }
}

/// The case that was tested; without one, the result has only its number.
fn tested(case: Option<&v1::Case>, result: &v1::Result) -> Thing {
    match case {
        Some(case) => cases::thing(case),
        None => Thing::new(&format!("Result #{}", result.id), result.id, &result.url),
    }
}

fn job_thing(job: &Job) -> Thing {
    Thing::new(&job.name, job.id, &job.url)
}

fn job_buttons(story: Story, job: &Job) -> Story {
    story.opens("Open job").button("Open build", Link::new(&job.external_url).as_ref())
}

fn pipeline(job: &Job) -> Option<super::Fact> {
    fact("Pipeline", Some(Text::line(&job.target)))
}

/// Where it runs, which leads to the build there.
fn build(job: &Job) -> Option<super::Fact> {
    let (link, system) = (Link::new(&job.external_url), named(&job.provider));
    match (link, system.is_blank()) {
        (None, true) => None,
        (link, false) => link_fact("Build", Thing { name: system, link }),
        (link, true) => link_fact("Build", Thing { name: Text::line("Open build"), link }),
    }
}

/// Systems as they write themselves.
fn named(system: &str) -> Text {
    match system {
        "github" => Text::line("GitHub"),
        "gitlab" => Text::line("GitLab"),
        "jenkins" => Text::line("Jenkins"),
        "bitbucket" => Text::line("Bitbucket"),
        "circleci" => Text::line("CircleCI"),
        "azure" => Text::line("Azure DevOps"),
        "jira" => Text::line("Jira"),
        other => Text::line(other),
    }
}
