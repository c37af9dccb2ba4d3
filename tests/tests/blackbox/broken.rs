//! Connections to RabbitMQ and PostgreSQL that are cut, reset, stalled, deaf or slow under load: nothing is lost, and it
//! goes on as soon as they are well again.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use blackbox::{
    product::{Mode, Product},
    proxy::{Fault, Proxy},
    run_test,
    running::{FAILS, Running, WELL},
    servers,
};
use url::Url;

/// How long each fault lasts.
const FAULTY: Duration = Duration::from_secs(3);
const FAULTS: [Fault; 5] =
    [Fault::Refused, Fault::ResetAfter(20_000), Fault::Stalled, Fault::OneWay, Fault::Late(Duration::from_millis(200))];

/// A server behind a proxy, and how long it may take until deliveries go on.
struct Behind {
    name: &'static str,
    proxy: Proxy,
    url: String,
    patience: Duration,
}

impl Behind {
    async fn new(name: &'static str, url: &str, patience: Duration) -> Self {
        let mut url = Url::parse(url).expect("an address");
        let target = SocketAddr::from(([127, 0, 0, 1], url.port().expect("a port")));
        let proxy = Proxy::before(target).await;
        url.set_port(Some(proxy.address().port())).expect("an address with a host");
        Self { name, proxy, url: url.into(), patience }
    }
}

#[test]
fn connections_that_break_lose_nothing() {
    run_test(async {
        let (broker, database) = (servers::virtual_host().await, servers::database().await);
        let broker = Behind::new("RabbitMQ", &broker.url, Duration::from_secs(10)).await;
        let database = Behind::new("PostgreSQL", &database.url, Duration::from_secs(5)).await;
        let product = Product::prepare(Mode::Distributed)
            .set("broker.url", &broker.url)
            .set("database.url", &database.url)
            .set("delivery.retry_schedule", r#"["0s", "300ms"]"#)
            .start()
            .await;
        let running = Running::start(&product, &[WELL, FAILS]).await;
        let mut disturbed = Vec::new();
        for server in [&broker, &database] {
            for fault in FAULTS {
                disturbed.extend(break_it(server, fault, &running).await);
            }
        }
        let verdict = running.judge(&disturbed).await;
        assert!(verdict.is_sound(), "{verdict}");
    });
}

/// Breaks its connections for a while and waits until deliveries go on; when that began, and many times in between.
async fn break_it(server: &Behind, fault: Fault, running: &Running) -> Vec<Instant> {
    let begun = Instant::now();
    server.proxy.break_for(FAULTY, fault).await;
    let well = Instant::now();
    running.goes_on(&format!("{} {fault:?}, well again", server.name), server.patience).await;
    let step = Duration::from_millis(50);
    std::iter::successors(Some(begun), |at| Some(*at + step)).take_while(|at| *at < well).collect()
}
