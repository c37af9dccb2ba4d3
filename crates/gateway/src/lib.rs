//! The REST API and the console: faces of the gRPC services, with no authority of their own.
//!
//! Each request's bearer token travels on as it came, and the services decide; what they answer becomes JSON. A request
//! is looked through in this order: token (401) and role (403), for which the service `Webhooks` is asked; id in the path
//! (404); query, headers and body (400, 413, 415, 422); then whatever the service says.
//!
//! - [`router`] makes the router from [`Services`].
//! - `webhooks`, `deliveries`, `replays`, `stats`, `settings`, `tokens`, `projects` and `events` have the handlers, the JSON
//!   shapes and the documentation of one resource each: a table of routes, of which both the router and the OpenAPI document are made.
//! - `openapi` puts the document together, `manual` shows it.
//! - `caller`, `path`, `query`, `precondition`, `body` read requests (`read`, `value`, `named`: what is in them);
//!   `page`, `error` shape answers; `guard` surrounds them all.
//! - `console` has the pages for people.

mod body;
mod caller;
mod console;
mod deliveries;
mod error;
mod events;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod guard;
mod manual;
mod named;
mod openapi;
mod page;
mod path;
mod precondition;
mod projects;
mod query;
mod read;
mod replays;
mod settings;
mod stats;
mod tokens;
mod value;
mod webhooks;

use axum::{Extension, middleware};
use proto::{
    channel::GrpcChannel,
    v1::{history_client::HistoryClient, webhooks_client::WebhooksClient},
};

use manual::Manual;
use openapi::Route;

pub use axum::Router;
pub use console::{SessionKeys, Sessions};
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
    /// Who is signed in to the console.
    pub sessions: Sessions,
}

impl Services {
    fn webhooks(&self) -> WebhooksClient<GrpcChannel> {
        WebhooksClient::new(self.webhooks.clone())
    }

    fn history(&self) -> HistoryClient<GrpcChannel> {
        HistoryClient::new(self.history.clone()).max_decoding_message_size(DELIVERY_BYTES)
    }
}

/// All routes, in the order of the documentation.
fn routes() -> Vec<Route> {
    let resources = [
        webhooks::routes(),
        deliveries::routes(),
        replays::routes(),
        stats::routes(),
        events::routes(),
        projects::routes(),
        settings::routes(),
        tokens::routes(),
        manual::routes(),
    ];
    resources.into_iter().flatten().collect()
}

/// The REST API below `/api/v1`, and the console beside it. Every other path answers 404, so merge it with nothing that
/// has a fallback.
pub fn router(services: Services) -> Router {
    let routes = routes();
    let manual = Manual::new(&openapi::document(&routes, &services.catalogue));
    let api = routes.into_iter().fold(Router::new(), |api, route| api.route(route.path, route.handler));
    Router::new()
        .nest("/api/v1", api)
        .merge(console::routes())
        .fallback(error::unknown_path)
        .method_not_allowed_fallback(error::wrong_method)
        .layer(Extension(manual))
        .layer(middleware::from_fn(guard::guard))
        .with_state(services)
}
