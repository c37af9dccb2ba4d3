//! The metrics that `docs/metrics.md` names are there, under these names, where it says.

use std::time::Duration;

use blackbox::{
    events, in_both_modes,
    product::{Mode, Product, Service},
    receiver::{Answer, Receiver},
    wait::eventually,
    webhooks,
};

in_both_modes!(every_metric_of_the_page_is_exported, how_far_behind_is_shows_while_it_is_so);

const SOON: Duration = Duration::from_secs(30);
/// They begin with what they count.
const NOT_IN_NORMAL_RUNNING: [&str; 2] = ["webhooks_attempts_put_off_total", "webhooks_events_refused_total"];

fn service(product: &Product, name: &str) -> Service {
    match (product.mode(), name) {
        (Mode::Embedded, _) => Service::Standalone,
        (Mode::Distributed, "subscription") => Service::Subscription,
        (Mode::Distributed, "ingest") => Service::Ingest,
        (Mode::Distributed, "dispatcher") => Service::Dispatcher,
        (Mode::Distributed, "history") => Service::History,
        (Mode::Distributed, other) => panic!("docs/metrics.md names the service {other}"),
    }
}

async fn every_metric_of_the_page_is_exported(mode: Mode) {
    let product = Product::start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    webhooks::create_generic(&rest, &receiver.url("/hook")).await;
    product.publisher().publish_all(&events::many(3), 3, SOON).await;
    receiver.wait_for("/hook", 3, SOON).await;
    let page = include_str!("../../../docs/metrics.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let mut checked = 0;
    for (name, rest) in rows.filter(|(name, _)| !NOT_IN_NORMAL_RUNNING.contains(name)) {
        for from in rest.split(" | ").next().expect("where it is from").split(", ") {
            is_exported(&product, name, from).await;
            checked += 1;
        }
    }
    assert!(checked > 8, "{checked}");
}

async fn is_exported(product: &Product, name: &str, from: &str) {
    let health = product.health(service(product, from));
    let lines = async |beginning: &str| {
        let text = String::from_utf8_lossy(&health.get("/metrics").await.bytes).into_owned();
        text.lines().filter(|line| line.starts_with(beginning)).map(str::to_owned).collect::<Vec<_>>()
    };
    let samples = eventually(SOON, format!("{name} is exported by {from}"), async || {
        let samples = lines(name).await;
        (!samples.is_empty()).then_some(samples)
    })
    .await;
    for forbidden in ["instance=", "webhook=", "webhook_id=", "host=", "url="] {
        assert!(!samples.iter().any(|sample| sample.contains(forbidden)), "{name} has {forbidden}: {samples:?}");
    }
    // Three events, one webhook.
    let value = match name {
        "webhooks_matched_total" => "webhooks_matched_total",
        "webhooks_history_write_delay_seconds" => "webhooks_history_write_delay_seconds_count",
        _ => return,
    };
    eventually(SOON, format!("{value} is 3"), async || {
        lines(value).await.first().is_some_and(|line| line.ends_with(" 3")).then_some(())
    })
    .await;
}

/// Who takes the last place makes all others wait, until he counts as slow after a second: for that long the lag says so.
async fn how_far_behind_is_shows_while_it_is_so(mode: Mode) {
    let product = Product::prepare(mode).set("delivery.max_in_flight", "2").start().await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    receiver.script("/hook", Answer::hang());
    webhooks::create_generic(&rest, &receiver.url("/hook")).await;
    let health = product.health(product.sender());
    let lag = async |lane: &str| {
        let text = String::from_utf8_lossy(&health.get("/metrics").await.bytes).into_owned();
        let line = text
            .lines()
            .find(|line| line.starts_with("webhooks_lag_seconds{") && line.contains(&format!("lane=\"{lane}\"")))?;
        line.rsplit_once(' ')?.1.parse::<f64>().ok()
    };
    assert_eq!((lag("events").await, lag("deliver.slow").await), (Some(0.0), Some(0.0)));
    product.publisher().publish_all(&events::many(6), 6, SOON).await;
    let behind = async || lag("events").await.filter(|lag| *lag > 0.4);
    eventually(SOON, "events that wait for a place get old", behind).await;
}
