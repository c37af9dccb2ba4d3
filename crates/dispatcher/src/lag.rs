//! How far behind the dispatcher is with each lane: how old the oldest message is that it has taken from it and not yet
//! begun to work on. What still waits in the lane is younger, as lanes are roughly in order.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use broker::Lane;
use domain::{Clock, Timestamp};

/// How long the age of what was taken last is told while nothing comes: metrics are asked for more often.
const SHOWN: Duration = Duration::from_secs(15);

/// The lanes that a dispatcher works on.
pub(crate) struct Lag {
    lanes: [(Lane, Mutex<Option<Taken>>); 3],
    clock: Arc<dyn Clock>,
}

/// What was taken last from a lane.
#[derive(Clone, Copy)]
struct Taken {
    oldest: Timestamp,
    at: Timestamp,
    is_begun: bool,
}

/// Work that was taken; dropped when all of it has begun.
#[must_use]
pub(crate) struct Waiting<'a>(&'a Mutex<Option<Taken>>);

impl Lag {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let lanes = [Lane::Events, Lane::DeliverFast, Lane::DeliverSlow].map(|lane| (lane, Mutex::new(None)));
        Self { lanes, clock }
    }

    /// This was taken from a lane; `since` are the times at which it could have been begun. `None`: nothing was taken.
    pub(crate) fn take(&self, lane: Lane, since: impl IntoIterator<Item = Timestamp>) -> Option<Waiting<'_>> {
        let oldest = since.into_iter().min()?;
        let (_, last) = self.lanes.iter().find(|(of, _)| *of == lane)?;
        *lock(last) = Some(Taken { oldest, at: self.clock.now(), is_begun: false });
        Some(Waiting(last))
    }

    /// How far behind it is with each lane.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Lane, Duration)> {
        let now = self.clock.now();
        self.lanes.iter().map(move |(lane, last)| (*lane, lock(last).map_or(Duration::ZERO, |taken| taken.lag(now))))
    }
}

impl Taken {
    fn lag(self, now: Timestamp) -> Duration {
        if !self.is_begun {
            now.since(self.oldest)
        } else if now.since(self.at) < SHOWN {
            self.at.since(self.oldest)
        } else {
            Duration::ZERO
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(taken) = &mut *lock(self.0) {
            taken.is_begun = true;
        }
    }
}

fn lock(last: &Mutex<Option<Taken>>) -> MutexGuard<'_, Option<Taken>> {
    last.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use domain::ManualClock;

    use super::*;

    #[test]
    fn what_is_not_begun_gets_older_and_what_was_begun_is_told_for_a_while() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(10_000_000)));
        let lag = Lag::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let seconds = |number: i64| Timestamp::from_micros(number * 1_000_000);
        let of = |lane| lag.all().find(|(of, _)| *of == lane).unwrap().1.as_secs();
        assert_eq!(lag.all().map(|(_, lag)| lag.as_secs()).collect::<Vec<_>>(), [0, 0, 0]);
        assert!(lag.take(Lane::Events, []).is_none());
        let waiting = lag.take(Lane::Events, [seconds(9), seconds(7), seconds(8)]);
        assert_eq!((of(Lane::Events), of(Lane::DeliverFast)), (3, 0));
        clock.advance(Duration::from_secs(2));
        assert_eq!(of(Lane::Events), 5);
        drop(waiting);
        // As it was when it was taken.
        assert_eq!(of(Lane::Events), 3);
        clock.advance(Duration::from_secs(13));
        assert_eq!(of(Lane::Events), 0);
        // A clock of another machine may be ahead.
        drop(lag.take(Lane::DeliverSlow, [seconds(26)]));
        assert_eq!(of(Lane::DeliverSlow), 0);
    }
}
