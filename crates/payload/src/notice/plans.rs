//! Milestones and exploratory sessions.

use proto::v1::{Change, Milestone, Session};
use time::{Date, OffsetDateTime};

use super::{Changed, Part, Story, Thing, Tone, changed, fact, moment, quote, tags};
use crate::{RenderError, phrase, text::Text};

pub(super) fn milestone_created(milestone: &Milestone) -> Story {
    Story::new("🎯", Tone::News, "New milestone", thing(milestone), "Created")
        .part(quote(milestone.note.as_deref()))
        .facts([fact("Due", due(milestone).and_then(phrase::day))])
        .opens("Open milestone")
}

pub(super) fn milestone_updated(milestone: &Milestone, changes: &[Change]) -> Result<Story, RenderError> {
    Ok(Story::new("✏️", Tone::Change, "Milestone updated", thing(milestone), "Updated")
        .part(changed(changes)?)
        .facts([fact("Due", due(milestone).and_then(phrase::day))])
        .opens("Open milestone"))
}

/// By how much, and which way, is what people plan with.
pub(super) fn due_date_changed(milestone: &Milestone, changes: &[Change]) -> Result<Story, RenderError> {
    let change = changes.iter().find(|change| change.field == "due_date");
    let date = |json: &str| serde_json::from_str::<String>(json).ok().and_then(|text| phrase::parse_day(&text));
    let from = change.and_then(|change| date(&change.from_json));
    // Without the change itself, the milestone still says when it is due.
    let to = change.map_or_else(|| due(milestone), |change| date(&change.to_json));
    let (emoji, tone, headline) = match (from, to) {
        (Some(from), Some(to)) if to > from => {
            ("📅", Tone::Warning, format!("Due date moved {} later", days(to - from)))
        }
        (Some(from), Some(to)) if to < from => {
            ("📅", Tone::Warning, format!("Due date moved {} earlier", days(from - to)))
        }
        (None, Some(_)) => ("📅", Tone::Change, "Due date set".to_owned()),
        (Some(_), None) => ("📅", Tone::Warning, "Due date removed".to_owned()),
        _ => ("📅", Tone::Change, "Due date changed".to_owned()),
    };
    let rows = match changed(changes)? {
        Some(part) => Some(part),
        None => to.map(|to| {
            Part::Changes(vec![Changed { field: phrase::field("due_date"), from: None, to: phrase::day(to) }])
        }),
    };
    Ok(Story::new(emoji, tone, &headline, thing(milestone), "Changed").part(rows).opens("Open milestone"))
}

pub(super) fn milestone_completed(milestone: &Milestone) -> Story {
    let at = milestone.completed_at.as_ref().and_then(moment).map(OffsetDateTime::date);
    let (tone, told) = match (due(milestone), at) {
        (Some(due), Some(at)) if at > due => (Tone::Warning, format!(" {} late", days(at - due))),
        (Some(due), Some(at)) if at < due => (Tone::Good, format!(" {} early", days(due - at))),
        (Some(_), Some(_)) => (Tone::Good, " on time".to_owned()),
        _ => (Tone::Good, String::new()),
    };
    Story::new("🏁", tone, &format!("Milestone completed{told}"), thing(milestone), "Completed")
        .part(quote(milestone.note.as_deref()))
        .facts([fact("Due", due(milestone).and_then(phrase::day)), fact("Completed", at.and_then(phrase::day))])
        .opens("Open milestone")
}

pub(super) fn session_created(session: &Session) -> Story {
    Story::new("🔎", Tone::News, "New exploratory session", session_thing(session), "Opened")
        .part(quote(session.note.as_deref()))
        .facts([fact("Time box", phrase::duration(session.estimate)), tags(&session.tags)])
        .opens("Open session")
}

pub(super) fn session_closed(session: &Session) -> Story {
    let spent = phrase::duration(session.elapsed).map(|spent| match phrase::duration(session.estimate) {
        Some(estimate) => Text::line(&format!("{spent} of {estimate}")),
        None => spent,
    });
    Story::new("🏁", Tone::Good, "Exploratory session closed", session_thing(session), "Closed")
        .part(quote(session.note.as_deref()))
        .facts([fact("Time spent", spent), tags(&session.tags)])
        .opens("Open session")
}

fn thing(milestone: &Milestone) -> Thing {
    Thing::new(&milestone.name, milestone.id, &milestone.url)
}

fn session_thing(session: &Session) -> Thing {
    Thing::new(&session.name, session.id, &session.url)
}

fn due(milestone: &Milestone) -> Option<Date> {
    milestone.due_date.as_deref().and_then(phrase::parse_day)
}

fn days(length: time::Duration) -> String {
    phrase::count(length.whole_days(), "day", "days")
}
