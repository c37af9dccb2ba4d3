//! A choice of a list to choose from.

use super::text::Text;

/// One of several that can be chosen.
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) title: Text,
    pub(super) chosen: bool,
}

impl Choice {
    pub(super) fn new(value: impl Into<String>, title: impl Into<String>, chosen: &str) -> Self {
        let value = value.into();
        Self { chosen: value == chosen, value, title: Text::line(title) }
    }
}

/// All event types, of which one or none is chosen.
pub(super) fn events(chosen: &str) -> Vec<Choice> {
    domain::EventType::ALL.iter().map(|kind| Choice::new(kind.name(), kind.title(), chosen)).collect()
}
