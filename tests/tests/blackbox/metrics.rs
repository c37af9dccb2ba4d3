//! The metrics that `docs/metrics.md` names are there, under these names, where it says.

use std::time::Duration;

use blackbox::{
    events, in_both_modes,
    product::{Mode, Product, Service},
    receiver::Receiver,
    wait::eventually,
    webhooks,
};

in_both_modes!(every_metric_of_the_page_is_exported);

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
        let from = rest.split(" | ").next().expect("where it is from");
        let health = product.health(service(&product, from));
        let samples = eventually(SOON, format!("{name} is exported by {from}"), async || {
            let answer = health.get("/metrics").await;
            let text = String::from_utf8_lossy(&answer.bytes).into_owned();
            let samples: Vec<String> = text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect();
            (!samples.is_empty()).then_some(samples)
        })
        .await;
        for forbidden in ["instance=", "webhook=", "webhook_id=", "host=", "url="] {
            assert!(!samples.iter().any(|sample| sample.contains(forbidden)), "{name} has {forbidden}: {samples:?}");
        }
        // What has been delivered has been written, and counted.
        if name.ends_with("write_delay_seconds") {
            let count = format!("{name}_count");
            eventually(SOON, format!("{count} is 3"), async || {
                let text = String::from_utf8_lossy(&health.get("/metrics").await.bytes).into_owned();
                let line = text.lines().find(|line| line.starts_with(&count))?.to_owned();
                line.ends_with(" 3").then_some(())
            })
            .await;
        }
        checked += 1;
    }
    assert!(checked > 8, "{checked}");
}
