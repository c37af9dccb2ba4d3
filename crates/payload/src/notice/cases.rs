//! Test cases.

use proto::{
    json,
    v1::{AutomationLink, AutomationLinks, Case, Change},
};

use super::{Part, Sign, Story, Thing, Tone, changed, fact, tags};
use crate::{RenderError, phrase, text::Text};

/// UTF-16 units of a case's key before its name.
const KEY: usize = 30;

pub(super) fn created(case: &Case) -> Story {
    let automated = case.has_automation.map(|has| Text::line(if has { "yes" } else { "no" }));
    Story::new("📝", Tone::News, "New test case", thing(case), "Added")
        .facts([fact("Estimate", phrase::duration(case.estimate)), fact("Automated", automated), tags(&case.tags)])
        .opens("Open test case")
}

pub(super) fn updated(case: &Case, changes: &[Change]) -> Result<Story, RenderError> {
    Ok(Story::new("✏️", Tone::Change, "Test case updated", thing(case), "Updated")
        .part(changed(changes)?)
        .opens("Open test case"))
}

pub(super) fn links_changed(case: &Case, links: Option<&AutomationLinks>) -> Story {
    let told = |links: &[AutomationLink], sign: Sign| -> Vec<_> {
        links.iter().map(|link| (sign, Thing::new(&link.name, link.id, &link.url))).collect()
    };
    let (mut rows, mut numbers) = (Vec::new(), Vec::new());
    if let Some(links) = links {
        let lists = [
            (&links.added, Sign::Added, "added"),
            (&links.removed, Sign::Removed, "removed"),
            (&links.modified, Sign::Modified, "modified"),
        ];
        for (list, sign, word) in lists {
            rows.extend(told(list, sign));
            numbers.extend((!list.is_empty()).then(|| format!("{} {word}", list.len())));
        }
    }
    let told = if numbers.is_empty() { String::new() } else { format!(" – {}", numbers.join(", ")) };
    Story::new("🔗", Tone::Change, &format!("Automation links changed{told}"), thing(case), "Changed")
        .part((!rows.is_empty()).then_some(Part::Links(rows)))
        .opens("Open test case")
}

pub(super) fn state_changed(case: &Case, state: i32, changes: &[Change]) -> Result<Story, RenderError> {
    let story = match json::CaseState::name(state) {
        Some("archived") => Story::new("📦", Tone::Gone, "Test case archived", thing(case), "Archived"),
        Some(_) => Story::new("♻️", Tone::Good, "Test case reactivated", thing(case), "Reactivated"),
        None => return Err(RenderError::Missing("data.state")),
    };
    Ok(story.part(changed(changes)?).facts([tags(&case.tags)]).opens("Open test case"))
}

pub(super) fn deleted(case: &Case) -> Story {
    Story::new("🗑️", Tone::Gone, "Test case deleted", thing(case), "Deleted").facts([tags(&case.tags)])
}

/// Its key, by which people find it, and its name.
pub(super) fn thing(case: &Case) -> Thing {
    let mut thing = Thing::new(&case.name, case.id, &case.url);
    if let Some(key) = case.key.as_deref().map(Text::line).filter(|key| !key.is_blank()) {
        thing.name = Text::line(&format!("{} {}", key.short(KEY), thing.name));
    }
    thing
}
