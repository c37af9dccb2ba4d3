//! Every alert of `deploy/prometheus/alerts.yml` fires from the fault that it is for, and none in normal running: a real
//! Prometheus watches real programs, with every time of the rules 30 times shorter.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use blackbox::{
    events, load, ports,
    product::{Mode, Product, Program, Service},
    prometheus::Prometheus,
    publisher::Publisher,
    receiver::Receiver,
    rest::Rest,
    run_test_alone,
    servers::{self, Rabbit},
    wait::eventually,
    webhooks,
};

use crate::parked::queue::{self, Message};

/// Longer than any alert takes, and than a configuration is old before somebody is told.
const LONG: Duration = Duration::from_secs(120);
/// Twenty minutes for the alerts.
const NORMAL: Duration = Duration::from_secs(40);
/// As many as may wait in a lane, and some that are in somebody's hands.
const FLOOD: usize = 6_000;
const SECOND: Program = Program { service: Service::Dispatcher, number: 2 };

/// A product that is watched.
struct Scene {
    product: Product,
    prometheus: Prometheus,
    rest: Rest,
    publisher: Publisher,
    /// What has had its reason so far; some alerts stay for longer than it.
    expected: BTreeSet<&'static str>,
}

impl Scene {
    /// Waits for an alert while `work` goes on again and again, and sees that no other comes.
    async fn fires(&mut self, alert: &'static str, work: impl AsyncFn()) {
        self.expected.insert(alert);
        let begun = Instant::now();
        eventually(LONG, format!("{alert} fires"), async || {
            work().await;
            self.prometheus.firing().await.contains(alert).then_some(())
        })
        .await;
        println!("{alert} after {:.1} s", begun.elapsed().as_secs_f64());
        self.only_what_is_expected().await;
    }

    async fn only_what_is_expected(&self) {
        let firing = self.prometheus.firing().await;
        let others: Vec<_> = firing.iter().filter(|alert| !self.expected.contains(alert.as_str())).collect();
        assert!(others.is_empty(), "{others:?} without a reason");
    }

    /// Publishes an event, whatever comes of it.
    fn publish(&self) -> impl AsyncFn() + use<> {
        let publisher = self.publisher.clone();
        async move || drop(publisher.publish(events::run_completed(events::PROJECT, 1)).await)
    }

    async fn flood(&self) {
        self.publisher.publish_all(&events::many(FLOOD), 500, LONG).await;
    }
}

#[test]
fn every_alert_fires_from_its_fault_and_none_in_normal_running() {
    // Beside others it would be in doubt whether it is the fault or the two cores that somebody is told of.
    run_test_alone(async {
        let (rabbit, receiver) = (servers::blocking(Rabbit::start_with_metrics).await, Receiver::start().await);
        let metrics = rabbit.metrics_port();
        let (host, rabbit) = servers::blocking(move || (rabbit.take_virtual_host(), rabbit)).await;
        let product = Product::prepare(Mode::Distributed).broker(host).copies(Service::Dispatcher, 2);
        let product = product.set("delivery.deactivate_after", "60s").start().await;
        let prometheus = Prometheus::watch(&product, metrics).await;
        let (rest, publisher) = (product.admin(), product.publisher());
        let healthy = webhooks::create_generic(&rest, &receiver.url("/healthy")).await.id;
        let mut scene = Scene { product, prometheus, rest, publisher, expected: BTreeSet::new() };
        nothing_in_normal_running(&scene).await;
        messages_that_nobody_can_work_on(&mut scene).await;
        no_endpoint_answers_and_a_dispatcher_dies(&mut scene, healthy).await;
        nobody_tells_of_changes_and_nobody_records(&mut scene).await;
        nobody_sends(&mut scene).await;
        the_broker_takes_nothing(&mut scene, rabbit).await;
        let all = include_str!("../../../deploy/prometheus/alerts.yml");
        let all: BTreeSet<_> = all.split("- alert: ").skip(1).filter_map(|rule| rule.lines().next()).collect();
        assert_eq!(scene.expected, all, "each has had its fault");
    });
}

async fn nothing_in_normal_running(scene: &Scene) {
    let publish = scene.publish();
    load::open_loop(20, NORMAL, Duration::ZERO, async |_, _| {
        publish().await;
        scene.only_what_is_expected().await;
    })
    .await;
}

async fn messages_that_nobody_can_work_on(scene: &mut Scene) {
    queue::put(&mut scene.product, &[Message::new("events", *b"\xff\xff not protobuf")]).await;
    scene.fires("MessagesParked", async || ()).await;
}

async fn no_endpoint_answers_and_a_dispatcher_dies(scene: &mut Scene, healthy: i64) {
    webhooks::act(&scene.rest, healthy, "deactivate").await;
    let nowhere = format!("http://127.0.0.1:{}/", ports::free());
    drop(webhooks::create_generic(&scene.rest, &nowhere).await);
    let publish = scene.publish();
    scene.fires("MostAttemptsFail", &publish).await;
    scene.product.kill(SECOND);
    scene.fires("ServiceDown", &publish).await;
    scene.fires("ProcessGone", &publish).await;
    scene.fires("WebhookDeactivated", &publish).await;
    webhooks::act(&scene.rest, healthy, "activate").await;
}

async fn nobody_tells_of_changes_and_nobody_records(scene: &mut Scene) {
    scene.product.kill(Service::History);
    scene.expected.insert("ServiceMissing");
    let publish = scene.publish();
    scene.fires("HistoryBehind", &publish).await;
    scene.fires("ServiceMissing", &publish).await;
    scene.product.resume(Service::History).await;
    scene.product.kill(Service::Subscription);
    scene.fires("ConfigurationOld", async || ()).await;
    scene.product.resume(Service::Subscription).await;
}

async fn nobody_sends(scene: &mut Scene) {
    scene.product.kill(Service::Dispatcher);
    scene.flood().await;
    scene.fires("EventsWait", async || ()).await;
    scene.product.resume(Service::Dispatcher).await;
    let publish = scene.publish();
    scene.fires("FirstAttemptsLate", &publish).await;
}

async fn the_broker_takes_nothing(scene: &mut Scene, rabbit: Rabbit) {
    let rabbit = control(rabbit, "0.000001").await;
    // Publishers are told so.
    scene.expected.insert("EventsNotTaken");
    scene.fires("BrokerAlarm", async || ()).await;
    let mut rabbit = control(rabbit, "0.4").await;
    eventually(LONG, "the alarm ends", async || {
        (!scene.prometheus.firing().await.contains("BrokerAlarm")).then_some(())
    })
    .await;
    let _gone = servers::blocking(move || {
        rabbit.kill();
        rabbit
    })
    .await;
    scene.fires("BrokerDown", async || ()).await;
    let publish = scene.publish();
    scene.fires("EventsNotTaken", &publish).await;
}

async fn control(rabbit: Rabbit, watermark: &'static str) -> Rabbit {
    servers::blocking(move || {
        rabbit.control(&["set_vm_memory_high_watermark", watermark], "");
        rabbit
    })
    .await
}
