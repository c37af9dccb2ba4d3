//! Webhooks, projects and plans as they are stored, and what is asked and told of them.

use domain::{InstanceId, Plan, Scope, Timestamp};

/// The webhooks that a caller may know of: those of an instance; where projects are given, only those whose scope is a
/// non-empty part of them.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The instance.
    pub instance: InstanceId,
    /// Ascending; `None`: no limit.
    pub projects: Option<Vec<i64>>,
}

/// Which webhooks within reach to list; the default is all.
#[derive(Clone, Debug, Default)]
pub struct WebhookFilter {
    /// Only active ones, or only inactive ones.
    pub active: Option<bool>,
    /// Only of the type with this name.
    pub kind: Option<String>,
    /// Only those that events of this project fire.
    pub project: Option<i64>,
    /// Only those with this text in their name or URL, whatever the case.
    pub text: Option<String>,
}

/// Part of a list.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Items before it.
    pub offset: i64,
    /// Items in it, at most.
    pub limit: i64,
}

/// Part of a list, and the length of the whole.
#[derive(Clone, Debug)]
pub struct Listed<T> {
    /// The part.
    pub items: Vec<T>,
    /// Number of all items.
    pub total: i64,
}

/// A webhook as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: i64,
    /// The version of its last change.
    pub version: i64,
    /// For reference only.
    pub name: String,
    /// Where to post to.
    pub url: String,
    /// Name of its type.
    pub kind: String,
    /// Selected event types and wildcards, in the order of the catalogue.
    pub events: Vec<String>,
    /// Which projects' events fire it.
    pub scope: Scope,
    /// Whether `http://` and certificates that cannot be verified are permitted.
    pub allow_insecure: bool,
    /// Whether deliveries tell their trace context in a header `traceparent`.
    pub send_traceparent: bool,
    /// Names of the further request headers.
    pub headers: Vec<String>,
    /// Conditions over the payload.
    pub filter: Vec<String>,
    /// Whether deliveries are sent.
    pub active: bool,
    /// Why it is inactive, where that was not an operator's doing; empty otherwise.
    pub inactive_reason: String,
    /// What is shown of its secret.
    pub secret_masked: String,
    /// Which secret it is: 1, 2, … Those that go on beside it have the numbers before.
    pub secret_id: i64,
    /// When the last of its older secrets stops signing; `None`: there is none.
    pub previous_secret_expires_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When its endpoint became the one that it is: the webhook was created or activated, or told to lead elsewhere.
    pub endpoint_since: Timestamp,
}

impl Webhook {
    /// What it is found by: name and URL, whatever their case.
    pub(super) fn search(&self) -> String {
        format!("{}\n{}", self.name, self.url).to_lowercase()
    }
}

/// A webhook with its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedWebhook {
    /// The webhook.
    pub webhook: Webhook,
    /// Its signing secrets and the values of its headers, sealed.
    pub credentials: Vec<u8>,
}

/// A write of one webhook, and the entry of its change log.
#[derive(Clone, Debug)]
pub struct Write {
    /// The webhook's id.
    pub id: i64,
    /// What it is from now on, its version aside, which the store gives; `None`: deleted.
    pub webhook: Option<SealedWebhook>,
    /// Who did what.
    pub entry: LogEntry,
}

/// Who did what to a webhook, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// When.
    pub at: Timestamp,
    /// What, such as `updated`.
    pub action: String,
    /// Name of who did it.
    pub actor: String,
    /// The role that it had.
    pub actor_role: String,
    /// The fields that changed, as JSON. Holds no secret.
    pub fields: String,
}

/// An entry of the change log, and the version of the webhook that it tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// The version that it made.
    pub version: i64,
    /// Who did what.
    pub entry: LogEntry,
}

/// The plan of an instance as it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldPlan {
    /// The plan.
    pub plan: Plan,
    /// The version that it was told with.
    pub version: i64,
}

/// A project as it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: i64,
    /// The version that this was told with.
    pub version: i64,
    /// Its name; empty where it was deleted before anything else was told.
    pub name: String,
    /// Its address in Testmo; may be empty.
    pub url: String,
    /// Whether it was deleted.
    pub deleted: bool,
}

/// What changed after a version.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The version after these changes.
    pub version: i64,
    /// What changed, in the order of versions.
    pub items: Vec<Changed>,
    /// Whether there is more.
    pub more: bool,
}

impl Changes {
    /// Merges webhooks and projects, of each the first `limit` + 1 after the version that was asked for, all seen at
    /// one moment at which `version` was the last one.
    pub(super) fn merge(version: i64, limit: u32, mut items: Vec<Changed>) -> Self {
        items.sort_unstable_by_key(Changed::version);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let version = items.last().filter(|_| more).map_or(version, Changed::version);
        Self { version, items, more }
    }
}

/// Something that changed.
#[derive(Clone, Debug)]
pub enum Changed {
    /// A webhook.
    Webhook(Box<ChangedWebhook>),
    /// A project was deleted.
    ProjectDeleted {
        /// The version of its deletion.
        version: i64,
        /// Its instance.
        instance: InstanceId,
        /// Its id.
        project: i64,
    },
}

impl Changed {
    /// The version of the change.
    #[must_use]
    pub const fn version(&self) -> i64 {
        match self {
            Self::Webhook(webhook) => webhook.version,
            Self::ProjectDeleted { version, .. } => *version,
        }
    }
}

/// A webhook that changed.
#[derive(Clone, Debug)]
pub struct ChangedWebhook {
    /// Its id.
    pub id: i64,
    /// The version of its last change.
    pub version: i64,
    /// Its instance.
    pub instance: InstanceId,
    /// What it is now; `None`: it was deleted.
    pub webhook: Option<SealedWebhook>,
}
