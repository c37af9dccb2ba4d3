//! How many messages wait in each lane, and how many are parked, as metrics.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use broker::{Broker, Lane};
use futures::future::join_all;
use opentelemetry::KeyValue;
use runtime::Tasks;
use tokio_util::sync::CancellationToken;

/// How often the broker is asked, however often metrics are.
const PERIOD: Duration = Duration::from_secs(5);

/// The latest answers. What could not be found out is not there, so that nothing is shown rather than something old.
#[derive(Clone, Default)]
struct Counts {
    lanes: Vec<(Lane, u64)>,
    parked: Option<u64>,
}

type Latest = Arc<Mutex<Counts>>;

fn read(latest: &Latest) -> Counts {
    latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Keeps the metrics up to date until shutdown.
pub(crate) fn watch(broker: Arc<dyn Broker>, tasks: &Tasks) {
    let latest = Latest::default();
    let meter = runtime::metrics("ingest");
    let shown = Arc::clone(&latest);
    meter
        .u64_observable_gauge("webhooks.parked")
        .with_description("Messages that could not be worked on and wait for `testmo-webhooks parked`; should be 0")
        .with_callback(move |observer| {
            if let Some(count) = read(&shown).parked {
                observer.observe(count, &[]);
            }
        })
        .build();
    let shown = Arc::clone(&latest);
    meter
        .u64_observable_gauge("webhooks.backlog")
        .with_description("Messages that wait in a lane, and are in nobody's hands; delays and waits in history apart")
        .with_callback(move |observer| {
            for (lane, count) in read(&shown).lanes {
                observer.observe(count, &[KeyValue::new("lane", lane.name())]);
            }
        })
        .build();
    tasks.spawn("count of messages", ask(broker, latest, tasks.shutdown_token().clone()));
}

async fn ask(broker: Arc<dyn Broker>, latest: Latest, shutdown: CancellationToken) {
    let work = async {
        loop {
            let lanes = Lane::ALL.map(async |lane| known(broker.depth(lane).await).map(|count| (lane, count)));
            let (lanes, parked) = tokio::join!(join_all(lanes), broker.parked_depth());
            let lanes = lanes.into_iter().flatten().collect();
            *latest.lock().unwrap_or_else(PoisonError::into_inner) = Counts { lanes, parked: known(parked) };
            tokio::time::sleep(PERIOD).await;
        }
    };
    shutdown.run_until_cancelled(work).await;
}

fn known(depth: Result<u64, String>) -> Option<u64> {
    if let Err(reason) = &depth {
        // The readiness check tells of a broker that is away.
        tracing::debug!(reason, "cannot count messages");
    }
    depth.ok()
}
