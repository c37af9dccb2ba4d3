//! The catalogue: 23 types of event, in the article's groups.

use std::{fmt, str::FromStr};

/// Heading under which event types are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventGroup(&'static str);

impl EventGroup {
    /// The heading.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.0
    }
}

/// Text that names no event type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an event type{meant}; GET /api/v1/webhooks/events lists them", meant = meant(.0))]
pub struct UnknownEventType(pub String);

/// The type that was likely meant, as part of a sentence: less than half of it is to be changed.
fn meant(text: &str) -> String {
    let slips = |kind: &EventType| strsim::osa_distance(&text.to_lowercase(), kind.name());
    let nearest = EventType::ALL.iter().min_by_key(|kind| slips(kind));
    let nearest = nearest.filter(|kind| slips(kind) * 2 < kind.name().len().max(text.len()));
    nearest.map(|kind| format!(" (did you mean `{kind}`?)")).unwrap_or_default()
}

macro_rules! event_types {
    ($($group:literal { $($variant:ident = $name:literal, $title:literal;)+ })+) => {
        /// What kind of thing happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum EventType { $($(#[doc = $title] $variant,)+)+ }

        impl EventType {
            /// All of them, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$($(Self::$variant,)+)+];

            /// Its name, such as `run.completed`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($(Self::$variant => $name,)+)+ }
            }

            /// Its title, such as `Test run completed`.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $($(Self::$variant => $title,)+)+ }
            }

            /// The heading under which it is shown.
            #[must_use]
            pub const fn group(self) -> EventGroup {
                match self { $($(Self::$variant)|+ => EventGroup($group),)+ }
            }
        }
    };
}

event_types! {
    "Test Runs" {
        RunCreated = "run.created", "Test run created";
        RunStarted = "run.started", "Test run started";
        RunCompleted = "run.completed", "Test run completed";
        RunDeleted = "run.deleted", "Test run deleted";
    }
    "Test Cases" {
        CaseCreated = "case.created", "Test case created";
        CaseUpdated = "case.updated", "Test case updated";
        CaseAutomationLinksChanged = "case.automation_links_changed", "Test case automation links changed";
        CaseStateChanged = "case.state_changed", "Test case state changed";
        CaseDeleted = "case.deleted", "Test case deleted";
    }
    "Automation Runs" {
        AutomationRunCreated = "automation_run.created", "Automation run created";
        AutomationRunCompleted = "automation_run.completed", "Automation run completed";
        AutomationRunDeleted = "automation_run.deleted", "Automation run deleted";
    }
    "CI/CD Jobs" {
        JobQueued = "job.queued", "Job queued";
        JobCompleted = "job.completed", "Job completed";
    }
    "Milestones" {
        MilestoneCreated = "milestone.created", "Milestone created";
        MilestoneUpdated = "milestone.updated", "Milestone updated";
        MilestoneDueDateChanged = "milestone.due_date_changed", "Milestone due date changed";
        MilestoneCompleted = "milestone.completed", "Milestone completed";
    }
    "Test Sessions" {
        SessionCreated = "session.created", "Test session created";
        SessionClosed = "session.closed", "Test session closed";
    }
    "Test Results & Issues" {
        ResultChanged = "result.changed", "Test result changed";
        ResultIssueLinked = "result.issue_linked", "Result issue linked";
    }
    "Mentions" {
        UserMentioned = "user.mentioned", "User mentioned";
    }
}

impl EventType {
    /// Its place in [`EventType::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// What its name starts with, such as `run`: the part before the dot.
    #[must_use]
    pub fn family(self) -> &'static str {
        self.name().split_once('.').map_or(self.name(), |(family, _)| family)
    }
}

impl FromStr for EventType {
    type Err = UnknownEventType;

    fn from_str(text: &str) -> Result<Self, UnknownEventType> {
        let found = Self::ALL.iter().find(|kind| kind.name() == text);
        found.copied().ok_or_else(|| UnknownEventType(text.to_owned()))
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        assert_eq!(EventType::ALL.len(), 23);
        for (index, kind) in EventType::ALL.iter().enumerate() {
            assert_eq!(kind.name().parse(), Ok(*kind));
            assert_eq!(kind.index(), index);
        }
    }

    #[test]
    fn mistakes_name_what_was_likely_meant() {
        let message = |text: &str| text.parse::<EventType>().unwrap_err().to_string();
        for (text, meant) in [
            ("run.complete", " (did you mean `run.completed`?)"),
            ("Run.Completed", " (did you mean `run.completed`?)"),
            ("case.automation_link_changed", " (did you mean `case.automation_links_changed`?)"),
            ("nonsense", ""),
            ("", ""),
        ] {
            let expected = format!("`{text}` is not an event type{meant}; GET /api/v1/webhooks/events lists them");
            assert_eq!(message(text), expected);
        }
    }
}
