//! What can be done with a webhook: activate, deactivate, test, delete.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use proto::v1;

use super::read;
use crate::{
    Services,
    caller::answer,
    console::{
        form::Submitted,
        page::{Frame, Section, html, see_other},
        text::Text,
        trouble::{Shown, Trouble},
        visitor::Visitor,
    },
    path::WebhookId,
};

#[derive(Template)]
#[template(path = "delete.html")]
struct DeletePage {
    frame: Frame,
    id: i64,
    name: Text,
    proof: String,
}

/// `POST /webhooks/{id}/activate`
pub(super) async fn activate(
    State(services): State<Services>,
    Shown(WebhookId(id)): Shown<WebhookId>,
    Submitted { visitor, .. }: Submitted,
) -> Result<Response, Trouble> {
    let request = v1::ActivateWebhookRequest { id, if_version: None };
    answer(services.webhooks().activate_webhook(visitor.caller.request(request))).await?;
    Ok(see_other(&format!("/webhooks/{id}?done=activated")))
}

/// `POST /webhooks/{id}/deactivate`
pub(super) async fn deactivate(
    State(services): State<Services>,
    Shown(WebhookId(id)): Shown<WebhookId>,
    Submitted { visitor, .. }: Submitted,
) -> Result<Response, Trouble> {
    let request = v1::DeactivateWebhookRequest { id, if_version: None };
    answer(services.webhooks().deactivate_webhook(visitor.caller.request(request))).await?;
    Ok(see_other(&format!("/webhooks/{id}?done=deactivated")))
}

/// `POST /webhooks/{id}/test`
pub(super) async fn test(
    State(services): State<Services>,
    Shown(WebhookId(id)): Shown<WebhookId>,
    Submitted { visitor, .. }: Submitted,
) -> Result<Response, Trouble> {
    let sent = answer(services.webhooks().test_webhook(visitor.caller.request(v1::TestWebhookRequest { id }))).await?;
    Ok(see_other(&format!("/deliveries/{}?done=test", sent.delivery_id)))
}

/// `GET /webhooks/{id}/delete`
pub(super) async fn ask_delete(
    State(services): State<Services>,
    visitor: Visitor,
    Shown(WebhookId(id)): Shown<WebhookId>,
) -> Result<Response, Trouble> {
    let webhook = read(&services, &visitor.caller, id).await?;
    let frame = Frame::new("Delete webhook", Section::Webhooks, &visitor);
    Ok(html(StatusCode::OK, &DeletePage { frame, id, name: Text::line(webhook.name), proof: visitor.proof }))
}

/// `POST /webhooks/{id}/delete`
pub(super) async fn delete(
    State(services): State<Services>,
    Shown(WebhookId(id)): Shown<WebhookId>,
    Submitted { visitor, .. }: Submitted,
) -> Result<Response, Trouble> {
    let request = v1::DeleteWebhookRequest { id, if_version: None };
    answer(services.webhooks().delete_webhook(visitor.caller.request(request))).await?;
    Ok(see_other("/?done=deleted"))
}
