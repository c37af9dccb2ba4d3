//! What a webhook selects of the catalogue: single event types, a family of them (`run.*`), or all (`*`).

use std::{cmp::Ordering, fmt, str::FromStr};

use crate::EventType;

/// One entry of a webhook's `events`. Ordered as the catalogue is, wildcards before what they stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventSelector {
    /// `*`: every type, future ones included.
    All,
    /// `run.*`: every type of a family, future ones included; holds the family's name (`run`).
    Family(&'static str),
    /// One type.
    One(EventType),
}

/// Text that selects no event type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownSelector {
    /// A wildcard for a family that does not exist.
    #[error("`{0}` stands for no event type; wildcards are `*`, {wildcards}", wildcards = wildcards())]
    Family(String),
    /// Neither an event type nor a wildcard.
    #[error(
        "`{0}` is not an event type; GET /api/v1/webhooks/events lists them, and wildcards such as `run.*` and `*` are \
         possible"
    )]
    Type(String),
}

impl EventSelector {
    /// Whether it selects events of this type.
    #[must_use]
    pub fn covers(self, event: EventType) -> bool {
        match self {
            Self::All => true,
            Self::Family(family) => event.family() == family,
            Self::One(one) => one == event,
        }
    }

    /// The event types that a choice selects, each once, in the order of the catalogue.
    #[must_use]
    pub fn expand(selectors: &[Self]) -> Vec<EventType> {
        let selected = |event: &EventType| selectors.iter().any(|selector| selector.covers(*event));
        EventType::ALL.iter().copied().filter(selected).collect()
    }

    /// Place in the catalogue, then wildcards first. The name is there for families that are not in the catalogue.
    fn rank(self) -> (usize, u8, &'static str) {
        let first = |family| EventType::ALL.iter().position(|event| event.family() == family);
        match self {
            Self::All => (0, 0, ""),
            Self::Family(family) => (first(family).unwrap_or(usize::MAX), 1, family),
            Self::One(event) => (event.index(), 2, ""),
        }
    }
}

fn wildcards() -> String {
    let mut families: Vec<&str> = EventType::ALL.iter().map(|event| event.family()).collect();
    families.dedup();
    families.iter().map(|family| format!("`{family}.*`")).collect::<Vec<_>>().join(", ")
}

impl Ord for EventSelector {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for EventSelector {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<EventType> for EventSelector {
    fn from(event: EventType) -> Self {
        Self::One(event)
    }
}

impl FromStr for EventSelector {
    type Err = UnknownSelector;

    fn from_str(text: &str) -> Result<Self, UnknownSelector> {
        if text == "*" {
            return Ok(Self::All);
        }
        if let Some(name) = text.strip_suffix(".*") {
            let family = EventType::ALL.iter().map(|event| event.family()).find(|family| *family == name);
            return family.map(Self::Family).ok_or_else(|| UnknownSelector::Family(text.to_owned()));
        }
        text.parse().map(Self::One).map_err(|_| UnknownSelector::Type(text.to_owned()))
    }
}

impl fmt::Display for EventSelector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => formatter.write_str("*"),
            Self::Family(family) => write!(formatter, "{family}.*"),
            Self::One(event) => write!(formatter, "{event}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(text: &str) -> EventSelector {
        text.parse().unwrap()
    }

    #[test]
    fn a_family_is_not_every_type_that_ends_like_it() {
        let expanded = EventSelector::expand(&[selector("run.*")]);
        let names: Vec<_> = expanded.iter().map(|event| event.name()).collect();
        assert_eq!(names, ["run.created", "run.started", "run.completed", "run.deleted"]);
        assert!(!selector("run.*").covers(EventType::AutomationRunCreated));
        assert!(!selector("automation_run.*").covers(EventType::RunCreated));
    }

    #[test]
    fn all_covers_all_and_each_type_is_covered_by_its_family() {
        assert_eq!(EventSelector::expand(&[selector("*"), selector("run.*")]), EventType::ALL);
        for event in EventType::ALL {
            let family = selector(&format!("{}.*", event.family()));
            let covering: Vec<_> = EventType::ALL.iter().filter(|one| family.covers(**one)).collect();
            assert!(covering.contains(&event) && covering.len() < EventType::ALL.len());
            assert_eq!(EventSelector::expand(&[EventSelector::One(*event)]), [*event]);
        }
        assert_eq!(EventSelector::expand(&[]), []);
    }

    #[test]
    fn order_is_the_catalogues_with_wildcards_first() {
        let mut sorted: Vec<EventSelector> =
            ["user.mentioned", "case.created", "case.*", "run.started", "run.created", "run.*", "*"]
                .map(selector)
                .to_vec();
        sorted.sort_unstable();
        let texts: Vec<_> = sorted.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["*", "run.*", "run.created", "run.started", "case.*", "case.created", "user.mentioned"]);
    }

    #[test]
    fn every_selector_is_read_back_and_equal_only_to_itself() {
        let families = EventType::ALL.iter().map(|event| EventSelector::Family(event.family()));
        let singles = EventType::ALL.iter().copied().map(EventSelector::One);
        let mut all: Vec<_> = [EventSelector::All].into_iter().chain(families).chain(singles).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 1 + 8 + 23);
        for one in &all {
            assert_eq!(one.to_string().parse(), Ok(*one));
        }
    }

    #[test]
    fn mistakes_name_the_text_and_the_way_out() {
        let message = |text: &str| text.parse::<EventSelector>().unwrap_err().to_string();
        let family = message("foo.*");
        assert!(
            family.starts_with("`foo.*` stands for no event type; wildcards are `*`, `run.*`, `case.*`, "),
            "{family}"
        );
        assert!(family.contains("`automation_run.*`") && family.ends_with("`user.*`"), "{family}");
        let unknown = message("run.exploded");
        assert!(unknown.starts_with("`run.exploded` is not an event type; GET /api/v1/webhooks/events"), "{unknown}");
        for text in
            ["", "**", ".*", "run", "run.", "run*", "Run.*", " *", "run.*.*", "*.created", "automation_run.created "]
        {
            assert!(text.parse::<EventSelector>().is_err(), "{text}");
        }
    }
}
