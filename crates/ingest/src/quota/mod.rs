//! The publish quota: each instance may publish so many events a second, so that the flood of one is held back here and
//! not by the waiting of the others.
//!
//! `bucket.rs` counts for one instance.

mod bucket;

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use proto::error::{ApiError, ErrorCode};
use runtime::config::Publishing;
use tokio::time::Instant;

use bucket::{Bucket, Limits};

/// From so many instances on, those are forgotten whose bucket is full again.
const SWEEP: usize = 1_024;
/// How often it is logged of an instance that it publishes too much.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What each instance may still publish through this process.
pub(crate) struct Quota {
    /// `None`: any number.
    limits: Option<Limits>,
    /// What the times of buckets count from. The monotonic clock: a step of the wall clock must not open or shut them.
    start: Instant,
    buckets: Mutex<Buckets>,
}

/// What may be published of a call's events.
#[derive(Debug)]
pub(crate) struct Admission {
    /// How long to wait before publishing; at most the patience.
    pub(crate) delay: Duration,
    /// For each event, in their order: why it may not be published; `None`: it may.
    pub(crate) refusals: Vec<Option<Refusal>>,
}

/// An event beyond the quota.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    limits: Limits,
    /// After how long to try again, in whole milliseconds.
    pub(crate) wait: Duration,
}

impl Refusal {
    fn new(limits: Limits, wait: Duration) -> Self {
        let millis = wait.as_nanos().div_ceil(1_000_000).max(1);
        Self { limits, wait: Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)) }
    }

    /// What the publisher is told.
    pub(crate) fn error(self, instance: &str, id: &str) -> ApiError {
        let Limits { rate, burst } = self.limits;
        let text = format!(
            "event {id} was not accepted: instance {instance} publishes beyond its quota of {rate} events/s (burst \
             {burst}); publish it again after {} ms with the same id",
            self.wait.as_millis()
        );
        ApiError::new(ErrorCode::RateLimited, text)
    }
}

impl Quota {
    pub(crate) fn new(publishing: Publishing, now: Instant) -> Self {
        Self {
            limits: Limits::from_config(publishing),
            start: now,
            buckets: Mutex::new(Buckets { by_instance: HashMap::new(), sweep_at: SWEEP }),
        }
    }

    /// The most events of an instance that can ever be published at once.
    pub(crate) fn burst(&self) -> usize {
        self.limits.map_or(usize::MAX, |limits| limits.burst as usize)
    }

    /// Takes from the quota for events of these instances, as many as it permits now or within `patience`.
    pub(crate) fn admit(&self, instances: &[&str], patience: Duration, now: Instant) -> Admission {
        let mut admission = Admission { delay: Duration::ZERO, refusals: vec![None; instances.len()] };
        let Some(limits) = self.limits else { return admission };
        let mut order: Vec<usize> = (0..instances.len()).collect();
        order.sort_by_key(|index| instances[*index]);
        let mut told = Vec::new();
        let now = now.saturating_duration_since(self.start);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        for events in order.chunk_by(|one, other| instances[*one] == instances[*other]) {
            let instance = instances[events[0]];
            let bucket = buckets.of(instance, limits, now);
            let taken = bucket.take(events.len(), patience, limits, now);
            admission.delay = admission.delay.max(taken.delay);
            // Each is told when all before it fit as well: they come again together.
            for (ahead, index) in events[taken.granted..].iter().enumerate() {
                admission.refusals[*index] = Some(Refusal::new(limits, bucket.time_until(ahead + 1, limits)));
            }
            if taken.granted < events.len() && bucket.tell(TELL_EVERY, now) {
                told.push(instance);
            }
        }
        drop(buckets);
        for instance in told {
            let Limits { rate, burst } = limits;
            tracing::warn!(instance, events_per_second = rate, burst, "publishes beyond its quota; events are refused");
        }
        admission
    }
}

/// The buckets of instances that have published lately; one that is full again needs none.
struct Buckets {
    by_instance: HashMap<Box<str>, Bucket>,
    sweep_at: usize,
}

impl Buckets {
    fn of(&mut self, instance: &str, limits: Limits, now: Duration) -> &mut Bucket {
        if self.by_instance.len() >= self.sweep_at && !self.by_instance.contains_key(instance) {
            self.by_instance.retain(|_, bucket| !bucket.is_full(limits, now));
            self.by_instance.shrink_to(SWEEP);
            // Each sweep pays for itself: as many must come anew as it looked at.
            self.sweep_at = SWEEP.max(2 * self.by_instance.len());
        }
        self.by_instance.entry(instance.into()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A quota, and the time that goes by.
    struct World {
        quota: Quota,
        now: Instant,
    }

    impl World {
        fn new(events_per_second: u32, burst: u32) -> Self {
            let now = Instant::now();
            Self { quota: Quota::new(Publishing { events_per_second, burst }, now), now }
        }

        /// For each event: 0 if it may be published at once, otherwise its wait in milliseconds.
        fn waits(&self, instances: &[&str]) -> Vec<u128> {
            let admission = self.quota.admit(instances, Duration::ZERO, self.now);
            assert_eq!(admission.delay, Duration::ZERO);
            admission.refusals.iter().map(|refusal| refusal.map_or(0, |refusal| refusal.wait.as_millis())).collect()
        }

        fn known(&self) -> usize {
            self.quota.buckets.lock().unwrap().by_instance.len()
        }
    }

    #[test]
    fn instances_do_not_share() {
        let mut world = World::new(10, 3);
        let mixed = ["acme", "globex", "acme", "acme", "globex", "acme", "acme"];
        assert_eq!(world.waits(&mixed), [0, 0, 0, 0, 0, 100, 200]);
        assert_eq!(world.waits(&["globex", "globex", "acme"]), [0, 100, 100]);
        world.now += Duration::from_millis(100);
        assert_eq!(world.waits(&["acme", "acme", "globex"]), [0, 100, 0]);
    }

    #[test]
    fn who_has_no_patience_is_not_delayed_by_those_who_have() {
        let world = World::new(10, 3);
        let admission = world.quota.admit(&["acme"; 8], Duration::from_secs(5), world.now);
        assert_eq!(admission.delay, Duration::from_millis(500));
        assert!(admission.refusals.iter().all(Option::is_none));
        assert_eq!(world.waits(&["acme", "globex"]), [600, 0]);
    }

    #[test]
    fn without_a_rate_nothing_is_refused() {
        assert!(World::new(0, 1).waits(&["acme"; 1_000]).iter().all(|wait| *wait == 0));
    }

    #[test]
    fn a_refusal_says_who_how_much_and_how_long() {
        let world = World::new(3, 1);
        let admission = world.quota.admit(&["acme", "acme"], Duration::ZERO, world.now);
        let error = admission.refusals[1].unwrap().error("acme", "the-id");
        assert_eq!(error.code, ErrorCode::RateLimited);
        for part in ["event the-id", "instance acme", "3 events/s", "burst 1", "after 334 ms"] {
            assert!(error.message.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn instances_that_are_quiet_are_forgotten() {
        let mut world = World::new(1_000, 10);
        for number in 0..20 * SWEEP {
            world.waits(&[format!("instance-{number}").as_str()]);
            world.now += Duration::from_micros(100);
            assert!(world.known() <= SWEEP);
        }
        // Those that are not full stay, or a flood would be let in anew.
        world.waits(&["acme"; 1_000]);
        for number in 0..2 * SWEEP {
            world.waits(&[format!("other-{number}").as_str()]);
        }
        assert_eq!(world.waits(&["acme"]), [1]);
        assert!(world.known() > 2 * SWEEP);
        world.now += Duration::from_secs(1);
        for number in 0..=4 * SWEEP {
            world.waits(&[format!("last-{number}").as_str()]);
            world.now += Duration::from_millis(1);
        }
        assert!(world.known() <= SWEEP);
    }
}
