//! Small charts of what became of a webhook's events: bars of SVG, with the numbers in words beside them.

use proto::v1::{GetStatsResponse, SkippedEvents};

const HEIGHT: f64 = 24.0;
const STEP: usize = 4;

/// The outcomes of a time, as a chart.
pub(super) struct Chart {
    /// Of the whole picture.
    pub(super) width: usize,
    pub(super) bars: Vec<Bar>,
    pub(super) delivered: i64,
    pub(super) failed: i64,
    /// The part that was delivered; `None`: there was nothing.
    pub(super) rate: Option<String>,
    pub(super) skipped: i64,
    pub(super) pending: i64,
    /// Half of the attempts took at most this long, and 95 of 100.
    pub(super) latency: Option<(String, String)>,
}

/// What became of the events of an interval.
pub(super) struct Bar {
    pub(super) class: &'static str,
    pub(super) x: usize,
    pub(super) y: String,
    pub(super) height: String,
}

impl Chart {
    pub(super) fn of(stats: GetStatsResponse) -> Self {
        let totals = stats.totals.unwrap_or_default();
        let most =
            stats.intervals.iter().map(|interval| interval.delivered + interval.failed).max().unwrap_or_default();
        let mut bars = Vec::new();
        for (index, interval) in stats.intervals.iter().enumerate() {
            let x = index * STEP;
            let failed = height(interval.failed, most);
            let delivered = height(interval.delivered, most).min(HEIGHT - failed);
            // Failures stand at the bottom, where their heights can be compared.
            bars.extend(bar("bad", x, HEIGHT - failed, failed));
            bars.extend(bar("good", x, HEIGHT - failed - delivered, delivered));
        }
        let milliseconds = |value: f64| super::when::duration((value * 1_000.0) as i64);
        Self {
            width: stats.intervals.len().max(1) * STEP,
            bars,
            delivered: totals.delivered,
            failed: totals.failed,
            rate: totals.success_rate.map(percent),
            skipped: totals.skipped.map(sum).unwrap_or_default(),
            pending: stats.pending,
            latency: totals.latency.map(|latency| (milliseconds(latency.p50_ms), milliseconds(latency.p95_ms))),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.delivered + self.failed == 0
    }
}

fn sum(skipped: SkippedEvents) -> i64 {
    skipped.inactive + skipped.plan + skipped.project_deleted + skipped.failing
}

/// Never 100 % where something has failed.
fn percent(rate: f64) -> String {
    let percent = rate * 100.0;
    if percent > 99.9 && percent < 100.0 { "99.9%".to_owned() } else { format!("{percent:.1}%").replace(".0%", "%") }
}

/// What is there can be seen, however little it is.
fn height(count: i64, most: i64) -> f64 {
    if count == 0 || most == 0 { 0.0 } else { (count as f64 / most as f64 * HEIGHT).max(1.5) }
}

fn bar(class: &'static str, x: usize, y: f64, height: f64) -> Option<Bar> {
    (height > 0.0).then(|| Bar { class, x, y: format!("{y:.1}"), height: format!("{height:.1}") })
}

#[cfg(test)]
mod tests {
    use proto::v1::{IntervalStats, TotalStats};

    use super::*;

    #[test]
    fn bars_stay_inside_and_small_counts_are_seen() {
        let interval = |delivered, failed| IntervalStats { delivered, failed, ..Default::default() };
        let totals = TotalStats { delivered: 10_000, failed: 1, success_rate: Some(0.9999), ..Default::default() };
        let chart = Chart::of(GetStatsResponse {
            intervals: vec![interval(0, 0), interval(9_000, 0), interval(9_999, 1), interval(0, 0)],
            totals: Some(totals),
            ..Default::default()
        });
        assert_eq!((chart.width, chart.bars.len(), chart.rate.as_deref()), (16, 3, Some("99.9%")));
        for bar in &chart.bars {
            let (y, height): (f64, f64) = (bar.y.parse().unwrap(), bar.height.parse().unwrap());
            assert!(y >= 0.0 && height >= 1.5 && y + height <= HEIGHT + 0.11, "{y} {height}");
        }
        assert_eq!([0.5, 1.0, 0.12345].map(percent), ["50%", "100%", "12.3%"]);
    }
}
