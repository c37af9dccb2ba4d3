//! A write of a webhook as both adapters put it into their tables.

use serde::{Serialize, Serializer};

use super::{LogEntry, SealedWebhook, Write, common};

/// The columns of a webhook and of its entry in the change log. As JSON, lists are arrays and bytes are hexadecimal.
#[derive(Serialize)]
pub(super) struct Row<'a> {
    pub(super) id: i64,
    pub(super) version: i64,
    pub(super) deleted: bool,
    pub(super) name: &'a str,
    pub(super) url: &'a str,
    pub(super) kind: &'a str,
    pub(super) events: &'a [String],
    pub(super) projects: Option<&'a [i64]>,
    pub(super) allow_insecure: bool,
    pub(super) send_traceparent: bool,
    pub(super) headers: &'a [String],
    pub(super) filter: &'a [String],
    pub(super) active: bool,
    pub(super) inactive_reason: &'a str,
    #[serde(serialize_with = "hexadecimal")]
    pub(super) secret: &'a [u8],
    pub(super) secret_masked: &'a str,
    pub(super) previous_secret_expires_at: Option<i64>,
    pub(super) search: String,
    pub(super) created_at: i64,
    pub(super) updated_at: i64,
    pub(super) endpoint_since: i64,
    pub(super) secret_id: i64,
    pub(super) action: &'a str,
    pub(super) actor: &'a str,
    pub(super) actor_role: &'a str,
    pub(super) fields: &'a str,
}

impl<'a> Row<'a> {
    /// The rows of writes, the first of which gets version `first`.
    pub(super) fn all(writes: &'a [Write], first: i64) -> Vec<Self> {
        (first..).zip(writes).map(|(version, write)| Self::new(write, version)).collect()
    }

    fn new(write: &'a Write, version: i64) -> Self {
        let tombstone = Self::tombstone(write.id, version, &write.entry);
        let Some(SealedWebhook { webhook, credentials }) = &write.webhook else { return tombstone };
        Self {
            deleted: false,
            name: &webhook.name,
            url: &webhook.url,
            kind: &webhook.kind,
            events: &webhook.events,
            projects: common::projects_of(&webhook.scope),
            allow_insecure: webhook.allow_insecure,
            send_traceparent: webhook.send_traceparent,
            headers: &webhook.headers,
            filter: &webhook.filter,
            active: webhook.active,
            inactive_reason: &webhook.inactive_reason,
            secret: credentials,
            secret_masked: &webhook.secret_masked,
            previous_secret_expires_at: webhook.previous_secret_expires_at.map(domain::Timestamp::as_micros),
            search: webhook.search(),
            created_at: webhook.created_at.as_micros(),
            updated_at: webhook.updated_at.as_micros(),
            endpoint_since: webhook.endpoint_since.as_micros(),
            secret_id: webhook.secret_id,
            ..tombstone
        }
    }

    /// Holds nothing of the webhook.
    fn tombstone(id: i64, version: i64, entry: &'a LogEntry) -> Self {
        let at = entry.at.as_micros();
        Self {
            id,
            version,
            deleted: true,
            name: "",
            url: "",
            kind: "",
            events: &[],
            projects: Some(&[]),
            allow_insecure: false,
            send_traceparent: false,
            headers: &[],
            filter: &[],
            active: false,
            inactive_reason: "",
            secret: &[],
            secret_masked: "",
            previous_secret_expires_at: None,
            search: String::new(),
            created_at: at,
            updated_at: at,
            endpoint_since: at,
            secret_id: 0,
            action: &entry.action,
            actor: &entry.actor,
            actor_role: &entry.actor_role,
            fields: &entry.fields,
        }
    }
}

/// As PostgreSQL reads it.
fn hexadecimal<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("\\x{}", hex::encode(bytes)))
}
