//! What things are called: types of webhooks and events, projects by their ids.

use std::collections::BTreeMap;

use domain::{EventSelector, EventType};
use proto::v1;

use super::text::Text;
use crate::{
    Services,
    caller::{Caller, answer},
    error::Failure,
};

/// The types of webhooks, with their names.
pub(super) const KINDS: [(&str, &str); 4] =
    [("slack", "Slack"), ("teams", "Microsoft Teams"), ("discord", "Discord"), ("generic", "Generic")];

/// Most projects that a page offers.
const MOST_PAGES: i32 = 10;
const PER_PAGE: i32 = 100;

/// A service that is newer than this one may know more.
pub(super) fn kind_title(kind: &str) -> &'static str {
    KINDS.into_iter().find(|row| row.0 == kind).map_or("Unknown type", |row| row.1)
}

pub(super) fn event_title(name: &str) -> String {
    name.parse::<EventType>().map_or_else(|_| name.to_owned(), |kind| kind.title().to_owned())
}

/// What an entry of a webhook's `events` selects.
fn selector_title(selector: &str) -> String {
    match selector.parse::<EventSelector>() {
        Ok(EventSelector::All) => "All events".to_owned(),
        Ok(EventSelector::Family(family)) => {
            let group = EventType::ALL.iter().find(|kind| kind.family() == family).map(|kind| kind.group().title());
            format!("All {}", group.unwrap_or(family))
        }
        Ok(EventSelector::One(kind)) => kind.title().to_owned(),
        Err(_) => selector.to_owned(),
    }
}

/// A choice of events in a few words.
pub(super) fn events_summary(selectors: &[String]) -> Text {
    Text::line(match selectors {
        [] => "No events".to_owned(),
        [one] => selector_title(one),
        [first, rest @ ..] => format!("{} and {} more", selector_title(first), rest.len()),
    })
}

/// The projects that the visitor may choose from.
#[derive(Clone, Default)]
pub(super) struct Projects(BTreeMap<i64, String>);

impl Projects {
    pub(super) async fn load(services: &Services, caller: &Caller) -> Result<Self, Failure> {
        let mut known = BTreeMap::new();
        for page in 1..=MOST_PAGES {
            let request = v1::ListProjectsRequest { page, per_page: PER_PAGE };
            let found = answer(services.webhooks().list_projects(caller.request(request))).await?;
            known.extend(found.projects.into_iter().map(|project| (project.id, project.name)));
            if i64::from(page * PER_PAGE) >= found.total {
                break;
            }
        }
        Ok(Self(known))
    }

    /// Every project has a name to be called by, told or not.
    pub(super) fn name(&self, id: i64) -> Text {
        match self.0.get(&id) {
            Some(name) if !name.is_empty() => Text::line(name.clone()),
            _ => Text::line(format!("Project {id}")),
        }
    }

    /// With these ids as well.
    pub(super) fn with(mut self, ids: &[i64]) -> Self {
        for id in ids {
            self.0.entry(*id).or_default();
        }
        self
    }

    /// Only these.
    pub(super) fn only(mut self, ids: &[i64]) -> Self {
        self.0.retain(|id, _| ids.contains(id));
        self.with(ids)
    }

    pub(super) fn ids(&self) -> Vec<i64> {
        let mut ids: Vec<i64> = self.0.keys().copied().collect();
        ids.sort_by_key(|id| self.name(*id).to_string().to_lowercase());
        ids
    }

    /// A scope in a few words; `None`: all projects.
    pub(super) fn summary(&self, scope: Option<&v1::ProjectList>) -> Text {
        match scope.map(|scope| scope.ids.as_slice()) {
            None => Text::line("All projects"),
            Some([]) => Text::line("No project"),
            Some([one]) => self.name(*one),
            Some([first, rest @ ..]) => Text::line(format!("{} and {} more", self.name(*first), rest.len())),
        }
    }
}
