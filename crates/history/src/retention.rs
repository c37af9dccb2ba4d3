//! Removes what nobody sees any more, a little at a time, and gets ready for the days to come.

use std::{sync::Arc, time::Duration};

use domain::Clock;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::store::{Store, StoreError};

/// How often it is looked for something to remove.
const EVERY: Duration = Duration::from_secs(30);
/// After each step, so many times as long as the step took belong to others.
const OTHERS: u32 = 3;
/// At least so long.
const LEAST: Duration = Duration::from_millis(20);

/// Runs until shutdown.
pub(crate) async fn run(store: Arc<dyn Store>, clock: Arc<dyn Clock>, shutdown: CancellationToken) {
    loop {
        match shutdown.run_until_cancelled(round(store.as_ref(), clock.as_ref())).await {
            None => return,
            Some(Err(error)) => tracing::warn!(%error, "cannot remove what is hidden of history; trying on"),
            Some(Ok(())) => {}
        }
        if shutdown.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return;
        }
    }
}

async fn round(store: &dyn Store, clock: &dyn Clock) -> Result<(), StoreError> {
    loop {
        let started = Instant::now();
        if !store.tidy(clock.now().as_micros()).await? {
            return Ok(());
        }
        tokio::time::sleep((started.elapsed() * OTHERS).max(LEAST)).await;
    }
}
