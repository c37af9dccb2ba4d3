//! Bytes per entry on the disk, beside a table that has everything of an attempt in one row.

use crate::{
    fill::{DAY, Filled, Place},
    work::{event, payload, records},
};

const BODY: usize = 3_000;

pub(crate) async fn bytes_per_entry(name: &str, entries: i64) {
    for fanout in [1, 10] {
        let filled = Filled::empty(name).await;
        let empty = filled.bytes().await;
        for _ in 0..(entries / fanout / 20).max(1) {
            let events: Vec<_> = (0..20).map(|_| event(filled.now - DAY / 24, fanout, &payload(BODY))).collect();
            let records: Vec<_> = events.iter().flat_map(records).collect();
            filled.store.open(events, filled.now).await.unwrap();
            filled.store.record(records.into()).await.unwrap();
        }
        let count = filled.number("SELECT count(*) FROM attempts", "SELECT count(*) FROM attempts").await;
        let own = match &filled.place {
            Place::Postgres(_) => filled.number(OWN, "").await,
            Place::Sqlite(_) => filled.bytes().await - empty,
        };
        let before = filled.bytes().await;
        filled.run(NAIVE).await;
        let naive = filled.bytes().await - before;
        println!(
            "{count} entries at fan-out {fanout}, bodies of {BODY} bytes: {} bytes per entry; with the body in each row: {}",
            own / count,
            naive / count,
        );
    }
}

/// Attempts and bodies, with their indexes.
const OWN: &str = "SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint FROM pg_inherits \
     WHERE inhparent IN ('attempts'::regclass, 'bodies'::regclass)";

/// The same in one table, with the body in each row as it is, and the one index that a list needs. (What the body is does
/// not matter where it is not compressed.)
const NAIVE: [&str; 2] = [
    "CREATE TABLE naive (LIKE attempts, body bytea NOT NULL); \
     ALTER TABLE naive ALTER COLUMN body SET STORAGE EXTERNAL; \
     INSERT INTO naive SELECT a.*, convert_to(repeat('x', 3000), 'UTF8') FROM attempts a; \
     CREATE UNIQUE INDEX ON naive (delivery_id, number); \
     CREATE INDEX ON naive (instance, webhook_id, started_at, delivery_id, number)",
    "CREATE TABLE naive AS SELECT a.*, zeroblob(3000) AS body FROM attempts a; \
     CREATE UNIQUE INDEX naive_by_id ON naive (delivery_id, number); \
     CREATE INDEX naive_by_webhook ON naive (instance, webhook_id, started_at, delivery_id, number)",
];
