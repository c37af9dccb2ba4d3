//! No delivery stays pending for ever. What was due long ago and is not held here has lost its message (a queue was
//! purged, a broker restored): it is held as overdue, and so queued again with a new generation. Should the old message
//! be there after all, `Check` drops it.

use std::{sync::Arc, time::Duration};

use broker::{Broker, Lane};
use domain::{Clock, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::store::{Store, StoreError};

/// How often the time is looked at.
const EVERY: Duration = Duration::from_millis(500);
/// How often it is swept.
const PERIOD: Duration = Duration::from_secs(60);
/// Longer than an attempt and everything around it takes, while the lanes do not lag.
const OVERDUE: Duration = Duration::from_secs(15 * 60);
/// Deliveries in one transaction.
const AT_ONCE: i64 = 500;

/// The loop and what it works with.
pub(crate) struct Sweeper {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Sweeper {
    /// Runs until shutdown.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut looked_at = self.clock.now();
        let mut calm = false;
        while shutdown.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
            let now = self.clock.now();
            if now.since(looked_at) < PERIOD {
                continue;
            }
            looked_at = now;
            // Twice in a row: a lane that lags is not empty for long, and what waits in one is not lost.
            let was_calm = std::mem::replace(&mut calm, self.lanes_are_empty().await);
            if !(was_calm && calm) {
                continue;
            }
            match self.sweep(now).await {
                Ok(0) => {}
                Ok(deliveries) => tracing::warn!(deliveries, "deliveries were overdue; they are queued again"),
                Err(error) => tracing::warn!(%error, "cannot look for overdue deliveries; trying on"),
            }
        }
    }

    async fn lanes_are_empty(&self) -> bool {
        for lane in Lane::ALL {
            if !matches!(self.broker.depth(lane).await, Ok(0)) {
                return false;
            }
        }
        true
    }

    async fn sweep(&self, now: Timestamp) -> Result<u64, StoreError> {
        let (before, now) = (now.minus(OVERDUE).as_micros(), now.as_micros());
        let mut swept = 0;
        loop {
            let held = self.store.hold_overdue(before, now, AT_ONCE).await?;
            swept += held;
            if held < AT_ONCE.unsigned_abs() {
                return Ok(swept);
            }
        }
    }
}
