//! Pools of connections: which are tried before they are used, and how many are in use, as metrics.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::{KeyValue, metrics::Meter};
use sqlx::{Database, Pool};

/// A pool as the metrics see it, until this is dropped: what measures it does not keep it open.
#[derive(Debug)]
#[must_use = "the pool is observed only as long as this is there"]
pub struct Observed<DB: Database>(Slot<DB>);

type Slot<DB> = Arc<Mutex<Option<Pool<DB>>>>;

impl<DB: Database> Drop for Observed<DB> {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Shows how many connections of a pool are in use, idle, and permitted, under the names that OpenTelemetry has for that.
/// `name` tells the pools of a program apart.
pub fn observe<DB: Database>(meter: &Meter, name: &'static str, pool: &Pool<DB>) -> Observed<DB> {
    let slot: Slot<DB> = Arc::new(Mutex::new(Some(pool.clone())));
    let of_pool = move || KeyValue::new("db.client.connection.pool.name", name);
    let shown = Arc::clone(&slot);
    meter
        .i64_observable_up_down_counter("db.client.connection.count")
        .with_description("Connections of a pool to its database, by state: idle or used")
        .with_callback(move |observer| {
            if let Some(pool) = &*shown.lock().unwrap_or_else(PoisonError::into_inner) {
                let idle = pool.num_idle();
                let used = (pool.size() as usize).saturating_sub(idle);
                for (state, count) in [("idle", idle), ("used", used)] {
                    let state = KeyValue::new("db.client.connection.state", state);
                    observer.observe(i64::try_from(count).unwrap_or(i64::MAX), &[of_pool(), state]);
                }
            }
        })
        .build();
    let shown = Arc::clone(&slot);
    meter
        .i64_observable_up_down_counter("db.client.connection.max")
        .with_description("Connections that a pool may have at most")
        .with_callback(move |observer| {
            if let Some(pool) = &*shown.lock().unwrap_or_else(PoisonError::into_inner) {
                observer.observe(i64::from(pool.options().get_max_connections()), &[of_pool()]);
            }
        })
        .build();
    Observed(slot)
}

/// A connection that rested longer is tried before it is used; one in use is not, which saves a round trip.
#[cfg(feature = "postgres")]
const TRUSTED: std::time::Duration = std::time::Duration::from_secs(1);

/// A pool that tries connections before they are used, but only those that have rested.
#[cfg(feature = "postgres")]
#[must_use]
pub fn test_rested_connections(options: sqlx::postgres::PgPoolOptions) -> sqlx::postgres::PgPoolOptions {
    use sqlx::Connection as _;

    options.test_before_acquire(false).before_acquire(|connection, state| {
        Box::pin(async move {
            if state.idle_for > TRUSTED {
                connection.ping().await?;
            }
            Ok(true)
        })
    })
}
