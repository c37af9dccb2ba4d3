//! Writes what the product sends, for `docs/pictures/make`: the body of each type's sample for each target, and of a few
//! endings that the samples do not have.
//!
//! Usage: `cargo run -p payload --example bodies -- FOLDER`; makes `FOLDER/<target>/<group>/<number>-<title>.json`.

use std::{error::Error, fs, path::PathBuf};

use domain::{EventType, WebhookKind};
use payload::{render, sample};
use proto::v1::{Event, JobResult, RunResult, event::Data};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).map(PathBuf::from).ok_or("usage: bodies FOLDER")?;
    for target in [WebhookKind::Slack, WebhookKind::Teams, WebhookKind::Discord] {
        for kind in EventType::ALL {
            let group = folder.join(target.to_string()).join(slug(*kind));
            fs::create_dir_all(&group)?;
            let number = kind.index() + 10;
            fs::write(group.join(format!("{number}-{kind}.json")), render(&sample(*kind), target, false)?)?;
            if let Some((ending, event)) = other_ending(*kind) {
                fs::write(group.join(format!("{number}-{kind} ({ending}).json")), render(&event, target, false)?)?;
            }
        }
    }
    Ok(())
}

/// The group's heading as a name of a folder, such as `results-issues`.
fn slug(kind: EventType) -> String {
    let words = kind.group().title().to_lowercase();
    words.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}

/// The sample with the other of its two outcomes.
fn other_ending(kind: EventType) -> Option<(&'static str, Event)> {
    let mut event = sample(kind);
    let ending = match event.data.as_mut()? {
        Data::RunCompleted(data) => {
            data.result = RunResult::Passed.into();
            let run = data.run.as_mut()?;
            (run.success_count, run.failure_count) = (run.total_count, Some(0));
            "passed"
        }
        Data::AutomationRunCompleted(data) => {
            data.result = RunResult::Failed.into();
            let run = data.automation_run.as_mut()?;
            (run.success_count, run.failure_count) = (Some(301), Some(19));
            "failed"
        }
        Data::JobCompleted(data) => {
            data.result = JobResult::Failure.into();
            "failed"
        }
        Data::MilestoneCompleted(data) => {
            data.milestone.as_mut()?.due_date = Some("2026-03-02".to_owned());
            "late"
        }
        _ => return None,
    };
    Some((ending, event))
}
