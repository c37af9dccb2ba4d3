//! Sends deliveries: takes accepted events, finds the webhooks that get them, posts the signed bodies, and has history
//! record what came of it.
//!
//! | file | what |
//! |---|---|
//! | `events.rs` | the hot path: a batch of events is matched, opened with history, and its first attempts start |
//! | `tasks.rs` | single deliveries that come from a message of their own: retries and what history releases |
//! | `delivery.rs` | one delivery: looks at its webhook as it is now, makes the attempt, decides what follows |
//! | `admission.rs` | which attempts may start now: slow endpoints hold up nobody |
//! | `breaker.rs` | the same for endpoints that keep failing: attempts to them are spaced |
//! | `line.rs` | turns for what is put off by either |
//! | `post.rs` | the request: headers, signatures, deadline, what is read of the answer |
//! | `retry_after.rs` | how long an endpoint asks to be left alone |
//! | `client.rs` | HTTP clients that connect only where the address policy permits |
//! | `tls.rs` | how receivers' certificates are checked, or are not |
//! | `gate.rs` | a last look at the webhook when connecting has taken its time |
//! | `fair.rs` | connections that flood keep nobody from the processor |
//! | `stopwatch.rs` | where the time of an attempt goes |
//! | `webhooks.rs` | webhooks as the subscription service has them |
//! | `opening.rs` | opening events with history, and going on without it |
//! | `history.rs` | the way to history, and whether it can be reached |
//! | `in_hand.rs` | what is being sent, so that a copy of its message is not |
//! | `recorder.rs` | records on their way to history, in batches |
//! | `guard.rs` | when a message may be acknowledged |

mod admission;
mod breaker;
mod client;
mod delivery;
mod events;
mod fair;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gate;
mod guard;
mod history;
mod in_hand;
mod lag;
mod line;
mod metrics;
mod opening;
mod outcome;
mod post;
mod recorder;
mod retry_after;
mod spans;
mod stopwatch;
mod tasks;
mod tls;
mod webhooks;

use std::{sync::Arc, time::Duration};

use broker::{Broker, Lane};
use domain::{AddressPolicy, Clock, RetrySchedule};
use proto::channel::GrpcChannel;
use runtime::{Resolver, Tasks};
use tokio::sync::Semaphore;

use admission::{Admission, Bounds};
use breaker::Breaker;
use client::Clients;
use delivery::Delivering;
use history::History;
use in_hand::InHand;
use metrics::Metrics;
use opening::Opening;
use post::Poster;
pub use recorder::{RecordSink, broker_sink, direct_sink};
pub use tls::TlsError;
use webhooks::Webhooks;

/// How deliveries are made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where they may go.
    pub policy: AddressPolicy,
    /// Certificates (PEM) that are trusted beside the system's.
    pub extra_roots: Option<Vec<u8>>,
    /// How long a whole attempt may take.
    pub timeout: Duration,
    /// How long connecting may take; looking up the host's name may take four fifths of it.
    pub connect_timeout: Duration,
    /// When failed attempts are repeated.
    pub schedule: RetrySchedule,
    /// Attempts under way at once, but for those to slow endpoints; retries have half as many beside.
    pub max_in_flight: u16,
    /// Attempts under way at once to slow endpoints; for one instance half of it.
    pub max_in_flight_slow: u16,
    /// Of these, for one webhook.
    pub max_in_flight_per_slow_webhook: u16,
    /// How long an endpoint must have failed for attempts to it to be spaced; zero: for ever.
    pub breaker_after: Duration,
}

/// A file of certificates that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path} (delivery.ca_file): {source}")]
pub struct UnreadableRoots {
    path: String,
    source: std::io::Error,
}

impl Settings {
    /// As they are configured.
    ///
    /// # Errors
    /// `delivery.ca_file` cannot be read.
    pub fn from_config(delivery: &runtime::config::Delivery) -> Result<Self, UnreadableRoots> {
        let read = |path: &std::path::PathBuf| {
            std::fs::read(path).map_err(|source| UnreadableRoots { path: path.display().to_string(), source })
        };
        Ok(Self {
            policy: delivery.address_policy(),
            extra_roots: delivery.ca_file.as_ref().map(read).transpose()?,
            timeout: delivery.timeout.0,
            connect_timeout: delivery.connect_timeout.0,
            schedule: delivery.retry_schedule.0.clone(),
            max_in_flight: delivery.max_in_flight,
            max_in_flight_slow: delivery.max_in_flight_slow,
            max_in_flight_per_slow_webhook: delivery.max_in_flight_per_slow_webhook,
            breaker_after: delivery.breaker_after.0,
        })
    }
}

/// What the service is made of.
pub struct Parts {
    /// Where work comes from and retries wait.
    pub broker: Arc<dyn Broker>,
    /// Where records go.
    pub records: Arc<dyn RecordSink>,
    /// The history service; carries the services' credential.
    pub history: GrpcChannel,
    /// The subscription service; carries the services' credential.
    pub configuration: GrpcChannel,
    /// Looks up the hosts of receivers.
    pub resolver: Arc<dyn Resolver>,
    /// When things happen.
    pub clock: Arc<dyn Clock>,
    /// How deliveries are made.
    pub settings: Settings,
}

/// Starts the service. It consumes nothing before it knows the webhooks.
///
/// # Errors
/// Certificates that cannot be read.
pub fn start(parts: Parts, tasks: &Tasks) -> Result<Dispatcher, TlsError> {
    let settings = &parts.settings;
    let clients = Clients::new(settings, Arc::clone(&parts.resolver))?;
    let webhooks = Arc::new(Webhooks::new(parts.configuration));
    let history = History::new(parts.history, tasks.clone());
    let cap = usize::from(settings.max_in_flight.max(2));
    let admission = Admission::new(Bounds {
        slow_after: domain::SLOW_AFTER,
        timeout: settings.timeout,
        webhook: usize::from(settings.max_in_flight_per_slow_webhook.max(1)),
        room: usize::from(settings.max_in_flight_slow.max(1)),
    });
    let breaker = Arc::new(Breaker::new(settings.breaker_after));
    let lag = Arc::new(lag::Lag::new(Arc::clone(&parts.clock)));
    let delivering = Arc::new(Delivering {
        webhooks: Arc::clone(&webhooks),
        poster: Poster::new(clients, settings.policy.clone(), settings.timeout, Arc::clone(&parts.clock)),
        recorder: recorder::start(parts.records, cap * 2, tasks),
        broker: Arc::clone(&parts.broker),
        schedule: settings.schedule.clone(),
        clock: Arc::clone(&parts.clock),
        metrics: Metrics::new(&webhooks, &admission, &breaker, &lag),
        lag,
        in_hand: InHand::default(),
        admission,
        breaker,
        shutdown: tasks.shutdown_token().clone(),
    });
    let first = Arc::new(Semaphore::new(cap));
    let repeats = Arc::new(Semaphore::new(cap / 2));
    let opening = Opening::new(history.clone());
    tasks.spawn("follow webhooks", webhooks::follow(Arc::clone(&webhooks), tasks.shutdown_token().clone()));
    // The prefetch exceeds what is in flight, so that the next batch is here when room is.
    let prefetch = settings.max_in_flight.saturating_mul(2).max(64);
    tasks.spawn(
        "dispatch events",
        events::run(Arc::clone(&delivering), opening, Arc::clone(&first), tasks.clone(), prefetch),
    );
    for (lane, room) in [(Lane::DeliverFast, first), (Lane::DeliverSlow, repeats)] {
        let lane = tasks::LaneOf { lane, room, prefetch, history: history.clone() };
        tasks.spawn("dispatch deliveries", tasks::run(Arc::clone(&delivering), lane, tasks.clone()));
    }
    Ok(Dispatcher { webhooks })
}

/// The running service.
pub struct Dispatcher {
    webhooks: Arc<Webhooks>,
}

impl Dispatcher {
    /// `Ok` when the webhooks are known, for the readiness check.
    ///
    /// # Errors
    /// What is missing.
    pub fn check(&self) -> Result<(), String> {
        if self.webhooks.loaded() {
            Ok(())
        } else {
            Err("the subscription service has not told the webhooks yet".into())
        }
    }
}
