//! Takes events from Testmo core over gRPC, checks them, and answers when they are on durable storage.
//!
//! `accept.rs` completes an event and says what is wrong with it, `entities.rs` has the rules of what it is about,
//! `quota/` holds back instances that publish too much, `service.rs` is the gRPC face. `operations/` is for the operator of
//! the service: the parked messages.

mod accept;
mod entities;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod operations;
mod quota;
mod service;

use std::sync::Arc;

use broker::Broker;
use domain::{Clock, IdSource};
use proto::v1::{events_server::EventsServer, operations_server::OperationsServer};
use runtime::{Authenticator, Tasks, config::Publishing};
use tonic::service::Routes;

/// An event is at most this large, encoded.
pub const MAX_EVENT_BYTES: usize = 256 << 10;
/// A batch is at most this large, encoded.
pub const MAX_BATCH_BYTES: usize = 4 << 20;
/// A batch has at most this many events.
pub const MAX_BATCH_EVENTS: usize = 1_000;

/// What the service is made of.
pub struct Parts {
    /// Where accepted events go.
    pub broker: Arc<dyn Broker>,
    /// Who may publish, and who operates the service.
    pub authenticator: Arc<dyn Authenticator>,
    /// When events are accepted.
    pub clock: Arc<dyn Clock>,
    /// Ids of events that come without, and of publishes.
    pub ids: Arc<dyn IdSource>,
}

/// The service's gRPC routes; `publishing` is the quota of each instance. Its task counts parked messages.
#[must_use]
pub fn start(parts: Parts, publishing: Publishing, tasks: &Tasks) -> Routes {
    operations::watch(Arc::clone(&parts.broker), tasks);
    let authenticator = Arc::clone(&parts.authenticator);
    let parts = Arc::new(parts);
    let operations = OperationsServer::new(operations::ParkedMessages::new(Arc::clone(&parts)));
    // Beyond the batch: what is too large by a mistake gets our own words, not tonic's.
    let server =
        EventsServer::new(service::Ingest::new(parts, publishing)).max_decoding_message_size(2 * MAX_BATCH_BYTES);
    runtime::for_callers(Routes::new(server).add_service(operations), &authenticator)
}
