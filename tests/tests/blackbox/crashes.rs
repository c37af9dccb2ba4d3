//! Whatever dies in the middle of the work, and however hard: what was accepted is delivered.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use blackbox::{
    events, history,
    outage::{self, Form},
    product::{Mode, Product, Service},
    receiver::Receiver,
    rest::Rest,
    run_test, servers, signature,
    wait::eventually,
    webhooks::{self, Webhook},
};
use proto::v1::Event;

const PATHS: [&str; 3] = ["/a", "/b", "/c"];
const LONG: Duration = Duration::from_secs(240);

#[test]
fn dispatcher_is_killed() {
    run_test(service_is_killed(Service::Dispatcher));
}

#[test]
fn history_is_killed() {
    run_test(service_is_killed(Service::History));
}

#[test]
fn ingest_is_killed() {
    run_test(service_is_killed(Service::Ingest));
}

#[test]
fn subscription_is_killed() {
    run_test(service_is_killed(Service::Subscription));
}

#[test]
fn rabbitmq_is_killed() {
    run_test(async {
        let rabbit = servers::own_rabbit().await;
        let (host, mut rabbit) = servers::blocking(move || (rabbit.take_virtual_host(), rabbit)).await;
        let product = Product::prepare(Mode::Distributed).broker(host).start().await;
        let load = Load::prepare(&product, 5_000).await;
        let publishing = load.publish(&product);
        load.receiver.wait_for("/a", 1_000, LONG).await;
        let _running = servers::blocking(move || {
            rabbit.kill();
            rabbit.resume();
            rabbit
        })
        .await;
        publishing.await.expect("everything is accepted in the end");
        load.arrives(&product.admin()).await;
    });
}

#[test]
fn postgres_is_away_under_load() {
    run_test(async {
        let form = Form {
            outage: Duration::from_secs(12),
            rate: 100,
            before: Duration::from_secs(2),
            patience: Duration::from_secs(120),
        };
        let outcome = outage::measure(form).await;
        println!("{outcome}");
        assert_eq!((outcome.lost, outcome.unrecorded), (0, 0), "{outcome}");
        assert!(outcome.accepted_meanwhile > 0, "publishing does not need PostgreSQL: {outcome}");
    });
}

#[test]
fn standalone_is_killed() {
    run_test(async {
        let mut product = Product::start(Mode::Embedded).await;
        let load = Load::prepare(&product, 1_000).await;
        let publishing = load.publish(&product);
        load.receiver.wait_for("/a", 200, LONG).await;
        product.kill(Service::Standalone);
        product.resume(Service::Standalone).await;
        publishing.await.expect("everything is accepted in the end");
        load.arrives(&product.admin()).await;
    });
}

#[test]
fn everything_stops_in_order_while_working() {
    run_test(async {
        let mut product = Product::start(Mode::Embedded).await;
        let load = Load::prepare(&product, 1_000).await;
        let publishing = load.publish(&product);
        load.receiver.wait_for("/a", 200, LONG).await;
        product.stop(Service::Standalone).await;
        product.resume(Service::Standalone).await;
        publishing.await.expect("everything is accepted in the end");
        load.arrives(&product.admin()).await;
        // Nobody was killed: what was on the wire was waited for.
        for path in PATHS {
            assert_eq!(load.receiver.count(path), load.events.len(), "requests for {path}");
        }
    });
}

async fn service_is_killed(service: Service) {
    let mut product = Product::start(Mode::Distributed).await;
    let load = Load::prepare(&product, 5_000).await;
    let publishing = load.publish(&product);
    load.receiver.wait_for("/a", 1_000, LONG).await;
    product.kill(service);
    product.resume(service).await;
    publishing.await.expect("everything is accepted in the end");
    load.arrives(&product.admin()).await;
}

/// Events for three webhooks that all want them.
struct Load {
    receiver: Receiver,
    hooks: Vec<Webhook>,
    events: Vec<Event>,
}

impl Load {
    async fn prepare(product: &Product, count: usize) -> Self {
        let receiver = Receiver::start().await;
        let mut hooks = Vec::new();
        for path in PATHS {
            hooks.push(webhooks::create_generic(&product.admin(), &receiver.url(path)).await);
        }
        Self { receiver, hooks, events: events::many(count) }
    }

    /// Publishes in small batches beside what else the test does; ends when all are accepted.
    fn publish(&self, product: &Product) -> tokio::task::JoinHandle<()> {
        let (publisher, events) = (product.publisher(), self.events.clone());
        blackbox::spawn(async move { publisher.publish_all(&events, 50, LONG).await })
    }

    /// Waits for every event at every webhook and in history; what came more than once must be the same attempt of the
    /// same delivery.
    async fn arrives(&self, rest: &Rest) {
        let published: BTreeSet<_> = self.events.iter().map(|event| event.id.as_str()).collect();
        for (path, hook) in PATHS.iter().zip(&self.hooks) {
            self.wait_for_deliveries(path).await;
            history::wait_until_settled(rest, hook.id, LONG).await;
            let mut deliveries: BTreeMap<String, String> = BTreeMap::new();
            for request in self.receiver.requests(path) {
                signature::verify(&request, &hook.secret);
                let event = request.json()["id"].as_str().expect("an id in the body").to_owned();
                let delivery = request.expect_header("x-testmo-delivery").to_owned();
                let first = deliveries.entry(event.clone()).or_insert_with(|| delivery.clone());
                assert_eq!(*first, delivery, "event {event} has two deliveries for webhook {}", hook.id);
                assert_eq!(request.expect_header("x-testmo-attempt"), "1", "event {event} was answered 200");
            }
            let arrived: BTreeSet<_> = deliveries.keys().map(String::as_str).collect();
            let lost: Vec<_> = published.difference(&arrived).collect();
            assert!(
                lost.is_empty(),
                "{} of {} events never came to {path}: {:?}",
                lost.len(),
                published.len(),
                &lost[..lost.len().min(5)]
            );
            assert_eq!(arrived.len(), published.len(), "events at {path} that nobody has published");
            let repeats = self.receiver.count(path) - published.len();
            println!("{path}: {repeats} repeats");
            self.is_on_record(rest, hook).await;
        }
    }

    /// Waits until as many different deliveries as events have come; repeats do not count.
    async fn wait_for_deliveries(&self, path: &str) {
        let what = format!("{} different deliveries for {path}", self.events.len());
        eventually(LONG, what, async || {
            let requests = self.receiver.requests(path);
            let different: BTreeSet<_> =
                requests.iter().map(|request| request.expect_header("x-testmo-delivery")).collect();
            (different.len() >= self.events.len()).then_some(())
        })
        .await;
    }

    async fn is_on_record(&self, rest: &Rest, hook: &Webhook) {
        let by_event = history::by_event(history::all(rest, hook.id).await);
        assert_eq!(by_event.len(), self.events.len(), "events with an entry for webhook {}", hook.id);
        for (event, entries) in &by_event {
            let statuses: Vec<_> = entries.iter().map(|entry| (entry.status(), entry.attempt())).collect();
            assert_eq!(statuses, [("delivered", 1)], "entries of event {event}");
        }
    }
}
