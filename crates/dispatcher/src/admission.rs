//! Which attempts may start now, so that slow endpoints hold up nobody.
//!
//! An attempt starts in a *fast room* and waits for its place there. One that has run for over a second is slow: it moves
//! to the *slow room*, its place is free for others, and its webhook counts as slow until an attempt of it ends sooner.
//! Attempts for a slow webhook start in the slow room at once, as many at a time as the bounds of a webhook, of an
//! instance and of the room permit; what finds no place there does not wait in memory, but is put off to a turn of its
//! own, when a place is likely to be free: history brings it back then. So a slow endpoint gets its attempts, and takes no
//! place from a fast one but for the first second in which nobody could know.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use crate::line::Line;

/// Bounds of what is slow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How long an attempt may run before it counts as slow.
    pub(crate) slow_after: Duration,
    /// How long it may run at most: taken for how long a slow one takes before one has ended.
    pub(crate) timeout: Duration,
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
    /// What is taken of the slow room, by instance.
    instances: HashMap<Box<str>, Taken>,
    /// What is taken of the slow room.
    slow: Taken,
}

/// What is taken of the slow room.
#[derive(Clone, Copy, Default)]
struct Taken {
    places: usize,
    /// Webhooks that have such a place.
    webhooks: usize,
}

impl Taken {
    /// The part of `room` for a webhook that has places in it, or comes to it: as much as the others may have, and as
    /// much is left for one more.
    fn share(self, room: usize, has_places: bool) -> usize {
        room / (self.webhooks + usize::from(!has_places) + 1)
    }
}

/// What is known of a webhook that has attempts under way, or was slow last.
#[derive(Default)]
struct Load {
    running: usize,
    /// Of these, in the slow room.
    slow_places: usize,
    /// Of these, running for over a second.
    overdue: usize,
    /// Whether its last attempt to end was slow.
    was_slow: bool,
    /// How long its slow attempts take; `None`: none has ended yet.
    takes: Option<Duration>,
    /// What was put off.
    line: Option<Line>,
}

impl Load {
    const fn is_slow(&self) -> bool {
        self.overdue > 0 || self.was_slow
    }

    /// A slow attempt has ended. The last few count.
    fn took(&mut self, duration: Duration) {
        self.takes = Some(self.takes.map_or(duration, |takes| (takes * 3 + duration) / 4));
    }
}

/// How an attempt for a webhook stands to the slow room.
enum Standing {
    /// Its webhook is not slow.
    Fast,
    /// It has a place there.
    Slow(Place),
    /// It has none.
    Full,
}

/// There is no place in the slow room. What is put off has a place in the fast one while it is recorded, so that there
/// are never more in memory than there is room for.
pub(crate) struct Full {
    /// After how long to come back.
    pub(crate) wait: Duration,
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

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

    /// A place for an attempt, waited for in the fast room. `returned`: history has brought it back, so that it has had
    /// its wait.
    ///
    /// # Errors
    /// The webhook is slow and at a bound: the attempt is to be put off.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        fast_room: &Arc<Semaphore>,
        webhook: i64,
        instance: &str,
        returned: bool,
    ) -> Result<Place, Full> {
        if let Standing::Slow(place) = self.enter_slow_room(webhook, instance, returned) {
            return Ok(place);
        }
        // The room is never closed.
        let permit = Arc::clone(fast_room).acquire_owned().await.ok();
        // It may have turned slow while this one waited, or a place become free.
        match self.enter_slow_room(webhook, instance, returned) {
            Standing::Slow(place) => Ok(place),
            Standing::Full => {
                let wait = self.state().put_off(self.bounds, webhook, instance, returned);
                Err(Full { wait, permit })
            }
            Standing::Fast => {
                self.state().webhooks.entry(webhook).or_default().running += 1;
                Ok(self.place(webhook, instance, permit))
            }
        }
    }

    fn enter_slow_room(self: &Arc<Self>, webhook: i64, instance: &str, returned: bool) -> Standing {
        let (now, bounds) = (Instant::now(), self.bounds);
        let mut state = self.state();
        let Some(load) = state.webhooks.get(&webhook).filter(|load| load.is_slow()) else { return Standing::Fast };
        let stands_behind = !returned && load.line.is_some_and(|line| line.waits(now));
        let is_full = state.slow.places >= bounds.room || state.of(instance).places >= bounds.of_instance();
        if stands_behind || is_full || load.running >= state.places_for(bounds, load, instance) {
            return Standing::Full;
        }
        state.webhooks.entry(webhook).or_default().running += 1;
        state.take_slow_place(webhook, instance);
        drop(state);
        Standing::Slow(self.place(webhook, instance, None))
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

impl Bounds {
    /// Places in the slow room for one instance.
    const fn of_instance(&self) -> usize {
        self.room.div_ceil(2)
    }
}

impl State {
    fn of(&self, instance: &str) -> Taken {
        self.instances.get(instance).copied().unwrap_or_default()
    }

    /// How many attempts a slow webhook may have under way: others want places as well.
    fn places_for(&self, bounds: Bounds, load: &Load, instance: &str) -> usize {
        let has_places = load.slow_places > 0;
        let of_instance = self.of(instance).share(bounds.of_instance(), has_places);
        of_instance.min(self.slow.share(bounds.room, has_places)).clamp(1, bounds.webhook)
    }

    /// After how long an attempt is likely to find a place that finds none now.
    fn put_off(&mut self, bounds: Bounds, webhook: i64, instance: &str, returned: bool) -> Duration {
        let now = Instant::now();
        let Some(load) = self.webhooks.get(&webhook) else { return bounds.slow_after };
        let places = u32::try_from(self.places_for(bounds, load, instance)).unwrap_or(u32::MAX);
        let spacing = load.takes.unwrap_or(bounds.timeout) / places;
        let line = self.webhooks.entry(webhook).or_default().line.get_or_insert(Line::new(now));
        line.put_off(now, spacing, returned)
    }

    fn take_slow_place(&mut self, webhook: i64, instance: &str) {
        let load = self.webhooks.entry(webhook).or_default();
        let first = usize::from(load.slow_places == 0);
        load.slow_places += 1;
        for taken in [&mut self.slow, self.instances.entry(instance.into()).or_default()] {
            taken.places += 1;
            taken.webhooks += first;
        }
    }

    fn leave_slow_place(&mut self, webhook: i64, instance: &str) {
        let load = self.webhooks.entry(webhook).or_default();
        load.slow_places -= 1;
        let last = usize::from(load.slow_places == 0);
        let leave = |taken: &mut Taken| {
            taken.places -= 1;
            taken.webhooks -= last;
        };
        leave(&mut self.slow);
        if let Some(taken) = self.instances.get_mut(instance) {
            leave(taken);
            if taken.places == 0 {
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
        let started = Instant::now();
        let in_time = tokio::time::timeout(self.admission.bounds.slow_after, attempt.as_mut()).await;
        if let Ok(outcome) = in_time {
            self.ended_swiftly();
            return outcome;
        }
        self.turn_slow();
        let outcome = attempt.await;
        self.ended_slowly(started.elapsed());
        outcome
    }

    fn turn_slow(&mut self) {
        let mut state = self.admission.state();
        state.webhooks.entry(self.webhook).or_default().overdue += 1;
        // Beyond that it keeps its fast place: what is under way is bounded.
        if self.fast.is_some() && state.slow.places < self.admission.bounds.room * 2 {
            state.take_slow_place(self.webhook, &self.instance);
            self.fast = None;
        }
    }

    fn ended_slowly(&self, duration: Duration) {
        let mut state = self.admission.state();
        let load = state.webhooks.entry(self.webhook).or_default();
        load.overdue -= 1;
        load.was_slow = true;
        load.took(duration);
    }

    /// Nobody has to stand behind those that were put off: history sees that it is fast again, and brings them all.
    fn ended_swiftly(&self) {
        let mut state = self.admission.state();
        let load = state.webhooks.entry(self.webhook).or_default();
        load.was_slow = false;
        (load.takes, load.line) = (None, None);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.admission.state();
        if self.fast.is_none() {
            state.leave_slow_place(self.webhook, &self.instance);
        }
        if let Some(load) = state.webhooks.get_mut(&self.webhook) {
            load.running -= 1;
        }
        state.tidy(self.webhook);
    }
}

#[cfg(test)]
mod tests;
