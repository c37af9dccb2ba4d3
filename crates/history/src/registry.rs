//! What history knows of webhooks and projects: whose they are, whether they are active, and which were deleted.

use std::{
    collections::{HashMap, HashSet},
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use domain::Scope;
use proto::{
    channel::GrpcChannel,
    convert::from_timestamp,
    error::{ApiError, ErrorCode},
    internal::v1::{CheckPlanRequest, WebhookConfig, configuration_client::ConfigurationClient},
};
use runtime::{Changes, ChangesFollower};
use tokio::time::Instant;
use tonic::Status;

use crate::store::Endpoint;

/// A webhook, as far as history cares.
#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    pub(crate) instance: String,
    pub(crate) active: bool,
    pub(crate) deleted: bool,
    pub(crate) scope: Scope,
    /// The version of its last change.
    pub(crate) version: i64,
    /// Since when its endpoint is the one that it is; `None`: that is not known.
    pub(crate) endpoint_since: Option<i64>,
}

#[derive(Default)]
struct State {
    webhooks: HashMap<i64, Webhook>,
    /// Deleted webhooks, and when that was learned.
    deleted: Vec<(String, i64, Instant)>,
    /// Deleted projects of each instance.
    deleted_projects: HashMap<String, HashSet<i64>>,
}

/// Webhooks as the subscription service last told them.
pub(crate) struct Registry {
    follower: ChangesFollower,
    configuration: GrpcChannel,
    state: RwLock<State>,
}

/// How long a reader waits for news; then what is known counts.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long somebody waits who cannot go on without knowing.
const LONG_PATIENCE: Duration = Duration::from_secs(5);

impl Registry {
    /// Knows nothing yet. `channel` carries the services' credential.
    pub(crate) fn new(channel: GrpcChannel) -> Self {
        let follower = ChangesFollower::new(channel.clone(), false);
        Self { follower, configuration: channel, state: RwLock::default() }
    }

    /// Learns what has changed. What was saved before the call is then known.
    pub(crate) async fn refresh(&self) -> Result<(), Status> {
        self.follower.sync(|changes| self.apply(changes)).await.map(drop)
    }

    /// As [`Registry::refresh`], for somebody who is waiting.
    pub(crate) async fn refresh_soon(&self) -> Result<(), Status> {
        let late = |_| Status::unavailable("the subscription service does not answer in time");
        tokio::time::timeout(PATIENCE, self.refresh()).await.map_err(late)?
    }

    /// As [`Registry::refresh`], for somebody who cannot go on without.
    pub(crate) async fn refresh_surely(&self) -> Result<(), Status> {
        let late = |_| Status::unavailable("the subscription service does not answer in time");
        tokio::time::timeout(LONG_PATIENCE, self.refresh()).await.map_err(late)?
    }

    /// As [`Registry::refresh_soon`], for somebody who asks about webhooks: one that is not known is waited for longer.
    pub(crate) async fn refresh_for(&self, webhook_ids: &[i64]) -> Result<(), Status> {
        match self.refresh_soon().await {
            Err(_) if webhook_ids.iter().any(|id| self.known(*id).is_none()) => self.refresh_surely().await,
            refreshed => refreshed,
        }
    }

    /// Whether an instance may have deliveries.
    ///
    /// # Errors
    /// Its plan has no webhooks, or that cannot be found out now.
    pub(crate) async fn check_plan(&self, instance: &str) -> Result<(), ApiError> {
        let request = CheckPlanRequest { instance: instance.to_owned() };
        let mut client = ConfigurationClient::new(self.configuration.clone());
        let unknown = || ApiError::new(ErrorCode::Unavailable, "the plan cannot be found out now; try again");
        let asked = tokio::time::timeout(LONG_PATIENCE, client.check_plan(request)).await.map_err(|_| unknown())?;
        let Err(status) = asked else { return Ok(()) };
        let error = ApiError::from(&status);
        if error.code == ErrorCode::PlanRequired {
            return Err(error);
        }
        tracing::warn!(error = %status, "cannot find out whether the plan of an instance has webhooks");
        Err(unknown())
    }

    /// The version up to which everything is known; `None`: nothing was loaded yet.
    pub(crate) fn version(&self) -> Option<i64> {
        Some(self.follower.version()).filter(|version| *version > 0)
    }

    /// Of these webhooks the active ones.
    pub(crate) fn active(&self, mut webhooks: Vec<i64>) -> Vec<i64> {
        let state = self.read();
        webhooks.retain(|id| state.webhooks.get(id).is_some_and(|webhook| webhook.active && !webhook.deleted));
        webhooks
    }

    /// The endpoints of active webhooks that can be judged, each with the version of its webhook, by webhook.
    pub(crate) fn endpoints(&self) -> Vec<(Endpoint, i64)> {
        let state = self.read();
        let active = state.webhooks.iter().filter(|(_, webhook)| webhook.active && !webhook.deleted);
        let endpoint = |(id, webhook): (&i64, &Webhook)| {
            let endpoint =
                Endpoint { instance: webhook.instance.clone(), webhook_id: *id, since: webhook.endpoint_since? };
            Some((endpoint, webhook.version))
        };
        let mut endpoints: Vec<_> = active.filter_map(endpoint).collect();
        endpoints.sort_unstable_by_key(|(endpoint, _)| endpoint.webhook_id);
        endpoints
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

    /// Whether a project was deleted.
    pub(crate) fn is_deleted_project(&self, instance: &str, project_id: i64) -> bool {
        self.read().deleted_projects.get(instance).is_some_and(|projects| projects.contains(&project_id))
    }

    fn apply(&self, changes: Changes) {
        let mut state = self.write();
        if changes.whole {
            *state = State::default();
        }
        for webhook in changes.webhooks {
            state.set(webhook);
        }
        for project in changes.deleted_projects {
            state.deleted_projects.entry(project.instance).or_default().insert(project.project_id);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn set(&mut self, change: WebhookConfig) {
        let scope = if change.all_projects {
            Scope::All
        } else {
            let mut projects = change.projects;
            projects.sort_unstable();
            Scope::Projects(projects)
        };
        let webhook = Webhook {
            instance: change.instance,
            active: change.active,
            deleted: change.deleted,
            scope,
            version: change.version,
            endpoint_since: change.endpoint_since.map(|since| from_timestamp(&since).as_micros()),
        };
        let known_deleted = self.webhooks.get(&change.id).is_some_and(|known| known.deleted);
        if webhook.deleted && !known_deleted {
            self.deleted.push((webhook.instance.clone(), change.id, Instant::now()));
        }
        self.webhooks.insert(change.id, webhook);
    }
}
