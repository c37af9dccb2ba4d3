//! A webhook, and the rules of its fields.

use std::{fmt, str::FromStr};

use url::Url;

use crate::{CustomHeader, EventSelector, Filter, check_headers, target};

/// A scope travels whole in every answer and to every dispatcher; more projects than this are better served by all.
const MOST_PROJECTS: usize = 5_000;

/// Well above the number of event types and wildcards that there are.
const MOST_EVENTS: usize = 100;

/// What a webhook's body is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WebhookKind {
    /// The JSON envelope.
    Generic,
    /// Block Kit.
    Slack,
    /// An Adaptive Card.
    Teams,
    /// Embeds.
    Discord,
}

/// Text that names no type of webhook.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be one of generic, slack, teams, discord")]
pub struct UnknownKind;

impl WebhookKind {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Slack => "slack",
            Self::Teams => "teams",
            Self::Discord => "discord",
        }
    }
}

impl FromStr for WebhookKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let kinds = [Self::Generic, Self::Slack, Self::Teams, Self::Discord];
        kinds.into_iter().find(|kind| kind.name() == text).ok_or(UnknownKind)
    }
}

impl fmt::Display for WebhookKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Which projects' events fire a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All projects, future ones included.
    All,
    /// These, ascending. Empty only after the last one was deleted.
    Projects(Vec<i64>),
}

impl Scope {
    /// Whether events of `project` are in it.
    #[must_use]
    pub fn contains(&self, project: i64) -> bool {
        match self {
            Self::All => true,
            Self::Projects(projects) => projects.binary_search(&project).is_ok(),
        }
    }
}

/// A mistake in a field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field, such as `url`.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub message: String,
}

impl FieldError {
    /// A mistake in `field`.
    #[must_use]
    pub fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

/// A webhook as an operator wrote it, not yet checked.
#[derive(Clone, Debug, Default)]
pub struct WebhookDraft {
    /// For reference only.
    pub name: String,
    /// Where to post to.
    pub url: String,
    /// What the body is made for.
    pub kind: String,
    /// Selected event types and wildcards.
    pub events: Vec<String>,
    /// `None`: all projects.
    pub projects: Option<Vec<i64>>,
    /// Whether `http://` and certificates that cannot be verified are permitted.
    pub allow_insecure: bool,
    /// Whether deliveries tell their trace context in a header `traceparent`.
    pub send_traceparent: bool,
    /// Further request headers.
    pub headers: Vec<CustomHeader>,
    /// Conditions, all of which must hold.
    pub filter: Vec<String>,
}

/// A webhook whose fields keep the rules; where its URL leads is for the address policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSpec {
    /// 1 to 255 characters.
    pub name: String,
    /// Normalised.
    pub url: Url,
    /// What the body is made for.
    pub kind: WebhookKind,
    /// At least one, each once, in the order of the catalogue.
    pub events: Vec<EventSelector>,
    /// Which projects' events fire it.
    pub scope: Scope,
    /// Whether `http://` and certificates that cannot be verified are permitted.
    pub allow_insecure: bool,
    /// Whether deliveries tell their trace context in a header `traceparent`.
    pub send_traceparent: bool,
    /// Further request headers, names in lower case.
    pub headers: Vec<CustomHeader>,
    /// What must hold for an event besides.
    pub filter: Filter,
}

impl WebhookDraft {
    /// Checks every rule that needs nothing but the fields.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn check(self) -> Result<WebhookSpec, Vec<FieldError>> {
        let mut errors = Vec::new();
        let name = self.name.trim();
        if name.is_empty() || name.chars().count() > 255 {
            errors.push(FieldError::new("name", "must have 1 to 255 characters"));
        }
        if name.chars().any(char::is_control) {
            errors.push(FieldError::new("name", "must not hold control characters"));
        }
        let kind =
            self.kind.parse::<WebhookKind>().map_err(|error| errors.push(FieldError::new("type", error.to_string())));
        let events = parse_events(&self.events, &mut errors);
        let scope = parse_scope(self.projects, &mut errors);
        if self.allow_insecure && kind.is_ok_and(|kind| kind != WebhookKind::Generic) {
            errors.push(FieldError::new("allow_insecure", "is possible with type generic only"));
        }
        let url = target::parse(&self.url, kind.unwrap_or(WebhookKind::Generic), self.allow_insecure)
            .map_err(|error| errors.push(FieldError::new("url", error.to_string())));
        let headers = check_headers(self.headers).map_err(|mistakes| errors.extend(mistakes));
        let filter = Filter::parse(&self.filter).map_err(|mistakes| errors.extend(mistakes));
        match (kind, url, headers, filter) {
            (Ok(kind), Ok(url), Ok(headers), Ok(filter)) if errors.is_empty() => {
                let (name, allow_insecure) = (name.to_owned(), self.allow_insecure);
                let send_traceparent = self.send_traceparent;
                Ok(WebhookSpec { name, url, kind, events, scope, allow_insecure, send_traceparent, headers, filter })
            }
            _ => Err(errors),
        }
    }
}

/// Whether a webhook's headers must be dropped, because what they hold was given for another receiver: one with another
/// host or port, or the same without the encryption that it had (or the other way round).
#[must_use]
pub fn host_changed(old: &Url, new: &Url) -> bool {
    old.origin() != new.origin()
}

fn parse_events(names: &[String], errors: &mut Vec<FieldError>) -> Vec<EventSelector> {
    if names.is_empty() {
        errors.push(FieldError::new("events", "must name at least one event type"));
    }
    if names.len() > MOST_EVENTS {
        let message = format!("must have at most {MOST_EVENTS} entries; `*` stands for all event types");
        errors.push(FieldError::new("events", message));
        return Vec::new();
    }
    let mut events = Vec::with_capacity(names.len());
    for name in names {
        match name.parse::<EventSelector>() {
            Ok(event) => events.push(event),
            Err(error) => errors.push(FieldError::new("events", error.to_string())),
        }
    }
    events.sort_unstable();
    events.dedup();
    events
}

fn parse_scope(projects: Option<Vec<i64>>, errors: &mut Vec<FieldError>) -> Scope {
    let Some(mut projects) = projects else { return Scope::All };
    if projects.is_empty() {
        errors.push(FieldError::new("projects", "must be null for all projects, or name at least one"));
    }
    if projects.len() > MOST_PROJECTS {
        let message = format!("must name at most {MOST_PROJECTS} projects, or be null for all");
        errors.push(FieldError::new("projects", message));
    }
    if let Some(project) = projects.iter().find(|project| **project < 1) {
        errors.push(FieldError::new("projects", format!("{project} is not a project id; ids start at 1")));
    }
    projects.sort_unstable();
    projects.dedup();
    Scope::Projects(projects)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EventType;

    fn draft() -> WebhookDraft {
        WebhookDraft {
            name: " CI ".into(),
            url: "https://example.com/hook".into(),
            kind: "generic".into(),
            events: vec!["run.completed".into(), "run.created".into(), "run.completed".into()],
            projects: Some(vec![7, 3, 7]),
            allow_insecure: false,
            send_traceparent: true,
            headers: vec![CustomHeader { name: "X-Key".into(), value: "k".into() }],
            filter: vec![" data.result == failed ".into()],
        }
    }

    #[test]
    fn a_good_draft_is_put_in_order() {
        let spec = draft().check().unwrap();
        assert_eq!(spec.name, "CI");
        assert_eq!(
            spec.events,
            [EventSelector::One(EventType::RunCreated), EventSelector::One(EventType::RunCompleted)]
        );
        assert!(spec.send_traceparent);
        assert_eq!(spec.scope, Scope::Projects(vec![3, 7]));
        assert_eq!(spec.headers, [CustomHeader { name: "x-key".into(), value: "k".into() }]);
        assert_eq!(spec.filter.texts().collect::<Vec<_>>(), ["data.result == failed"]);
    }

    #[test]
    fn wildcards_stay_as_they_were_chosen() {
        let names = ["run.created", "case.*", "run.*", "*", "run.*"].map(ToOwned::to_owned).to_vec();
        let spec = WebhookDraft { events: names, ..draft() }.check().unwrap();
        let texts: Vec<_> = spec.events.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["*", "run.*", "run.created", "case.*"]);
    }

    #[test]
    fn every_mistake_is_named_at_once() {
        let bad = WebhookDraft {
            name: " ".into(),
            url: "ftp://x".into(),
            kind: "carrier pigeon".into(),
            events: vec!["run.exploded".into()],
            projects: Some(vec![0]),
            allow_insecure: true,
            send_traceparent: false,
            headers: vec![CustomHeader { name: "Host".into(), value: "x".into() }],
            filter: vec!["data.result = failed".into(), "nonsense".into()],
        };
        let fields: Vec<_> = bad.check().unwrap_err().into_iter().map(|error| error.field).collect();
        assert_eq!(fields, ["name", "type", "events", "projects", "url", "headers", "filter", "filter"]);
    }

    #[test]
    fn insecure_goes_with_generic_only() {
        let bad = WebhookDraft { kind: "slack".into(), allow_insecure: true, ..draft() };
        assert_eq!(bad.check().unwrap_err()[0].field, "allow_insecure");
        let empty = WebhookDraft { events: Vec::new(), projects: Some(Vec::new()), ..draft() };
        let fields: Vec<_> = empty.check().unwrap_err().into_iter().map(|error| error.field).collect();
        assert_eq!(fields, ["events", "projects"]);
    }

    #[test]
    fn lists_are_bounded() {
        let fits =
            WebhookDraft { events: vec!["run.created".into(); 100], projects: Some((1..=5_000).collect()), ..draft() };
        assert!(fits.check().is_ok());
        let long =
            WebhookDraft { events: vec!["run.created".into(); 101], projects: Some((1..=5_001).collect()), ..draft() };
        let messages: Vec<_> = long.check().unwrap_err().into_iter().map(|error| error.message).collect();
        assert_eq!(
            messages,
            [
                "must have at most 100 entries; `*` stands for all event types",
                "must name at most 5000 projects, or be null for all"
            ]
        );
    }

    #[test]
    fn headers_belong_to_an_origin() {
        let changed = |old: &str, new: &str| host_changed(&old.parse().unwrap(), &new.parse().unwrap());
        for same in ["https://a.example:443/y?z", "https://A.EXAMPLE/", "https://%61.example/x"] {
            assert!(!changed("https://a.example/x", same), "{same}");
        }
        for other in [
            "https://b.example/x",
            "https://a.example:444/x",
            "http://a.example/x",
            "http://a.example:443/x",
            "https://a.example./x",
        ] {
            assert!(changed("https://a.example/x", other), "{other}");
        }
    }
}
