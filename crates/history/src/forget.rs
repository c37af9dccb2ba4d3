//! Forgets what nobody needs any more: claims on event ids, and counts for statistics.

use std::{sync::Arc, time::Duration};

use domain::{Clock, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::{
    counts::hour_of,
    store::{Store, StoreError},
};

const EVERY: Duration = Duration::from_secs(600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long claims are kept: twice what publishers are promised.
const CLAIMS_KEPT: Duration = Duration::from_secs(2 * 24 * 3600);
/// How many days counts are kept: as long as the longest retention of history.
const COUNTS_KEPT: u32 = 90;
/// Rows in one transaction. Others may write in between.
const AT_ONCE: i64 = 2000;

/// Runs until shutdown.
pub(crate) async fn run(store: Arc<dyn Store>, clock: Arc<dyn Clock>, shutdown: CancellationToken) {
    loop {
        match shutdown.run_until_cancelled(round(store.as_ref(), clock.now())).await {
            None => return,
            Some(Err(error)) => tracing::warn!(%error, "cannot clean up old claims and counts; trying on"),
            Some(Ok(())) => {}
        }
        if shutdown.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return;
        }
    }
}

async fn round(store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
    let claimed_before = now.minus(CLAIMS_KEPT).as_micros();
    while store.forget_claims(claimed_before, AT_ONCE).await? == AT_ONCE.unsigned_abs() {
        tokio::task::yield_now().await;
    }
    let hour = hour_of(now.minus(DAY * COUNTS_KEPT).as_micros());
    while store.forget_counts(hour, AT_ONCE).await? == AT_ONCE.unsigned_abs() {
        tokio::task::yield_now().await;
    }
    Ok(())
}
