//! How many messages are parked, as a metric.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use broker::Broker;
use runtime::Tasks;
use tokio_util::sync::CancellationToken;

/// How often the broker is asked, however often metrics are.
const PERIOD: Duration = Duration::from_secs(5);

/// The latest answer; `None`: it could not be found out, so that nothing is shown rather than something old.
type Count = Arc<Mutex<Option<u64>>>;

/// Keeps the metric up to date until shutdown.
pub(crate) fn watch(broker: Arc<dyn Broker>, tasks: &Tasks) {
    let count = Count::default();
    let shown = Arc::clone(&count);
    runtime::metrics("ingest")
        .u64_observable_gauge("webhooks.parked")
        .with_description("Messages that could not be worked on and wait for `testmo-webhooks parked`; should be 0")
        .with_callback(move |observer| {
            if let Some(count) = *shown.lock().unwrap_or_else(PoisonError::into_inner) {
                observer.observe(count, &[]);
            }
        })
        .build();
    tasks.spawn("count of parked messages", ask(broker, count, tasks.shutdown_token().clone()));
}

async fn ask(broker: Arc<dyn Broker>, count: Count, shutdown: CancellationToken) {
    let work = async {
        loop {
            let depth = broker.parked_depth().await;
            if let Err(reason) = &depth {
                // The readiness check tells of a broker that is away.
                tracing::debug!(reason, "cannot count parked messages");
            }
            *count.lock().unwrap_or_else(PoisonError::into_inner) = depth.ok();
            tokio::time::sleep(PERIOD).await;
        }
    };
    shutdown.run_until_cancelled(work).await;
}
