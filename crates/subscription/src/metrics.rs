//! What is measured of webhooks.

use domain::inactive;
use opentelemetry::{KeyValue, metrics::Counter};

/// The instruments of the service.
pub(crate) struct Metrics {
    deactivated: Counter<u64>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let meter = runtime::metrics("subscription");
        let deactivated = meter
            .u64_counter("webhooks.deactivated")
            .with_description("Webhooks that were deactivated without an operator's doing, by reason");
        let deactivated = deactivated.build();
        // Shown from the start: what appears with its first count has not increased for who watches.
        for reason in [inactive::PLAN_DOWNGRADED, inactive::PROJECTS_DELETED, inactive::ENDPOINT_FAILING] {
            deactivated.add(0, &[KeyValue::new("reason", reason)]);
        }
        Self { deactivated }
    }

    /// So many webhooks were deactivated for a reason.
    pub(crate) fn deactivated(&self, reason: &str, webhooks: i64) {
        let reason = KeyValue::new("reason", inactive::code(reason).to_owned());
        self.deactivated.add(webhooks.unsigned_abs(), &[reason]);
    }
}
