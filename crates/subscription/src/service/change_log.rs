//! Who changed what of a webhook: entries of its change log, as they are written and as they are shown.

use domain::{Identity, Scope, Timestamp, WebhookKind, target};
use proto::{
    convert::timestamp,
    error::ApiError,
    v1::{self, FieldChange, ListWebhookChangesRequest, ListWebhookChangesResponse},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Service, not_found, paging};
use crate::{
    failure,
    store::{LogEntry, Logged, Reach, Webhook},
};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Created,
    Updated,
    Activated,
    Deactivated,
    SecretRegenerated,
    Deleted,
    PlanDowngraded,
    ProjectDeleted,
    EndpointFailing,
}

impl Action {
    const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Activated => "activated",
            Self::Deactivated => "deactivated",
            Self::SecretRegenerated => "secret_regenerated",
            Self::Deleted => "deleted",
            Self::PlanDowngraded => "plan_downgraded",
            Self::ProjectDeleted => "project_deleted",
            Self::EndpointFailing => "endpoint_failing",
        }
    }
}

/// Who did it, and when.
#[derive(Clone, Debug)]
pub(super) struct Actor {
    name: String,
    role: &'static str,
    pub(super) at: Timestamp,
}

impl Actor {
    /// The caller of a service for operators.
    pub(super) fn new(caller: &Identity, at: Timestamp) -> Self {
        Self { name: caller.name.clone(), role: caller.role.name(), at }
    }

    /// Testmo core, whatever the name of its token.
    pub(super) fn core(caller: &Identity, at: Timestamp) -> Self {
        Self { name: "Testmo core".to_owned(), role: caller.role.name(), at }
    }

    /// The product itself: nobody asked for it.
    pub(super) fn system(at: Timestamp) -> Self {
        Self { name: "system".to_owned(), role: "system", at }
    }

    /// The entry for what it did.
    pub(super) fn entry(&self, action: Action, deltas: &[Delta]) -> Result<LogEntry, ApiError> {
        let fields = serde_json::to_string(deltas).map_err(|error| failure::of_log(&error))?;
        Ok(LogEntry {
            at: self.at,
            action: action.name().to_owned(),
            actor: self.name.clone(),
            actor_role: self.role.to_owned(),
            fields,
        })
    }
}

/// A field that has changed. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Delta {
    pub(super) field: String,
    /// JSON; empty: it was not there.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    from: String,
    /// JSON.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    to: String,
}

impl Delta {
    /// A field that is shown where it says more than the action does.
    pub(super) fn set(field: &str, to: &serde_json::Value) -> Self {
        Self { field: field.to_owned(), from: String::new(), to: to.to_string() }
    }
}

impl From<Delta> for FieldChange {
    fn from(delta: Delta) -> Self {
        Self { field: delta.field, from_json: delta.from, to_json: delta.to }
    }
}

/// The fields of a new webhook.
pub(super) fn all(webhook: &Webhook) -> Vec<Delta> {
    let shown = fields(webhook).into_iter();
    shown.map(|(field, to)| Delta::set(field, &to)).collect()
}

/// The fields that are not what they were; `hidden` have changed in what is not shown of them.
pub(super) fn differences(before: &Webhook, after: &Webhook, hidden: &[&str]) -> Vec<Delta> {
    let pairs = fields(before).into_iter().zip(fields(after));
    let changed = pairs.filter(|((field, from), (_, to))| {
        from != to || hidden.contains(field) || (*field == "url" && before.url != after.url)
    });
    let delta = |((field, from), (_, to)): ((&str, serde_json::Value), (&str, serde_json::Value))| Delta {
        field: field.to_owned(),
        from: from.to_string(),
        to: to.to_string(),
    };
    changed.map(delta).collect()
}

fn fields(webhook: &Webhook) -> [(&'static str, serde_json::Value); 11] {
    let projects = match &webhook.scope {
        Scope::All => None,
        Scope::Projects(projects) => Some(projects),
    };
    [
        ("name", json!(webhook.name)),
        ("url", json!(masked_url(webhook))),
        ("type", json!(webhook.kind)),
        ("events", json!(webhook.events)),
        ("projects", json!(projects)),
        ("allow_insecure", json!(webhook.allow_insecure)),
        ("send_traceparent", json!(webhook.send_traceparent)),
        ("headers", json!(webhook.headers)),
        ("filter", json!(webhook.filter)),
        ("active", json!(webhook.active)),
        ("secret", json!(webhook.secret_masked)),
    ]
}

/// The URL without what may be secret, by the type that the webhook has at that time.
fn masked_url(webhook: &Webhook) -> String {
    let kind = webhook.kind.parse::<WebhookKind>();
    match (webhook.url.parse(), kind) {
        (Ok(url), Ok(kind)) => target::mask(&url, kind),
        _ => domain::MASKED.to_owned(),
    }
}

impl Service {
    pub(super) async fn log(
        &self,
        reach: &Reach,
        request: &ListWebhookChangesRequest,
    ) -> Result<ListWebhookChangesResponse, ApiError> {
        let page = paging::page(request.page, request.per_page)?;
        let found = self.store.log(reach, request.id, page).await.map_err(failure::of_store)?;
        let listed = found.ok_or_else(|| not_found(request.id))?;
        let changes = listed.items.into_iter().map(shown).collect::<Result<_, _>>()?;
        Ok(ListWebhookChangesResponse { changes, total: listed.total })
    }
}

fn shown(logged: Logged) -> Result<v1::WebhookChange, ApiError> {
    let Logged { version, entry } = logged;
    let deltas: Vec<Delta> = serde_json::from_str(&entry.fields).map_err(|error| failure::of_log(&error))?;
    Ok(v1::WebhookChange {
        version,
        at: Some(timestamp(entry.at)),
        action: entry.action,
        actor: entry.actor,
        actor_role: entry.actor_role,
        fields: deltas.into_iter().map(FieldChange::from).collect(),
    })
}
