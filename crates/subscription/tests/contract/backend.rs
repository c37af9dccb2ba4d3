//! A place for a store, and what the cases put into it.

use std::sync::Arc;

use domain::{Scope, Timestamp, WebhookDraft};
use subscription::store::{NewWebhook, OpenError, Reach, Store, Webhook};

/// An empty place for one store.
pub(crate) trait Backend {
    /// Opens a store on it, beside others that are open.
    async fn open(&self, migrate: bool) -> Result<Arc<dyn Store>, OpenError>;

    /// Changes it behind the store's back.
    async fn execute(&self, sql: &'static str);

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

    use super::{Arc, Backend, OpenError, Store};

    /// A file in a folder of its own.
    pub(crate) struct File(tempfile::TempDir);

    impl File {
        pub(crate) fn create() -> Self {
            Self(tempfile::tempdir().unwrap())
        }
    }

    impl Backend for File {
        async fn open(&self, migrate: bool) -> Result<Arc<dyn Store>, OpenError> {
            open_sqlite(&self.0.path().join("subscription.db"), migrate).await
        }

        async fn execute(&self, sql: &'static str) {
            let address = format!("sqlite://{}?mode=rwc", self.0.path().join("subscription.db").display());
            let mut connection = sqlx::SqliteConnection::connect(&address).await.unwrap();
            connection.execute(sql).await.unwrap();
        }
    }
}

pub(crate) const NOON: Timestamp = Timestamp::from_micros(1_795_000_000_123_456);

pub(crate) fn reach(instance: &str, projects: Option<&[i64]>) -> Reach {
    Reach { instance: instance.parse().unwrap(), projects: projects.map(<[i64]>::to_vec) }
}

/// Creates a webhook of `instance` for these projects.
pub(crate) async fn create(store: &dyn Store, instance: &str, projects: Option<&[i64]>) -> Webhook {
    let draft = WebhookDraft {
        name: "CI".into(),
        url: "https://example.com/hook?a=b".into(),
        kind: "generic".into(),
        events: vec!["run.completed".into(), "case.created".into()],
        projects: Some(vec![1]),
        allow_insecure: false,
    };
    let mut spec = draft.check().unwrap();
    spec.scope = projects.map_or(Scope::All, |projects| Scope::Projects(projects.to_vec()));
    let id = store.next_webhook_id().await.unwrap();
    let (secret, secret_masked) = (vec![0, 1, 255], "whsec_…abc=".to_owned());
    let new = NewWebhook { id, instance: instance.parse().unwrap(), spec, secret, secret_masked, at: NOON };
    store.create_webhook(&new).await.unwrap()
}
