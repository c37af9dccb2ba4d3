//! A token bucket in whole numbers: what one instance may publish now, and after how long it may publish more.

use std::time::Duration;

use runtime::config::Publishing;

/// An event, in the unit that buckets count in: what one event a second refills in a nanosecond. No rounding error
/// adds up, whatever the rate.
const EVENT: u128 = 1_000_000_000;

/// The rate and size of a bucket, none of them zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Events a second that refill it.
    pub(super) rate: u32,
    /// Events that it holds when it is full.
    pub(super) burst: u32,
}

impl Limits {
    /// As they are configured; `None`: there is no quota.
    pub(super) fn from_config(publishing: Publishing) -> Option<Self> {
        let rate = publishing.events_per_second;
        (rate > 0).then_some(Self { rate, burst: publishing.burst.max(1) })
    }

    fn full(self) -> u128 {
        u128::from(self.burst) * EVENT
    }

    fn refilled_in(self, time: Duration) -> u128 {
        time.as_nanos() * u128::from(self.rate)
    }

    /// How long it takes to refill so much.
    fn time_for(self, amount: u128) -> Duration {
        Duration::from_nanos(u64::try_from(amount.div_ceil(u128::from(self.rate))).unwrap_or(u64::MAX))
    }
}

/// What was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// How many events may be published.
    pub(super) granted: usize,
    /// After how long they may.
    pub(super) delay: Duration,
}

/// One instance's bucket; a new one is full. Times are those since any fixed moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    /// What it lacked to be full at `at`. More than it holds: what takers wait for.
    missing: u128,
    at: Duration,
    told_at: Option<Duration>,
}

impl Bucket {
    /// Takes up to `wanted` events. Of those that are not there yet, it takes what will be within `patience`.
    pub(super) fn take(&mut self, wanted: usize, patience: Duration, limits: Limits, now: Duration) -> Taken {
        self.missing = self.missing_at(now, limits);
        // Two callers may have looked at the clock in another order than they come here.
        self.at = self.at.max(now);
        let room = (limits.full() + limits.refilled_in(patience)).saturating_sub(self.missing);
        let granted = usize::try_from(room / EVENT).unwrap_or(usize::MAX).min(wanted);
        if granted == 0 {
            return Taken { granted, delay: Duration::ZERO };
        }
        self.missing += granted as u128 * EVENT;
        Taken { granted, delay: limits.time_for(self.missing.saturating_sub(limits.full())) }
    }

    /// After how long from the last taking `count` events are there if nobody takes any; more than it holds never are.
    pub(super) fn time_until(&self, count: usize, limits: Limits) -> Duration {
        let wanted = (count as u128 * EVENT).min(limits.full());
        limits.time_for((self.missing + wanted).saturating_sub(limits.full()))
    }

    /// Whether it is no different from a new one.
    pub(super) fn is_full(&self, limits: Limits, now: Duration) -> bool {
        self.missing_at(now, limits) == 0
    }

    /// Whether to tell people now that something was refused: at most once in `every`.
    pub(super) fn tell(&mut self, every: Duration, now: Duration) -> bool {
        let due = self.told_at.is_none_or(|told_at| now.saturating_sub(told_at) >= every);
        if due {
            self.told_at = Some(now);
        }
        due
    }

    fn missing_at(&self, now: Duration, limits: Limits) -> u128 {
        self.missing.saturating_sub(limits.refilled_in(now.saturating_sub(self.at)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Duration = Duration::ZERO;

    /// When, how many, and with how much patience.
    fn takings() -> impl Strategy<Value = Vec<(Duration, usize, Duration)>> {
        let pause = prop_oneof![Just(0), 0..2_000_000_u64, 0..3_000_000_000_u64];
        let patience = prop_oneof![Just(0), 0..5_000_000_000_u64];
        proptest::collection::vec((pause, 0..300_usize, patience), 1..60).prop_map(|takings| {
            let mut now = 0;
            let mut at = |(pause, wanted, patience)| {
                now += pause;
                (Duration::from_nanos(now), wanted, Duration::from_nanos(patience))
            };
            takings.into_iter().map(&mut at).collect()
        })
    }

    fn limits() -> impl Strategy<Value = Limits> {
        let rate = prop_oneof![1..50_u32, 1..100_000_u32, Just(u32::MAX)];
        let burst = prop_oneof![1..50_u32, 1..1_000_u32, Just(u32::MAX)];
        (rate, burst).prop_map(|(rate, burst)| Limits { rate, burst })
    }

    proptest! {
        /// What is published in any window of time, each taking as a whole after its delay, is what the bucket holds
        /// and what refills it in the window, at most. (Callers do not take more at once than it holds.)
        #[test]
        fn no_window_has_more_than_burst_and_rate(limits in limits(), takings in takings()) {
            let mut bucket = Bucket::default();
            let mut published = Vec::new();
            for (now, wanted, patience) in takings {
                let taken = bucket.take(wanted.min(limits.burst as usize), patience, limits, now);
                prop_assert!(taken.granted <= wanted && taken.delay <= patience);
                if taken.granted > 0 {
                    published.push((now + taken.delay, taken.granted));
                }
            }
            for first in 0..published.len() {
                let mut count = 0;
                for (at, granted) in &published[first..] {
                    count += *granted as u128;
                    let length = at.saturating_sub(published[first].0);
                    let most = limits.full() + limits.refilled_in(length) + u128::from(limits.rate);
                    prop_assert!(count * EVENT <= most, "{count} within {length:?}");
                }
            }
        }

        /// Who is refused and waits as long as told gets in, and not a nanosecond earlier.
        #[test]
        fn the_wait_that_is_told_is_right(limits in limits(), takings in takings(), count in 1..300_usize) {
            let mut bucket = Bucket::default();
            let mut last = NOW;
            for (now, wanted, patience) in takings {
                bucket.take(wanted, patience, limits, now);
                last = now;
            }
            let count = count.min(limits.burst as usize);
            let wait = bucket.time_until(count, limits);
            let mut early = bucket;
            prop_assert_eq!(bucket.take(count, Duration::ZERO, limits, last + wait).granted, count);
            if let Some(before) = wait.checked_sub(Duration::from_nanos(1)) {
                prop_assert!(early.take(count, Duration::ZERO, limits, last + before).granted < count);
            }
        }

        /// Who comes whenever told gets the whole rate, but for what rounding up to nanoseconds costs.
        #[test]
        fn the_whole_rate_can_be_used(rate in 1..100_000_u32, seconds in 1..50_u64) {
            let limits = Limits { rate, burst: 1 };
            let mut bucket = Bucket::default();
            let mut granted = bucket.take(1, Duration::ZERO, limits, NOW).granted as u64;
            let mut now = NOW;
            while granted <= u64::from(rate).min(200) * seconds {
                now += bucket.time_until(1, limits);
                granted += bucket.take(1, Duration::ZERO, limits, now).granted as u64;
            }
            let exact = u128::from(granted - 1) * EVENT / u128::from(rate);
            prop_assert!(now.as_nanos() - exact <= u128::from(granted), "{granted} events took {now:?}");
        }
    }

    #[test]
    fn it_refills_continuously_and_not_beyond_full() {
        let limits = Limits { rate: 10, burst: 5 };
        let mut bucket = Bucket::default();
        let mut granted =
            |wanted, millis| bucket.take(wanted, Duration::ZERO, limits, Duration::from_millis(millis)).granted;
        assert_eq!([granted(9, 0), granted(1, 99), granted(2, 100), granted(9, 450)], [5, 0, 1, 3]);
        assert_eq!([granted(9, 60_000), granted(9, 60_000)], [5, 0]);
        // A clock that was looked at earlier gives nothing and takes nothing.
        assert_eq!([granted(1, 59_000), granted(1, 60_099), granted(1, 60_100)], [0, 0, 1]);
    }

    #[test]
    fn patience_takes_what_is_to_come() {
        let limits = Limits { rate: 10, burst: 5 };
        let mut bucket = Bucket::default();
        let taken = bucket.take(100, Duration::from_secs(2), limits, NOW);
        assert_eq!(taken, Taken { granted: 25, delay: Duration::from_secs(2) });
        let nothing = Taken { granted: 0, delay: Duration::ZERO };
        assert_eq!(bucket.take(1, Duration::from_secs(2), limits, NOW), nothing);
        assert_eq!(bucket.take(1, Duration::ZERO, limits, Duration::from_secs(1)), nothing);
        assert_eq!(bucket.time_until(1, limits), Duration::from_millis(1_100));
        assert!(!bucket.is_full(limits, Duration::from_millis(2_499)));
        assert!(bucket.is_full(limits, Duration::from_millis(2_500)));
    }

    #[test]
    fn more_than_it_holds_is_never_promised() {
        let limits = Limits { rate: 1, burst: 2 };
        let mut bucket = Bucket::default();
        bucket.take(2, Duration::ZERO, limits, NOW);
        assert_eq!([1, 2, 3, usize::MAX].map(|count| bucket.time_until(count, limits).as_secs()), [1, 2, 2, 2]);
    }
}
