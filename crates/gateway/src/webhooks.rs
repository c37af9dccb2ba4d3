//! `/webhooks`: subscriptions.

use axum::{Json, extract::State, http::StatusCode};
use proto::v1::{self, ProjectList};
use serde::Serialize;

use crate::{
    Services,
    body::{Fields, NoBody},
    caller::{Caller, answer},
    error::Failure,
    page::{Page, Single, some_text, time},
    path::WebhookId,
    query::{NoQuery, Query},
};

/// A webhook, its secret masked but in the answer to create.
#[derive(Serialize)]
pub(crate) struct WebhookJson {
    id: i64,
    name: String,
    url: String,
    r#type: String,
    events: Vec<String>,
    /// Null: all projects.
    projects: Option<Vec<i64>>,
    allow_insecure: bool,
    active: bool,
    inactive_reason: Option<String>,
    secret: String,
    warnings: Vec<String>,
    created_at: Option<String>,
    updated_at: Option<String>,
}

impl From<v1::Webhook> for WebhookJson {
    fn from(webhook: v1::Webhook) -> Self {
        Self {
            id: webhook.id,
            name: webhook.name,
            url: webhook.url,
            r#type: webhook.r#type,
            events: webhook.events,
            projects: webhook.projects.map(|projects| projects.ids),
            allow_insecure: webhook.allow_insecure,
            active: webhook.active,
            inactive_reason: some_text(webhook.inactive_reason),
            secret: webhook.secret,
            warnings: webhook.warnings,
            created_at: time(webhook.created_at),
            updated_at: time(webhook.updated_at),
        }
    }
}

fn single(webhook: Option<v1::Webhook>) -> Result<Json<Single<WebhookJson>>, Failure> {
    let webhook = webhook.ok_or_else(|| Failure::incomplete("webhook"))?;
    Ok(Json(Single { result: webhook.into() }))
}

/// `GET /webhooks`
pub(crate) async fn list(
    State(services): State<Services>,
    caller: Caller,
    query: Query,
) -> Result<Json<Page<WebhookJson>>, Failure> {
    let query = query.page()?;
    let request = v1::ListWebhooksRequest { page: query.page, per_page: query.per_page };
    let found = answer(services.webhooks().list_webhooks(caller.request(request))).await?;
    Ok(Json(Page::new(query, found.total, found.webhooks.into_iter().map(WebhookJson::from).collect())))
}

/// `POST /webhooks`
pub(crate) async fn create(
    State(services): State<Services>,
    caller: Caller,
    _: NoQuery,
    mut fields: Fields,
) -> Result<(StatusCode, Json<Single<WebhookJson>>), Failure> {
    let request = v1::CreateWebhookRequest {
        name: fields.text("name"),
        url: fields.text("url"),
        r#type: fields.text("type"),
        events: fields.texts("events"),
        projects: fields.ids("projects").map(|ids| ProjectList { ids }),
        allow_insecure: fields.flag("allow_insecure"),
    };
    fields.finish()?;
    let made = answer(services.webhooks().create_webhook(caller.request(request))).await?;
    Ok((StatusCode::CREATED, single(made.webhook)?))
}

/// `GET /webhooks/{id}`
pub(crate) async fn read(
    State(services): State<Services>,
    caller: Caller,
    WebhookId(id): WebhookId,
    _: NoQuery,
) -> Result<Json<Single<WebhookJson>>, Failure> {
    let found = answer(services.webhooks().get_webhook(caller.request(v1::GetWebhookRequest { id }))).await?;
    single(found.webhook)
}

/// `DELETE /webhooks/{id}`
pub(crate) async fn remove(
    State(services): State<Services>,
    caller: Caller,
    WebhookId(id): WebhookId,
    _: NoQuery,
    _: NoBody,
) -> Result<StatusCode, Failure> {
    answer(services.webhooks().delete_webhook(caller.request(v1::DeleteWebhookRequest { id }))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /webhooks/{id}/activate`
pub(crate) async fn activate(
    State(services): State<Services>,
    caller: Caller,
    WebhookId(id): WebhookId,
    _: NoQuery,
    _: NoBody,
) -> Result<Json<Single<WebhookJson>>, Failure> {
    let request = caller.request(v1::ActivateWebhookRequest { id });
    single(answer(services.webhooks().activate_webhook(request)).await?.webhook)
}

/// `POST /webhooks/{id}/deactivate`
pub(crate) async fn deactivate(
    State(services): State<Services>,
    caller: Caller,
    WebhookId(id): WebhookId,
    _: NoQuery,
    _: NoBody,
) -> Result<Json<Single<WebhookJson>>, Failure> {
    let request = caller.request(v1::DeactivateWebhookRequest { id });
    single(answer(services.webhooks().deactivate_webhook(request)).await?.webhook)
}
