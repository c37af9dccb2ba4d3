//! Webhooks as the subscription service has them, kept in memory and brought up to date before each batch.

use std::{
    collections::HashSet,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use domain::{EventType, InstanceId, MatchIndex, Scope, Secret, Subscription, Timestamp, WebhookKind, target};
use proto::{channel::GrpcChannel, convert, internal::v1::WebhookConfig};
use runtime::ChangesFollower;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

/// A webhook as deliveries need it.
pub(crate) struct Webhook {
    pub(crate) id: i64,
    pub(crate) instance: InstanceId,
    pub(crate) active: bool,
    pub(crate) kind: WebhookKind,
    pub(crate) url: Url,
    /// Fit to be recorded.
    pub(crate) masked_url: String,
    pub(crate) allow_insecure: bool,
    events: Vec<EventType>,
    scope: Scope,
    secrets: Vec<(Secret, Option<Timestamp>)>,
}

impl Webhook {
    /// The secrets that sign at this time, the current one first.
    pub(crate) fn secrets(&self, now: Timestamp) -> impl Iterator<Item = &Secret> {
        self.secrets.iter().filter(move |(_, end)| end.is_none_or(|end| now < end)).map(|(secret, _)| secret)
    }

    pub(crate) fn read(config: WebhookConfig) -> Result<Self, String> {
        let kind: WebhookKind = config.r#type.parse().map_err(|_| format!("type {}", config.r#type))?;
        let url = Url::parse(&config.url).map_err(|error| format!("url: {error}"))?;
        let events = config.events.iter().map(|name| name.parse::<EventType>().map_err(|error| error.to_string()));
        let secrets = config.secrets.iter().map(|secret| {
            let text = secret.text.parse::<Secret>().map_err(|error| error.to_string())?;
            Ok((text, secret.expires_at.as_ref().map(convert::from_timestamp)))
        });
        let secrets = secrets.collect::<Result<Vec<_>, String>>()?;
        if secrets.is_empty() && config.active {
            return Err("it has no secret".into());
        }
        Ok(Self {
            id: config.id,
            instance: config.instance.parse().map_err(|error: domain::InvalidInstance| error.to_string())?,
            active: config.active,
            kind,
            masked_url: target::mask(&url, kind),
            url,
            allow_insecure: config.allow_insecure,
            events: events.collect::<Result<_, _>>()?,
            scope: if config.all_projects { Scope::All } else { Scope::Projects(config.projects) },
            secrets,
        })
    }
}

impl Subscription for Webhook {
    fn id(&self) -> i64 {
        self.id
    }
    fn instance(&self) -> &InstanceId {
        &self.instance
    }
    fn events(&self) -> &[EventType] {
        &self.events
    }
    fn scope(&self) -> &Scope {
        &self.scope
    }
    fn active(&self) -> bool {
        self.active
    }
}

/// What is known of a webhook.
pub(crate) enum Found {
    Webhook(Arc<Webhook>),
    /// It was deleted.
    Deleted,
    /// It is newer than what is known here, or cannot be used here.
    Unknown,
}

#[derive(Default)]
struct Index {
    webhooks: MatchIndex<Webhook>,
    deleted: HashSet<i64>,
}

/// All webhooks, and how to keep them up to date.
pub(crate) struct Webhooks {
    follower: ChangesFollower,
    index: RwLock<Index>,
    loaded: AtomicBool,
    synced: RwLock<Instant>,
}

/// How long a batch waits for news of webhooks before it goes on with what is known.
const SYNC_TIMEOUT: Duration = Duration::from_millis(500);

impl Webhooks {
    pub(crate) fn new(configuration: GrpcChannel) -> Self {
        Self {
            follower: ChangesFollower::new(configuration, true),
            index: RwLock::default(),
            loaded: AtomicBool::new(false),
            synced: RwLock::new(Instant::now()),
        }
    }

    /// Brings everything up to date with what was saved before this call; on failure what is known stays in force.
    pub(crate) async fn sync(&self) -> Result<(), tonic::Status> {
        self.follower.sync(|config| self.apply(config)).await?;
        self.loaded.store(true, Ordering::Release);
        *self.synced.write().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        Ok(())
    }

    /// As [`Webhooks::sync`], but never in the way for long.
    pub(crate) async fn sync_or_go_on(&self) {
        match tokio::time::timeout(SYNC_TIMEOUT, self.sync()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "webhooks not brought up to date"),
            Err(_) => tracing::debug!("webhooks not brought up to date in time"),
        }
    }

    fn apply(&self, config: WebhookConfig) {
        let (id, deleted) = (config.id, config.deleted);
        let webhook = if deleted { None } else { Some(Webhook::read(config)) };
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        match webhook {
            Some(Ok(webhook)) => index.webhooks.insert(webhook),
            None => {
                index.webhooks.remove(id);
                index.deleted.insert(id);
            }
            Some(Err(reason)) => {
                tracing::error!(
                    webhook_id = id,
                    reason,
                    "webhook cannot be used; is this dispatcher older than the subscription service?"
                );
                index.webhooks.remove(id);
            }
        }
    }

    /// The active webhooks that get an event.
    pub(crate) fn matches(&self, instance: &InstanceId, event: EventType, project: i64) -> Vec<Arc<Webhook>> {
        self.read().webhooks.matches(instance, event, project).cloned().collect()
    }

    /// A webhook as it is known now.
    pub(crate) fn find(&self, id: i64) -> Found {
        let index = self.read();
        match index.webhooks.get(id) {
            Some(webhook) => Found::Webhook(Arc::clone(webhook)),
            None if index.deleted.contains(&id) => Found::Deleted,
            None => Found::Unknown,
        }
    }

    /// A webhook, if it is known.
    pub(crate) fn get(&self, id: i64) -> Option<Arc<Webhook>> {
        self.read().webhooks.get(id).cloned()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The version of what is known.
    pub(crate) fn version(&self) -> i64 {
        self.follower.version()
    }

    /// Whether anything is known at all.
    pub(crate) fn loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    /// How old the knowledge is.
    pub(crate) fn age(&self) -> Duration {
        self.synced.read().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

/// Keeps webhooks up to date while no events come.
pub(crate) async fn follow(webhooks: Arc<Webhooks>, shutdown: CancellationToken) {
    let mut reachable = true;
    loop {
        let Some(synced) = shutdown.run_until_cancelled(webhooks.sync()).await else { return };
        match synced {
            Ok(()) if !reachable => {
                tracing::info!("subscription service reached again");
                reachable = true;
            }
            Err(error) if reachable => {
                tracing::warn!(%error, "subscription service cannot be reached; going on with the webhooks known");
                reachable = false;
            }
            _ => {}
        }
        tokio::select! {
            () = tokio::time::sleep(SYNC_TIMEOUT) => {}
            () = shutdown.cancelled() => return,
        }
    }
}
