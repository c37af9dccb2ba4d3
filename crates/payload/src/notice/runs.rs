//! Test runs and automation runs.

use proto::{
    json,
    v1::{AutomationRun, Run},
};

use super::{Fact, Part, Story, Thing, Tone, fact, quote, tags};
use crate::{RenderError, counts::Counts, phrase, text::Text};

/// How a run ended.
#[derive(Clone, Copy)]
pub(super) enum Ended {
    Passed,
    Failed,
}

/// How a run ended, by the schema's value.
pub(super) fn ended(result: i32) -> Result<Ended, RenderError> {
    match json::RunResult::name(result) {
        Some("passed") => Ok(Ended::Passed),
        Some(_) => Ok(Ended::Failed),
        None => Err(RenderError::Missing("data.result")),
    }
}

pub(super) fn created(run: &Run) -> Story {
    Story::new("🆕", Tone::News, "New test run", thing(run), "Created")
        .part(quote(run.note.as_deref()))
        .facts([
            fact("Tests", size(Counts::of_run(run))),
            fact("Expected effort", phrase::duration(run.forecast)),
            tags(&run.tags),
        ])
        .opens("Open test run")
}

pub(super) fn started(run: &Run) -> Story {
    Story::new("▶️", Tone::News, "Test run started", thing(run), "Started")
        .part(Counts::of_run(run).map(Part::Counts))
        .facts([fact("Expected effort", phrase::duration(run.forecast)), tags(&run.tags)])
        .opens("Open test run")
}

pub(super) fn completed(run: &Run, ended: Ended) -> Story {
    let counts = Counts::of_run(run);
    let effort = phrase::duration(run.elapsed).map(|spent| match phrase::duration(run.forecast) {
        Some(expected) => Text::line(&format!("{spent} of {expected} expected")),
        None => spent,
    });
    verdict("Test run", ended, counts, thing(run), "Completed")
        .part(counts.map(Part::Counts))
        .facts([fact("Effort", effort), tags(&run.tags)])
        .opens("Open test run")
}

pub(super) fn deleted(run: &Run) -> Story {
    gone("Test run deleted", thing(run), Counts::of_run(run), None)
}

pub(super) fn submitted(run: &AutomationRun) -> Story {
    let threads = run.thread_count.filter(|count| *count > 0).map(|count| Text::line(&count.to_string()));
    Story::new("🤖", Tone::News, "Automation run submitted", automation_thing(run), "Submitted")
        .facts([
            fact("Source", source(run)),
            fact("Tests", size(Counts::of_automation_run(run))),
            fact("Threads", threads),
            tags(&run.tags),
        ])
        .opens("Open automation run")
}

pub(super) fn finished(run: &AutomationRun, ended: Ended) -> Story {
    let counts = Counts::of_automation_run(run);
    verdict("Automation run", ended, counts, automation_thing(run), "Submitted")
        .part(counts.map(Part::Counts))
        .facts([fact("Source", source(run)), fact("Took", phrase::duration(run.elapsed)), tags(&run.tags)])
        .opens("Open automation run")
}

pub(super) fn discarded(run: &AutomationRun) -> Story {
    let source = fact("Source", source(run));
    gone("Automation run deleted", automation_thing(run), Counts::of_automation_run(run), source)
}

fn thing(run: &Run) -> Thing {
    Thing::new(&run.name, run.id, &run.url)
}

fn automation_thing(run: &AutomationRun) -> Thing {
    Thing::new(&run.name, run.id, &run.url)
}

fn source(run: &AutomationRun) -> Option<Text> {
    run.source.as_ref().map(|source| Text::name(&source.name, source.id))
}

fn size(counts: Option<Counts>) -> Option<Text> {
    counts.filter(|counts| counts.total > 0).map(|counts| Text::line(&counts.total.to_string()))
}

/// How many failed is what people want to know first.
fn verdict(noun: &str, ended: Ended, counts: Option<Counts>, thing: Thing, deed: &'static str) -> Story {
    let failed = counts.filter(|counts| counts.failed > 0 && counts.total > 0);
    match ended {
        Ended::Passed => Story::new("✅", Tone::Good, &format!("{noun} passed"), thing, deed),
        Ended::Failed => {
            let told =
                failed.map_or_else(String::new, |counts| format!(" – {} of {} tests", counts.failed, counts.total));
            Story::new("❌", Tone::Bad, &format!("{noun} failed{told}"), thing, deed)
        }
    }
}

/// What is gone is told in one line; there is nothing left to open.
fn gone(headline: &str, thing: Thing, counts: Option<Counts>, source: Option<Fact>) -> Story {
    let held = counts
        .filter(|counts| counts.total > 0)
        .map(|counts| Text::line(&format!("{}: {}", phrase::count(counts.total, "test", "tests"), counts.numbers())));
    Story::new("🗑️", Tone::Gone, headline, thing, "Deleted").facts([fact("Contained", held), source])
}
