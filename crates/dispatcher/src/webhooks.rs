//! Webhooks as the subscription service has them, kept in memory and brought up to date before each batch.

use std::{
    collections::HashSet,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use domain::{
    CustomHeader, EventSelector, EventType, FieldError, Filter, InstanceId, MatchIndex, Scope, Secret, SkipReason,
    Subscription, Timestamp, WebhookKind, check_headers, target,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use proto::{
    channel::GrpcChannel,
    convert,
    internal::v1::{RequestHeader, WebhookConfig},
};
use runtime::{Changes, ChangesFollower};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

/// A webhook as deliveries need it.
pub(crate) struct Webhook {
    pub(crate) id: i64,
    pub(crate) instance: InstanceId,
    pub(crate) active: bool,
    /// Why it skips events while it is inactive.
    pub(crate) skips_for: SkipReason,
    pub(crate) kind: WebhookKind,
    pub(crate) url: Url,
    /// Fit to be recorded.
    pub(crate) masked_url: String,
    pub(crate) allow_insecure: bool,
    /// Whether receivers are told the trace.
    pub(crate) send_traceparent: bool,
    /// Further request headers; values are marked as sensitive.
    pub(crate) headers: HeaderMap,
    /// What must hold for an event besides.
    pub(crate) filter: Filter,
    events: Vec<EventType>,
    scope: Scope,
    secrets: Vec<SigningKey>,
}

/// A secret to sign with.
pub(crate) struct SigningKey {
    pub(crate) secret: Secret,
    /// Which of the webhook's secrets it is.
    pub(crate) id: i64,
    /// When it stops signing.
    end: Option<Timestamp>,
}

impl Webhook {
    /// The secrets that sign at this time, the current one first.
    pub(crate) fn secrets(&self, now: Timestamp) -> impl Iterator<Item = &SigningKey> {
        self.secrets.iter().filter(move |key| key.end.is_none_or(|end| now < end))
    }

    pub(crate) fn read(config: WebhookConfig) -> Result<Self, String> {
        let kind: WebhookKind = config.r#type.parse().map_err(|_| format!("type {}", config.r#type))?;
        let url = Url::parse(&config.url).map_err(|error| format!("url: {error}"))?;
        let selectors = config.events.iter().map(|text| text.parse().map_err(|_| format!("event {text}")));
        let selectors = selectors.collect::<Result<Vec<EventSelector>, String>>()?;
        let secrets = config.secrets.iter().map(|secret| {
            let end = secret.expires_at.as_ref().map(convert::from_timestamp);
            let text = secret.text.parse::<Secret>().map_err(|error| error.to_string())?;
            Ok(SigningKey { secret: text, id: secret.id, end })
        });
        let secrets = secrets.collect::<Result<Vec<_>, String>>()?;
        if secrets.is_empty() && config.active {
            return Err("it has no secret".into());
        }
        Ok(Self {
            id: config.id,
            instance: config.instance.parse().map_err(|error: domain::InvalidInstance| error.to_string())?,
            active: config.active,
            skips_for: SkipReason::of(&config.inactive_reason),
            kind,
            masked_url: target::mask(&url, kind),
            url,
            allow_insecure: config.allow_insecure,
            send_traceparent: config.send_traceparent,
            headers: custom_headers(config.id, config.headers),
            filter: Filter::parse(&config.filter).map_err(|mistakes| one_line(&mistakes))?,
            events: EventSelector::expand(&selectors),
            scope: if config.all_projects { Scope::All } else { Scope::Projects(config.projects) },
            secrets,
        })
    }
}

fn one_line(mistakes: &[FieldError]) -> String {
    let texts: Vec<String> = mistakes.iter().map(|mistake| format!("{} {}", mistake.field, mistake.message)).collect();
    texts.join("; ")
}

/// Headers that may be sent. They were checked when they were saved; what would pass for one of ours, or break the
/// request, is not sent whatever comes from there.
fn custom_headers(webhook_id: i64, headers: Vec<RequestHeader>) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(headers.len());
    for RequestHeader { name, value } in headers {
        let checked = match check_headers(vec![CustomHeader { name, value }]) {
            Ok(checked) => checked,
            Err(mistakes) => {
                let reason = one_line(&mistakes);
                tracing::error!(webhook_id, reason, "a header cannot be sent; its webhook goes without it");
                continue;
            }
        };
        for header in checked {
            let name = HeaderName::try_from(header.name.as_str());
            if let (Ok(name), Ok(mut value)) = (name, HeaderValue::try_from(header.value.as_str())) {
                // Shown by nothing that prints headers, and masked where they are recorded.
                value.set_sensitive(true);
                map.insert(name, value);
            }
        }
    }
    map
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

/// Whom an event is for, whatever the filters.
pub(crate) struct Matches {
    /// The active webhooks, which get it.
    pub(crate) webhooks: Vec<Arc<Webhook>>,
    /// The inactive ones, which skip it.
    pub(crate) skipping: Vec<Arc<Webhook>>,
    /// Whether any webhook of the instance selects the event's type: active or not, whatever its projects.
    pub(crate) selected: bool,
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

impl Index {
    /// `None`: it was deleted.
    fn set(&mut self, id: i64, webhook: Option<Result<Webhook, String>>) {
        match webhook {
            Some(Ok(webhook)) => self.webhooks.insert(webhook),
            Some(Err(reason)) => {
                tracing::error!(
                    webhook_id = id,
                    reason,
                    "webhook cannot be used; is this dispatcher older than the subscription service?"
                );
                self.webhooks.remove(id);
            }
            None => {
                self.webhooks.remove(id);
                self.deleted.insert(id);
            }
        }
    }
}

/// All webhooks, and how to keep them up to date.
pub(crate) struct Webhooks {
    follower: ChangesFollower,
    index: RwLock<Index>,
    loaded: AtomicBool,
    /// Whether the subscription service answered last.
    reached: AtomicBool,
    synced: RwLock<Instant>,
}

/// How long a batch waits for news of webhooks before it goes on with what is known, if the subscription service answered
/// last: what it says counts, even if it is slow or restarts.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same while it does not answer; and how often it is asked besides.
const SYNC_TIMEOUT: Duration = Duration::from_millis(500);
/// Between two questions to a service that has just been there.
const SYNC_PAUSE: Duration = Duration::from_millis(50);

impl Webhooks {
    pub(crate) fn new(configuration: GrpcChannel) -> Self {
        Self {
            follower: ChangesFollower::new(configuration, true),
            index: RwLock::default(),
            loaded: AtomicBool::new(false),
            reached: AtomicBool::new(true),
            synced: RwLock::new(Instant::now()),
        }
    }

    /// Brings everything up to date with what was saved before this call; on failure what is known stays in force.
    pub(crate) async fn sync(&self) -> Result<(), tonic::Status> {
        self.follower.sync(|changes| self.apply(changes)).await?;
        self.loaded.store(true, Ordering::Release);
        if !self.reached.swap(true, Ordering::AcqRel) {
            tracing::info!("the subscription service answers again");
        }
        *self.synced.write().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        Ok(())
    }

    /// As [`Webhooks::sync`], but never in the way for long. A service that answered last is asked again until it does,
    /// for as long as [`PATIENCE`]: a restart of it is no reason to go by what was true before.
    pub(crate) async fn sync_or_go_on(&self) {
        let reached = self.reached.load(Ordering::Acquire);
        let patience = if reached { PATIENCE } else { SYNC_TIMEOUT };
        let mut reason = format!("no answer within {} s", patience.as_secs_f32());
        let synced = tokio::time::timeout(patience, async {
            loop {
                match self.sync().await {
                    Ok(()) => return true,
                    Err(error) => error.message().clone_into(&mut reason),
                }
                if !reached {
                    return false;
                }
                tokio::time::sleep(SYNC_PAUSE).await;
            }
        });
        if synced.await != Ok(true) && self.reached.swap(false, Ordering::AcqRel) {
            tracing::warn!(reason, "webhooks cannot be brought up to date; going on with what is known of them");
        }
    }

    fn apply(&self, changes: Changes) {
        // Read before the lock is taken: matching waits for it.
        let read = changes.webhooks.into_iter().map(|config| {
            let (id, deleted) = (config.id, config.deleted);
            (id, (!deleted).then(|| Webhook::read(config)))
        });
        let read: Vec<_> = read.collect();
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        if changes.whole {
            *index = Index::default();
        }
        for (id, webhook) in read {
            index.set(id, webhook);
        }
    }

    /// Whom an event is for, and whether anybody wants its type.
    pub(crate) fn matches(&self, instance: &InstanceId, event: EventType, project: i64) -> Matches {
        let index = self.read();
        Matches {
            webhooks: index.webhooks.matches(instance, event, project).cloned().collect(),
            skipping: index.webhooks.skips(instance, event, project).cloned().collect(),
            selected: index.webhooks.selects(instance, event),
        }
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
