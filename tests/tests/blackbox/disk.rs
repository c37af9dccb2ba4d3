//! A disk that is full, under load: what cannot be kept is refused with what to do about it, what was accepted is not lost,
//! and everything goes on by itself when there is room again.

use std::time::Duration;

use blackbox::{
    disk::{Disk, faults_of_sqlite},
    product::{Mode, Product, Service},
    rest::{Answer, Rest},
    run_test,
    running::{Running, WELL},
    servers,
    wait::eventually,
};
use serde_json::json;
use tonic::Code;

const LONG: Duration = Duration::from_secs(120);
/// Until deliveries go on when there is room again.
const GOES_ON: Duration = Duration::from_secs(10);

#[test]
fn a_full_disk_stops_the_embedded_default_only_until_there_is_room() {
    run_test(async {
        let disk = Disk::of_mebibytes(48);
        let data = disk.folder("data");
        let mut product = Product::prepare(Mode::Embedded).set("data.dir", &data.display().to_string()).start().await;
        let mut running = Running::start(&product, &[WELL]).await;
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
        running.goes_on("data.dir has room again", GOES_ON).await;
        let verdict = running.judge(&[]).await;
        assert!(verdict.is_sound() && verdict.repeats == 0, "{verdict}");
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
        let mut running = Running::start(&product, &[WELL]).await;
        let url = running.receiver.url("/none");
        let refused = eventually(LONG, "a webhook is refused", async || {
            disk.fill();
            create(&rest, &url).await.err()
        })
        .await;
        println!("refused: {refused:?}");
        assert_eq!(refused.status, 503, "{refused:?}");
        let before = running.receiver.count(WELL.0);
        assert!(running.try_to_publish().await.is_none(), "publishing needs no database");
        running.receiver.wait_for(WELL.0, before + 50, LONG).await;
        disk.relieve();
        let (ended, postgres) = servers::blocking(move || (postgres.resume_if_ended(), postgres)).await;
        println!("PostgreSQL has {}", if ended { "ended, and was started again" } else { "gone on" });
        running.goes_on("PostgreSQL has room again", GOES_ON).await;
        eventually(GOES_ON, "a webhook is saved", async || create(&rest, &url).await.ok()).await;
        let verdict = running.judge(&[]).await;
        assert!(verdict.is_sound() && verdict.repeats == 0, "{verdict}");
        drop(product);
        assert_eq!(servers::blocking(move || postgres.faults()).await, "");
    });
}
