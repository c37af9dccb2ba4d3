//! RabbitMQ that is there and in trouble: alarms, in which it takes no messages, and queues that are deleted under their
//! consumers.

use std::time::{Duration, Instant};

use blackbox::{
    load,
    product::{Mode, Product, Service},
    run_test,
    running::{FAILS, LATER, Running, WELL},
    servers::{self, Rabbit},
    wait::eventually,
};
use lapin::{Connection, ConnectionProperties, options::QueueDeleteOptions};
use serde_json::json;
use tonic::Code;

const LONG: Duration = Duration::from_secs(120);
/// Until deliveries go on when all is well again.
const GOES_ON: Duration = Duration::from_secs(10);
/// How long an alarm lasts.
const ALARM: Duration = Duration::from_secs(3);
/// What sets an alarm off, what ends it, and what RabbitMQ calls it.
const ALARMS: [([&str; 2], [&str; 2], &str); 2] = [
    (["set_vm_memory_high_watermark", "0.000001"], ["set_vm_memory_high_watermark", "0.6"], "low on memory"),
    (["set_disk_free_limit", "1000000GB"], ["set_disk_free_limit", "64MB"], "low on disk"),
];
/// All queues but the parked one; with the wait that these tests have between attempts.
const QUEUES: [&str; 5] = ["wh.events", "wh.deliver.fast", "wh.deliver.slow", "wh.delay.300ms", "wh.history"];
/// Events that RabbitMQ may confirm while it deletes their queue, although it drops them.
const ON_THE_WAY: usize = 2;
/// History looks for deliveries whose message is gone once a minute, and waits for a second look.
const SWEPT: Duration = Duration::from_secs(240);

async fn control(rabbit: Rabbit, arguments: [&'static str; 2]) -> Rabbit {
    servers::blocking(move || {
        rabbit.control(&arguments, "");
        rabbit
    })
    .await
}

#[test]
fn an_alarm_holds_up_publishers_and_nobody_else() {
    run_test(async {
        let rabbit = servers::own_rabbit().await;
        let (host, mut rabbit) = servers::blocking(move || (rabbit.take_virtual_host(), rabbit)).await;
        let product = Product::prepare(Mode::Distributed)
            .set("delivery.retry_schedule", r#"["0s", "300ms"]"#)
            .broker(host)
            .start()
            .await;
        let mut running = Running::start(&product, &[WELL, FAILS, LATER]).await;
        let health = product.health(Service::Ingest);
        for (on, off, name) in ALARMS {
            rabbit = control(rabbit, on).await;
            let refused = eventually(LONG, "a publish is refused", async || running.try_to_publish().await).await;
            println!("refused: {refused:?}");
            assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
            let told = refused.message();
            assert!(told.contains("broker takes no messages at the moment") && told.contains(name), "{told}");
            let unready = eventually(LONG, "ingest is not ready", async || {
                Some(health.get("/readyz").await).filter(|answer| answer.status == 503)
            })
            .await;
            assert!(String::from_utf8_lossy(&unready.bytes).contains(name), "{unready:?}");
            // Changes need no broker.
            let webhook = format!("/api/v1/webhooks/{}", running.endpoints[0].webhook);
            assert_eq!(product.admin().patch(&webhook, json!({"name": name})).await.status, 200);
            load::open_loop(1, ALARM, Duration::ZERO, async |_, _| ()).await;
            rabbit = control(rabbit, off).await;
            running.goes_on(&format!("{name} no more"), GOES_ON).await;
        }
        let verdict = running.judge(&[]).await;
        assert!(verdict.is_sound() && verdict.repeats == 0, "{verdict}");
    });
}

#[test]
fn a_queue_that_is_deleted_under_its_consumer_is_made_again_and_what_it_held_comes_later() {
    run_test(async {
        let broker = servers::virtual_host().await;
        let product = Product::prepare(Mode::Distributed)
            .set("delivery.retry_schedule", r#"["300ms"]"#)
            .broker(broker.clone())
            .start()
            .await;
        let running = Running::start(&product, &[WELL, FAILS, LATER]).await;
        let (mut deleted, mut events_in_it) = (Vec::new(), 0);
        for queue in QUEUES {
            deleted.push(Instant::now());
            let messages = delete(&broker.url, queue).await;
            println!("{queue} deleted, with {messages} messages");
            if queue == "wh.events" {
                events_in_it = messages;
            }
            running.goes_on(queue, GOES_ON).await;
        }
        let told = product.output(Service::Dispatcher);
        assert!(told.contains("broker has cancelled the subscription"), "{told}");
        let database = product.database().expect("PostgreSQL");
        // Overdue for so long that their messages must be gone.
        let age = async || drop(database.run("UPDATE history.pending SET due_at = due_at - 1800000000").await);
        // Events that nobody had looked at are known to nobody.
        let dropped = events_in_it + ON_THE_WAY;
        let mut verdict = running.judge_after(&deleted, dropped, SWEPT, age).await;
        assert!(verdict.lost <= dropped * 3, "{events_in_it} events were deleted; {verdict}");
        verdict.lost = 0;
        assert!(verdict.is_sound(), "{verdict}");
    });
}

/// Deletes a queue; how many messages waited in it.
async fn delete(url: &str, queue: &str) -> usize {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("RabbitMQ listens");
    let channel = connection.create_channel().await.expect("a channel");
    let messages =
        channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.expect("a queue that is there");
    connection.close(200, "done".into()).await.expect("an orderly end");
    usize::try_from(messages).expect("a small number")
}
