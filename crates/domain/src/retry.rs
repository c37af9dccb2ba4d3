//! When a failed attempt is repeated.

use std::time::Duration;

/// Attempts that a delivery may have, retries by hand included. A number beyond is nobody's.
pub const MOST_ATTEMPTS: i32 = 100;

/// The waits between attempts: a delivery has one attempt more than the schedule has waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetrySchedule(Vec<Duration>);

/// A schedule that cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    /// More waits than make sense.
    #[error("has {0} waits; at most 20 are possible")]
    TooLong(usize),
    /// A wait that no queue should hold.
    #[error("a wait of {} s is too long; at most 24 hours are possible", .0.as_secs())]
    WaitTooLong(Duration),
}

impl RetrySchedule {
    /// A schedule of these waits.
    ///
    /// # Errors
    /// More than 20 waits, or one over 24 hours.
    pub fn new(waits: Vec<Duration>) -> Result<Self, InvalidSchedule> {
        if waits.len() > 20 {
            return Err(InvalidSchedule::TooLong(waits.len()));
        }
        if let Some(wait) = waits.iter().find(|wait| wait.as_secs() > 24 * 3600) {
            return Err(InvalidSchedule::WaitTooLong(*wait));
        }
        Ok(Self(waits))
    }

    /// How long to wait after attempt `number` (from 1) has failed; `None`: the delivery has failed for good.
    #[must_use]
    pub fn wait_after(&self, number: u32) -> Option<Duration> {
        self.0.get(usize::try_from(number).ok()?.checked_sub(1)?).copied()
    }

    /// The waits.
    #[must_use]
    pub fn waits(&self) -> &[Duration] {
        &self.0
    }
}

impl Default for RetrySchedule {
    /// The article's: at once, 2 minutes after the first retry, 10 minutes after the second.
    fn default() -> Self {
        Self(vec![Duration::ZERO, Duration::from_secs(120), Duration::from_secs(600)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_makes_four_attempts() {
        let schedule = RetrySchedule::default();
        let waits: Vec<_> = (0..=5).map(|number| schedule.wait_after(number).map(|wait| wait.as_secs())).collect();
        assert_eq!(waits, [None, Some(0), Some(120), Some(600), None, None]);
    }

    #[test]
    fn an_unkeepable_schedule_is_refused() {
        assert!(RetrySchedule::new(vec![Duration::ZERO; 21]).is_err());
        assert!(RetrySchedule::new(vec![Duration::from_secs(24 * 3600 + 1)]).is_err());
        assert!(RetrySchedule::new(Vec::new()).is_ok());
    }
}
