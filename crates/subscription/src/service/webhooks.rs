//! Creating, reading, listing and deleting webhooks.

use domain::{CustomHeader, Identity, Secret, Timestamp, WebhookDraft, WebhookKind, WebhookSpec};
use proto::{
    error::ApiError,
    v1::{self, CreateWebhookRequest, ListWebhooksRequest, ListWebhooksResponse},
};

use super::{
    Service, answer,
    change_log::{self, Action, Actor},
    not_found, paging,
    rules::{self, texts},
    update::names,
};
use crate::{
    access,
    credentials::Credentials,
    failure,
    store::{Reach, SealedWebhook, Webhook, WebhookFilter, Write},
};

impl Service {
    pub(super) async fn create(
        &self,
        caller: &Identity,
        request: CreateWebhookRequest,
    ) -> Result<v1::Webhook, ApiError> {
        let Reach { instance, .. } = access::to_webhooks(caller)?;
        access::to_scope(caller, request.projects.as_ref().map(|projects| projects.ids.as_slice()))?;
        let (active, validate_only) = (!request.inactive, request.validate_only);
        let spec = rules::check(draft(request), Vec::new())?;
        self.check_address(&spec.url).await?;

        let mut unit = self.begin(&instance).await?;
        unit.check_projects(&spec.scope).await?;
        unit.check_plan()?;
        let actor = Actor::new(caller, self.clock.now());
        let secret = self.new_secret();
        let credentials = Credentials::new(&secret, spec.headers.clone());
        let mut webhook = new(spec, active, &secret, actor.at);
        if validate_only {
            let shown = answer::webhook(webhook, actor.at);
            return Ok(v1::Webhook {
                secret: String::new(),
                secret_id: 0,
                created_at: None,
                updated_at: None,
                ..shown
            });
        }
        webhook.id = unit.change.next_webhook_id().await.map_err(failure::of_store)?;
        let entry = actor.entry(Action::Created, &change_log::all(&webhook))?;
        let credentials = self.seal(&instance, webhook.id, &credentials)?;
        let mut sealed = SealedWebhook { webhook, credentials };
        unit.put(&mut sealed, entry).await?;
        unit.commit().await?;
        Ok(v1::Webhook { secret: secret.reveal().to_owned(), ..answer::webhook(sealed.webhook, actor.at) })
    }

    pub(super) async fn get(&self, reach: &Reach, id: i64) -> Result<v1::Webhook, ApiError> {
        let found = self.store.webhook(reach, id).await.map_err(failure::of_store)?;
        let found = found.ok_or_else(|| not_found(id))?;
        Ok(answer::webhook(found, self.clock.now()))
    }

    pub(super) async fn list(
        &self,
        reach: &Reach,
        request: &ListWebhooksRequest,
    ) -> Result<ListWebhooksResponse, ApiError> {
        let page = paging::page(request.page, request.per_page)?;
        let filter = filter(request)?;
        let listed = self.store.webhooks(reach, &filter, page).await.map_err(failure::of_store)?;
        let now = self.clock.now();
        let webhooks = listed.items.into_iter().map(|webhook| answer::webhook(webhook, now)).collect();
        Ok(ListWebhooksResponse { webhooks, total: listed.total })
    }

    pub(super) async fn delete(&self, caller: &Identity, id: i64, if_version: Option<i64>) -> Result<(), ApiError> {
        let reach = access::to_webhooks(caller)?;
        let mut unit = self.begin(&reach.instance).await?;
        unit.webhook(&reach, id, if_version).await?;
        let entry = Actor::new(caller, self.clock.now()).entry(Action::Deleted, &[])?;
        unit.write(&[Write { id, webhook: None, entry }]).await?;
        unit.commit().await
    }
}

pub(crate) fn draft(request: CreateWebhookRequest) -> WebhookDraft {
    let header = |header: v1::CustomHeader| CustomHeader { name: header.name, value: header.value };
    WebhookDraft {
        name: request.name,
        url: request.url,
        kind: request.r#type,
        events: request.events,
        projects: request.projects.map(|projects| projects.ids),
        allow_insecure: request.allow_insecure,
        send_traceparent: request.send_traceparent,
        headers: request.headers.into_iter().map(header).collect(),
        filter: request.filter,
    }
}

/// Without the id and the version that it gets when it is written.
fn new(spec: WebhookSpec, active: bool, secret: &Secret, at: Timestamp) -> Webhook {
    Webhook {
        id: 0,
        version: 0,
        headers: names(&spec.headers),
        filter: texts(spec.filter.texts()),
        events: texts(&spec.events),
        name: spec.name,
        url: spec.url.into(),
        kind: spec.kind.name().to_owned(),
        scope: spec.scope,
        allow_insecure: spec.allow_insecure,
        send_traceparent: spec.send_traceparent,
        active,
        inactive_reason: String::new(),
        secret_masked: secret.masked(),
        secret_id: 1,
        previous_secret_expires_at: None,
        created_at: at,
        updated_at: at,
        endpoint_since: at,
    }
}

fn filter(request: &ListWebhooksRequest) -> Result<WebhookFilter, ApiError> {
    let mut errors = Vec::new();
    let kind = Some(&request.r#type).filter(|kind| !kind.is_empty());
    if let Some(Err(error)) = kind.map(|kind| kind.parse::<WebhookKind>()) {
        errors.push(("type".to_owned(), error.to_string()));
    }
    if request.project_id < 0 {
        errors.push(("project_id".to_owned(), "must be a project id from 1".to_owned()));
    }
    if request.query.chars().any(char::is_control) {
        errors.push(("query".to_owned(), "must not hold control characters".to_owned()));
    }
    if !errors.is_empty() {
        return Err(ApiError::fields(errors));
    }
    Ok(WebhookFilter {
        active: request.active,
        kind: kind.cloned(),
        project: Some(request.project_id).filter(|project| *project != 0),
        text: Some(request.query.clone()).filter(|text| !text.is_empty()),
    })
}
