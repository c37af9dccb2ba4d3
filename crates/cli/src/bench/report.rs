//! What was measured, as a table or as JSON.

use std::{fmt, time::Duration};

use serde_json::{Value, json};

use super::usage::Usage;

/// Of many durations, those that half and 99 of a hundred do not exceed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Latencies {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Latencies {
    pub(crate) fn of(durations: impl Iterator<Item = Duration>) -> Self {
        let mut durations: Vec<Duration> = durations.collect();
        durations.sort_unstable();
        // The smallest that so many of a hundred do not exceed.
        let at = |share: usize| {
            let place = (durations.len() * share).div_ceil(100).saturating_sub(1);
            durations.get(place).copied().unwrap_or_default()
        };
        Self { p50: at(50), p99: at(99) }
    }
}

/// What a program has used for a measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    name: &'static str,
    cpu: Duration,
    peak: u64,
}

impl Used {
    /// Neither PostgreSQL nor RabbitMQ, whose memory follows their configuration.
    fn is_ours(&self) -> bool {
        !["postgres", "rabbitmq"].contains(&self.name)
    }

    pub(crate) fn between(before: &[(&'static str, Usage)], after: &[(&'static str, Usage)]) -> Vec<Self> {
        let pairs = before.iter().zip(after);
        pairs
            .map(|((_, before), (name, after))| Self {
                name,
                cpu: after.cpu.saturating_sub(before.cpu),
                peak: after.peak,
            })
            .collect()
    }
}

/// What came of a scenario once.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) deliveries: u64,
    pub(crate) events: u64,
    /// From the first event to the last delivery.
    pub(crate) took: Duration,
    /// From publishing (in the open loop: from when that was due) to receiving.
    pub(crate) received: Latencies,
    /// From the same moment to the acknowledgement.
    pub(crate) acknowledged: Latencies,
    /// How often the server told a publisher to come again.
    pub(crate) put_off: u64,
    /// Deliveries that came again.
    pub(crate) repeated: u64,
    pub(crate) used: Vec<Used>,
}

impl Measured {
    fn rate(&self) -> f64 {
        self.deliveries as f64 / self.took.as_secs_f64().max(f64::EPSILON)
    }

    /// Microseconds of processor time for each delivery, over all programs.
    fn cpu(&self) -> f64 {
        let all: Duration = self.used.iter().map(|used| used.cpu).sum();
        all.as_secs_f64() * 1e6 / self.deliveries.max(1) as f64
    }
}

/// The rows: each scenario with the medians of its measurements.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<(String, Vec<Measured>)>,
    /// Resident memory of each program when nothing had happened yet.
    idle: Vec<(&'static str, u64)>,
    started_in: Option<Duration>,
}

impl Report {
    /// One without rows, of programs that were just started.
    pub(crate) fn of(started_in: Option<Duration>, usage: Vec<(&'static str, Usage)>) -> Self {
        let idle = usage.into_iter().map(|(name, usage)| (name, usage.resident)).collect();
        Self { rows: Vec::new(), idle, started_in }
    }

    pub(crate) fn add(&mut self, name: &str, measured: Vec<Measured>) {
        self.rows.push((name.to_owned(), measured));
    }

    /// All of it, each measurement by itself.
    pub(crate) fn json(&self) -> Value {
        let latencies =
            |latencies: &Latencies| json!({"p50_ms": millis(latencies.p50), "p99_ms": millis(latencies.p99)});
        let used = |used: &Used| json!({"program": used.name, "cpu_ms": millis(used.cpu), "peak_bytes": used.peak});
        let measured = |one: &Measured| {
            json!({
                "events": one.events, "deliveries": one.deliveries, "seconds": one.took.as_secs_f64(),
                "deliveries_per_second": one.rate(), "cpu_us_per_delivery": one.cpu(),
                "received": latencies(&one.received), "acknowledged": latencies(&one.acknowledged),
                "put_off": one.put_off, "repeated": one.repeated,
                "programs": one.used.iter().map(used).collect::<Vec<_>>(),
            })
        };
        json!({
            "started_in_ms": self.started_in.map(millis),
            "idle_bytes": self.idle.iter().map(|(name, bytes)| (*name, *bytes)).collect::<std::collections::BTreeMap<_, _>>(),
            "scenarios": self.rows.iter().map(|(name, all)| {
                json!({"name": name, "repeats": all.iter().map(measured).collect::<Vec<_>>()})
            }).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(started_in) = self.started_in {
            write!(formatter, "ready {:.0} ms after the start; idle, MiB:", millis(started_in))?;
            self.idle.iter().try_for_each(|(name, bytes)| write!(formatter, " {name} {}", bytes >> 20))?;
            writeln!(formatter, "\n")?;
        }
        writeln!(
            formatter,
            "| scenario | deliveries/s | CPU µs a delivery | received p50 / p99 ms | acknowledged p50 / p99 ms | put off | \
             came again | peak MiB of a program of ours |\n|---|---|---|---|---|---|---|---|"
        )?;
        for (name, all) in &self.rows {
            let rate = median(all, Measured::rate);
            let pair = |of: fn(&Measured) -> Latencies| {
                let (p50, p99) = (median(all, |one| millis(of(one).p50)), median(all, |one| millis(of(one).p99)));
                format!("{p50:.1} / {p99:.1}")
            };
            let cpu = if all.iter().all(|one| one.used.is_empty()) {
                "–".to_owned()
            } else {
                format!("{:.0} ({})", median(all, Measured::cpu), by_program(all))
            };
            let ours = all.iter().flat_map(|one| &one.used).filter(|used| used.is_ours());
            let peak = ours.map(|used| used.peak >> 20).max().unwrap_or_default();
            let put_off: u64 = all.iter().map(|one| one.put_off).sum();
            let repeated: u64 = all.iter().map(|one| one.repeated).sum();
            writeln!(
                formatter,
                "| {name} | {rate:.0} | {cpu} | {} | {} | {put_off} | {repeated} | {peak} |",
                pair(|one| one.received),
                pair(|one| one.acknowledged)
            )?;
        }
        Ok(())
    }
}

/// The medians of each program, such as `ingest 20, history 40`.
fn by_program(all: &[Measured]) -> String {
    let Some(first) = all.first().filter(|first| first.used.len() > 1) else { return "one process".to_owned() };
    let of = |place: usize| {
        median(all, |one| {
            let cpu = one.used.get(place).map_or(Duration::ZERO, |used| used.cpu);
            cpu.as_secs_f64() * 1e6 / one.deliveries.max(1) as f64
        })
    };
    let each = first.used.iter().enumerate();
    let each = each.map(|(place, used)| format!("{} {:.0}", used.name.trim_start_matches("testmo-"), of(place)));
    each.collect::<Vec<_>>().join(", ")
}

fn median(all: &[Measured], of: impl Fn(&Measured) -> f64) -> f64 {
    let mut values: Vec<f64> = all.iter().map(of).collect();
    values.sort_unstable_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(millis: u64) -> Measured {
        let used = |name, cpu| Used { name, cpu: Duration::from_millis(cpu), peak: 5 << 20 };
        Measured {
            deliveries: 1_000,
            events: 1_000,
            took: Duration::from_millis(millis),
            received: Latencies { p50: Duration::from_millis(millis), p99: Duration::from_millis(2 * millis) },
            acknowledged: Latencies::default(),
            put_off: 0,
            repeated: 1,
            used: vec![used("testmo-ingest", millis), used("postgres", 100)],
        }
    }

    #[test]
    fn percentiles_are_the_smallest_that_so_many_do_not_exceed() {
        let latencies = Latencies::of((1..=200).rev().map(Duration::from_millis));
        assert_eq!((latencies.p50.as_millis(), latencies.p99.as_millis()), (100, 198));
        assert_eq!(Latencies::of([Duration::from_secs(1)].into_iter()).p99.as_secs(), 1);
        assert_eq!(Latencies::of(std::iter::empty()).p50, Duration::ZERO);
    }

    #[test]
    fn a_row_has_the_medians_of_its_repeats() {
        let mut report = Report::default();
        report.add("one", [100, 400, 200].map(measured).to_vec());
        let text = report.to_string();
        let row = "| one | 5000 | 300 (ingest 200, postgres 100) | 200.0 / 400.0 | 0.0 / 0.0 | 0 | 3 | 5 |";
        assert!(text.contains(row), "{text}");
        let json = report.json();
        assert_eq!(json["scenarios"][0]["repeats"][1]["cpu_us_per_delivery"], 500.0);
    }
}
