//! Delivery history: of one webhook, of all, and one delivery whole.

mod detail;
mod filters;
mod list;
mod row;

use axum::{
    Router,
    routing::{get, post},
};

use crate::Services;

pub(super) fn routes() -> Router<Services> {
    Router::new()
        .route("/webhooks/{id}/deliveries", get(list::of_webhook))
        .route("/webhooks/{id}/deliveries/live", get(list::of_webhook_live))
        .route("/deliveries", get(list::of_all))
        .route("/deliveries/live", get(list::of_all_live))
        .route("/deliveries/{id}", get(detail::show))
        .route("/deliveries/{id}/live", get(detail::live))
        .route("/deliveries/{id}/retry", post(detail::retry))
}
