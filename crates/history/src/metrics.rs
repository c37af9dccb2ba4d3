//! What is measured of writing history.

use std::sync::Arc;

use domain::Clock;
use opentelemetry::metrics::Histogram;

use crate::model::{Record, What};

/// Bounds of delays, in seconds: what is usual, and what an outage makes of it.
const SECONDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0];

/// For all that writes records.
pub(crate) struct Metrics {
    delay: Histogram<f64>,
    clock: Arc<dyn Clock>,
}

impl Metrics {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let meter = runtime::metrics("history");
        let delay = meter.f64_histogram("webhooks.history.write_delay");
        let delay = delay.with_unit("s").with_description("From the end of an attempt until it stands in history");
        Self { delay: delay.with_boundaries(SECONDS.to_vec()).build(), clock }
    }

    /// These have just been committed.
    pub(crate) fn written(&self, records: &[Record]) {
        let now = self.clock.now().as_micros();
        for record in records {
            if let What::Attempt(attempt) = &record.what {
                let ended = attempt.started_at.saturating_add(attempt.duration_us);
                let microseconds = u64::try_from(now.saturating_sub(ended)).unwrap_or_default();
                self.delay.record(std::time::Duration::from_micros(microseconds).as_secs_f64(), &[]);
            }
        }
    }
}
