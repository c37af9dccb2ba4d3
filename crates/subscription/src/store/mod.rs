//! The port to the subscription service's own database, and its adapters: PostgreSQL, and SQLite for one process.

mod common;
mod keys;
mod model;
mod postgres;
mod row;
#[cfg(feature = "sqlite")]
mod sqlite;

use async_trait::async_trait;
use domain::{InstanceId, Role, Timestamp};

pub use keys::{KeyReader, KeyStore, ResealedSecret, SealedSecret};
pub use model::{
    Changed, ChangedWebhook, Changes, Listed, LogEntry, Logged, Page, Project, Reach, SealedWebhook, ToldPlan, Webhook,
    WebhookFilter, Write,
};
pub use postgres::open_postgres;
#[cfg(feature = "sqlite")]
pub use sqlite::open_sqlite;

/// Webhooks and tokens on durable storage: what a call has written when it returns survives a crash.
pub trait Store: WebhookStore + TokenStore + KeyStore {}

impl<T: WebhookStore + TokenStore + KeyStore> Store for T {}

/// The part for webhooks, projects and plans.
///
/// Each change of a webhook and each deletion of a project takes the next version. Versions follow commit order over all
/// instances and processes: who sees a version sees all earlier ones.
#[async_trait]
pub trait WebhookStore: Send + Sync + 'static {
    /// Remembers `fresh` as the key check of this store if it has none yet, and answers the one that it has.
    async fn key_check(&self, fresh: &[u8]) -> Result<Vec<u8>, StoreError>;

    /// A webhook; `None`: there is none within reach.
    async fn webhook(&self, reach: &Reach, id: i64) -> Result<Option<Webhook>, StoreError>;

    /// The webhooks within reach that pass the filter, oldest first.
    async fn webhooks(&self, reach: &Reach, filter: &WebhookFilter, page: Page) -> Result<Listed<Webhook>, StoreError>;

    /// The plan of an instance; `None`: none was told.
    async fn plan(&self, instance: &InstanceId) -> Result<Option<ToldPlan>, StoreError>;

    /// The change log of a webhook, newest first; `None`: there is no such webhook within reach. Without a limit of
    /// projects, deleted webhooks are within reach as well.
    async fn log(&self, reach: &Reach, id: i64, page: Page) -> Result<Option<Listed<Logged>>, StoreError>;

    /// The projects within reach that are not deleted, by name.
    async fn projects(&self, reach: &Reach, page: Page) -> Result<Listed<Project>, StoreError>;

    /// At most `limit` changes after version `since`, tombstones of webhooks included, in the order of versions. A
    /// `since` from the future (the database was restored from a backup) counts as 0.
    async fn changes(&self, since: i64, limit: u32) -> Result<Changes, StoreError>;

    /// Begins a change of an instance: until it is committed or dropped, nobody else changes anything of the instance.
    async fn begin(&self, instance: &InstanceId) -> Result<Box<dyn Change>, StoreError>;
}

/// A change of an instance that happens as a whole when it is committed, and not at all if it is dropped before.
///
/// It holds a lock that others wait for: no I/O other than the store's own while there is one.
#[async_trait]
pub trait Change: Send {
    /// The plan of the instance; `None`: none was told.
    fn plan(&self) -> Option<&ToldPlan>;

    /// Remembers the plan of the instance.
    async fn put_plan(&mut self, plan: &ToldPlan) -> Result<(), StoreError>;

    /// What was told of a project; `None`: nothing.
    async fn project(&mut self, id: i64) -> Result<Option<Project>, StoreError>;

    /// Those of these projects that were deleted, ascending.
    async fn deleted_projects(&mut self, ids: &[i64]) -> Result<Vec<i64>, StoreError>;

    /// Remembers what was told of a project; a deletion takes the next version.
    async fn put_project(&mut self, project: &Project) -> Result<(), StoreError>;

    /// The id for a webhook that is to be created; never handed out again once committed.
    async fn next_webhook_id(&mut self) -> Result<i64, StoreError>;

    /// A webhook; `None`: there is none within reach, which must be of this instance.
    async fn webhook(&mut self, reach: &Reach, id: i64) -> Result<Option<SealedWebhook>, StoreError>;

    /// All active webhooks, by id.
    async fn active_webhooks(&mut self) -> Result<Vec<SealedWebhook>, StoreError>;

    /// The webhooks that have this project in their scope by name, by id.
    async fn webhooks_of(&mut self, project: i64) -> Result<Vec<SealedWebhook>, StoreError>;

    /// Creates, replaces or deletes webhooks, each once, with an entry in the change log each; answers the version of
    /// the first, those of the others follow. A tombstone holds nothing of its webhook. From then on until the commit
    /// nobody changes anything in any instance: it comes last.
    async fn write(&mut self, writes: &[Write]) -> Result<i64, StoreError>;

    /// Makes it so.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
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

/// The tokens that a caller may know of: those of an instance, and maybe those for all instances.
#[derive(Clone, Debug)]
pub struct TokenReach {
    /// The instance.
    pub instance: InstanceId,
    /// Whether those for all instances are within reach as well.
    pub for_all: bool,
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
    /// Its schema is not one that the program can work with.
    #[error("{address}: {source}")]
    Schema {
        /// Where it is, without a password.
        address: String,
        /// What is wrong, and the fix.
        source: database::SchemaError,
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
            E::Database(error) => error.code().is_some_and(|code| common::is_passing(&code)),
            _ => false,
        };
        if passing { Self::Unavailable(error) } else { Self::Refused(error) }
    }
}
