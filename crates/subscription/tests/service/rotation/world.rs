//! A place for processes that share a database and a key file.

use std::{collections::HashMap, fs, path::PathBuf, sync::Arc};

use domain::{SystemClock, SystemIds};
use proto::internal::v1::ChangesRequest;
use subscription::{
    KeyId, Progress, Rotation, StartError,
    store::{Store, open_postgres, open_sqlite},
};
use tempfile::TempDir;

use crate::{
    fixture::{ADMIN, good, with},
    process::Process,
};

/// A key file, and where stores are opened.
pub(super) struct World {
    pub(super) folder: TempDir,
    database: Option<String>,
}

impl World {
    pub(super) fn new(database: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = Self { folder, database };
        fs::write(world.key_file(), "# ours\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n").unwrap();
        world
    }

    pub(super) fn key_file(&self) -> PathBuf {
        self.folder.path().join("secrets.key")
    }

    /// The keys in the file.
    pub(super) fn keys(&self) -> Vec<String> {
        let text = fs::read_to_string(self.key_file()).unwrap();
        assert!(text.starts_with("# ours\n"), "comments stay");
        text.lines().skip(1).map(str::to_owned).collect()
    }

    pub(super) fn set_keys(&self, keys: &[&str]) {
        fs::write(self.key_file(), format!("# ours\n{}\n", keys.join("\n"))).unwrap();
    }

    /// Each process has its own.
    pub(super) async fn store(&self) -> Arc<dyn Store> {
        match &self.database {
            Some(url) => open_postgres(url, true).await.unwrap(),
            None => open_sqlite(&self.folder.path().join("subscription.db"), true).await.unwrap(),
        }
    }

    pub(super) async fn try_process(&self) -> Result<Process, StartError> {
        Process::start(&self.store().await, &self.key_file(), None, Arc::new(SystemClock)).await
    }

    pub(super) async fn process(&self) -> Process {
        self.try_process().await.unwrap()
    }

    pub(super) async fn rotation(&self) -> Rotation {
        self.telling(|_| {}).await
    }

    pub(super) async fn telling(&self, progress: impl Fn(Progress) + Send + Sync + 'static) -> Rotation {
        Rotation::new(self.store().await, &self.key_file(), Arc::new(SystemClock), Arc::new(SystemIds), progress)
    }

    /// The keys that secrets are sealed with, each named by what is sealed with it.
    pub(super) async fn prefixes(&self) -> Vec<(Vec<u8>, u64)> {
        self.store().await.secrets_by_prefix(5).await.unwrap()
    }

    /// A rotation has come to its end: one key is left, and everything is sealed with it.
    pub(super) async fn assert_clean(&self, target: KeyId) {
        assert_eq!(self.keys().len(), 1);
        let prefixes = self.prefixes().await;
        assert_eq!(prefixes.iter().map(|(prefix, _)| &prefix[1..]).collect::<Vec<_>>(), [target.as_bytes()]);
        let store = self.store().await;
        assert!(store.sealed_check().await.unwrap().unwrap().starts_with(&prefixes[0].0));
        assert_eq!(store.rotation().await.unwrap(), None);
        self.process().await;
    }
}

pub(super) async fn create(process: &Process) -> (i64, String) {
    let answer = process.webhooks().create_webhook(with(ADMIN, good())).await.unwrap();
    let webhook = answer.into_inner().webhook.unwrap();
    (webhook.id, webhook.secret)
}

/// The current secret of every webhook; all must be active and have one.
pub(super) async fn secrets(process: &Process) -> HashMap<i64, String> {
    let mut found = HashMap::new();
    let mut since = 0;
    loop {
        let request = ChangesRequest { since, with_secrets: true };
        let answer = process.configuration().changes(request).await.unwrap().into_inner();
        for webhook in answer.webhooks {
            if webhook.deleted {
                found.remove(&webhook.id);
                continue;
            }
            assert!(webhook.active && !webhook.secrets.is_empty(), "webhook {} cannot be signed", webhook.id);
            found.insert(webhook.id, webhook.secrets[0].text.clone());
        }
        since = answer.version;
        if !answer.more {
            return found;
        }
    }
}
