//! Which intervals there are, and how good the estimates are.

use proptest::prelude::*;

use super::*;
use crate::counts::{Bucket, hour_of};

/// 2023-11-14T22:13:20Z.
const NOW: i64 = 1_700_000_000_000_000;

fn at(micros: i64) -> Option<prost_types::Timestamp> {
    Some(timestamp(Timestamp::from_micros(micros)))
}

fn request(from: Option<i64>, to: Option<i64>, interval: StatsInterval) -> BatchGetStatsRequest {
    BatchGetStatsRequest {
        webhook_ids: vec![1],
        from: from.and_then(at),
        to: to.and_then(at),
        interval: interval.into(),
    }
}

fn read(from: Option<i64>, to: Option<i64>, interval: StatsInterval) -> Result<Period, ApiError> {
    Period::read(&request(from, to, interval), Timestamp::from_micros(NOW))
}

#[test]
fn by_default_the_last_day_by_hours_or_month_by_days_with_the_current_one() {
    let hours = read(None, None, StatsInterval::Unspecified).unwrap();
    assert_eq!((hours.interval, hours.count), (StatsInterval::Hour, 24));
    assert_eq!(hours.hours().end, hour_of(NOW) + 1);
    let days = read(None, None, StatsInterval::Day).unwrap();
    assert_eq!((days.hours().end - days.hours().start, days.hours().start % 24), (30 * 24, 0));
    assert!(days.hours().contains(&hour_of(NOW)) && days.hours().end - hour_of(NOW) <= 24);
}

#[test]
fn intervals_lie_in_the_time_if_only_in_part() {
    let hour = StatsInterval::Hour;
    let hours = |from, to| read(Some(from), Some(to), hour).unwrap().hours();
    assert_eq!(hours(5 * HOUR, 7 * HOUR), 5..7, "the end is not in it");
    assert_eq!(hours(5 * HOUR + 1, 7 * HOUR + 1), 5..8);
    assert_eq!(hours(5 * HOUR, 5 * HOUR + 1), 5..6);
    assert_eq!(hours(-HOUR, 1), -1..1);
    let days = read(Some(23 * HOUR), Some(25 * HOUR), StatsInterval::Day).unwrap();
    assert_eq!((days.hours(), days.count), (0..48, 2));
}

#[test]
fn what_is_too_much_or_empty_is_refused_by_its_field() {
    let fields = |from, to, interval| read(from, to, interval).map_err(|error| error.fields[0].0.clone());
    let (hour, day) = (StatsInterval::Hour, StatsInterval::Day);
    assert!(fields(Some(0), Some(744 * HOUR), hour).is_ok());
    assert_eq!(fields(Some(0), Some(744 * HOUR + 1), hour), Err("from".into()));
    assert!(fields(Some(0), Some(744 * HOUR + 1), day).is_ok());
    assert_eq!(fields(Some(0), None, day), Err("from".into()));
    assert_eq!(fields(Some(NOW), None, hour), Err("to".into()));
    assert_eq!(fields(Some(NOW + 1), Some(NOW), day), Err("to".into()));
    assert_eq!(fields(Some(i64::MIN), Some(i64::MAX), hour), Err("from".into()));
    assert_eq!(fields(None, Some(i64::MIN), hour).err(), None);
    let unknown = BatchGetStatsRequest { interval: 9, ..Default::default() };
    assert_eq!(Period::read(&unknown, Timestamp::from_micros(NOW)).unwrap_err().fields[0].0, "interval");
}

fn counted(hour: i64, what: Counted, count: i64) -> Count {
    Count { hour, what: what.code(), count }
}

#[test]
fn counts_stand_in_their_interval_and_in_the_total() {
    let bucket = Bucket::of(2_000);
    let counts = vec![
        counted(23, Counted::Delivered(bucket), 3),
        counted(24, Counted::Failed(bucket), 2),
        counted(47, Counted::NotAttempted, 1),
        counted(30, Counted::Skipped(SkipReason::Plan), 5),
        counted(30, Counted::Skipped(SkipReason::Failing), 7),
        counted(31, Counted::NotAttempted, -1),
        counted(48, Counted::NotAttempted, 9),
        Count { hour: 24, what: 999, count: 4 },
    ];
    let stats = Stats { counts, pending: 6, oldest_pending: Some(NOW) };
    let period = read(Some(0), Some(48 * HOUR), StatsInterval::Day).unwrap();
    let answer = period.answer(&stats);
    let seen: Vec<_> = answer.intervals.iter().map(|day| (day.start, day.delivered, day.failed)).collect();
    assert_eq!(seen, [(at(0), 3, 0), (at(24 * HOUR), 0, 3)]);
    let skipped = SkippedEvents { plan: 5, failing: 7, ..SkippedEvents::default() };
    assert_eq!(
        answer.intervals.iter().map(|day| day.skipped.unwrap()).collect::<Vec<_>>(),
        [SkippedEvents::default(), skipped]
    );
    let totals = answer.totals.unwrap();
    assert_eq!((totals.delivered, totals.failed, totals.not_attempted), (3, 3, 1));
    assert_eq!((totals.success_rate, totals.skipped), (Some(0.5), Some(skipped)));
    // Geometric middle of 1.778 and 3.162, as there are five: the third.
    assert_eq!(totals.latency.unwrap().p50_ms, 2.371);
    assert_eq!((answer.pending, answer.oldest_pending_since), (6, at(NOW)));
    assert_eq!(answer.interval(), StatsInterval::Day);
}

#[test]
fn without_entries_there_is_no_rate_and_no_latency() {
    let period = read(None, None, StatsInterval::Hour).unwrap();
    let stats = Stats { counts: Vec::new(), pending: 0, oldest_pending: None };
    let totals = period.answer(&stats).totals.unwrap();
    assert_eq!((totals.success_rate, totals.latency), (None, None));
    let only_cancelled = [counted(period.hours().start, Counted::NotAttempted, 2)];
    let totals = period.answer(&Stats { counts: only_cancelled.to_vec(), ..stats }).totals.unwrap();
    assert_eq!((totals.success_rate, totals.latency), (Some(0.0), None));
}

proptest! {
    /// Estimates are within a bucket of the truth, and in order.
    #[test]
    fn percentiles_are_close(durations in prop::collection::vec(0..20_000_000i64, 1..300)) {
        let mut attempts = [0; BUCKETS];
        durations.iter().for_each(|duration| attempts[Bucket::of(*duration).index()] += 1);
        let mut sorted = durations.clone();
        sorted.sort_unstable();
        let found = latency(&attempts).unwrap();
        for (percent, estimate) in [(50, found.p50_ms), (95, found.p95_ms), (99, found.p99_ms)] {
            let truth = sorted[(sorted.len() * percent).div_ceil(100) - 1];
            prop_assert_eq!(Bucket::of(truth), Bucket::of((estimate * 1_000.0).round() as i64));
        }
        prop_assert!(found.p50_ms <= found.p95_ms && found.p95_ms <= found.p99_ms && found.p99_ms <= 10_000.0);
    }
}
