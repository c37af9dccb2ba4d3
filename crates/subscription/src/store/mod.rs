//! The port to the subscription service's own database, and its adapters: PostgreSQL, and SQLite for one process.

mod postgres;
mod schema;
#[cfg(feature = "sqlite")]
mod sqlite;

use async_trait::async_trait;
use domain::{InstanceId, Role, Scope, Timestamp, WebhookSpec};

pub use postgres::open_postgres;
#[cfg(feature = "sqlite")]
pub use sqlite::open_sqlite;

/// Webhooks and tokens on durable storage: what a call has written when it returns survives a crash.
pub trait Store: WebhookStore + TokenStore {}

impl<T: WebhookStore + TokenStore> Store for T {}

/// The part for webhooks.
///
/// Each change of a webhook takes the next version. Versions follow commit order over all instances and processes: who
/// sees a version sees all earlier ones.
#[async_trait]
pub trait WebhookStore: Send + Sync + 'static {
    /// Remembers `fresh` as the key check of this store if it has none yet, and answers the one that it has.
    async fn key_check(&self, fresh: &[u8]) -> Result<Vec<u8>, StoreError>;

    /// The id for a webhook that is to be created; never handed out again.
    async fn next_webhook_id(&self) -> Result<i64, StoreError>;

    /// Creates a webhook, active.
    async fn create_webhook(&self, new: &NewWebhook) -> Result<Webhook, StoreError>;

    /// A webhook; `None`: there is none within reach.
    async fn webhook(&self, reach: &Reach, id: i64) -> Result<Option<Webhook>, StoreError>;

    /// The webhooks within reach, oldest first.
    async fn webhooks(&self, reach: &Reach, page: Page) -> Result<Listed<Webhook>, StoreError>;

    /// Activates or deactivates a webhook and answers it as it is now; without a new version if it was so already.
    /// `None`: there is none within reach.
    async fn set_active(
        &self,
        reach: &Reach,
        id: i64,
        active: bool,
        at: Timestamp,
    ) -> Result<Option<Webhook>, StoreError>;

    /// Makes a webhook a tombstone that holds nothing of it; `false`: there is none within reach.
    async fn delete_webhook(&self, reach: &Reach, id: i64, at: Timestamp) -> Result<bool, StoreError>;

    /// At most `limit` webhooks, tombstones included, that changed after version `since`, in the order of versions. A
    /// `since` from the future (the database was restored from a backup) counts as 0.
    async fn changes(&self, since: i64, limit: u32) -> Result<Changes, StoreError>;
}

/// The part for tokens.
#[async_trait]
pub trait TokenStore: Send + Sync + 'static {
    /// Adds a token; `None`: one with this text is there already, maybe revoked.
    async fn add_token(&self, new: &NewToken) -> Result<Option<Token>, StoreError>;

    /// The tokens within reach that are not revoked, oldest first.
    async fn tokens(&self, reach: &TokenReach, page: Page) -> Result<Listed<Token>, StoreError>;

    /// Revokes a token; `false`: there is none within reach.
    async fn revoke_token(&self, reach: &TokenReach, id: i64, at: Timestamp) -> Result<bool, StoreError>;

    /// The token whose text has this hash, expired and revoked ones included.
    async fn token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<Token>, StoreError>;
}

/// The webhooks that a caller may know of: those of an instance; where projects are given, only those whose scope is a
/// non-empty part of them.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The instance.
    pub instance: InstanceId,
    /// Ascending; `None`: no limit.
    pub projects: Option<Vec<i64>>,
}

/// The tokens that a caller may know of: those of an instance, and maybe those for all instances.
#[derive(Clone, Debug)]
pub struct TokenReach {
    /// The instance.
    pub instance: InstanceId,
    /// Whether those for all instances are within reach as well.
    pub for_all: bool,
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

/// A webhook that is to be created.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// From [`WebhookStore::next_webhook_id`].
    pub id: i64,
    /// Its instance.
    pub instance: InstanceId,
    /// Its fields.
    pub spec: WebhookSpec,
    /// Its signing secret, sealed.
    pub secret: Vec<u8>,
    /// What later reads show of the secret.
    pub secret_masked: String,
    /// When.
    pub at: Timestamp,
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
    /// Names of the selected event types, in the order of the catalogue.
    pub events: Vec<String>,
    /// Which projects' events fire it.
    pub scope: Scope,
    /// Whether `http://` and certificates that cannot be verified are permitted.
    pub allow_insecure: bool,
    /// Whether deliveries are sent.
    pub active: bool,
    /// What is shown of its secret.
    pub secret_masked: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What changed after a version.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The version after these changes.
    pub version: i64,
    /// The webhooks that changed, in the order of versions.
    pub webhooks: Vec<ChangedWebhook>,
    /// Whether there is more.
    pub more: bool,
}

impl Changes {
    /// From up to one row more than `limit`, and the version that was read before them.
    fn from_rows(
        version: i64,
        limit: u32,
        rows: impl Iterator<Item = Result<ChangedWebhook, StoreError>>,
    ) -> Result<Self, StoreError> {
        let mut webhooks = rows.collect::<Result<Vec<_>, _>>()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = webhooks.len() > limit;
        webhooks.truncate(limit);
        let last = webhooks.last().map(|webhook| webhook.version);
        // Without more, all rows up to both were seen; a row may be newer than the counter that was read.
        let version = if more { last.unwrap_or(version) } else { last.map_or(version, |last| last.max(version)) };
        Ok(Self { version, webhooks, more })
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
    /// What the dispatcher must know; `None`: it was deleted.
    pub target: Option<Target>,
}

/// What the dispatcher must know of a webhook.
#[derive(Clone, Debug)]
pub struct Target {
    /// Whether deliveries are sent.
    pub active: bool,
    /// Name of its type.
    pub kind: String,
    /// Where to post to.
    pub url: String,
    /// Names of the selected event types.
    pub events: Vec<String>,
    /// Which projects' events fire it.
    pub scope: Scope,
    /// Whether `http://` and certificates that cannot be verified are permitted.
    pub allow_insecure: bool,
    /// Its signing secret, sealed.
    pub secret: Vec<u8>,
}

/// A token that is to be added.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// `None`: all instances.
    pub instance: Option<InstanceId>,
    /// For reference only.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// SHA-256 of its text.
    pub hash: [u8; 32],
    /// The first characters of its text.
    pub prefix: String,
    /// When.
    pub at: Timestamp,
    /// When it stops working; `None`: never.
    pub expires_at: Option<Timestamp>,
}

/// A token, without its text, which is nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: i64,
    /// `None`: all instances.
    pub instance: Option<InstanceId>,
    /// For reference only.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The first characters of its text.
    pub prefix: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// Whether it was revoked.
    pub revoked: bool,
}

impl Token {
    /// Whether it still works.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        !self.revoked && self.expires_at.is_none_or(|end| now < end)
    }
}

/// A call of the store that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or has no time now; the same call may succeed later.
    #[error("the database cannot be used now: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// The database refused.
    #[error("the database refused: {0}")]
    Refused(#[source] sqlx::Error),
    /// A row that this program cannot have written.
    #[error("the database holds {what} that cannot be read: {reason}")]
    Damaged {
        /// The row.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A store that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address is none.
    #[error("database.url must look like postgres://user:password@host:5432/database")]
    Address,
    /// It cannot be reached or used.
    #[error("cannot open {address}: {source}; check {setting}")]
    Unreachable {
        /// Where it is, without a password.
        address: String,
        /// The setting that says so.
        setting: &'static str,
        /// Why.
        source: sqlx::Error,
    },
    /// Its schema is older than the program, and the program may not bring it up to date.
    #[error(
        "the schema in {address} has version {found} and this program needs {needed}; start once without --no-migrate"
    )]
    OldSchema {
        /// Where it is, without a password.
        address: String,
        /// The version that it has; 0: none at all.
        found: i64,
        /// The version that the program needs.
        needed: i64,
    },
    /// Its schema is newer than the program.
    #[error("the schema in {address} has version {found} and this program knows {known}; start a newer program")]
    NewSchema {
        /// Where it is, without a password.
        address: String,
        /// The version that it has.
        found: i64,
        /// The version that the program knows.
        known: i64,
    },
    /// Its schema could not be brought up to date.
    #[error("cannot bring the schema in {address} up to date: {source}; check that {setting} gives the right to")]
    Migration {
        /// Where it is, without a password.
        address: String,
        /// The setting that says so.
        setting: &'static str,
        /// Why.
        source: sqlx::migrate::MigrateError,
    },
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        let passing = match &error {
            E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::BeginFailed => true,
            E::Database(error) => error.code().is_some_and(|code| schema::is_passing(&code)),
            _ => false,
        };
        if passing { Self::Unavailable(error) } else { Self::Refused(error) }
    }
}
