//! Spaces attempts to endpoints that keep failing, so that they cost others nothing.
//!
//! An endpoint is *broken* when it has failed often, for long, and without one success between. Attempts to it then start
//! at a limited rate; what finds no turn is put off into history, each to a turn of its own, so that nothing comes back
//! only to be put off again. The first success forgets all that. What has only begun to fail is not concerned.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::line::Line;

/// Failures without which no endpoint is broken, however far apart.
const FAILURES: u32 = 20;
/// Between two turns of a broken endpoint.
const SPACING: Duration = Duration::from_millis(100);
/// Turns that may be taken at once: those of the half second in which history releases nothing.
const AT_ONCE: u32 = 5;
/// An endpoint that has not failed for so long is forgotten: nothing was sent to it.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

/// What is known of endpoints that fail, by webhook.
pub(crate) struct Breaker {
    /// How long an endpoint must have failed; zero: none is ever broken.
    after: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    endpoints: HashMap<i64, Endpoint>,
    tidied_at: Option<Instant>,
}

/// An endpoint that has failed since its last success.
struct Endpoint {
    first_failure: Instant,
    last_failure: Instant,
    failures: u32,
    /// When all its turns are free again, were none taken from now on.
    free_at: Instant,
    line: Line,
}

impl Breaker {
    pub(crate) fn new(after: Duration) -> Self {
        Self { after, state: Mutex::default() }
    }

    /// Whether an attempt may start now. `returned`: history has brought it back, so that it has had its wait.
    ///
    /// # Errors
    /// After how long to come back.
    pub(crate) fn admit(&self, webhook: i64, returned: bool) -> Result<(), Duration> {
        self.admit_at(Instant::now(), webhook, returned)
    }

    /// An attempt has ended.
    pub(crate) fn ended(&self, webhook: i64, delivered: bool) {
        self.ended_at(Instant::now(), webhook, delivered);
    }

    /// Number of endpoints to which attempts are spaced.
    pub(crate) fn broken(&self) -> usize {
        self.state().endpoints.values().filter(|endpoint| endpoint.is_broken(self.after)).count()
    }

    fn admit_at(&self, now: Instant, webhook: i64, returned: bool) -> Result<(), Duration> {
        match self.state().endpoints.get_mut(&webhook).filter(|endpoint| endpoint.is_broken(self.after)) {
            Some(endpoint) => endpoint.admit(now, returned),
            None => Ok(()),
        }
    }

    fn ended_at(&self, now: Instant, webhook: i64, delivered: bool) {
        let mut state = self.state();
        if delivered {
            let known = state.endpoints.remove(&webhook);
            if known.is_some_and(|endpoint| endpoint.is_broken(self.after)) {
                tracing::info!(webhook_id = webhook, "an endpoint that kept failing is well again");
            }
            return;
        }
        state.tidy(now);
        let endpoint = state.endpoints.entry(webhook).or_insert_with(|| Endpoint::new(now));
        let was_broken = endpoint.is_broken(self.after);
        endpoint.failures = endpoint.failures.saturating_add(1);
        endpoint.last_failure = now;
        if !was_broken && endpoint.is_broken(self.after) {
            tracing::warn!(webhook_id = webhook, "an endpoint keeps failing; attempts to it are spaced");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Forgets endpoints to which nothing is sent any more, now and then.
    fn tidy(&mut self, now: Instant) {
        let tidied_at = *self.tidied_at.get_or_insert(now);
        if now.duration_since(tidied_at) >= FORGOTTEN_AFTER / 4 {
            self.tidied_at = Some(now);
            self.endpoints.retain(|_, endpoint| now.duration_since(endpoint.last_failure) < FORGOTTEN_AFTER);
        }
    }
}

impl Endpoint {
    const fn new(now: Instant) -> Self {
        Self { first_failure: now, last_failure: now, failures: 0, free_at: now, line: Line::new(now) }
    }

    fn is_broken(&self, after: Duration) -> bool {
        let failed_for = self.last_failure.duration_since(self.first_failure);
        !after.is_zero() && self.failures >= FAILURES && failed_for >= after
    }

    fn admit(&mut self, now: Instant, returned: bool) -> Result<(), Duration> {
        let free_at = self.free_at.max(now) + SPACING;
        if (returned || !self.line.waits(now)) && free_at <= now + SPACING * AT_ONCE {
            self.free_at = free_at;
            return Ok(());
        }
        Err(self.line.put_off(now, SPACING, returned))
    }
}

#[cfg(test)]
mod tests;
