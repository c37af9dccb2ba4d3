//! A disk that is full, under load: what cannot be kept is refused with what to do about it, what was accepted is not lost,
//! and everything goes on by itself when there is room again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use blackbox::{
    disk::{Disk, faults_of_sqlite},
    events, load,
    oracle::{self, Endpoint, Story},
    product::{Mode, Product, Service},
    publisher::Publisher,
    receiver::Receiver,
    rest::{Answer, Rest},
    run_test, servers,
    wait::eventually,
    webhooks,
};
use proto::v1::Event;
use serde_json::json;
use tokio::task::JoinHandle;
use tonic::{Code, Status};

const LONG: Duration = Duration::from_secs(120);
/// Until deliveries go on when there is room again.
const GOES_ON: Duration = Duration::from_secs(10);
const WELL: &str = "/well";

/// Events published all the time, each until it is accepted.
struct Running {
    stopped: Arc<AtomicBool>,
    load: JoinHandle<Vec<Event>>,
    endpoints: Vec<Endpoint>,
    receiver: Receiver,
    publisher: Publisher,
    /// What was tried besides, accepted or not.
    tried: Vec<Event>,
}

impl Running {
    async fn start(product: &Product) -> Self {
        let receiver = Receiver::start().await;
        let webhook = webhooks::create_generic(&product.admin(), &receiver.url(WELL)).await.id;
        let endpoints = vec![Endpoint { path: WELL, webhook, answers: vec![200] }];
        let stopped = Arc::new(AtomicBool::new(false));
        let load = blackbox::spawn(load::publish_until(product.publisher(), Arc::clone(&stopped), LONG));
        receiver.wait_for(WELL, 100, LONG).await;
        Self { stopped, load, endpoints, receiver, publisher: product.publisher(), tried: Vec::new() }
    }

    /// Publishes a large event, once; how it was refused.
    async fn try_to_publish(&mut self) -> Option<Status> {
        let event = events::with_extra(events::many(1).remove(0), 20_000);
        self.tried.push(event.clone());
        self.publisher.publish(event).await.err()
    }

    /// Waits until deliveries go on.
    async fn goes_on(&self, what: &str) {
        let (well, before) = (Instant::now(), self.receiver.count(WELL));
        self.receiver.wait_for(WELL, before + 10, GOES_ON).await;
        println!("{what}: 10 deliveries {:?} after there was room again", well.elapsed());
        self.receiver.wait_for(WELL, before + 100, LONG).await;
    }

    /// Ends the load and judges it.
    async fn judge(self, rest: &Rest) {
        self.stopped.store(true, Ordering::Relaxed);
        let mut published = self.load.await.expect("every event is accepted in the end");
        self.publisher.publish_all(&self.tried, 10, LONG).await;
        published.extend(self.tried);
        let story = Story { endpoints: &self.endpoints, published: &published, deaths: &[] };
        let verdict = oracle::judge(rest, &self.receiver, story, LONG).await;
        println!("{} events; {verdict}", published.len());
        assert!(verdict.is_sound() && verdict.repeats == 0, "{verdict}");
    }
}

#[test]
fn a_full_disk_stops_the_embedded_default_only_until_there_is_room() {
    run_test(async {
        let disk = Disk::of_mebibytes(48);
        let data = disk.folder("data");
        let mut product = Product::prepare(Mode::Embedded).set("data.dir", &data.display().to_string()).start().await;
        let rest = product.admin();
        let mut running = Running::start(&product).await;
        let refused = eventually(LONG, "a publish is refused", async || {
            disk.fill();
            running.try_to_publish().await
        })
        .await;
        println!("refused: {refused:?}");
        assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
        let told = refused.message();
        assert!(told.contains("disk is full; check the disk; publish again later"), "{told}");
        let health = product.health(Service::Standalone);
        let unready = eventually(LONG, "it is not ready", async || {
            disk.fill();
            Some(health.get("/readyz").await).filter(|answer| answer.status == 503)
        })
        .await;
        assert!(String::from_utf8_lossy(&unready.bytes).contains("disk is full"), "{unready:?}");
        disk.relieve();
        running.goes_on("data.dir").await;
        running.judge(&rest).await;
        product.stop(Service::Standalone).await;
        assert_eq!(faults_of_sqlite(&data), Vec::<String>::new());
    });
}

/// A webhook that gets nothing, and takes a row; how it was refused.
async fn create(rest: &Rest, url: &str) -> Result<(), Answer> {
    let body = json!({
        "name": "n".repeat(200), "url": format!("{url}/{}", "u".repeat(1_000)), "type": "generic",
        "events": ["*"], "allow_insecure": true, "active": false
    });
    let answer = rest.post("/api/v1/webhooks", body).await;
    if answer.status == 201 { Ok(()) } else { Err(answer) }
}

#[test]
fn a_full_disk_of_postgresql_stops_nothing_but_what_needs_it() {
    run_test(async {
        let disk = Disk::of_mebibytes(256);
        let (disk, mut postgres) = servers::blocking(move || {
            let postgres = servers::Postgres::start_on(&disk);
            (disk, postgres)
        })
        .await;
        let product = Product::prepare(Mode::Distributed).database(postgres.create_database()).start().await;
        let rest = product.admin();
        let mut running = Running::start(&product).await;
        let url = running.receiver.url("/none");
        let refused = eventually(LONG, "a webhook is refused", async || {
            disk.fill();
            create(&rest, &url).await.err()
        })
        .await;
        println!("refused: {refused:?}");
        assert_eq!(refused.status, 503, "{refused:?}");
        let before = running.receiver.count(WELL);
        assert!(running.try_to_publish().await.is_none(), "publishing needs no database");
        running.receiver.wait_for(WELL, before + 50, LONG).await;
        disk.relieve();
        let (ended, postgres) = servers::blocking(move || (postgres.resume_if_ended(), postgres)).await;
        println!("PostgreSQL has {}", if ended { "ended, and was started again" } else { "gone on" });
        running.goes_on("PostgreSQL").await;
        eventually(GOES_ON, "a webhook is saved", async || create(&rest, &url).await.ok()).await;
        running.judge(&rest).await;
        drop(product);
        assert_eq!(servers::blocking(move || postgres.faults()).await, "");
    });
}
