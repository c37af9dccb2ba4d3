//! Two programs of each service share the work, and nothing is done twice.

use std::{collections::BTreeMap, time::Duration};

use blackbox::{
    events, history,
    product::{Mode, Product, Program, Service},
    receiver::{Answer, Receiver, Script},
    run_test, webhooks,
};
use lapin::{Connection, ConnectionProperties, options::QueueDeclareOptions, types::FieldTable};

const SOON: Duration = Duration::from_secs(60);
const EVENTS: usize = 300;
const SHARED: [Service; 3] = [Service::Ingest, Service::Dispatcher, Service::History];

#[test]
fn two_of_each_share_the_work() {
    run_test(async {
        let shared = SHARED.into_iter();
        let product = shared.fold(Product::prepare(Mode::Distributed), |product, service| product.copies(service, 2));
        let product = product.start().await;
        let (rest, receiver) = (product.admin(), Receiver::start().await);
        receiver.script("/fails-once", Script::by_attempt(vec![Answer::status(500), Answer::status(200)]));
        let mut hooks = Vec::new();
        for path in ["/healthy", "/fails-once"] {
            hooks.push(webhooks::create_generic(&rest, &receiver.url(path)).await);
        }
        let all = events::many(EVENTS);
        let [first, second] = &product.publishers()[..] else { panic!("two programs take events") };
        // Every other batch is also published to the other one.
        for (number, batch) in all.chunks(20).enumerate() {
            first.publish_all(batch, 20, SOON).await;
            if number % 2 == 0 {
                second.publish_all(batch, 20, SOON).await;
            }
        }
        receiver.wait_for("/healthy", EVENTS, SOON).await;
        receiver.wait_for("/fails-once", EVENTS * 2, SOON).await;
        for hook in &hooks {
            history::wait_until_settled(&rest, hook.id, SOON).await;
        }
        for (path, attempts) in [("/healthy", 1), ("/fails-once", 2)] {
            let mut came = BTreeMap::new();
            for request in receiver.requests(path) {
                let event = request.json()["id"].as_str().expect("an id").to_owned();
                *came.entry((event, request.expect_header("x-testmo-attempt").to_owned())).or_insert(0) += 1;
            }
            assert_eq!(came.len(), EVENTS * attempts, "{path}");
            assert!(came.values().all(|count| *count == 1), "{path}: {came:?}");
        }
        for (hook, attempts) in hooks.iter().zip([1, 2]) {
            assert_eq!(history::all(&rest, hook.id).await.len(), EVENTS * attempts);
        }
        both_work(&product).await;
    });
}

/// Both dispatchers have made attempts, and each lane has two consumers.
async fn both_work(product: &Product) {
    for number in [1, 2] {
        let answer = product.health(Program { service: Service::Dispatcher, number }).get("/metrics").await;
        let metrics = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert!(
            metrics.lines().any(|line| line.starts_with("webhooks_attempts_total{")),
            "none by {number}: {metrics}"
        );
    }
    let url = product.setting(Service::Dispatcher, "broker.url").expect("RabbitMQ's address");
    let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("RabbitMQ listens");
    let channel = connection.create_channel().await.expect("a channel");
    for queue in ["wh.events", "wh.deliver.fast", "wh.deliver.slow", "wh.history"] {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let found = channel.queue_declare(queue.into(), options, FieldTable::default()).await.expect("a lane's queue");
        assert_eq!(found.consumer_count(), 2, "{queue}");
    }
}
