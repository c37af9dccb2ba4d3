//! The parked queue in the file: files of earlier versions, and being killed.

use std::{path::Path, sync::Arc, sync::atomic::AtomicI64};

use blackbox::wait::eventually;
use broker::{Broker, Lane, Parked, ParkedSelection, embedded::Embedded};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{
    open,
    support::{SOON, message, next, publish, text},
};

const ALL: ParkedSelection = ParkedSelection::All { lane: None };

async fn has_parked(broker: &Embedded, count: u64) {
    eventually(SOON, "all are parked", async || (broker.parked_depth().await == Ok(count)).then_some(())).await;
}

async fn raw(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    options.connect().await.expect("the queue file")
}

/// A file as the first version left it, with one message that waits and one that is parked.
async fn first_version(folder: &Path) {
    let migrations = folder.join("migrations");
    std::fs::create_dir(&migrations).expect("created");
    let first = "0001_messages.sql";
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite").join(first);
    std::fs::copy(source, migrations.join(first)).expect("copied");
    let mut file = raw(&folder.join("queue.db")).await;
    let migrator = sqlx::migrate::Migrator::new(migrations.as_path()).await.expect("read");
    migrator.run(&mut file).await.expect("made");
    sqlx::query(
        "INSERT INTO messages (id, lane, due_at, size, deliveries, message_id, parked_reason, body) VALUES \
         (1, 1, 0, 3, 4, x'0123456789abcdef0123456789abcdef', 'broken', x'6f6c64'), \
         (2, 1, 0, 1, 0, x'00000000000000000000000000000000', NULL, x'78')",
    )
    .execute(&mut file)
    .await
    .expect("inserted");
    file.close().await.expect("closed");
}

#[tokio::test]
async fn what_an_earlier_version_parked_is_listed_and_goes_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    first_version(folder.path()).await;
    let clock = Arc::new(AtomicI64::new(5_000_000));
    let broker = open(&folder.path().join("queue.db"), &clock).await;
    let mut consumer = broker.consume(Lane::Events, 1).await.expect("consuming");
    next(&mut consumer).await.park("broken too");
    has_parked(&broker, 2).await;
    let parked = broker.parked(10).await.expect("listed");
    let expected = Parked {
        id: "01234567-89ab-cdef-0123-456789abcdef".to_owned(),
        lane: Some(Lane::Events),
        reason: "broken".to_owned(),
        parked_at: None,
        bytes: 3,
        redeliveries: Some(4),
        body: "old".into(),
    };
    assert_eq!(parked[0], expected);
    assert_eq!((parked[1].parked_at, parked[1].reason.as_str()), (Some(5_000_000), "broken too"));
    let selection = ParkedSelection::Ids { ids: [expected.id].into(), lane: None };
    assert_eq!(broker.requeue_parked(&selection).await.expect("put back"), 1);
    let incoming = next(&mut consumer).await;
    assert_eq!((text(&incoming).as_str(), incoming.redelivered), ("old", true));
    incoming.ack();
    broker.close().await;
}

#[tokio::test]
async fn a_row_of_somebody_else_is_parked_under_an_id_of_its_own() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("queue.db");
    let clock = Arc::new(AtomicI64::new(1));
    open(&path, &clock).await.close().await;
    let mut file = raw(&path).await;
    // No lane, no message id of ours, impossible counts.
    sqlx::query(
        "INSERT INTO messages (lane, due_at, size, deliveries, message_id, parked_reason, body) VALUES \
         (9, 0, 1, 0, x'01', 'no such lane', x'78'), (1, 0, 1, -7, x'01', NULL, x'78'), (2, 1, 0, 0, x'01', NULL, x'')",
    )
    .execute(&mut file)
    .await
    .expect("inserted");
    file.close().await.expect("closed");
    let broker = open(&path, &clock).await;
    for (count, lane) in [Lane::Events, Lane::DeliverFast].into_iter().enumerate() {
        let mut consumer = broker.consume(lane, 1).await.expect("consuming");
        next(&mut consumer).await.park("not protobuf");
        publish(&*broker, message(lane, "good")).await.expect("taken");
        let good = next(&mut consumer).await;
        assert_eq!(text(&good), "good");
        good.ack();
        drop(consumer);
        has_parked(&broker, count as u64 + 1).await;
    }
    let parked = broker.parked(10).await.expect("listed");
    let ids: Vec<_> = parked.iter().map(|parked| parked.id.as_str()).collect();
    assert_eq!(ids, ["row-2", "row-3"]);
    let selection = ParkedSelection::Ids { ids: ["row-3".to_owned()].into(), lane: None };
    assert_eq!(broker.drop_parked(&selection).await.expect("dropped"), 1);
    assert_eq!(broker.requeue_parked(&ALL).await.expect("put back"), 1);
    assert_eq!(broker.parked_depth().await, Ok(0));
    broker.close().await;
}
