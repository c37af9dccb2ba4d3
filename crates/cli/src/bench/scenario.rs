//! What is measured: which webhooks there are, and what is published.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::Method;
use serde_json::json;

use super::{
    deployment::Deployment,
    load::{Load, Publishers},
    receiver::Arrivals,
    report::{Latencies, Measured, Used},
};
use crate::rest::{Rest, expect};

/// How long what was acknowledged may take to arrive.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Requests of REST under way at once.
const REQUESTS: usize = 8;

/// A row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    /// Webhooks that get every event.
    pub(crate) fan_out: u64,
    /// Webhooks that get none, as they select another type.
    pub(crate) others: u64,
    pub(crate) load: Load,
    /// Of a hundred events, how many fail at their first attempt, and are attempted again at once.
    pub(crate) failing: u64,
}

impl Scenario {
    /// The rows that are measured if nobody says otherwise; `scale` of the usual number of events.
    pub(crate) fn table(scale: f64) -> Vec<Self> {
        let row = |name: &str, fan_out, others, events: u64, rate| {
            let events = ((events as f64 * scale) as u64).max(20);
            let load = Load { events, rate, body: 1_500 };
            Self { name: name.to_owned(), fan_out, others, load, failing: 0 }
        };
        vec![
            row("50 events a second", 1, 0, 1_000, Some(50)),
            row("2,000 events a second", 1, 0, 20_000, Some(2_000)),
            row("fan-out 1", 1, 0, 20_000, None),
            row("fan-out 10", 10, 0, 5_000, None),
            row("1,000 webhooks, 1 matches", 1, 999, 20_000, None),
            Self { failing: 10, ..row("fan-out 1, a tenth fails once", 1, 0, 20_000, None) },
            row("a long run, fan-out 10", 10, 0, 60_000, None),
        ]
    }
}

/// What scenarios are played with.
pub(crate) struct Stage {
    pub(crate) deployment: Deployment,
    pub(crate) rest: Rest,
    pub(crate) publishers: Publishers,
    pub(crate) arrivals: Arc<Arrivals>,
    /// Where the receiver is for the product.
    pub(crate) receiver: String,
}

impl Stage {
    /// Plays a scenario so often, over the same webhooks.
    pub(crate) async fn play(&self, scenario: &Scenario, repeats: usize) -> anyhow::Result<Vec<Measured>> {
        let webhooks = self.make_webhooks(scenario).await?;
        self.arrivals.fail(scenario.failing);
        let mut measured = Vec::new();
        for _ in 0..repeats {
            measured.push(self.measure(scenario).await?);
        }
        self.arrivals.fail(0);
        let deleted = webhooks.into_iter().map(|id| async move {
            let path = format!("/api/v1/webhooks/{id}");
            self.rest.send(Method::DELETE, &path, None).await.map(drop)
        });
        stream::iter(deleted).buffer_unordered(REQUESTS).try_collect::<()>().await?;
        Ok(measured)
    }

    async fn make_webhooks(&self, scenario: &Scenario) -> anyhow::Result<Vec<i64>> {
        let matching = (0..scenario.fan_out).map(|number| (number, "run.completed"));
        let others = (0..scenario.others).map(|number| (scenario.fan_out + number, "case.created"));
        let made = matching.chain(others).map(|(number, event)| async move {
            let url = format!("{}/{number}", self.receiver);
            let body = json!({
                "name": format!("bench {number}"), "url": url, "type": "generic", "events": [event], "projects": null,
                "allow_insecure": true,
            });
            let made = expect(self.rest.send(Method::POST, "/api/v1/webhooks", Some(&body)).await?);
            let made = made.context("a webhook was not made")?;
            made["result"]["id"].as_i64().context("the answer holds no id")
        });
        stream::iter(made).buffer_unordered(REQUESTS).try_collect().await
    }

    async fn measure(&self, scenario: &Scenario) -> anyhow::Result<Measured> {
        self.arrivals.take();
        let before = self.deployment.usage();
        let begun = Instant::now();
        let published = self.publishers.publish(scenario.load).await?;
        let wanted = scenario.load.events * scenario.fan_out;
        let deadline = Instant::now() + PATIENCE;
        while self.arrivals.delivered() < wanted {
            if Instant::now() > deadline {
                bail!("{}: {} of {wanted} deliveries arrived", scenario.name, self.arrivals.delivered());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        // What follows a delivery belongs to it: it is to be written, and its message acknowledged.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let used = Used::between(&before, &self.deployment.usage());
        let arrivals = self.arrivals.take();
        let last = arrivals.iter().map(|arrival| arrival.at).max().unwrap_or(begun);
        let since =
            |event: &[u8; 36], at: Instant| published.get(event).map(|event| at.saturating_duration_since(event.from));
        Ok(Measured {
            deliveries: wanted,
            events: scenario.load.events,
            took: last.saturating_duration_since(begun),
            received: Latencies::of(arrivals.iter().filter_map(|arrival| since(&arrival.event, arrival.at))),
            acknowledged: Latencies::of(
                published.values().map(|event| event.acknowledged.saturating_duration_since(event.from)),
            ),
            put_off: published.values().map(|event| u64::from(event.put_off)).sum(),
            repeated: (arrivals.len() as u64).saturating_sub(wanted),
            used,
        })
    }
}
