//! The gRPC service `Configuration`: what the other services ask.

use std::sync::Arc;

use domain::{Clock, InstanceId, Scope};
use prost::Message as _;
use proto::{
    convert::{duration, timestamp},
    error::invalid_field,
    internal::v1::{
        AuthenticateRequest, AuthenticateResponse, ChangesRequest, ChangesResponse, CheckPlanRequest,
        CheckPlanResponse, DeactivateFailingRequest, DeactivateFailingResponse, DeletedProject, RequestHeader,
        SigningSecret, WebhookConfig, configuration_server::Configuration as Rpc,
    },
};
use runtime::ServiceCredential;
use tonic::{Request, Response, Status};
use zeroize::Zeroizing;

use crate::{
    access,
    credentials::Credentials,
    failure,
    secret_box::{Purpose, SecretBox},
    service::Service,
    store::{Changed, ChangedWebhook, SealedWebhook, Store},
    token::{Known, StoreAuthenticator},
};

/// Changes in one answer, at most.
const PAGE: u32 = 2_000;
/// An answer ends with the change that brings it over this, so that it stays below gRPC's usual limit of 4 MiB.
const PAGE_BYTES: usize = 1024 * 1024;

/// The service and what it works with.
pub(crate) struct Configuration {
    /// Changes webhooks.
    pub(crate) service: Arc<Service>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) secrets: Arc<SecretBox>,
    pub(crate) authenticator: Arc<StoreAuthenticator>,
    pub(crate) credential: ServiceCredential,
    pub(crate) clock: Arc<dyn Clock>,
}

#[tonic::async_trait]
impl Rpc for Configuration {
    async fn changes(&self, request: Request<ChangesRequest>) -> Result<Response<ChangesResponse>, Status> {
        self.credential.check(request.metadata())?;
        let ChangesRequest { since, with_secrets } = request.into_inner();
        let changes = self.store.changes(since.max(0), PAGE).await.map_err(failure::of_store)?;
        let mut answer = ChangesResponse { version: changes.version, more: changes.more, ..ChangesResponse::default() };
        let mut bytes = 0;
        let mut rest = changes.items.into_iter();
        while let Some(changed) = rest.next() {
            let version = changed.version();
            bytes += self.add(&mut answer, changed, with_secrets);
            if bytes >= PAGE_BYTES && rest.len() > 0 {
                answer.version = version;
                answer.more = true;
                break;
            }
        }
        Ok(Response::new(answer))
    }

    async fn check_plan(&self, request: Request<CheckPlanRequest>) -> Result<Response<CheckPlanResponse>, Status> {
        self.credential.check(request.metadata())?;
        let instance = request.into_inner().instance.parse::<InstanceId>();
        let instance = instance.map_err(|error| invalid_field("instance", &error.to_string()))?;
        let told = self.store.plan(&instance).await.map_err(failure::of_store)?;
        access::to_plan(told.as_ref().map(|told| &told.plan))?;
        Ok(Response::new(CheckPlanResponse {}))
    }

    async fn deactivate_failing(
        &self,
        request: Request<DeactivateFailingRequest>,
    ) -> Result<Response<DeactivateFailingResponse>, Status> {
        self.credential.check(request.metadata())?;
        let deactivated = self.service.deactivate_failing(request.get_ref()).await?;
        Ok(Response::new(DeactivateFailingResponse { deactivated }))
    }

    async fn authenticate(
        &self,
        request: Request<AuthenticateRequest>,
    ) -> Result<Response<AuthenticateResponse>, Status> {
        self.credential.check(request.metadata())?;
        let Known { identity, expires_at } = self.authenticator.identify(&request.into_inner().token).await?;
        let expires_in = expires_at.map(|end| duration(end.since(self.clock.now())));
        Ok(Response::new(AuthenticateResponse {
            role: identity.role.name().to_owned(),
            instance: identity.instance.as_ref().map(InstanceId::as_str).unwrap_or_default().to_owned(),
            projects: match identity.role {
                domain::Role::ProjectAdmin(projects) => projects,
                _ => Vec::new(),
            },
            name: identity.name,
            expires_in,
        }))
    }
}

impl Configuration {
    /// Adds a change to an answer; answers its length.
    fn add(&self, answer: &mut ChangesResponse, changed: Changed, with_secrets: bool) -> usize {
        match changed {
            Changed::Webhook(changed) => {
                let config = self.config(*changed, with_secrets);
                let length = config.encoded_len();
                answer.webhooks.push(config);
                length
            }
            Changed::ProjectDeleted { instance, project, .. } => {
                let deleted = DeletedProject { instance: instance.as_str().to_owned(), project_id: project };
                let length = deleted.encoded_len();
                answer.deleted_projects.push(deleted);
                length
            }
        }
    }

    fn config(&self, changed: ChangedWebhook, with_secrets: bool) -> WebhookConfig {
        let ChangedWebhook { id, version, instance, webhook } = changed;
        let name = instance.as_str().to_owned();
        let Some(SealedWebhook { webhook, credentials }) = webhook else {
            return WebhookConfig { id, version, instance: name, deleted: true, ..WebhookConfig::default() };
        };
        let purpose = Purpose::Signing { instance: &instance, webhook: id };
        let secrets = if with_secrets {
            self.secrets(purpose, &credentials, webhook.secret_id)
        } else {
            Some(Secrets::default())
        };
        let (all_projects, projects) = match webhook.scope {
            Scope::All => (true, Vec::new()),
            Scope::Projects(projects) => (false, projects),
        };
        // Nothing is sent unsigned, and one damaged row does not keep the others from being followed.
        let active = webhook.active && secrets.is_some();
        let Secrets { signing, headers } = secrets.unwrap_or_default();
        WebhookConfig {
            id,
            version,
            deleted: false,
            instance: name,
            active,
            r#type: webhook.kind,
            url: webhook.url,
            events: webhook.events,
            all_projects,
            projects,
            allow_insecure: webhook.allow_insecure,
            send_traceparent: webhook.send_traceparent,
            secrets: signing,
            headers,
            filter: webhook.filter,
            inactive_reason: webhook.inactive_reason,
            endpoint_since: Some(timestamp(webhook.endpoint_since)),
        }
    }

    fn secrets(&self, purpose: Purpose<'_>, sealed: &[u8], current: i64) -> Option<Secrets> {
        let opened = self.secrets.open(purpose, sealed).map_err(|error| error.to_string());
        let parsed =
            opened.and_then(|text| Credentials::parse(&Zeroizing::new(text)).map_err(|error| error.to_string()));
        match parsed {
            Ok(credentials) => Some(self.told(&credentials, current)),
            Err(error) => {
                tracing::error!(?purpose, error, "the secrets of a webhook cannot be read; it counts as inactive");
                None
            }
        }
    }

    /// `current`: the number of the current secret. An older one never signs for longer than the one that came after it, so
    /// that none is missing between those that sign.
    fn told(&self, credentials: &Credentials, current: i64) -> Secrets {
        let signing = (0..).zip(credentials.signing(self.clock.now()));
        let signing = signing.map(|(age, secret)| SigningSecret {
            text: secret.text.clone(),
            expires_at: secret.expires_at().map(timestamp),
            id: current - age,
        });
        let headers = credentials.headers.iter();
        let headers = headers.map(|header| RequestHeader { name: header.name.clone(), value: header.value.clone() });
        Secrets { signing: signing.collect(), headers: headers.collect() }
    }
}

/// What the dispatcher alone is told.
#[derive(Default)]
struct Secrets {
    signing: Vec<SigningSecret>,
    headers: Vec<RequestHeader>,
}
