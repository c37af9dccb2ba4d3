//! The signing secret: shown once, after creating and after regenerating.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use proto::v1;

use super::read;
use crate::{
    Services,
    caller::answer,
    console::{
        form::Submitted,
        page::{Frame, Section, html},
        text::Text,
        trouble::{Shown, Trouble, sentence},
        visitor::Visitor,
        when::{When, when},
    },
    error::Failure,
    path::WebhookId,
};

#[derive(Template)]
#[template(path = "secret.html")]
struct SecretPage {
    frame: Frame,
    id: i64,
    name: Text,
    secret: String,
    /// The number by which attempts name it.
    number: i64,
    is_new: bool,
    overlap: Option<When>,
    warnings: Vec<Text>,
}

#[derive(Template)]
#[template(path = "regenerate.html")]
struct RegeneratePage {
    frame: Frame,
    id: i64,
    name: Text,
    proof: String,
}

/// The page that shows the whole secret of a webhook.
pub(super) fn shown(visitor: &Visitor, webhook: Option<v1::Webhook>, is_new: bool) -> Result<Response, Trouble> {
    let webhook = webhook.ok_or_else(|| Failure::incomplete("webhook"))?;
    let page = SecretPage {
        frame: Frame::new("Signing secret", Section::Webhooks, visitor),
        id: webhook.id,
        name: Text::line(webhook.name),
        secret: webhook.secret,
        number: webhook.secret_id,
        is_new,
        overlap: when(webhook.previous_secret_expires_at),
        warnings: webhook.warnings.iter().map(|text| Text::line(sentence(text))).collect(),
    };
    Ok(html(if is_new { StatusCode::CREATED } else { StatusCode::OK }, &page))
}

/// `GET /webhooks/{id}/secret`
pub(super) async fn ask(
    State(services): State<Services>,
    visitor: Visitor,
    Shown(WebhookId(id)): Shown<WebhookId>,
) -> Result<Response, Trouble> {
    let webhook = read(&services, &visitor.caller, id).await?;
    let frame = Frame::new("Regenerate secret", Section::Webhooks, &visitor);
    let page = RegeneratePage { frame, id, name: Text::line(webhook.name), proof: visitor.proof };
    Ok(html(StatusCode::OK, &page))
}

/// `POST /webhooks/{id}/secret`
pub(super) async fn regenerate(
    State(services): State<Services>,
    Shown(WebhookId(id)): Shown<WebhookId>,
    Submitted { visitor, fields }: Submitted,
) -> Result<Response, Trouble> {
    let hours = fields.number("overlap_hours").and_then(|hours| i32::try_from(hours).ok()).unwrap_or(-1);
    // What is no number is refused by the service, like every number that it does not take.
    let request = v1::RegenerateSecretRequest { id, overlap_hours: hours, if_version: None };
    let made = answer(services.webhooks().regenerate_secret(visitor.caller.request(request))).await?;
    shown(&visitor, made.webhook, false)
}
