//! What is counted for statistics, by webhook and hour: entries by outcome and by how long the attempt took, and skipped
//! events by reason.
//!
//! The counts of entries follow from the rows of `attempts` alone: who inserts a row adds one in the same transaction, and
//! who replaces a row takes back what that had added. So counts are exact whatever comes in which order, and how often.
//! Test payloads are not counted.

use std::collections::BTreeMap;

use domain::SkipReason;

/// Microseconds of an hour.
pub(crate) const HOUR: i64 = 3_600_000_000;

/// The hour that a time lies in, counted from the Unix epoch.
pub(crate) const fn hour_of(micros: i64) -> i64 {
    micros.div_euclid(HOUR)
}

/// Where the buckets of durations begin, but for the first, in microseconds: four for each power of ten, from 1 ms to the
/// 10 s that an attempt may take. `migrations/*/0006_counts.sql` have the same.
pub(crate) const LIMITS: [i64; 17] = [
    1_000, 1_778, 3_162, 5_623, 10_000, 17_783, 31_623, 56_234, 100_000, 177_828, 316_228, 562_341, 1_000_000,
    1_778_279, 3_162_278, 5_623_413, 10_000_000,
];
/// How many buckets there are.
pub(crate) const BUCKETS: usize = LIMITS.len() + 1;

/// How long an attempt took, roughly: how many of [`LIMITS`] it has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bucket(u8);

impl Bucket {
    /// Of a duration in microseconds.
    pub(crate) fn of(duration_us: i64) -> Self {
        let reached = LIMITS.partition_point(|limit| *limit <= duration_us);
        Self(u8::try_from(reached).unwrap_or(u8::MAX))
    }

    /// Its place among all buckets, shortest first.
    pub(crate) fn index(self) -> usize {
        self.0.into()
    }
}

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Counted {
    /// An attempt that was delivered.
    Delivered(Bucket),
    /// An attempt that failed.
    Failed(Bucket),
    /// The end of a delivery without an attempt.
    NotAttempted,
    /// An event that was skipped.
    Skipped(SkipReason),
}

const DELIVERED: i16 = 100;
const FAILED: i16 = 200;
const NOT_ATTEMPTED: i16 = 300;
const SKIPPED: i16 = 400;

impl Counted {
    /// An entry of this outcome.
    pub(crate) fn entry(made: bool, delivered: bool, duration_us: i64) -> Self {
        let bucket = Bucket::of(duration_us);
        match (made, delivered) {
            (false, _) => Self::NotAttempted,
            (true, true) => Self::Delivered(bucket),
            (true, false) => Self::Failed(bucket),
        }
    }

    /// As it is stored.
    pub(crate) fn code(self) -> i16 {
        match self {
            Self::Delivered(bucket) => DELIVERED + i16::from(bucket.0),
            Self::Failed(bucket) => FAILED + i16::from(bucket.0),
            Self::NotAttempted => NOT_ATTEMPTED,
            Self::Skipped(SkipReason::Inactive) => SKIPPED,
            Self::Skipped(SkipReason::Plan) => SKIPPED + 1,
            Self::Skipped(SkipReason::ProjectDeleted) => SKIPPED + 2,
            Self::Skipped(SkipReason::Failing) => SKIPPED + 3,
        }
    }

    /// From what is stored; `None`: something that only a later version counts.
    pub(crate) fn from_code(code: i16) -> Option<Self> {
        let bucket = |first| u8::try_from(code - first).ok().filter(|at| usize::from(*at) < BUCKETS).map(Bucket);
        match code {
            NOT_ATTEMPTED => Some(Self::NotAttempted),
            DELIVERED..FAILED => bucket(DELIVERED).map(Self::Delivered),
            FAILED..NOT_ATTEMPTED => bucket(FAILED).map(Self::Failed),
            _ => SkipReason::ALL.into_iter().map(Self::Skipped).find(|skipped| skipped.code() == code),
        }
    }
}

/// What a count is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CountKey<'a> {
    pub(crate) instance: &'a str,
    pub(crate) webhook_id: i64,
    pub(crate) hour: i64,
    /// See [`Counted::code`].
    pub(crate) what: i16,
}

impl<'a> CountKey<'a> {
    /// Of something that happened to a webhook at a time.
    pub(crate) fn new(instance: &'a str, webhook_id: i64, at: i64, what: Counted) -> Self {
        Self { instance, webhook_id, hour: hour_of(at), what: what.code() }
    }
}

/// What a batch adds to the counts and takes from them.
#[derive(Debug, Default)]
pub(crate) struct Tally<'a>(BTreeMap<CountKey<'a>, i64>);

impl<'a> Tally<'a> {
    /// Adds one.
    pub(crate) fn add(&mut self, key: CountKey<'a>) {
        *self.0.entry(key).or_default() += 1;
    }

    /// Takes one back.
    pub(crate) fn take_back(&mut self, key: CountKey<'a>) {
        *self.0.entry(key).or_default() -= 1;
    }

    /// What changes, ascending by key.
    pub(crate) fn changes(self) -> Vec<(CountKey<'a>, i64)> {
        self.0.into_iter().filter(|(_, count)| *count != 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_begin_at_their_limits() {
        let found = [i64::MIN, 0, 999, 1_000, 1_777, 1_778, 9_999_999, 10_000_000, i64::MAX].map(Bucket::of);
        assert_eq!(found.map(Bucket::index), [0, 0, 0, 1, 1, 2, 16, 17, 17]);
        assert!(LIMITS.is_sorted());
        for pair in LIMITS.windows(2) {
            let factor = pair[1] as f64 / pair[0] as f64;
            assert!((1.77..1.79).contains(&factor), "{pair:?}");
        }
    }

    #[test]
    fn everything_is_known_again_by_its_code() {
        let buckets = || (0..BUCKETS).map(|index| Bucket(index.try_into().unwrap()));
        let all = buckets()
            .map(Counted::Delivered)
            .chain(buckets().map(Counted::Failed))
            .chain([Counted::NotAttempted])
            .chain(SkipReason::ALL.map(Counted::Skipped));
        for counted in all {
            assert_eq!(Counted::from_code(counted.code()), Some(counted));
        }
        for unknown in [i16::MIN, 0, 99, 118, 199, 218, 301, 399, 404, i16::MAX] {
            assert_eq!(Counted::from_code(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn what_is_added_and_taken_back_changes_nothing() {
        let key = |at| CountKey::new("default", 1, at, Counted::NotAttempted);
        let mut tally = Tally::default();
        tally.add(key(HOUR));
        tally.add(key(2 * HOUR));
        tally.take_back(key(HOUR + 5));
        tally.take_back(key(-1));
        assert_eq!(tally.changes(), [(key(-HOUR), -1), (key(2 * HOUR), 1)]);
    }
}
