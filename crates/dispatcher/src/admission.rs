//! Which attempts may start now, so that slow endpoints hold up nobody.
//!
//! An attempt starts in a *fast room* and waits for its place there. One that has run for over a second is slow: it moves
//! to the *slow room*, its place is free for others, and its webhook counts as slow until an attempt of it ends sooner.
//! Attempts for a slow webhook start in the slow room at once, as many at a time as the bounds of a webhook, of an
//! instance and of the room permit; what finds no place there does not wait in memory, but is put off: history brings it
//! back. So a slow endpoint gets its attempts, and takes no place from a fast one but for the first second in which
//! nobody could know.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bounds of what is slow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How long an attempt may run before it counts as slow.
    pub(crate) slow_after: Duration,
    /// Attempts for one slow webhook.
    pub(crate) webhook: usize,
    /// Attempts in the slow room. Those of one instance may take half of it; those that turn slow on their way may
    /// exceed it by as much again.
    pub(crate) room: usize,
}

/// Who is in which room.
pub(crate) struct Admission {
    bounds: Bounds,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    webhooks: HashMap<i64, Load>,
    /// Places taken in the slow room, by instance.
    instances: HashMap<Box<str>, usize>,
    /// Places taken in the slow room.
    slow: usize,
}

/// What is known of a webhook that has attempts under way, or was slow last.
#[derive(Default)]
struct Load {
    running: usize,
    /// Of these, running for over a second.
    overdue: usize,
    /// Whether its last attempt to end was slow.
    was_slow: bool,
}

impl Load {
    const fn is_slow(&self) -> bool {
        self.overdue > 0 || self.was_slow
    }
}

/// There is no place in the slow room. What is put off has a place in the fast one while it is recorded, so that there
/// are never more in memory than there is room for.
pub(crate) struct Full(pub(crate) Option<OwnedSemaphorePermit>);

/// The right to make an attempt; dropped when what came of it is recorded.
pub(crate) struct Place {
    admission: Arc<Admission>,
    webhook: i64,
    instance: Box<str>,
    /// Its place in the fast room; `None`: it is in the slow room.
    fast: Option<OwnedSemaphorePermit>,
}

impl Admission {
    pub(crate) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self { bounds, state: Mutex::default() })
    }

    /// A place for an attempt, waited for in the fast room.
    ///
    /// # Errors
    /// The webhook is slow and at a bound: the attempt is to be put off.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        fast_room: &Arc<Semaphore>,
        webhook: i64,
        instance: &str,
    ) -> Result<Place, Full> {
        if let Some(Some(place)) = self.enter_slow_room(webhook, instance) {
            return Ok(place);
        }
        // The room is never closed.
        let permit = Arc::clone(fast_room).acquire_owned().await.ok();
        // It may have turned slow while this one waited, or a place become free.
        match self.enter_slow_room(webhook, instance) {
            Some(Some(place)) => Ok(place),
            Some(None) => Err(Full(permit)),
            None => {
                self.state().webhooks.entry(webhook).or_default().running += 1;
                Ok(self.place(webhook, instance, permit))
            }
        }
    }

    /// `None`: the webhook is not slow. `Some(None)`: it is, and there is no place.
    fn enter_slow_room(self: &Arc<Self>, webhook: i64, instance: &str) -> Option<Option<Place>> {
        let mut state = self.state();
        let running = state.webhooks.get(&webhook).filter(|load| load.is_slow())?.running;
        let of_instance = state.instances.get(instance).copied().unwrap_or_default();
        let bounds = self.bounds;
        if running >= bounds.webhook || state.slow >= bounds.room || of_instance >= bounds.room.div_ceil(2) {
            return Some(None);
        }
        state.webhooks.entry(webhook).or_default().running += 1;
        state.take_slow_place(instance);
        drop(state);
        Some(Some(self.place(webhook, instance, None)))
    }

    /// A place in the fast room, or without a permit for that in the slow room.
    fn place(self: &Arc<Self>, webhook: i64, instance: &str, fast: Option<OwnedSemaphorePermit>) -> Place {
        Place { admission: Arc::clone(self), webhook, instance: instance.into(), fast }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of webhooks that count as slow.
    pub(crate) fn slow_webhooks(&self) -> usize {
        self.state().webhooks.values().filter(|load| load.is_slow()).count()
    }
}

impl State {
    fn take_slow_place(&mut self, instance: &str) {
        self.slow += 1;
        *self.instances.entry(instance.into()).or_default() += 1;
    }

    fn leave_slow_place(&mut self, instance: &str) {
        self.slow = self.slow.saturating_sub(1);
        if let Some(places) = self.instances.get_mut(instance) {
            *places -= 1;
            if *places == 0 {
                self.instances.remove(instance);
            }
        }
    }

    /// Keeps nothing of webhooks of which nothing needs to be known.
    fn tidy(&mut self, webhook: i64) {
        if self.webhooks.get(&webhook).is_some_and(|load| load.running == 0 && !load.was_slow) {
            self.webhooks.remove(&webhook);
        }
    }
}

impl Place {
    /// Makes the attempt, and notes whether it is slow.
    pub(crate) async fn make<T>(&mut self, attempt: impl Future<Output = T>) -> T {
        tokio::pin!(attempt);
        let in_time = tokio::time::timeout(self.admission.bounds.slow_after, attempt.as_mut()).await;
        if let Ok(outcome) = in_time {
            self.ended(false);
            return outcome;
        }
        self.turn_slow();
        let outcome = attempt.await;
        self.ended(true);
        outcome
    }

    fn turn_slow(&mut self) {
        let mut state = self.admission.state();
        state.webhooks.entry(self.webhook).or_default().overdue += 1;
        // Beyond that it keeps its fast place: what is under way is bounded.
        if self.fast.is_some() && state.slow < self.admission.bounds.room * 2 {
            state.take_slow_place(&self.instance);
            self.fast = None;
        }
    }

    fn ended(&self, slow: bool) {
        let mut state = self.admission.state();
        let load = state.webhooks.entry(self.webhook).or_default();
        load.overdue -= usize::from(slow);
        load.was_slow = slow;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.admission.state();
        if self.fast.is_none() {
            state.leave_slow_place(&self.instance);
        }
        if let Some(load) = state.webhooks.get_mut(&self.webhook) {
            load.running -= 1;
        }
        state.tidy(self.webhook);
    }
}

#[cfg(test)]
mod tests;
