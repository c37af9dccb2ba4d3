//! `/webhooks/{id}/stats`: what became of a webhook's events over time, for charts.

mod docs;

use axum::{Json, extract::State};
use proto::v1::{self, GetStatsRequest, StatsInterval};
use serde::Serialize;

use crate::{
    Services,
    caller::{Caller, answer},
    error::Failure,
    page::{Single, time},
    path::WebhookId,
    query::Query,
};

pub(crate) use docs::{routes, schemas};

/// How long an interval can be, with its name.
pub(crate) const INTERVALS: [(StatsInterval, &str); 2] = [(StatsInterval::Hour, "hour"), (StatsInterval::Day, "day")];

/// The interval of this name.
pub(crate) fn interval_from(name: &str) -> Option<StatsInterval> {
    INTERVALS.into_iter().find(|row| row.1 == name).map(|row| row.0)
}

/// A service that is newer than this one may know more.
fn interval_name(interval: i32) -> &'static str {
    INTERVALS.into_iter().find(|row| i32::from(row.0) == interval).map_or("unknown", |row| row.1)
}

#[derive(Serialize)]
struct StatsJson {
    interval: &'static str,
    intervals: Vec<IntervalJson>,
    totals: TotalsJson,
    /// Deliveries that wait now.
    pending: i64,
    oldest_pending_since: Option<String>,
}

#[derive(Serialize)]
struct IntervalJson {
    start: Option<String>,
    delivered: i64,
    failed: i64,
    skipped: SkippedJson,
}

#[derive(Serialize)]
struct TotalsJson {
    delivered: i64,
    failed: i64,
    /// Of the failed ones those of deliveries that ended without an attempt.
    not_attempted: i64,
    /// Null without entries.
    success_rate: Option<f64>,
    /// Null without attempts.
    latency_ms: Option<LatencyJson>,
    skipped: SkippedJson,
}

#[derive(Serialize)]
struct LatencyJson {
    p50: f64,
    p95: f64,
    p99: f64,
}

#[derive(Serialize)]
struct SkippedJson {
    inactive: i64,
    plan: i64,
    project_deleted: i64,
    failing: i64,
}

impl From<v1::SkippedEvents> for SkippedJson {
    fn from(skipped: v1::SkippedEvents) -> Self {
        let v1::SkippedEvents { inactive, plan, project_deleted, failing } = skipped;
        Self { inactive, plan, project_deleted, failing }
    }
}

impl From<v1::IntervalStats> for IntervalJson {
    fn from(stats: v1::IntervalStats) -> Self {
        Self {
            start: time(stats.start),
            delivered: stats.delivered,
            failed: stats.failed,
            skipped: stats.skipped.unwrap_or_default().into(),
        }
    }
}

impl From<v1::TotalStats> for TotalsJson {
    fn from(totals: v1::TotalStats) -> Self {
        let latency =
            |latency: v1::Latency| LatencyJson { p50: latency.p50_ms, p95: latency.p95_ms, p99: latency.p99_ms };
        Self {
            delivered: totals.delivered,
            failed: totals.failed,
            not_attempted: totals.not_attempted,
            success_rate: totals.success_rate,
            latency_ms: totals.latency.map(latency),
            skipped: totals.skipped.unwrap_or_default().into(),
        }
    }
}

/// `GET /webhooks/{id}/stats`
async fn read(
    State(services): State<Services>,
    caller: Caller,
    WebhookId(id): WebhookId,
    query: Query,
) -> Result<Json<Single<StatsJson>>, Failure> {
    let request: GetStatsRequest = query.stats(id)?;
    let stats = answer(services.history().get_stats(caller.request(request))).await?;
    Ok(Json(Single {
        result: StatsJson {
            interval: interval_name(stats.interval),
            intervals: stats.intervals.into_iter().map(IntervalJson::from).collect(),
            totals: stats.totals.ok_or_else(|| Failure::incomplete("totals"))?.into(),
            pending: stats.pending,
            oldest_pending_since: time(stats.oldest_pending_since),
        },
    }))
}
