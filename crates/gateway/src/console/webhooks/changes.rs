//! The change log of a webhook.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use proto::v1;
use serde::Deserialize;

use super::{
    head::{Head, Tab},
    read,
};
use crate::{
    Services,
    caller::answer,
    console::{
        page::{Frame, Section, html},
        paging::{Paging, address, number},
        text::Text,
        trouble::{Shown, Trouble},
        visitor::Visitor,
        when::{When, when},
    },
    path::WebhookId,
};

const PER_PAGE: i32 = 25;

#[derive(Template)]
#[template(path = "changes.html")]
struct ChangesPage {
    frame: Frame,
    head: Head,
    changes: Vec<Change>,
    paging: Paging,
}

struct Change {
    version: i64,
    at: Option<When>,
    action: Text,
    actor: Text,
    role: Text,
    fields: Vec<(Text, Text, Text)>,
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    page: String,
}

/// `GET /webhooks/{id}/changes`
pub(super) async fn show(
    State(services): State<Services>,
    visitor: Visitor,
    Shown(WebhookId(id)): Shown<WebhookId>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let webhook = read(&services, &visitor.caller, id).await?;
    let page = number(&asked.page);
    let request = v1::ListWebhookChangesRequest { id, page, per_page: PER_PAGE };
    let found = answer(services.webhooks().list_webhook_changes(visitor.caller.request(request))).await?;
    let title = format!("Change log: {}", Text::line(webhook.name.clone()));
    let page = ChangesPage {
        frame: Frame::new(title, Section::Webhooks, &visitor),
        head: Head::new(&webhook, Tab::Changes, &visitor),
        changes: found.changes.into_iter().map(change).collect(),
        paging: Paging::new(page, PER_PAGE, found.total, address(&format!("/webhooks/{id}/changes"), &[])),
    };
    Ok(html(StatusCode::OK, &page))
}

fn change(change: v1::WebhookChange) -> Change {
    let words = change.action.replace('_', " ");
    let field =
        |field: v1::FieldChange| (Text::line(field.field), Text::line(field.from_json), Text::line(field.to_json));
    Change {
        version: change.version,
        at: when(change.at),
        action: Text::line(crate::console::trouble::sentence(&words).trim_end_matches('.')),
        actor: Text::line(change.actor),
        role: Text::line(change.actor_role.replace('_', " ")),
        fields: change.fields.into_iter().map(field).collect(),
    }
}
