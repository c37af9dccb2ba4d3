//! Writing through the store, as the dispatcher does, and times.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use history::{
    model::{Attempt, EventKey, OpenEvent, Record, What},
    store::Store,
};
use uuid::Uuid;

use crate::fill::{INSTANCE, WEBHOOKS};

/// Deliveries of an event.
pub(crate) const FANOUT: i64 = 10;
/// Events opened, and recorded, at a time: 2,000 entries a second.
const EVENTS: usize = 20;
const EVERY: Duration = Duration::from_millis(100);

/// A JSON text of about this length that is as compressible as payloads are.
pub(crate) fn payload(length: usize) -> String {
    let mut text = String::from("{\"data\": [");
    while text.len() < length {
        let id = Uuid::new_v4();
        text.push_str(&format!(
            "{{\"id\": \"{id}\", \"name\": \"a test run\", \"untested_count\": 0, \"is_closed\": false}}, "
        ));
    }
    text.push_str("{}]}");
    text
}

/// An event with its deliveries.
pub(crate) fn event(now: i64, fanout: i64, body: &str) -> OpenEvent {
    OpenEvent {
        key: EventKey { instance: INSTANCE.to_owned(), event_id: Uuid::new_v4() },
        publish_id: Uuid::new_v4(),
        claim: false,
        redelivered: false,
        event_type: "run.completed".to_owned(),
        project_id: 1,
        matched_at: now,
        bodies: vec![("generic".to_owned(), body.to_owned().into())],
        deliveries: (0..fanout).map(|webhook| (1 + webhook % WEBHOOKS, "generic".to_owned())).collect(),
        skipped: Vec::new(),
    }
}

/// What comes of an event: all delivered.
pub(crate) fn records(event: &OpenEvent) -> Vec<Record> {
    let record = |(webhook_id, format): &(i64, String)| Record {
        delivery: event.delivery(*webhook_id, format),
        number: 1,
        body: bytes::Bytes::new(),
        what: What::Attempt(Box::new(Attempt {
            started_at: event.matched_at + 500,
            duration_us: 20_000,
            delivered: true,
            response_code: 200,
            url: "https://hooks.example.com/in".to_owned(),
            remote_address: "203.0.113.7:443".to_owned(),
            request_headers: b"x-testmo-event: run.completed, user-agent: Testmo-Webhooks/0.1.0".to_vec(),
            response_headers: b"content-type: text/plain".to_vec(),
            response_body: "ok".into(),
            ..Attempt::default()
        })),
    };
    event.deliveries.iter().map(record).collect()
}

/// Somebody who writes 2,000 entries a second.
pub(crate) struct Writer {
    ended: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Vec<Duration>>,
}

impl Writer {
    pub(crate) fn start(store: &Arc<dyn Store>) -> Self {
        let (store, ended) = (Arc::clone(store), Arc::new(AtomicBool::new(false)));
        let stop = Arc::clone(&ended);
        let task = tokio::spawn(async move {
            let body = payload(3_000);
            let mut ticks = tokio::time::interval(EVERY);
            let mut took = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                ticks.tick().await;
                let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros();
                let events: Vec<OpenEvent> =
                    (0..EVENTS).map(|_| event(i64::try_from(now).unwrap(), FANOUT, &body)).collect();
                let records: Vec<Record> = events.iter().flat_map(records).collect();
                let started = Instant::now();
                store.open(events, i64::try_from(now).unwrap()).await.unwrap();
                store.record(records.into()).await.unwrap();
                took.push(started.elapsed());
            }
            took
        });
        Self { ended, task }
    }

    /// How long each batch took, from opening its events to the last commit.
    pub(crate) async fn stop(self) -> Vec<Duration> {
        self.ended.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

/// The time that this part of all (0 to 1) is below.
pub(crate) fn percentile(times: &mut [Duration], part: f64) -> f64 {
    times.sort_unstable();
    let index = ((times.len() as f64 * part).ceil() as usize).clamp(1, times.len()) - 1;
    times[index].as_secs_f64() * 1_000.0
}

pub(crate) fn tell(what: &str, times: &mut [Duration]) {
    let [half, most, all] = [0.5, 0.99, 1.0].map(|part| percentile(times, part));
    println!("{what:<40} p50 {half:8.2} ms   p99 {most:8.2} ms   max {all:8.2} ms   ({} times)", times.len());
}
