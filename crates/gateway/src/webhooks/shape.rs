//! Webhooks and their changes as JSON.

use proto::v1::{self, CustomHeader, FieldChange};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::{
    error::Failure,
    page::{some_text, time},
};

/// A webhook, its secret masked but in the answers to create and to regenerate.
///
/// What the server gives is null where a create was only validated.
#[derive(Serialize)]
pub(crate) struct WebhookJson {
    id: Option<i64>,
    version: Option<i64>,
    name: String,
    url: String,
    r#type: String,
    events: Vec<String>,
    /// Null: all projects.
    projects: Option<Vec<i64>>,
    allow_insecure: bool,
    send_traceparent: bool,
    #[serde(serialize_with = "by_name")]
    headers: Vec<CustomHeader>,
    /// Null: none.
    filter: Option<Vec<String>>,
    active: bool,
    inactive_reason: Option<String>,
    secret: Option<String>,
    secret_id: Option<i64>,
    previous_secret_expires_at: Option<String>,
    warnings: Vec<String>,
    created_at: Option<String>,
    updated_at: Option<String>,
}

impl From<v1::Webhook> for WebhookJson {
    fn from(webhook: v1::Webhook) -> Self {
        Self {
            id: some_number(webhook.id),
            version: some_number(webhook.version),
            name: webhook.name,
            url: webhook.url,
            r#type: webhook.r#type,
            events: webhook.events,
            projects: webhook.projects.map(|projects| projects.ids),
            allow_insecure: webhook.allow_insecure,
            send_traceparent: webhook.send_traceparent,
            headers: webhook.headers,
            filter: Some(webhook.filter).filter(|filter| !filter.is_empty()),
            active: webhook.active,
            inactive_reason: some_text(webhook.inactive_reason),
            secret: some_text(webhook.secret),
            secret_id: some_number(webhook.secret_id),
            previous_secret_expires_at: time(webhook.previous_secret_expires_at),
            warnings: webhook.warnings,
            created_at: time(webhook.created_at),
            updated_at: time(webhook.updated_at),
        }
    }
}

fn some_number(number: i64) -> Option<i64> {
    Some(number).filter(|number| *number != 0)
}

fn by_name<S: Serializer>(headers: &[CustomHeader], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(headers.iter().map(|header| (&header.name, &header.value)))
}

/// A field that has changed.
#[derive(Serialize)]
pub(crate) struct FieldJson {
    field: String,
    /// Null where it was not there.
    from: Option<Box<RawValue>>,
    /// Null where it is not there.
    to: Option<Box<RawValue>>,
}

impl TryFrom<FieldChange> for FieldJson {
    type Error = Failure;

    fn try_from(change: FieldChange) -> Result<Self, Failure> {
        Ok(Self { field: change.field, from: json(change.from_json)?, to: json(change.to_json)? })
    }
}

/// JSON that a service has sent as text; `None`: it has sent none.
pub(super) fn json(text: String) -> Result<Option<Box<RawValue>>, Failure> {
    let value = some_text(text).map(RawValue::from_string).transpose();
    value.map_err(|_| Failure::incomplete("JSON where it should have some"))
}

/// The fields that have changed.
pub(crate) fn fields(changes: Vec<FieldChange>) -> Result<Vec<FieldJson>, Failure> {
    changes.into_iter().map(FieldJson::try_from).collect()
}

/// What somebody did to a webhook.
#[derive(Serialize)]
pub(crate) struct ChangeJson {
    version: i64,
    at: Option<String>,
    action: String,
    actor: String,
    actor_role: String,
    fields: Vec<FieldJson>,
}

impl TryFrom<v1::WebhookChange> for ChangeJson {
    type Error = Failure;

    fn try_from(change: v1::WebhookChange) -> Result<Self, Failure> {
        Ok(Self {
            version: change.version,
            at: time(change.at),
            action: change.action,
            actor: change.actor,
            actor_role: change.actor_role,
            fields: fields(change.fields)?,
        })
    }
}
