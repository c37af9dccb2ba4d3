//! Connections to RabbitMQ and PostgreSQL that are cut, reset, stalled, deaf or slow under load: nothing is lost, and it
//! goes on as soon as they are well again.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use blackbox::{
    load,
    oracle::{self, Endpoint, Story},
    product::{Mode, Product},
    proxy::{Fault, Proxy},
    receiver::{Answer, Receiver, Script},
    run_test, servers, webhooks,
};
use url::Url;

const LONG: Duration = Duration::from_secs(120);
/// How long each fault lasts.
const FAULTY: Duration = Duration::from_secs(3);
const FAULTS: [Fault; 5] =
    [Fault::Refused, Fault::ResetAfter(20_000), Fault::Stalled, Fault::OneWay, Fault::Late(Duration::from_millis(200))];
const WELL: &str = "/well";

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
        let (rest, receiver) = (product.admin(), Receiver::start().await);
        receiver.script("/fails", Script::by_attempt(vec![Answer::status(500), Answer::status(200)]));
        let mut endpoints = Vec::new();
        for (path, answers) in [(WELL, vec![200]), ("/fails", vec![500, 200])] {
            let webhook = webhooks::create_generic(&rest, &receiver.url(path)).await.id;
            endpoints.push(Endpoint { path, webhook, answers });
        }
        let stopped = Arc::new(AtomicBool::new(false));
        let load = blackbox::spawn(load::publish_until(product.publisher(), Arc::clone(&stopped), LONG));
        let mut disturbed = Vec::new();
        for server in [&broker, &database] {
            for fault in FAULTS {
                disturbed.extend(break_it(server, fault, &receiver).await);
            }
        }
        stopped.store(true, Ordering::Relaxed);
        let published = load.await.expect("every event is accepted in the end");
        let story = Story { endpoints: &endpoints, published: &published, deaths: &disturbed };
        let verdict = oracle::judge(&rest, &receiver, story, LONG).await;
        println!("{} events; {verdict}", published.len());
        assert!(verdict.is_sound(), "{verdict}");
    });
}

/// Breaks its connections for a while and waits until deliveries go on; when that began, and many times in between.
async fn break_it(server: &Behind, fault: Fault, receiver: &Receiver) -> Vec<Instant> {
    receiver.wait_for(WELL, receiver.count(WELL) + 10, LONG).await;
    let begun = Instant::now();
    server.proxy.break_for(FAULTY, fault).await;
    let (well, before) = (Instant::now(), receiver.count(WELL));
    receiver.wait_for(WELL, before + 10, server.patience).await;
    println!("{} {fault:?}: 10 deliveries {:?} after it was well again", server.name, well.elapsed());
    let step = Duration::from_millis(50);
    std::iter::successors(Some(begun), |at| Some(*at + step)).take_while(|at| *at < well).collect()
}
