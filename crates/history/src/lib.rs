//! History: every attempt, and what still waits.
//!
//! - The dispatcher opens events and records attempts through the service `Recording`, or through the lane `history`.
//! - Operators read through the service `History`.
//! - What waits here is queued again when its webhook is active, or ended.
//! - Webhooks whose endpoint has failed for too long are deactivated (`failing.rs`).
//! - Test payloads and retries that somebody asks for are queued at once (`manual.rs`), replays little by little
//!   (`replay.rs`).
//! - What an instance keeps no longer is hidden at once, and removed little by little (`keeping.rs`, `retention.rs`).
//!
//! Start reading at [`store`]; `merge.rs` has the rules by which records commute, `opening.rs` those by which an event
//! is dispatched once, `release.rs` what becomes of what waits, `counts.rs` what is counted for statistics.

use std::{sync::Arc, time::Duration};

use metrics::Metrics;
use proto::{channel::GrpcChannel, internal::v1::recording_server::RecordingServer, v1::history_server::HistoryServer};
use queueing::Queueing;
use registry::Registry;
use runtime::Tasks;
use tonic::service::Routes;

mod api;
mod consume;
mod convert;
mod counts;
mod cursor;
mod entries;
mod exporting;
mod failing;
mod forget;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod keeping;
mod manual;
mod merge;
mod metrics;
pub mod model;
mod opening;
mod queueing;
mod recording;
mod registry;
mod release;
pub mod replay;
mod replaying;
mod replays;
mod requests;
mod retention;
mod spans;
mod stats;
pub mod store;
mod stored;
mod sweep;

/// Largest request of the dispatcher: a batch of events with their bodies.
const MAX_REQUEST_BYTES: usize = 64 << 20;
/// What is asked of history is at most this large, encoded: filters, ids, a cursor.
const MAX_QUESTION_BYTES: usize = 256 << 10;

/// What history works with.
pub struct Parts {
    /// Where it keeps everything.
    pub store: Arc<dyn store::Store>,
    /// Where it queues deliveries again, and takes records from.
    pub broker: Arc<dyn broker::Broker>,
    /// Whether records come through the lane `history`; otherwise they come through `Recording`.
    pub consume_records: bool,
    /// The way to the subscription service; carries the services' credential.
    pub configuration: GrpcChannel,
    /// Knows operators by their tokens.
    pub authenticator: Arc<dyn runtime::Authenticator>,
    /// What the other services prove themselves with.
    pub credential: runtime::ServiceCredential,
    /// The time.
    pub clock: Arc<dyn domain::Clock>,
    /// Random ids.
    pub ids: Arc<dyn domain::IdSource>,
    /// How long an endpoint may fail without one success before its webhook is deactivated; zero: for ever.
    pub deactivate_after: Duration,
}

/// Starts history: its loops run as `tasks` until shutdown; its services are answered for the caller to serve.
pub fn start(parts: Parts, tasks: &Tasks) -> Routes {
    let registry = Arc::new(Registry::new(parts.configuration.clone()));
    let metrics = Arc::new(Metrics::new(Arc::clone(&parts.clock)));
    let queueing = Queueing {
        store: Arc::clone(&parts.store),
        broker: Arc::clone(&parts.broker),
        ids: Arc::clone(&parts.ids),
        clock: Arc::clone(&parts.clock),
    };
    start_loops(&parts, &registry, &queueing, &metrics, tasks);
    let recording = recording::RecordingService {
        store: Arc::clone(&parts.store),
        queueing: queueing.clone(),
        clock: Arc::clone(&parts.clock),
        metrics,
        credential: parts.credential.clone(),
    };
    let history = api::HistoryService {
        store: parts.store,
        registry,
        authenticator: parts.authenticator,
        queueing,
        exporting: exporting::Exporting::new(tasks.clone()),
        clock: parts.clock,
    };
    let recording = RecordingServer::new(recording).max_decoding_message_size(MAX_REQUEST_BYTES);
    let recording = runtime::for_services(Routes::new(recording), &parts.credential);
    let history = HistoryServer::new(history).max_decoding_message_size(MAX_QUESTION_BYTES);
    runtime::merged(recording, [Routes::new(history)])
}

/// What goes on by itself.
fn start_loops(parts: &Parts, registry: &Arc<Registry>, queueing: &Queueing, metrics: &Arc<Metrics>, tasks: &Tasks) {
    let shutdown = tasks.shutdown_token();
    let (store, clock) = (|| Arc::clone(&parts.store), || Arc::clone(&parts.clock));
    if !parts.deactivate_after.is_zero() {
        let judge = failing::Judge {
            store: store(),
            registry: Arc::clone(registry),
            configuration: parts.configuration.clone(),
            after: parts.deactivate_after,
        };
        tasks.spawn("history failing endpoints", judge.run(shutdown.clone()));
    }
    if parts.consume_records {
        let records = consume::run(store(), Arc::clone(&parts.broker), clock(), Arc::clone(metrics), shutdown.clone());
        tasks.spawn("history records", records);
    }
    let sweeper = sweep::Sweeper { store: store(), broker: Arc::clone(&parts.broker), clock: clock() };
    tasks.spawn("history sweep", sweeper.run(shutdown.clone()));
    let release =
        release::Release { store: store(), queueing: queueing.clone(), registry: Arc::clone(registry), clock: clock() };
    tasks.spawn("history release", release.run(shutdown.clone()));
    let replaying = replaying::Replaying { store: store(), registry: Arc::clone(registry), clock: clock() };
    tasks.spawn("history replays", replaying.run(shutdown.clone()));
    tasks.spawn("history forget", forget::run(store(), clock(), shutdown.clone()));
    tasks.spawn("history retention", retention::run(store(), clock(), shutdown.clone()));
}
