//! The REST API: a face of the gRPC services, with no authority of its own.
//!
//! Each request's bearer token travels on as it came, and the services decide; what they answer becomes JSON. A request
//! is looked through in this order: token (401) and role (403), for which the service `Webhooks` is asked; id in the path
//! (404), query and body (400, 413, 415, 422); then whatever the service says.
//!
//! - [`router`] makes the router from [`Services`].
//! - `webhooks`, `deliveries`, `tokens` and `events` have the handlers and JSON shapes of one resource each.
//! - `caller`, `path`, `query`, `body` read requests; `page`, `error` shape answers; `guard` surrounds them all.

mod body;
mod caller;
mod deliveries;
mod error;
mod events;
mod guard;
mod named;
mod page;
mod path;
mod query;
mod tokens;
mod webhooks;

use axum::{
    middleware,
    routing::{delete, get, post},
};
use proto::{
    channel::GrpcChannel,
    v1::{history_client::HistoryClient, webhooks_client::WebhooksClient},
};

pub use axum::Router;
pub use events::{Catalogue, InvalidSample};

/// A delivery comes whole: headers and bodies of every attempt, far beyond tonic's 4 MiB after a few retries.
const DELIVERY_BYTES: usize = 64 << 20;

/// What the gateway speaks to.
#[derive(Clone)]
pub struct Services {
    /// The way to the service `Webhooks`.
    pub webhooks: GrpcChannel,
    /// The way to the service `History`.
    pub history: GrpcChannel,
    /// The event types with their samples.
    pub catalogue: Catalogue,
}

impl Services {
    fn webhooks(&self) -> WebhooksClient<GrpcChannel> {
        WebhooksClient::new(self.webhooks.clone())
    }

    fn history(&self) -> HistoryClient<GrpcChannel> {
        HistoryClient::new(self.history.clone()).max_decoding_message_size(DELIVERY_BYTES)
    }
}

/// The REST API below `/api/v1`. Every other path answers 404, so merge it with nothing that has a fallback.
pub fn router(services: Services) -> Router {
    let api = Router::new()
        .route("/webhooks", get(webhooks::list).post(webhooks::create))
        .route("/webhooks/{id}", get(webhooks::read).delete(webhooks::remove))
        .route("/webhooks/{id}/activate", post(webhooks::activate))
        .route("/webhooks/{id}/deactivate", post(webhooks::deactivate))
        .route("/webhooks/{id}/deliveries", get(deliveries::list_of_webhook))
        .route("/webhooks/deliveries", get(deliveries::list))
        .route("/webhooks/deliveries/{id}", get(deliveries::read))
        .route("/webhooks/events", get(events::list))
        .route("/tokens", get(tokens::list).post(tokens::create))
        .route("/tokens/{id}", delete(tokens::revoke));
    Router::new()
        .nest("/api/v1", api)
        .fallback(error::unknown_path)
        .method_not_allowed_fallback(error::wrong_method)
        .layer(middleware::from_fn(guard::guard))
        .with_state(services)
}
