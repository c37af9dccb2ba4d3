//! What stands in for the other services.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use broker::{Acker, Broker, BrokerError, Consumer, Incoming, Lane, Outgoing, PublishError, Settlement};
use bytes::Bytes;
use domain::{Identity, Role, Timestamp};
use prost::Message as _;
use proto::{
    convert::timestamp,
    error::{ApiError, ErrorCode},
    internal::v1::{
        AuthenticateRequest, AuthenticateResponse, ChangesRequest, ChangesResponse, CheckPlanRequest,
        CheckPlanResponse, DeactivateFailingRequest, DeactivateFailingResponse, DeletedProject, DeliveryTask,
        WebhookConfig, configuration_server::Configuration,
    },
};
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};

/// A broker that remembers.
#[derive(Default)]
pub(crate) struct Queue {
    /// Messages ready in each lane, as it says.
    pub(crate) depth: AtomicU64,
    /// What was published and confirmed.
    pub(crate) published: Mutex<Vec<Outgoing>>,
    /// What the next publishes answer.
    pub(crate) answers: Mutex<VecDeque<PublishError>>,
    sender: Mutex<Option<mpsc::Sender<Incoming>>>,
    settled: Arc<Settled>,
}

#[derive(Default)]
struct Settled(Mutex<Vec<(u64, Settlement)>>);

impl Acker for Settled {
    fn settle(&self, tag: u64, settlement: Settlement) {
        self.0.lock().unwrap().push((tag, settlement));
    }
}

impl Queue {
    /// Gives a message to whoever consumes; `false`: nobody does yet.
    pub(crate) fn give(&self, tag: u64, body: impl Into<Bytes>) -> bool {
        let sender = self.sender.lock().unwrap();
        let Some(sender) = sender.as_ref() else { return false };
        let acker = Arc::clone(&self.settled) as Arc<dyn Acker>;
        sender.try_send(Incoming::new(body.into(), false, None, tag, acker)).unwrap();
        true
    }

    pub(crate) fn settled(&self) -> Vec<(u64, Settlement)> {
        self.settled.0.lock().unwrap().clone()
    }

    pub(crate) fn tasks(&self) -> Vec<DeliveryTask> {
        let published = self.published.lock().unwrap();
        published.iter().map(|message| DeliveryTask::decode(message.body.clone()).unwrap()).collect()
    }
}

#[async_trait]
impl Broker for Queue {
    async fn publish(&self, messages: Vec<Outgoing>) -> Vec<Result<(), PublishError>> {
        let mut answers = Vec::new();
        for message in messages {
            assert!(matches!(message.lane, Lane::DeliverFast | Lane::DeliverSlow), "{message:?}");
            answers.push(match self.answers.lock().unwrap().pop_front() {
                Some(error) => Err(error),
                None => {
                    self.published.lock().unwrap().push(message);
                    Ok(())
                }
            });
        }
        answers
    }

    async fn consume(&self, lane: Lane, prefetch: u16) -> Result<Consumer, BrokerError> {
        assert_eq!(lane, Lane::History);
        let (sender, receiver) = mpsc::channel(prefetch.into());
        *self.sender.lock().unwrap() = Some(sender);
        Ok(Consumer::new(receiver))
    }

    async fn check(&self) -> Result<(), String> {
        Ok(())
    }

    async fn depth(&self, _: Lane) -> Result<u64, String> {
        Ok(self.depth.load(Ordering::SeqCst))
    }

    async fn close(&self) {
        self.sender.lock().unwrap().take();
    }
}

/// A subscription service that knows what it is told.
#[derive(Clone, Default)]
pub(crate) struct Subscription {
    told: Arc<Mutex<Told>>,
    away: Arc<AtomicBool>,
}

#[derive(Clone, Default)]
struct Told {
    version: i64,
    webhooks: Vec<WebhookConfig>,
    /// Each with its version.
    projects: Vec<(i64, DeletedProject)>,
    /// Instances whose plan has none.
    without_webhooks: Vec<String>,
    /// Who was to be deactivated because its endpoint fails.
    failing: Vec<DeactivateFailingRequest>,
}

impl Subscription {
    /// Answers nothing any more.
    pub(crate) fn go_away(&self) {
        self.away.store(true, Ordering::SeqCst);
    }

    /// Saves a webhook under the next version.
    pub(crate) fn save(&self, webhook: WebhookConfig) -> i64 {
        let mut told = self.told.lock().unwrap();
        told.version += 1;
        let version = told.version;
        told.webhooks.retain(|known| known.id != webhook.id);
        told.webhooks.push(WebhookConfig { version, ..webhook });
        version
    }

    /// Who was to be deactivated because its endpoint fails, in order.
    pub(crate) fn failing(&self) -> Vec<DeactivateFailingRequest> {
        self.told.lock().unwrap().failing.clone()
    }

    pub(crate) fn downgrade(&self, instance: &str) {
        self.told.lock().unwrap().without_webhooks.push(instance.to_owned());
    }

    pub(crate) fn delete_project(&self, instance: &str, project_id: i64) {
        let mut told = self.told.lock().unwrap();
        told.version += 1;
        let change = (told.version, DeletedProject { instance: instance.to_owned(), project_id });
        told.projects.push(change);
    }

    /// A backup of everything; to go back to it, call what is answered.
    pub(crate) fn back_up(&self) -> impl FnOnce() + use<> {
        let (told, backup) = (Arc::clone(&self.told), self.told.lock().unwrap().clone());
        move || *told.lock().unwrap() = backup
    }
}

/// An active webhook of instance `acme` for these projects.
pub(crate) fn webhook_for(id: i64, projects: &[i64]) -> WebhookConfig {
    WebhookConfig { all_projects: false, projects: projects.to_vec(), ..webhook(id, true) }
}

/// A webhook of instance `acme` for all projects.
pub(crate) fn webhook(id: i64, active: bool) -> WebhookConfig {
    WebhookConfig { id, instance: "acme".into(), active, all_projects: true, ..WebhookConfig::default() }
}

/// An active webhook of instance `acme` whose endpoint is this one since then.
pub(crate) fn webhook_since(id: i64, since: i64) -> WebhookConfig {
    let endpoint_since = Some(timestamp(Timestamp::from_micros(since)));
    WebhookConfig { endpoint_since, ..webhook(id, true) }
}

#[tonic::async_trait]
impl Configuration for Subscription {
    async fn changes(&self, request: Request<ChangesRequest>) -> Result<Response<ChangesResponse>, Status> {
        let request = request.into_inner();
        assert!(!request.with_secrets);
        if self.away.load(Ordering::SeqCst) {
            return Err(Status::unavailable("told to be away"));
        }
        let told = self.told.lock().unwrap().clone();
        let mut versions: Vec<i64> = told.webhooks.iter().map(|webhook| webhook.version).collect();
        versions.extend(told.projects.iter().map(|(version, _)| *version));
        versions.retain(|version| *version > request.since);
        versions.sort_unstable();
        let more = versions.len() > 2;
        let version = if more { versions[1] } else { told.version };
        let changed = |at: i64| at > request.since && at <= version;
        let mut webhooks: Vec<_> = told.webhooks.into_iter().filter(|webhook| changed(webhook.version)).collect();
        webhooks.sort_by_key(|webhook| webhook.version);
        let deleted_projects =
            told.projects.into_iter().filter(|(at, _)| changed(*at)).map(|(_, project)| project).collect();
        Ok(Response::new(ChangesResponse { version, webhooks, deleted_projects, more }))
    }

    async fn deactivate_failing(
        &self,
        request: Request<DeactivateFailingRequest>,
    ) -> Result<Response<DeactivateFailingResponse>, Status> {
        let request = request.into_inner();
        let judged = |webhook: &&WebhookConfig| webhook.id == request.webhook_id && webhook.version == request.version;
        let found = self.told.lock().unwrap().webhooks.iter().find(judged).cloned();
        self.told.lock().unwrap().failing.push(request);
        let deactivated = found.is_some();
        if let Some(webhook) = found {
            self.save(WebhookConfig { active: false, ..webhook });
        }
        Ok(Response::new(DeactivateFailingResponse { deactivated }))
    }

    async fn authenticate(&self, _: Request<AuthenticateRequest>) -> Result<Response<AuthenticateResponse>, Status> {
        Err(Status::unimplemented("history asks its authenticator"))
    }

    async fn check_plan(&self, request: Request<CheckPlanRequest>) -> Result<Response<CheckPlanResponse>, Status> {
        if self.away.load(Ordering::SeqCst) {
            return Err(Status::unavailable("told to be away"));
        }
        if self.told.lock().unwrap().without_webhooks.contains(&request.into_inner().instance) {
            return Err(ApiError::new(ErrorCode::PlanRequired, "told so").into());
        }
        Ok(Response::new(CheckPlanResponse {}))
    }
}

/// Knows tokens such as `system_admin@acme` and `project_admin@acme:1,2`.
pub(crate) struct Tokens;

#[async_trait]
impl runtime::Authenticator for Tokens {
    async fn authenticate(&self, token: &str) -> Result<Identity, Status> {
        let unknown = || Status::unauthenticated("no such token");
        let (role, place) = token.split_once('@').ok_or_else(unknown)?;
        let (instance, projects) = place.split_once(':').unwrap_or((place, ""));
        let projects = projects.split(',').filter_map(|project| project.parse().ok()).collect();
        let role = Role::from_name(role, projects).ok_or_else(unknown)?;
        Ok(Identity { role, instance: instance.parse().ok(), name: token.to_owned() })
    }
}
