//! A webhook, and the rules of its fields.

use std::{fmt, str::FromStr};

use crate::{EventType, target};

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
    /// Selected event types.
    pub events: Vec<String>,
    /// `None`: all projects.
    pub projects: Option<Vec<i64>>,
    /// Whether `http://` and certificates that cannot be verified are permitted.
    pub allow_insecure: bool,
}

/// A webhook whose fields keep the rules; where its URL leads is for the address policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSpec {
    /// 1 to 255 characters.
    pub name: String,
    /// Normalised.
    pub url: url::Url,
    /// What the body is made for.
    pub kind: WebhookKind,
    /// At least one, in the order of the catalogue.
    pub events: Vec<EventType>,
    /// Which projects' events fire it.
    pub scope: Scope,
    /// Whether `http://` and certificates that cannot be verified are permitted.
    pub allow_insecure: bool,
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
        match (kind, url) {
            (Ok(kind), Ok(url)) if errors.is_empty() => {
                let name = name.to_owned();
                Ok(WebhookSpec { name, url, kind, events, scope, allow_insecure: self.allow_insecure })
            }
            _ => Err(errors),
        }
    }
}

fn parse_events(names: &[String], errors: &mut Vec<FieldError>) -> Vec<EventType> {
    if names.is_empty() {
        errors.push(FieldError::new("events", "must name at least one event type"));
    }
    let mut events = Vec::with_capacity(names.len());
    for name in names {
        match name.parse::<EventType>() {
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

    fn draft() -> WebhookDraft {
        WebhookDraft {
            name: " CI ".into(),
            url: "https://example.com/hook".into(),
            kind: "generic".into(),
            events: vec!["run.completed".into(), "run.created".into(), "run.completed".into()],
            projects: Some(vec![7, 3, 7]),
            allow_insecure: false,
        }
    }

    #[test]
    fn a_good_draft_is_put_in_order() {
        let spec = draft().check().unwrap();
        assert_eq!(spec.name, "CI");
        assert_eq!(spec.events, [EventType::RunCreated, EventType::RunCompleted]);
        assert_eq!(spec.scope, Scope::Projects(vec![3, 7]));
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
        };
        let fields: Vec<_> = bad.check().unwrap_err().into_iter().map(|error| error.field).collect();
        assert_eq!(fields, ["name", "type", "events", "projects", "url"]);
    }

    #[test]
    fn insecure_goes_with_generic_only() {
        let bad = WebhookDraft { kind: "slack".into(), allow_insecure: true, ..draft() };
        assert_eq!(bad.check().unwrap_err()[0].field, "allow_insecure");
        let empty = WebhookDraft { events: Vec::new(), projects: Some(Vec::new()), ..draft() };
        let fields: Vec<_> = empty.check().unwrap_err().into_iter().map(|error| error.field).collect();
        assert_eq!(fields, ["events", "projects"]);
    }
}
