//! `/webhooks`: subscriptions.

mod docs;
pub(crate) mod explain;
mod schemas;
mod shape;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use proto::v1::{self, CustomHeaderList, EventList, FilterList, ProjectList, update_webhook_request::Scope};
use serde::Serialize;

use crate::{
    Services,
    body::{Fields, NoBody, OptionalFields},
    caller::{Caller, answer},
    error::Failure,
    page::{Page, Single},
    path::WebhookId,
    precondition::{IfMatch, IfNoneMatch, etag},
    query::{NoQuery, Query},
    read,
};

use shape::{ChangeJson, FieldJson, WebhookJson};

pub(crate) use docs::routes;
pub(crate) use schemas::schemas;

/// What answers have and requests must not.
const READ_ONLY: [&str; 9] = [
    "id",
    "secret",
    "secret_id",
    "version",
    "inactive_reason",
    "previous_secret_expires_at",
    "warnings",
    "created_at",
    "updated_at",
];

/// A webhook, and what was changed of it.
#[derive(Serialize)]
struct Changed {
    result: WebhookJson,
    changes: Vec<FieldJson>,
}

fn present(webhook: Option<v1::Webhook>) -> Result<v1::Webhook, Failure> {
    webhook.ok_or_else(|| Failure::incomplete("webhook"))
}

/// The answer that shows this webhook, with the tag of its version.
fn shown(status: StatusCode, webhook: Option<v1::Webhook>) -> Result<Response, Failure> {
    let webhook = present(webhook)?;
    let version = webhook.version;
    Ok(tagged(version, (status, Json(Single { result: WebhookJson::from(webhook) }))))
}

fn tagged(version: i64, answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    if let Some(tag) = etag(version) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// `GET /webhooks`
async fn list(
    State(services): State<Services>,
    caller: Caller,
    query: Query,
) -> Result<Json<Page<WebhookJson>>, Failure> {
    let (page, request) = query.webhooks()?;
    let found = answer(services.webhooks().list_webhooks(caller.request(request))).await?;
    Ok(Json(Page::new(page, found.total, found.webhooks.into_iter().map(WebhookJson::from).collect())))
}

/// `POST /webhooks`
async fn create(
    State(services): State<Services>,
    caller: Caller,
    query: Query,
    fields: Fields,
) -> Result<Response, Failure> {
    let validate_only = query.validate_only()?;
    let request = v1::CreateWebhookRequest { validate_only, ..wanted(fields)? };
    let made = answer(services.webhooks().create_webhook(caller.request(request))).await?;
    if validate_only {
        // There is no webhook that a tag could stand for.
        return Ok(Json(Single { result: WebhookJson::from(present(made.webhook)?) }).into_response());
    }
    shown(StatusCode::CREATED, made.webhook)
}

/// The webhook that a body describes.
pub(crate) fn wanted(mut fields: Fields) -> Result<v1::CreateWebhookRequest, Failure> {
    let request = v1::CreateWebhookRequest {
        name: fields.required("name", read::text),
        url: fields.required("url", read::text),
        r#type: fields.required("type", read::text),
        events: fields.required("events", read::texts),
        projects: fields.given("projects", read::ids_or_null).flatten().map(|ids| ProjectList { ids }),
        allow_insecure: fields.given("allow_insecure", read::flag).unwrap_or_default(),
        send_traceparent: fields.given("send_traceparent", read::flag).unwrap_or_default(),
        headers: fields.given("headers", read::headers).unwrap_or_default(),
        filter: fields.given("filter", read::texts_or_null).unwrap_or_default(),
        inactive: !fields.given("active", read::flag).unwrap_or(true),
        validate_only: false,
    };
    fields.read_only(&READ_ONLY);
    fields.finish().map(|()| request)
}

/// `GET /webhooks/{id}`
async fn read(
    State(services): State<Services>,
    caller: Caller,
    WebhookId(id): WebhookId,
    _: NoQuery,
    known: IfNoneMatch,
) -> Result<Response, Failure> {
    let found = answer(services.webhooks().get_webhook(caller.request(v1::GetWebhookRequest { id }))).await?;
    let webhook = present(found.webhook)?;
    if known.has(webhook.version) {
        return Ok(tagged(webhook.version, StatusCode::NOT_MODIFIED));
    }
    shown(StatusCode::OK, Some(webhook))
}

/// `PATCH /webhooks/{id}`
async fn change(
    State(services): State<Services>,
    caller: Caller,
    WebhookId(id): WebhookId,
    query: Query,
    if_match: IfMatch,
    mut fields: Fields,
) -> Result<Response, Failure> {
    let validate_only = query.validate_only()?;
    let scope = fields.given("projects", read::ids_or_null).map(|projects| match projects {
        None => Scope::AllProjects(true),
        Some(ids) => Scope::Projects(ProjectList { ids }),
    });
    let request = v1::UpdateWebhookRequest {
        id,
        name: fields.given("name", read::text),
        url: fields.given("url", read::text),
        r#type: fields.given("type", read::text),
        events: fields.given("events", read::texts).map(|events| EventList { events }),
        scope,
        allow_insecure: fields.given("allow_insecure", read::flag),
        send_traceparent: fields.given("send_traceparent", read::flag),
        headers: fields.given("headers", read::headers).map(|headers| CustomHeaderList { headers }),
        filter: fields.given("filter", read::texts_or_null).map(|conditions| FilterList { conditions }),
        active: fields.given("active", read::flag),
        if_version: None,
        validate_only,
    };
    fields.read_only(&READ_ONLY);
    fields.finish()?;
    let if_version = if_match.version(&services, &caller, id).await?;
    let request = v1::UpdateWebhookRequest { if_version, ..request };
    let changed = answer(services.webhooks().update_webhook(caller.request(request))).await?;
    let webhook = present(changed.webhook)?;
    let version = webhook.version;
    let body = Json(Changed { result: webhook.into(), changes: shape::fields(changed.changes)? });
    // What would be is not what the tag of the present version stands for.
    Ok(if validate_only { body.into_response() } else { tagged(version, body) })
}

/// `DELETE /webhooks/{id}`
async fn remove(
    State(services): State<Services>,
    caller: Caller,
    WebhookId(id): WebhookId,
    _: NoQuery,
    if_match: IfMatch,
    _: NoBody,
) -> Result<StatusCode, Failure> {
    let if_version = if_match.version(&services, &caller, id).await?;
    answer(services.webhooks().delete_webhook(caller.request(v1::DeleteWebhookRequest { id, if_version }))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /webhooks/{id}/activate`
async fn activate(
    State(services): State<Services>,
    caller: Caller,
    WebhookId(id): WebhookId,
    _: NoQuery,
    if_match: IfMatch,
    _: NoBody,
) -> Result<Response, Failure> {
    let if_version = if_match.version(&services, &caller, id).await?;
    let request = caller.request(v1::ActivateWebhookRequest { id, if_version });
    shown(StatusCode::OK, answer(services.webhooks().activate_webhook(request)).await?.webhook)
}

/// `POST /webhooks/{id}/deactivate`
async fn deactivate(
    State(services): State<Services>,
    caller: Caller,
    WebhookId(id): WebhookId,
    _: NoQuery,
    if_match: IfMatch,
    _: NoBody,
) -> Result<Response, Failure> {
    let if_version = if_match.version(&services, &caller, id).await?;
    let request = caller.request(v1::DeactivateWebhookRequest { id, if_version });
    shown(StatusCode::OK, answer(services.webhooks().deactivate_webhook(request)).await?.webhook)
}

/// `POST /webhooks/{id}/secret`
async fn regenerate_secret(
    State(services): State<Services>,
    caller: Caller,
    WebhookId(id): WebhookId,
    _: NoQuery,
    if_match: IfMatch,
    OptionalFields(mut fields): OptionalFields,
) -> Result<Response, Failure> {
    let overlap_hours = fields.given("overlap_hours", read::overlap_hours).unwrap_or_default();
    fields.finish()?;
    let if_version = if_match.version(&services, &caller, id).await?;
    let request = caller.request(v1::RegenerateSecretRequest { id, overlap_hours, if_version });
    shown(StatusCode::OK, answer(services.webhooks().regenerate_secret(request)).await?.webhook)
}

/// What is sent as a test.
#[derive(Serialize)]
struct TestJson {
    delivery_id: String,
    event_id: String,
    event: String,
    project_id: i64,
}

/// `POST /webhooks/{id}/test`
async fn test(
    State(services): State<Services>,
    caller: Caller,
    WebhookId(id): WebhookId,
    _: NoQuery,
    _: NoBody,
) -> Result<(StatusCode, Json<Single<TestJson>>), Failure> {
    let sent = answer(services.webhooks().test_webhook(caller.request(v1::TestWebhookRequest { id }))).await?;
    let v1::TestWebhookResponse { delivery_id, event_id, event_type: event, project_id } = sent;
    Ok((StatusCode::ACCEPTED, Json(Single { result: TestJson { delivery_id, event_id, event, project_id } })))
}

/// `GET /webhooks/{id}/changes`
async fn changes(
    State(services): State<Services>,
    caller: Caller,
    WebhookId(id): WebhookId,
    query: Query,
) -> Result<Json<Page<ChangeJson>>, Failure> {
    let query = query.page()?;
    let request = v1::ListWebhookChangesRequest { id, page: query.page, per_page: query.per_page };
    let found = answer(services.webhooks().list_webhook_changes(caller.request(request))).await?;
    let changes = found.changes.into_iter().map(ChangeJson::try_from).collect::<Result<_, _>>()?;
    Ok(Json(Page::new(query, found.total, changes)))
}
