//! The gRPC service `Configuration`: what the other services ask.

use std::sync::Arc;

use domain::{InstanceId, Scope};
use prost::Message as _;
use proto::internal::v1::{
    AuthenticateRequest, AuthenticateResponse, ChangesRequest, ChangesResponse, SigningSecret, WebhookConfig,
    configuration_server::Configuration as Rpc,
};
use runtime::{Authenticator, ServiceCredential};
use tonic::{Request, Response, Status};

use crate::{
    failure,
    secret_box::{Purpose, SecretBox},
    store::{ChangedWebhook, Store},
};

/// Webhooks in one answer, at most.
const PAGE: u32 = 2_000;
/// An answer ends with the webhook that brings it over this, so that it stays below gRPC's usual limit of 4 MiB.
const PAGE_BYTES: usize = 1024 * 1024;

/// The service and what it works with.
pub(crate) struct Configuration {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) secrets: Arc<SecretBox>,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) credential: ServiceCredential,
}

#[tonic::async_trait]
impl Rpc for Configuration {
    async fn changes(&self, request: Request<ChangesRequest>) -> Result<Response<ChangesResponse>, Status> {
        self.credential.check(request.metadata())?;
        let ChangesRequest { since, with_secrets } = request.into_inner();
        let changes = self.store.changes(since.max(0), PAGE).await.map_err(failure::of_store)?;
        let mut answer = ChangesResponse {
            version: changes.version,
            webhooks: Vec::with_capacity(changes.webhooks.len()),
            more: changes.more,
        };
        let mut bytes = 0;
        let mut rest = changes.webhooks.into_iter();
        while let Some(changed) = rest.next() {
            let config = self.config(changed, with_secrets);
            bytes += config.encoded_len();
            let version = config.version;
            answer.webhooks.push(config);
            if bytes >= PAGE_BYTES && rest.len() > 0 {
                answer.version = version;
                answer.more = true;
                break;
            }
        }
        Ok(Response::new(answer))
    }

    async fn authenticate(
        &self,
        request: Request<AuthenticateRequest>,
    ) -> Result<Response<AuthenticateResponse>, Status> {
        self.credential.check(request.metadata())?;
        let identity = self.authenticator.authenticate(&request.into_inner().token).await?;
        Ok(Response::new(AuthenticateResponse {
            role: identity.role.name().to_owned(),
            instance: identity.instance.as_ref().map(InstanceId::as_str).unwrap_or_default().to_owned(),
            projects: match identity.role {
                domain::Role::ProjectAdmin(projects) => projects,
                _ => Vec::new(),
            },
            name: identity.name,
        }))
    }
}

impl Configuration {
    fn config(&self, changed: ChangedWebhook, with_secrets: bool) -> WebhookConfig {
        let ChangedWebhook { id, version, instance, target } = changed;
        let name = instance.as_str().to_owned();
        let Some(target) = target else {
            return WebhookConfig { id, version, instance: name, deleted: true, ..WebhookConfig::default() };
        };
        let purpose = Purpose::Signing { instance: &instance, webhook: id };
        let secrets = if with_secrets { self.signing_secrets(purpose, &target.secret) } else { Some(Vec::new()) };
        let (all_projects, projects) = match target.scope {
            Scope::All => (true, Vec::new()),
            Scope::Projects(projects) => (false, projects),
        };
        WebhookConfig {
            id,
            version,
            deleted: false,
            instance: name,
            // Nothing is sent unsigned, and one damaged row does not keep the others from being followed.
            active: target.active && secrets.is_some(),
            r#type: target.kind,
            url: target.url,
            events: target.events,
            all_projects,
            projects,
            allow_insecure: target.allow_insecure,
            secrets: secrets.unwrap_or_default(),
        }
    }

    fn signing_secrets(&self, purpose: Purpose<'_>, sealed: &[u8]) -> Option<Vec<SigningSecret>> {
        match self.secrets.open(purpose, sealed) {
            Ok(text) => Some(vec![SigningSecret { text, expires_at: None }]),
            Err(error) => {
                tracing::error!(?purpose, %error, "a signing secret cannot be read; its webhook counts as inactive");
                None
            }
        }
    }
}
