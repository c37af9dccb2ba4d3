//! What history knows of webhooks: whose they are, whether they are active, and which were deleted.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use domain::Scope;
use proto::{channel::GrpcChannel, internal::v1::WebhookConfig};
use runtime::ChangesFollower;
use tokio::time::Instant;
use tonic::Status;

/// A webhook, as far as history cares.
#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    pub(crate) instance: String,
    pub(crate) active: bool,
    pub(crate) deleted: bool,
    pub(crate) scope: Scope,
}

#[derive(Default)]
struct State {
    /// All changes up to this version are in; 0: nothing was loaded yet.
    version: i64,
    webhooks: HashMap<i64, Webhook>,
    /// Deleted webhooks, and when that was learned.
    deleted: Vec<(String, i64, Instant)>,
}

/// Webhooks as the subscription service last told them.
pub(crate) struct Registry {
    follower: ChangesFollower,
    state: RwLock<State>,
}

impl Registry {
    /// Knows nothing yet. `channel` carries the services' credential.
    pub(crate) fn new(channel: GrpcChannel) -> Self {
        Self { follower: ChangesFollower::new(channel, false), state: RwLock::default() }
    }

    /// Learns what has changed. What was saved before the call is then known.
    pub(crate) async fn refresh(&self) -> Result<(), Status> {
        let version = self.follower.sync(|change| self.apply(change)).await?;
        let mut state = self.write();
        state.version = state.version.max(version);
        Ok(())
    }

    /// The version up to which everything is known; `None`: nothing was loaded yet.
    pub(crate) fn version(&self) -> Option<i64> {
        Some(self.read().version).filter(|version| *version > 0)
    }

    /// Of these webhooks the active ones.
    pub(crate) fn active(&self, mut webhooks: Vec<i64>) -> Vec<i64> {
        let state = self.read();
        webhooks.retain(|id| state.webhooks.get(id).is_some_and(|webhook| webhook.active && !webhook.deleted));
        webhooks
    }

    /// Deleted webhooks (instance and id); `within`: only what was learned lately.
    pub(crate) fn deleted(&self, within: Option<Duration>) -> Vec<(String, i64)> {
        let lately = |learned: &Instant| within.is_none_or(|within| learned.elapsed() <= within);
        let state = self.read();
        let deleted = state.deleted.iter().filter(|(.., learned)| lately(learned));
        deleted.map(|(instance, id, _)| (instance.clone(), *id)).collect()
    }

    /// A webhook, if it is known.
    pub(crate) fn known(&self, id: i64) -> Option<Webhook> {
        self.read().webhooks.get(&id).cloned()
    }

    /// A webhook as it is now, or as it was last known to be if that cannot be found out.
    pub(crate) async fn current(&self, id: i64) -> Result<Option<Webhook>, Status> {
        match self.refresh().await {
            Ok(()) => Ok(self.known(id)),
            Err(error) => self.known(id).map(Some).ok_or(error),
        }
    }

    /// A webhook; asks again if it is not known, because it may be new.
    pub(crate) async fn look_up(&self, id: i64) -> Result<Option<Webhook>, Status> {
        if let Some(webhook) = self.known(id) {
            return Ok(Some(webhook));
        }
        self.refresh().await?;
        Ok(self.known(id))
    }

    fn apply(&self, change: WebhookConfig) {
        let scope = if change.all_projects {
            Scope::All
        } else {
            let mut projects = change.projects;
            projects.sort_unstable();
            Scope::Projects(projects)
        };
        let webhook = Webhook { instance: change.instance, active: change.active, deleted: change.deleted, scope };
        let mut state = self.write();
        let known_deleted = state.webhooks.get(&change.id).is_some_and(|known| known.deleted);
        if webhook.deleted && !known_deleted {
            state.deleted.push((webhook.instance.clone(), change.id, Instant::now()));
        }
        state.webhooks.insert(change.id, webhook);
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}
