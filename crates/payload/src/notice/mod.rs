//! What a chat message says, before any target's syntax: made from an event, one layout for each type.
//!
//! All text in a notice is cleaned and none is escaped; each target escapes all of it, our own words too.

mod cases;
mod outcomes;
mod plans;
mod runs;

use std::fmt;

use prost_types::Timestamp;
use proto::v1::{Change, Event, User, event::Data};
use time::OffsetDateTime;

use crate::{RenderError, counts::Counts, generic, link::Link, phrase, text::Text};

/// UTF-16 units of a name within a headline.
const IN_HEADLINE: usize = 50;

/// What happened, for people.
pub(crate) struct Notice {
    /// Says at a glance what kind of news it is.
    pub(crate) emoji: &'static str,
    /// Colours the message.
    pub(crate) tone: Tone,
    /// What happened, such as `Test run failed`.
    pub(crate) headline: Text,
    /// What it happened to; `None` where the headline says it all.
    pub(crate) subject: Option<Thing>,
    /// Where the message leads to.
    pub(crate) link: Option<Link>,
    /// The rest, in the order of importance.
    pub(crate) parts: Vec<Part>,
    /// Where it happened.
    pub(crate) project: Thing,
    /// What was done, such as `Completed`.
    pub(crate) deed: &'static str,
    /// Who did it; `None`: nobody in particular.
    pub(crate) user: Option<Text>,
    /// When.
    pub(crate) at: OffsetDateTime,
    /// What else to open, for targets that have buttons.
    pub(crate) buttons: Vec<Button>,
    /// Whether it is a test.
    pub(crate) is_test: bool,
}

/// How news is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Something ended well.
    Good,
    /// Something ended badly.
    Bad,
    /// Something wants attention.
    Warning,
    /// Something new or under way.
    News,
    /// Something is different now.
    Change,
    /// Something is gone.
    Gone,
}

/// An entity.
#[derive(Clone, Debug)]
pub(crate) struct Thing {
    pub(crate) name: Text,
    pub(crate) link: Option<Link>,
}

/// A button that opens an address.
#[derive(Clone, Debug)]
pub(crate) struct Button {
    pub(crate) title: &'static str,
    pub(crate) link: Link,
}

/// A part of a message.
#[derive(Debug)]
pub(crate) enum Part {
    /// How the tests of a run stand.
    Counts(Counts),
    /// Fields that changed; never empty.
    Changes(Vec<Changed>),
    /// Things that came, went or changed; never empty.
    Links(Vec<(Sign, Thing)>),
    /// What somebody wrote.
    Quote(Text),
    /// Things to know; never empty, at most ten.
    Facts(Vec<Fact>),
}

/// What became of a link.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sign {
    Added,
    Removed,
    Modified,
}

/// A field that changed; what was or is empty is `None`.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) field: Text,
    pub(crate) from: Option<Text>,
    pub(crate) to: Option<Text>,
}

/// A thing to know.
#[derive(Debug)]
pub(crate) struct Fact {
    pub(crate) label: &'static str,
    pub(crate) value: Thing,
}

impl Notice {
    /// What an event is to be told as.
    ///
    /// # Errors
    /// An event that ingest would have refused.
    pub(crate) fn new(event: &Event, is_test: bool) -> Result<Self, RenderError> {
        let data = event.data.as_ref().ok_or(RenderError::Missing("data"))?;
        let project = generic::project_of(event, data)?;
        let at = event.created_at.as_ref().ok_or(RenderError::Missing("created_at"))?;
        let story = story(data, &event.changes, event.user.as_ref())?;
        Ok(Self {
            emoji: story.emoji,
            tone: story.tone,
            headline: story.headline,
            subject: story.subject,
            link: story.link,
            parts: story.parts,
            project: Thing::new(&project.name, project.id, &project.url),
            deed: story.deed,
            user: event.user.as_ref().map(user_name),
            at: moment(at).ok_or(RenderError::Time)?,
            buttons: story.buttons,
            is_test,
        })
    }

    /// What a notification without layout says: our words and the names, most important first.
    pub(crate) fn summary(&self) -> Text {
        let test = if self.is_test { "Test · " } else { "" };
        let mut text = format!("{test}{} {}", self.emoji, self.headline.short(150));
        let mut add = |more: &dyn fmt::Display| text.push_str(&format!(" · {more}"));
        if let Some(subject) = &self.subject {
            add(&subject.name.short(150));
        }
        for part in &self.parts {
            match part {
                Part::Counts(counts) => add(&counts.sentence()),
                Part::Quote(text) if self.subject.is_none() => add(&text.short(200)),
                _ => {}
            }
        }
        add(&self.project.name.short(80));
        if let Some(byline) = self.byline(80) {
            add(&byline);
        }
        Text::line(&text)
    }

    /// `Completed by Ada Lovelace`, with so many UTF-16 units of the name; `None` where it was nobody in particular.
    pub(crate) fn byline(&self, units: usize) -> Option<Text> {
        let user = self.user.as_ref()?;
        Some(Text::line(&format!("{} by {}", self.deed, user.short(units))))
    }
}

/// The part of a notice that depends on the type of event.
struct Story {
    emoji: &'static str,
    tone: Tone,
    headline: Text,
    subject: Option<Thing>,
    link: Option<Link>,
    parts: Vec<Part>,
    deed: &'static str,
    buttons: Vec<Button>,
}

impl Story {
    fn new(emoji: &'static str, tone: Tone, headline: &str, subject: Thing, deed: &'static str) -> Self {
        let link = subject.link.clone();
        let headline = Text::line(headline);
        Self { emoji, tone, headline, subject: Some(subject), link, parts: Vec::new(), deed, buttons: Vec::new() }
    }

    /// With a part, if there is something in it.
    fn part(mut self, part: Option<Part>) -> Self {
        self.parts.extend(part);
        self
    }

    /// With the facts that are known.
    fn facts(self, facts: impl IntoIterator<Item = Option<Fact>>) -> Self {
        let facts: Vec<_> = facts.into_iter().flatten().collect();
        let part = (!facts.is_empty()).then_some(Part::Facts(facts));
        self.part(part)
    }

    /// With a button, if there is an address.
    fn button(mut self, title: &'static str, link: Option<&Link>) -> Self {
        self.buttons.extend(link.map(|link| Button { title, link: link.clone() }));
        self
    }

    /// With a button that opens what it is about.
    fn opens(self, title: &'static str) -> Self {
        let link = self.link.clone();
        self.button(title, link.as_ref())
    }
}

impl Thing {
    fn new(name: &str, id: i64, url: &str) -> Self {
        Self { name: Text::name(name, id), link: Link::new(url) }
    }

    fn text(name: Text) -> Self {
        Self { name, link: None }
    }
}

fn story(data: &Data, changes: &[Change], user: Option<&User>) -> Result<Story, RenderError> {
    match data {
        Data::RunCreated(data) => Ok(runs::created(required("data.run", data.run.as_ref())?)),
        Data::RunStarted(data) => Ok(runs::started(required("data.run", data.run.as_ref())?)),
        Data::RunCompleted(data) => {
            Ok(runs::completed(required("data.run", data.run.as_ref())?, runs::ended(data.result)?))
        }
        Data::RunDeleted(data) => Ok(runs::deleted(required("data.run", data.run.as_ref())?)),
        Data::CaseCreated(data) => Ok(cases::created(required("data.case", data.case.as_ref())?)),
        Data::CaseUpdated(data) => cases::updated(required("data.case", data.case.as_ref())?, changes),
        Data::CaseAutomationLinksChanged(data) => {
            Ok(cases::links_changed(required("data.case", data.case.as_ref())?, data.links.as_ref()))
        }
        Data::CaseStateChanged(data) => {
            cases::state_changed(required("data.case", data.case.as_ref())?, data.state, changes)
        }
        Data::CaseDeleted(data) => Ok(cases::deleted(required("data.case", data.case.as_ref())?)),
        Data::AutomationRunCreated(data) => Ok(runs::submitted(automation(data.automation_run.as_ref())?)),
        Data::AutomationRunCompleted(data) => {
            Ok(runs::finished(automation(data.automation_run.as_ref())?, runs::ended(data.result)?))
        }
        Data::AutomationRunDeleted(data) => Ok(runs::discarded(automation(data.automation_run.as_ref())?)),
        Data::JobQueued(data) => Ok(outcomes::job_queued(required("data.job", data.job.as_ref())?)),
        Data::JobCompleted(data) => outcomes::job_completed(required("data.job", data.job.as_ref())?, data.result),
        Data::MilestoneCreated(data) => Ok(plans::milestone_created(milestone(data.milestone.as_ref())?)),
        Data::MilestoneUpdated(data) => plans::milestone_updated(milestone(data.milestone.as_ref())?, changes),
        Data::MilestoneDueDateChanged(data) => plans::due_date_changed(milestone(data.milestone.as_ref())?, changes),
        Data::MilestoneCompleted(data) => Ok(plans::milestone_completed(milestone(data.milestone.as_ref())?)),
        Data::SessionCreated(data) => Ok(plans::session_created(required("data.session", data.session.as_ref())?)),
        Data::SessionClosed(data) => Ok(plans::session_closed(required("data.session", data.session.as_ref())?)),
        Data::ResultChanged(data) => outcomes::result_changed(data, changes),
        Data::ResultIssueLinked(data) => outcomes::issue_linked(data),
        Data::UserMentioned(data) => outcomes::mentioned(data, user),
    }
}

fn required<'a, T>(member: &'static str, entity: Option<&'a T>) -> Result<&'a T, RenderError> {
    entity.ok_or(RenderError::Missing(member))
}

fn automation(run: Option<&proto::v1::AutomationRun>) -> Result<&proto::v1::AutomationRun, RenderError> {
    required("data.automation_run", run)
}

fn milestone(milestone: Option<&proto::v1::Milestone>) -> Result<&proto::v1::Milestone, RenderError> {
    required("data.milestone", milestone)
}

fn user_name(user: &User) -> Text {
    let name = Text::line(&user.name);
    if name.is_blank() { Text::line(&format!("user #{}", user.id)) } else { name }
}

/// To the second: no target shows more.
fn moment(at: &Timestamp) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(at.seconds).ok().filter(|at| (0..=9999).contains(&at.year()))
}

fn fact(label: &'static str, value: Option<Text>) -> Option<Fact> {
    let value = value.filter(|value| !value.is_blank())?;
    Some(Fact { label, value: Thing::text(value) })
}

fn link_fact(label: &'static str, value: Thing) -> Option<Fact> {
    Some(Fact { label, value })
}

fn tags(tags: &[String]) -> Option<Fact> {
    fact("Tags", phrase::list(tags.iter().map(String::as_str)))
}

fn quote(text: Option<&str>) -> Option<Part> {
    let text = Text::lines(text?);
    (!text.is_blank()).then_some(Part::Quote(text))
}

fn changed(changes: &[Change]) -> Result<Option<Part>, RenderError> {
    let rows: Vec<_> = changes
        .iter()
        .map(|change| {
            Ok(Changed {
                field: phrase::field(&change.field),
                from: phrase::value(&change.field, &change.from_json)?,
                to: phrase::value(&change.field, &change.to_json)?,
            })
        })
        .collect::<Result<_, RenderError>>()?;
    Ok((!rows.is_empty()).then_some(Part::Changes(rows)))
}
