//! What the calls about webhooks do.

use domain::{FieldError, InstanceId, Secret, WebhookDraft, WebhookKind, WebhookSpec};
use proto::{
    error::ApiError,
    v1::{self, CreateWebhookRequest, ListWebhooksRequest, ListWebhooksResponse},
};

use super::{Service, answer, paging};
use crate::{
    address, failure,
    secret_box::Purpose,
    store::{NewWebhook, Reach},
};

/// A scope travels whole in every answer and to every dispatcher; more projects than this are better served by all.
const MOST_PROJECTS: usize = 5_000;

impl Service {
    pub(super) async fn create(
        &self,
        instance: InstanceId,
        request: CreateWebhookRequest,
    ) -> Result<v1::Webhook, ApiError> {
        let spec = check(request).map_err(faults)?;
        address::check(&self.policy, &*self.resolver, &spec.url).await.map_err(|error| faults(vec![error]))?;
        let id = self.store.next_webhook_id().await.map_err(failure::of_store)?;
        let secret = Secret::generate(&*self.ids);
        let purpose = Purpose::Signing { instance: &instance, webhook: id };
        let sealed = self.secrets.seal(&*self.ids, purpose, secret.reveal()).map_err(failure::of_sealing)?;
        let new =
            NewWebhook { id, instance, spec, secret: sealed, secret_masked: secret.masked(), at: self.clock.now() };
        let created = self.store.create_webhook(&new).await.map_err(failure::of_store)?;
        Ok(v1::Webhook { secret: secret.reveal().to_owned(), ..answer::webhook(created) })
    }

    pub(super) async fn get(&self, reach: &Reach, id: i64) -> Result<v1::Webhook, ApiError> {
        let found = self.store.webhook(reach, id).await.map_err(failure::of_store)?;
        found.map(answer::webhook).ok_or_else(|| not_found(id))
    }

    pub(super) async fn list(
        &self,
        reach: &Reach,
        request: &ListWebhooksRequest,
    ) -> Result<ListWebhooksResponse, ApiError> {
        let page = paging::page(request.page, request.per_page)?;
        let listed = self.store.webhooks(reach, page).await.map_err(failure::of_store)?;
        let webhooks = listed.items.into_iter().map(answer::webhook).collect();
        Ok(ListWebhooksResponse { webhooks, total: listed.total })
    }

    pub(super) async fn delete(&self, reach: &Reach, id: i64) -> Result<(), ApiError> {
        let deleted = self.store.delete_webhook(reach, id, self.clock.now()).await.map_err(failure::of_store)?;
        if deleted { Ok(()) } else { Err(not_found(id)) }
    }

    pub(super) async fn set_active(&self, reach: &Reach, id: i64, active: bool) -> Result<v1::Webhook, ApiError> {
        let changed = self.store.set_active(reach, id, active, self.clock.now()).await.map_err(failure::of_store)?;
        changed.map(answer::webhook).ok_or_else(|| not_found(id))
    }
}

fn check(request: CreateWebhookRequest) -> Result<WebhookSpec, Vec<FieldError>> {
    let mut errors = Vec::new();
    errors.extend(unsupported_kind(&request.r#type));
    let projects = request.projects.map(|projects| projects.ids);
    if projects.as_ref().is_some_and(|projects| projects.len() > MOST_PROJECTS) {
        let message = format!("must name at most {MOST_PROJECTS} projects, or be null for all");
        errors.push(FieldError::new("projects", message));
    }
    let draft = WebhookDraft {
        name: request.name,
        url: request.url,
        kind: request.r#type,
        events: request.events,
        projects,
        allow_insecure: request.allow_insecure,
    };
    match draft.check() {
        Ok(spec) if errors.is_empty() => Ok(spec),
        Ok(_) => Err(errors),
        Err(more) => {
            errors.extend(more);
            Err(errors)
        }
    }
}

/// The one place that refuses the types whose payloads do not exist yet; it goes when they do.
fn unsupported_kind(kind: &str) -> Option<FieldError> {
    let kind: WebhookKind = kind.parse().ok()?;
    let message = "slack, teams and discord come with a later version; use generic";
    (kind != WebhookKind::Generic).then(|| FieldError::new("type", message))
}

fn faults(errors: Vec<FieldError>) -> ApiError {
    ApiError::fields(errors.into_iter().map(|error| (error.field.to_owned(), error.message)).collect())
}

fn not_found(id: i64) -> ApiError {
    ApiError::not_found("webhook", id)
}
