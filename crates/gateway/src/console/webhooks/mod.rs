//! Webhooks: the list, and what can be done with one.

mod actions;
mod changes;
mod draft;
mod edit;
mod explain;
mod head;
mod list;
mod replays;
mod secret;

use axum::{
    Router,
    routing::{get, post},
};
use proto::v1;

use crate::{
    Services,
    caller::{Caller, answer},
    error::Failure,
};

pub(super) use head::{Head, Tab};

pub(super) fn routes() -> Router<Services> {
    Router::new()
        .route("/", get(list::show))
        .route("/webhooks/new", get(edit::blank).post(edit::create))
        .route("/webhooks/{id}", get(edit::show).post(edit::save))
        .route("/webhooks/{id}/activate", post(actions::activate))
        .route("/webhooks/{id}/deactivate", post(actions::deactivate))
        .route("/webhooks/{id}/test", post(actions::test))
        .route("/webhooks/{id}/delete", get(actions::ask_delete).post(actions::delete))
        .route("/webhooks/{id}/secret", get(secret::ask).post(secret::regenerate))
        .route("/webhooks/{id}/explain", get(explain::ask).post(explain::explain))
        .route("/webhooks/{id}/replays", get(replays::list).post(replays::start))
        .route("/webhooks/{id}/replays/count", post(replays::count))
        .route("/webhooks/{id}/replays/{replay_id}", get(replays::show))
        .route("/webhooks/{id}/replays/{replay_id}/live", get(replays::live))
        .route("/webhooks/{id}/replays/{replay_id}/cancel", post(replays::cancel))
        .route("/webhooks/{id}/changes", get(changes::show))
}

/// The webhook of this id.
pub(super) async fn read(services: &Services, caller: &Caller, id: i64) -> Result<v1::Webhook, Failure> {
    let found = answer(services.webhooks().get_webhook(caller.request(v1::GetWebhookRequest { id }))).await?;
    found.webhook.ok_or_else(|| Failure::incomplete("webhook"))
}
