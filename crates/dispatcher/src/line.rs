//! Turns for what is put off, one after the other, so that nothing comes back only to be put off again.

use std::time::Duration;

use tokio::time::Instant;

/// The latest turn. What is further behind may come back in vain.
pub(crate) const LONGEST: Duration = Duration::from_secs(3600);

/// Those that wait for one endpoint.
#[derive(Clone, Copy)]
pub(crate) struct Line {
    /// The last turn that was given.
    end: Instant,
    /// The same among those that have come for their turn in vain: they do not stand behind those that came later.
    again: Instant,
}

impl Line {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { end: now, again: now }
    }

    /// Whether somebody waits whose turn has not come yet. Who comes first does not overtake them.
    pub(crate) fn waits(&self, now: Instant) -> bool {
        self.end > now
    }

    /// After how long to come back, turns being `spacing` apart. `returned`: it has had a turn before.
    pub(crate) fn put_off(&mut self, now: Instant, spacing: Duration, returned: bool) -> Duration {
        let last = if returned { &mut self.again } else { &mut self.end };
        *last = ((*last).max(now) + spacing).min(now + LONGEST);
        last.duration_since(now)
    }
}
