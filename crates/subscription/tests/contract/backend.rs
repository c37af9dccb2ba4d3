//! A place for a store, and what the cases put into it.

use std::sync::Arc;

use domain::{InstanceId, Scope, Timestamp};
use subscription::store::{
    Changed, ChangedWebhook, Changes, LogEntry, OpenError, Reach, SealedWebhook, Store, StoreError, Webhook, Write,
};

/// An empty place for one store.
pub(crate) trait Backend {
    /// Opens a store on it, beside others that are open.
    async fn open(&self, migrate: bool) -> Result<Arc<dyn Store>, OpenError>;

    /// Changes it behind the store's back.
    async fn execute(&self, sql: &'static str);

    /// Gives it the schema of the first version of the program, with a webhook.
    async fn install_first_schema(&self);

    /// Whether changes of several instances can be under way at the same time.
    fn has_several_writers(&self) -> bool;

    /// A store on it.
    async fn store(&self) -> Arc<dyn Store> {
        self.open(true).await.unwrap()
    }
}

#[cfg(feature = "sqlite")]
pub(crate) use file::File;

#[cfg(feature = "sqlite")]
mod file {
    use sqlx::{Connection as _, Executor as _};
    use subscription::store::open_sqlite;

    use super::{Arc, Backend, OpenError, Store, first_migration};

    /// A file in a folder of its own.
    pub(crate) struct File(tempfile::TempDir);

    impl File {
        pub(crate) fn create() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        async fn connect(&self) -> sqlx::SqliteConnection {
            let address = format!("sqlite://{}?mode=rwc", self.0.path().join("subscription.db").display());
            sqlx::SqliteConnection::connect(&address).await.unwrap()
        }
    }

    impl Backend for File {
        async fn open(&self, migrate: bool) -> Result<Arc<dyn Store>, OpenError> {
            open_sqlite(&self.0.path().join("subscription.db"), migrate).await
        }

        async fn execute(&self, sql: &'static str) {
            self.connect().await.execute(sql).await.unwrap();
        }

        fn has_several_writers(&self) -> bool {
            false
        }

        async fn install_first_schema(&self) {
            first_migration("sqlite").await.run(&mut self.connect().await).await.unwrap();
            self.execute(
                "INSERT INTO webhooks VALUES (1, 1, 'acme', 0, 'Old CI', 'https://old.example/', 'generic', \
                 '[\"run.created\"]', '[4]', 0, 1, x'0708', 'whsec_…abc=', 5, 6); \
                 UPDATE configuration SET version = 1, last_webhook_id = 1",
            )
            .await;
        }
    }
}

/// The first migration of a back end alone.
pub(crate) async fn first_migration(backend: &str) -> sqlx::migrate::Migrator {
    let all = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(backend);
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(all.join("0001_subscription.sql"), folder.path().join("0001_subscription.sql")).unwrap();
    sqlx::migrate::Migrator::new(folder.path()).await.unwrap()
}

pub(crate) const NOON: Timestamp = Timestamp::from_micros(1_795_000_000_123_456);

pub(crate) fn reach(instance: &str, projects: Option<&[i64]>) -> Reach {
    Reach { instance: instance.parse().unwrap(), projects: projects.map(<[i64]>::to_vec) }
}

pub(crate) fn instance(name: &str) -> InstanceId {
    name.parse().unwrap()
}

/// An entry of the change log.
pub(crate) fn entry(action: &str) -> LogEntry {
    LogEntry {
        at: NOON,
        action: action.to_owned(),
        actor: "tester \"1\"".to_owned(),
        actor_role: "system_admin".to_owned(),
        fields: r#"[{"field":"name"}]"#.to_owned(),
    }
}

/// A webhook for these projects that is not in the store yet.
pub(crate) fn sample(id: i64, projects: Option<&[i64]>) -> SealedWebhook {
    let webhook = Webhook {
        id,
        version: 0,
        name: "CI \"Ä\\\" 100% _".to_owned(),
        url: "https://example.com/Hook?a=b".to_owned(),
        kind: "generic".to_owned(),
        events: vec!["run.completed".into(), "case.*".into()],
        scope: projects.map_or(Scope::All, |projects| Scope::Projects(projects.to_vec())),
        allow_insecure: false,
        send_traceparent: false,
        headers: vec!["authorization".into(), "x-b".into()],
        filter: vec![r#"data.run.name contains "a, {b}""#.into()],
        active: true,
        inactive_reason: String::new(),
        secret_masked: "whsec_…abc=".to_owned(),
        secret_id: 1,
        previous_secret_expires_at: None,
        created_at: NOON,
        updated_at: NOON,
        endpoint_since: NOON,
    };
    SealedWebhook { webhook, credentials: vec![0, 1, 255] }
}

/// Creates a webhook of `instance` for these projects.
pub(crate) async fn create(store: &dyn Store, of: &str, projects: Option<&[i64]>) -> Webhook {
    let mut change = store.begin(&instance(of)).await.unwrap();
    let mut webhook = sample(change.next_webhook_id().await.unwrap(), projects);
    let write = Write { id: webhook.webhook.id, webhook: Some(webhook.clone()), entry: entry("created") };
    webhook.webhook.version = change.write(&[write]).await.unwrap();
    change.commit().await.unwrap();
    webhook.webhook
}

/// Activates or deactivates a webhook of which that is not true yet; `None`: there is none within reach.
pub(crate) async fn set_active(
    store: &dyn Store,
    reach: &Reach,
    id: i64,
    active: bool,
) -> Result<Option<Webhook>, StoreError> {
    let mut change = store.begin(&reach.instance).await?;
    let Some(mut found) = change.webhook(reach, id).await? else { return Ok(None) };
    if found.webhook.active != active {
        found.webhook.active = active;
        let write = Write { id, webhook: Some(found.clone()), entry: entry("switched") };
        found.webhook.version = change.write(&[write]).await?;
        change.commit().await?;
    }
    Ok(Some(found.webhook))
}

/// Deletes a webhook; `false`: there is none within reach.
pub(crate) async fn delete(store: &dyn Store, reach: &Reach, id: i64) -> Result<bool, StoreError> {
    let mut change = store.begin(&reach.instance).await?;
    if change.webhook(reach, id).await?.is_none() {
        return Ok(false);
    }
    change.write(&[Write { id, webhook: None, entry: entry("deleted") }]).await?;
    change.commit().await?;
    Ok(true)
}

/// The webhooks among changes.
pub(crate) fn webhooks(changes: Changes) -> Vec<ChangedWebhook> {
    let webhook = |changed| match changed {
        Changed::Webhook(webhook) => Some(*webhook),
        Changed::ProjectDeleted { .. } => None,
    };
    changes.items.into_iter().filter_map(webhook).collect()
}
