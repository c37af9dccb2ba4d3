//! What is measured of deliveries.

use std::sync::Arc;

use domain::ErrorClass;
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};

use crate::{admission::Admission, breaker::Breaker, delivery::Job, lag::Lag, post::Posted, webhooks::Webhooks};

/// Bounds for latencies, in seconds.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0];

pub(crate) struct Metrics {
    matched: Counter<u64>,
    attempts: Counter<u64>,
    duration: Histogram<f64>,
    latency: Histogram<f64>,
    put_off: Counter<u64>,
}

impl Metrics {
    pub(crate) fn new(
        webhooks: &Arc<Webhooks>,
        admission: &Arc<Admission>,
        breaker: &Arc<Breaker>,
        lag: &Arc<Lag>,
    ) -> Self {
        let meter = runtime::metrics("dispatcher");
        let seconds = |name: &'static str, text: &'static str| {
            let histogram = meter.f64_histogram(name).with_unit("s").with_description(text);
            histogram.with_boundaries(SECONDS.to_vec()).build()
        };
        let known = Arc::clone(webhooks);
        meter
            .f64_observable_gauge("webhooks.config.age")
            .with_unit("s")
            .with_description("Time since the webhooks were brought up to date")
            .with_callback(move |observer| observer.observe(known.age().as_secs_f64(), &[]))
            .build();
        let slow = Arc::clone(admission);
        meter
            .u64_observable_gauge("webhooks.slow")
            .with_description("Webhooks whose endpoint counts as slow")
            .with_callback(move |observer| observer.observe(slow.slow_webhooks() as u64, &[]))
            .build();
        let broken = Arc::clone(breaker);
        meter
            .u64_observable_gauge("webhooks.broken")
            .with_description("Webhooks whose endpoint keeps failing, so that attempts to it are spaced")
            .with_callback(move |observer| observer.observe(broken.broken() as u64, &[]))
            .build();
        let behind = Arc::clone(lag);
        meter
            .f64_observable_gauge("webhooks.lag")
            .with_unit("s")
            .with_description("How old the oldest message of a lane is that no attempt has been begun for")
            .with_callback(move |observer| {
                for (lane, lag) in behind.all() {
                    observer.observe(lag.as_secs_f64(), &[KeyValue::new("lane", lane.name())]);
                }
            })
            .build();
        Self {
            matched: meter
                .u64_counter("webhooks.matched")
                .with_description("Deliveries that events have led to: one for each webhook that gets an event")
                .build(),
            put_off: meter
                .u64_counter("webhooks.attempts.put_off")
                .with_description("Attempts that wait in history for a place or a turn, by reason: the endpoint is slow, or keeps failing")
                .build(),
            attempts: meter
                .u64_counter("webhooks.attempts")
                .with_description("Attempts by outcome: delivered, or the class of the error")
                .build(),
            duration: seconds("webhooks.attempt.duration", "How long attempts take"),
            latency: seconds(
                "webhooks.first_attempt.latency",
                "From accepting an event to the start of its first attempt",
            ),
        }
    }

    /// An event goes to so many webhooks.
    pub(crate) fn matched(&self, webhooks: usize) {
        self.matched.add(webhooks as u64, &[]);
    }

    /// `reason`: `slow` or `failing`.
    pub(crate) fn put_off(&self, reason: &'static str) {
        self.put_off.add(1, &[KeyValue::new("reason", reason)]);
    }

    pub(crate) fn attempted(&self, posted: &Posted, job: &Job) {
        let outcome = posted.error.as_ref().map_or("delivered", |(class, _): &(ErrorClass, String)| class.name());
        self.attempts.add(1, &[KeyValue::new("outcome", outcome)]);
        self.duration.record(posted.timings.total.as_secs_f64(), &[]);
        if let Some(accepted_at) = job.accepted_at {
            self.latency.record(posted.started_at.since(accepted_at).as_secs_f64(), &[]);
        }
    }
}
