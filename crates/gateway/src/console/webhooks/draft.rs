//! A webhook as it stands in the form: as it is saved, as somebody has changed it, and as a request.

use domain::EventType;
use proto::v1::{
    self, CustomHeader, CustomHeaderList, EventList, FilterList, ProjectList, update_webhook_request::Scope,
};

use crate::{
    console::{form::Fields, visitor::Visitor},
    path,
};

/// What the form holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) kind: String,
    /// Event types and wildcards.
    pub(super) events: Vec<String>,
    pub(super) all_projects: bool,
    pub(super) projects: Vec<i64>,
    /// Ids of projects that are not offered, as they were written.
    pub(super) other_projects: String,
    pub(super) allow_insecure: bool,
    pub(super) send_traceparent: bool,
    /// A header a line.
    pub(super) headers: String,
    /// A condition a line.
    pub(super) filter: String,
    /// The version that was changed; 0: a new one.
    pub(super) version: i64,
}

/// A mistake that the form itself finds, as services tell theirs: field and text.
pub(super) type Mistake = (String, String);

impl Draft {
    /// A new one, with what suits most.
    pub(super) fn new(visitor: &Visitor) -> Self {
        Self { kind: "generic".to_owned(), all_projects: visitor.is_system_admin(), ..Self::default() }
    }

    pub(super) fn of(webhook: &v1::Webhook) -> Self {
        let header = |header: &CustomHeader| format!("{}: {}", header.name, header.value);
        Self {
            name: webhook.name.clone(),
            url: webhook.url.clone(),
            kind: webhook.r#type.clone(),
            events: webhook.events.clone(),
            all_projects: webhook.projects.is_none(),
            projects: webhook.projects.as_ref().map(|projects| projects.ids.clone()).unwrap_or_default(),
            other_projects: String::new(),
            allow_insecure: webhook.allow_insecure,
            send_traceparent: webhook.send_traceparent,
            headers: webhook.headers.iter().map(header).collect::<Vec<_>>().join("\n"),
            filter: webhook.filter.join("\n"),
            version: webhook.version,
        }
    }

    pub(super) fn read(fields: &Fields, visitor: &Visitor) -> Self {
        let kind = fields.text("type").to_owned();
        Self {
            name: fields.text("name").trim().to_owned(),
            url: fields.text("url").trim().to_owned(),
            // The form hides the box for other types, ticked or not.
            allow_insecure: fields.has("allow_insecure") && kind == "generic",
            send_traceparent: fields.has("send_traceparent"),
            kind,
            events: fields.all("events").map(str::to_owned).collect(),
            all_projects: visitor.is_system_admin() && fields.text("scope") == "all",
            projects: fields.all("projects").filter_map(path::number).collect(),
            other_projects: fields.text("other_projects").trim().to_owned(),
            headers: fields.lines("headers").join("\n"),
            filter: fields.lines("filter").join("\n"),
            version: fields.number("version").unwrap_or_default(),
        }
    }

    /// Whether a box for this event or wildcard is ticked.
    pub(super) fn selects(&self, selector: &str) -> bool {
        self.events.iter().any(|selected| selected == selector)
    }

    /// The chosen projects, those that were written by their ids among them.
    pub(super) fn scope(&self) -> Result<Option<ProjectList>, Mistake> {
        if self.all_projects {
            return Ok(None);
        }
        let mut ids = self.projects.clone();
        for text in self.other_projects.split([',', ' ']).filter(|text| !text.is_empty()) {
            let mistake = || ("projects".to_owned(), format!("`{text}` is no project id; ids are integers from 1"));
            ids.push(path::number(text).ok_or_else(mistake)?);
        }
        Ok(Some(ProjectList { ids }))
    }

    /// The headers, by lines `name: value`.
    fn headers(&self) -> Result<Vec<CustomHeader>, Mistake> {
        let lines = self.headers.lines().enumerate();
        let header = |(index, line): (usize, &str)| match line.split_once(':') {
            Some((name, value)) => Ok(CustomHeader { name: name.trim().to_owned(), value: value.trim().to_owned() }),
            // The line is not repeated: it may be a secret that lost its name.
            None => Err(("headers".to_owned(), format!("line {} is not of the form `name: value`", index + 1))),
        };
        lines.map(header).collect()
    }

    fn filter(&self) -> Vec<String> {
        self.filter.lines().map(str::to_owned).collect()
    }

    /// As a request for a new webhook.
    pub(super) fn to_create(&self) -> Result<v1::CreateWebhookRequest, Mistake> {
        Ok(v1::CreateWebhookRequest {
            name: self.name.clone(),
            url: self.url.clone(),
            r#type: self.kind.clone(),
            events: self.events.clone(),
            projects: self.scope()?,
            allow_insecure: self.allow_insecure,
            send_traceparent: self.send_traceparent,
            headers: self.headers()?,
            filter: self.filter(),
            inactive: false,
            validate_only: false,
        })
    }

    /// As a request to change a webhook, if it still has the version that the form was made of.
    pub(super) fn to_update(&self, id: i64) -> Result<v1::UpdateWebhookRequest, Mistake> {
        let scope = self.scope()?.map_or(Scope::AllProjects(true), Scope::Projects);
        Ok(v1::UpdateWebhookRequest {
            id,
            if_version: Some(self.version),
            name: Some(self.name.clone()),
            url: Some(self.url.clone()),
            r#type: Some(self.kind.clone()),
            events: Some(EventList { events: self.events.clone() }),
            scope: Some(scope),
            allow_insecure: Some(self.allow_insecure),
            send_traceparent: Some(self.send_traceparent),
            headers: Some(CustomHeaderList { headers: self.headers()? }),
            filter: Some(FilterList { conditions: self.filter() }),
            active: None,
            validate_only: false,
        })
    }
}

/// The events under a heading of the catalogue.
pub(super) struct Group {
    pub(super) title: &'static str,
    /// The wildcard for all of them, such as `run.*`.
    pub(super) wildcard: String,
    pub(super) wildcard_chosen: bool,
    pub(super) events: Vec<(&'static str, &'static str, bool)>,
}

/// All events in their groups, with what the draft has chosen.
pub(super) fn groups(draft: &Draft) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for kind in EventType::ALL {
        let title = kind.group().title();
        if groups.last().is_none_or(|group| group.title != title) {
            let wildcard = format!("{}.*", kind.family());
            let wildcard_chosen = draft.selects(&wildcard);
            groups.push(Group { title, wildcard, wildcard_chosen, events: Vec::new() });
        }
        if let Some(group) = groups.last_mut() {
            group.events.push((kind.name(), kind.title(), draft.selects(kind.name())));
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_or_told_by_its_place() {
        let draft = Draft {
            headers: "x-team: qa: 1\nX-Empty:".to_owned(),
            projects: vec![3],
            other_projects: "7, 9".to_owned(),
            ..Draft::default()
        };
        let request = draft.to_create().unwrap();
        let headers: Vec<_> = request.headers.iter().map(|one| (one.name.as_str(), one.value.as_str())).collect();
        assert_eq!(headers, [("x-team", "qa: 1"), ("X-Empty", "")]);
        assert_eq!(request.projects.unwrap().ids, [3, 7, 9]);
        let wrong = Draft { headers: "a: b\nsecret".to_owned(), ..Draft::default() };
        assert_eq!(wrong.to_update(1).unwrap_err().1, "line 2 is not of the form `name: value`");
        let wrong = Draft { other_projects: "7;9".to_owned(), ..Draft::default() };
        assert_eq!(wrong.scope().unwrap_err().0, "projects");
        assert_eq!(Draft { all_projects: true, ..draft }.scope(), Ok(None));
    }

    #[test]
    fn groups_are_the_articles() {
        let draft = Draft { events: vec!["run.*".into(), "job.queued".into()], ..Draft::default() };
        let groups = groups(&draft);
        assert_eq!((groups.len(), groups.iter().map(|group| group.events.len()).sum::<usize>()), (8, 23));
        assert!(groups[0].wildcard_chosen && groups[3].events[0].2 && !groups[3].events[1].2);
    }
}
