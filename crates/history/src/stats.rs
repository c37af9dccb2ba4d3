//! Statistics as they are answered: which intervals were asked for, and what the counts of their hours come to.

use std::collections::{BTreeSet, HashMap};

use domain::{SkipReason, Timestamp};
use proto::{
    convert::{from_timestamp, timestamp},
    error::ApiError,
    v1::{BatchGetStatsRequest, GetStatsResponse, IntervalStats, Latency, SkippedEvents, StatsInterval, TotalStats},
};

use tonic::Status;

use crate::{
    api::{HistoryService, Reader},
    counts::{BUCKETS, Counted, HOUR, LIMITS},
    recording::store_status,
    store::{Count, Stats, StatsQuery},
};

/// Intervals in an answer at most: the hours of 31 days.
const MOST: i64 = 744;

/// Deliveries that wait are counted up to this many: counting millions would take long.
const PENDING_LIMIT: i64 = 100_000;

/// Webhooks in a request at most.
const MOST_WEBHOOKS: usize = 100;

impl HistoryService {
    /// The statistics of those of the webhooks that the reader may see.
    pub(crate) async fn stats(
        &self,
        reader: &Reader,
        request: &BatchGetStatsRequest,
    ) -> Result<HashMap<i64, GetStatsResponse>, Status> {
        let period = Period::read(request, self.clock.now())?;
        if request.webhook_ids.len() > MOST_WEBHOOKS {
            return Err(field("webhook_ids", &format!("may name {MOST_WEBHOOKS} webhooks at most")).into());
        }
        let mut webhook_ids = Vec::new();
        let refreshed = self.registry.refresh_for(&request.webhook_ids).await;
        for webhook_id in request.webhook_ids.iter().copied().collect::<BTreeSet<_>>() {
            if self.sees(reader, webhook_id, refreshed.clone())? {
                webhook_ids.push(webhook_id);
            }
        }
        let query = StatsQuery {
            instance: reader.instance.clone(),
            webhook_ids,
            hours: period.hours(),
            pending_limit: PENDING_LIMIT,
        };
        let stats = self.store.stats(&query).await.map_err(store_status)?;
        Ok(query.webhook_ids.into_iter().zip(stats.iter().map(|stats| period.answer(stats))).collect())
    }
}

/// The intervals that were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period {
    interval: StatsInterval,
    /// Hours of an interval.
    length: i64,
    /// The hour with which the first interval begins, counted from the Unix epoch.
    start: i64,
    /// How many intervals.
    count: i64,
}

impl Period {
    /// As a request has it.
    ///
    /// # Errors
    /// Those of the fields `from`, `to` and `interval`.
    pub(crate) fn read(request: &BatchGetStatsRequest, now: Timestamp) -> Result<Self, ApiError> {
        let (interval, length, usual) = match StatsInterval::try_from(request.interval) {
            Ok(StatsInterval::Unspecified | StatsInterval::Hour) => (StatsInterval::Hour, 1, 24),
            Ok(StatsInterval::Day) => (StatsInterval::Day, 24, 30),
            Err(_) => return Err(field("interval", "must be hour or day")),
        };
        let span = length * HOUR;
        let to = request.to.as_ref().map_or(now, from_timestamp).as_micros();
        // In intervals since the Unix epoch; one that has begun counts.
        let end = to.saturating_sub(1).div_euclid(span) + 1;
        let start = match &request.from {
            Some(from) if from_timestamp(from).as_micros() >= to => {
                return Err(field("to", "must be later than from"));
            }
            Some(from) => from_timestamp(from).as_micros().div_euclid(span),
            None => end - usual,
        };
        if end - start > MOST {
            let message = format!("makes {} intervals with to and interval; there may be {MOST} at most", end - start);
            return Err(field("from", &message));
        }
        Ok(Self { interval, length, start: start * length, count: end - start })
    }

    /// Its hours, counted from the Unix epoch.
    pub(crate) const fn hours(&self) -> std::ops::Range<i64> {
        self.start..self.start + self.count * self.length
    }

    /// What is answered.
    pub(crate) fn answer(&self, stats: &Stats) -> GetStatsResponse {
        let mut intervals = vec![Sum::default(); usize::try_from(self.count).unwrap_or_default()];
        let mut total = Sum::default();
        for count in &stats.counts {
            let place = usize::try_from((count.hour - self.start).div_euclid(self.length)).ok();
            if let Some(interval) = place.and_then(|place| intervals.get_mut(place)) {
                interval.add(count);
                total.add(count);
            }
        }
        let starts = (self.start..).step_by(usize::try_from(self.length).unwrap_or(1));
        GetStatsResponse {
            intervals: starts.zip(intervals).map(|(hour, sum)| sum.of_interval(hour)).collect(),
            totals: Some(total.of_all()),
            pending: stats.pending,
            oldest_pending_since: stats.oldest_pending.map(|since| timestamp(Timestamp::from_micros(since))),
            interval: self.interval.into(),
        }
    }
}

/// Counts put together.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    delivered: i64,
    failed: i64,
    not_attempted: i64,
    /// Attempts by duration.
    attempts: [i64; BUCKETS],
    skipped: SkippedEvents,
}

impl Sum {
    /// What was counted by an account of an attempt that a better one has replaced after the count was forgotten would be
    /// negative.
    fn add(&mut self, count: &Count) {
        let number = count.count.max(0);
        match Counted::from_code(count.what) {
            Some(Counted::Delivered(bucket)) => {
                self.delivered += number;
                self.attempts[bucket.index()] += number;
            }
            Some(Counted::Failed(bucket)) => {
                self.failed += number;
                self.attempts[bucket.index()] += number;
            }
            Some(Counted::NotAttempted) => {
                self.failed += number;
                self.not_attempted += number;
            }
            Some(Counted::Skipped(SkipReason::Inactive)) => self.skipped.inactive += number,
            Some(Counted::Skipped(SkipReason::Plan)) => self.skipped.plan += number,
            Some(Counted::Skipped(SkipReason::ProjectDeleted)) => self.skipped.project_deleted += number,
            Some(Counted::Skipped(SkipReason::Failing)) => self.skipped.failing += number,
            None => {}
        }
    }

    fn of_interval(self, hour: i64) -> IntervalStats {
        IntervalStats {
            start: Some(timestamp(Timestamp::from_micros(hour.saturating_mul(HOUR)))),
            delivered: self.delivered,
            failed: self.failed,
            skipped: Some(self.skipped),
        }
    }

    fn of_all(self) -> TotalStats {
        let entries = self.delivered + self.failed;
        TotalStats {
            delivered: self.delivered,
            failed: self.failed,
            not_attempted: self.not_attempted,
            success_rate: (entries > 0).then(|| self.delivered as f64 / entries as f64),
            latency: latency(&self.attempts),
            skipped: Some(self.skipped),
        }
    }
}

fn latency(attempts: &[i64; BUCKETS]) -> Option<Latency> {
    let total: i64 = attempts.iter().sum();
    (total > 0).then(|| Latency {
        p50_ms: percentile(attempts, total, 50),
        p95_ms: percentile(attempts, total, 95),
        p99_ms: percentile(attempts, total, 99),
    })
}

/// How long, in milliseconds, `percent` of the attempts took at most. Within a bucket they are taken to be spread evenly
/// over the logarithm of their durations; in the last one, which has no end, they count as its beginning.
fn percentile(attempts: &[i64; BUCKETS], total: i64, percent: i64) -> f64 {
    // Which attempt it is, by duration, from 1.
    let rank = (total * percent + 99) / 100;
    let mut before = 0;
    for (index, count) in attempts.iter().enumerate() {
        if before + count >= rank {
            // The middle of its share, so that an attempt alone stands in the middle.
            let part = ((rank - before) as f64 - 0.5) / *count as f64;
            return within(index, part);
        }
        before += count;
    }
    within(BUCKETS - 1, 1.0)
}

/// The duration, in milliseconds, at this part (0 to 1) of a bucket.
fn within(index: usize, part: f64) -> f64 {
    let limit = |index: usize| LIMITS.get(index).map(|micros| *micros as f64 / 1_000.0);
    let millis = match (index.checked_sub(1).and_then(limit), limit(index)) {
        (Some(lower), Some(upper)) => lower * (upper / lower).powf(part),
        (None, Some(upper)) => upper * part,
        (Some(last), None) => last,
        (None, None) => 0.0,
    };
    (millis * 1_000.0).round() / 1_000.0
}

fn field(name: &str, message: &str) -> ApiError {
    ApiError::fields(vec![(name.to_owned(), message.to_owned())])
}

#[cfg(test)]
mod tests;
