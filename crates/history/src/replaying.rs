//! Moves replays on, step by step. With several processes all do; a step is taken by one.

use std::{sync::Arc, time::Duration};

use domain::Clock;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    registry::Registry,
    replay::{Stand, Step, WINDOW},
    store::{Store, StoreError},
};

const EVERY: Duration = Duration::from_millis(500);

/// The loop and what it works with.
pub(crate) struct Replaying {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Replaying {
    /// Runs until shutdown.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut troubled = false;
        loop {
            let Some(round) = shutdown.run_until_cancelled(self.round()).await else { return };
            match &round {
                Ok(()) if troubled => tracing::info!("replays are looked after again"),
                Err(error) if !troubled => tracing::warn!(%error, "cannot look after replays; trying on"),
                _ => {}
            }
            troubled = round.is_err();
            if shutdown.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
                return;
            }
        }
    }

    async fn round(&self) -> Result<(), StoreError> {
        // Without anything known of webhooks, nothing is certain.
        if self.registry.version().is_none() {
            return Ok(());
        }
        let mut unfinished = self.store.unfinished_replays().await?;
        // In turn, so that one that goes through much does not hold up the others.
        while !unfinished.is_empty() {
            let mut left = Vec::new();
            for (id, webhook_id) in unfinished {
                if self.store.advance_replay(step(&self.registry, self.clock.as_ref(), id, webhook_id)).await? {
                    left.push((id, webhook_id));
                }
            }
            unfinished = left;
        }
        Ok(())
    }
}

/// The next step of a replay, by what is known of its webhook; the release loop keeps that fresh.
pub(crate) fn step(registry: &Registry, clock: &dyn Clock, id: Uuid, webhook_id: i64) -> Step {
    let stand = match registry.known(webhook_id) {
        Some(webhook) if webhook.deleted => Stand::Gone,
        Some(webhook) if webhook.active => Stand::Sends,
        Some(_) | None => Stand::Waits,
    };
    Step { id, stand, now: clock.now().as_micros(), window: WINDOW }
}
