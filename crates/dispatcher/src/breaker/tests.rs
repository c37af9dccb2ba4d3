//! Tests of when attempts to endpoints that fail may start.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::line::LONGEST;

const AFTER: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

struct World {
    breaker: Breaker,
    now: Instant,
}

impl World {
    fn new() -> Self {
        Self { breaker: Breaker::new(AFTER), now: Instant::now() }
    }

    /// A breaker that webhook 1 is broken for.
    fn broken() -> Self {
        let mut world = Self::new();
        world.fail(1, 20, AFTER);
        assert_eq!(world.breaker.broken(), 1);
        world
    }

    /// Fails so often, the last time so much later.
    fn fail(&mut self, webhook: i64, times: u32, later: Duration) {
        for _ in 1..times {
            self.breaker.ended_at(self.now, webhook, false);
        }
        self.now += later;
        self.breaker.ended_at(self.now, webhook, false);
    }

    fn admit(&self, webhook: i64) -> Result<(), Duration> {
        self.breaker.admit_at(self.now, webhook, false)
    }

    fn come_back(&self, webhook: i64) -> Result<(), Duration> {
        self.breaker.admit_at(self.now, webhook, true)
    }

    /// How many may start at once.
    fn starts(&self) -> usize {
        (0..100).take_while(|_| self.come_back(1).is_ok()).count()
    }
}

#[test]
fn what_has_only_begun_to_fail_or_fails_seldom_is_not_concerned() {
    let mut world = World::new();
    world.fail(1, 1000, AFTER - SECOND);
    world.fail(2, 18, AFTER * 3);
    assert_eq!((world.breaker.broken(), world.admit(1), world.admit(2), world.admit(3)), (0, Ok(()), Ok(()), Ok(())));
    // Time alone breaks nothing: it may be well by now.
    world.now += AFTER;
    assert_eq!((world.breaker.broken(), world.admit(1)), (0, Ok(())));
    world.breaker.ended_at(world.now, 1, false);
    assert_eq!(world.breaker.broken(), 1);
}

#[test]
fn a_success_between_starts_the_count_anew_and_one_after_closes_it() {
    let mut world = World::new();
    world.fail(1, 100, AFTER - SECOND);
    world.breaker.ended_at(world.now, 1, true);
    world.fail(1, 100, AFTER - SECOND);
    assert_eq!(world.breaker.broken(), 0);
    world.fail(1, 10, SECOND);
    assert_eq!((world.breaker.broken(), world.starts()), (1, 5));
    assert!(world.admit(1).is_err());
    world.breaker.ended_at(world.now, 1, true);
    assert_eq!((world.breaker.broken(), world.starts()), (0, 100));
    assert!(world.breaker.state().endpoints.is_empty(), "nothing is kept of it");
}

#[test]
fn what_is_put_off_gets_turns_one_after_the_other_and_is_not_overtaken() {
    let mut world = World::broken();
    assert_eq!(world.starts(), 5);
    for turn in 1..=50 {
        assert_eq!(world.admit(1), Err(SPACING * turn));
    }
    assert_eq!(
        [world.come_back(1), world.come_back(1)],
        [Err(SPACING * 2), Err(SPACING * 3)],
        "they have come too soon"
    );
    world.now += SECOND;
    assert_eq!(world.admit(1), Err(SPACING * 41), "behind those that were put off, though turns are free");
    assert_eq!(world.starts(), 5);
    world.now += SPACING;
    assert_eq!(world.starts(), 1);
    // When the line has ended, whoever comes first.
    world.now += SECOND * 10;
    assert_eq!(world.admit(1), Ok(()));
    // Other webhooks are another matter.
    assert_eq!(world.admit(2), Ok(()));
}

#[test]
fn no_turn_is_later_than_an_hour() {
    let world = World::broken();
    assert_eq!(world.starts(), 5);
    let turns = (0..50_000).map(|_| world.admit(1).unwrap_err()).max();
    assert_eq!(turns, Some(LONGEST));
}

#[test]
fn zero_is_never() {
    let world = World::new();
    let breaker = Breaker::new(Duration::ZERO);
    for _ in 0..1000 {
        breaker.ended_at(world.now, 1, false);
    }
    assert_eq!((breaker.broken(), breaker.admit_at(world.now, 1, false)), (0, Ok(())));
}

#[test]
fn endpoints_to_which_nothing_is_sent_are_forgotten() {
    let mut world = World::new();
    for webhook in 0..1000 {
        world.breaker.ended_at(world.now, webhook, false);
    }
    world.now += FORGOTTEN_AFTER / 2;
    world.breaker.ended_at(world.now, 1, false);
    world.now += FORGOTTEN_AFTER / 2;
    world.breaker.ended_at(world.now, 2, false);
    assert_eq!(world.breaker.state().endpoints.len(), 2);
}

/// What may happen to an endpoint; times in milliseconds.
#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    End(bool),
    Come(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => prop_oneof![0_u64..300, Just(5_000), Just(30_000)].prop_map(Step::Pass),
        4 => prop::bool::weighted(0.01).prop_map(Step::End),
        6 => any::<bool>().prop_map(Step::Come),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_only_the_broken_wait_and_none_starts_too_often(steps in vec(step(), 1..400)) {
        let mut world = World::new();
        // Failures since the last success; starts while it was broken.
        let (mut failures, mut starts) = (Vec::<Instant>::new(), Vec::<Instant>::new());
        for step in steps {
            match step {
                Step::Pass(millis) => world.now += Duration::from_millis(millis),
                Step::End(delivered) => {
                    world.breaker.ended_at(world.now, 1, delivered);
                    if delivered {
                        failures.clear();
                        starts.clear();
                    } else {
                        failures.push(world.now);
                    }
                }
                Step::Come(returned) => {
                    let span = failures.last().zip(failures.first()).map(|(last, first)| last.duration_since(*first));
                    let broken = failures.len() >= 20 && span.is_some_and(|span| span >= AFTER);
                    prop_assert_eq!(world.breaker.broken(), usize::from(broken));
                    match world.breaker.admit_at(world.now, 1, returned) {
                        Ok(()) if broken => starts.push(world.now),
                        Ok(()) => {}
                        Err(wait) => prop_assert!(broken && !wait.is_zero() && wait <= LONGEST),
                    }
                }
            }
            // In no time more than its turns and those that may be taken at once.
            for (index, start) in starts.iter().enumerate() {
                let turns = world.now.duration_since(*start).as_millis() / SPACING.as_millis();
                prop_assert!((starts.len() - index) as u128 <= turns + u128::from(AT_ONCE) + 1);
            }
        }
    }
}
