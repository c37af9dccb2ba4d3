//! Records on their way to history, in batches. The sooner one batch is under way, the more the next one gathers: no
//! record waits for company.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use broker::{Broker, Lane, Outgoing};
use bytes::Bytes;
use domain::IdSource;
use prost::Message as _;
use proto::{
    channel::GrpcChannel,
    internal::v1::{
        AttemptRecord, OpenEvent, OpenRequest, RecordBatch, RecordRequest, recording_client::RecordingClient,
    },
};
use runtime::Tasks;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Records in one batch at most.
const BATCH: usize = 200;
/// Bytes in one batch at most, roughly: answers of endpoints can be 64 KiB each.
const BATCH_BYTES: usize = 1 << 20;
/// Batches under way at once.
const UNDER_WAY: usize = 4;

/// Where records become durable.
#[async_trait]
pub trait RecordSink: Send + Sync + 'static {
    /// Returns when all are durable.
    ///
    /// # Errors
    /// What prevents it now; the same records are then given again.
    async fn write(&self, records: &[AttemptRecord]) -> Result<(), String>;

    /// Returns when it is durable that an event was dispatched without asking history.
    ///
    /// # Errors
    /// What prevents it now; the same event is then given again.
    async fn open(&self, event: &OpenEvent) -> Result<(), String>;
}

/// Over the broker: confirmed is durable.
#[must_use]
pub fn broker_sink(broker: Arc<dyn Broker>, ids: Arc<dyn IdSource>) -> Arc<dyn RecordSink> {
    struct Sink {
        broker: Arc<dyn Broker>,
        ids: Arc<dyn IdSource>,
    }

    impl Sink {
        async fn publish(&self, body: Bytes) -> Result<(), String> {
            let message = Outgoing {
                lane: Lane::History,
                delay: Duration::ZERO,
                body,
                message_id: self.ids.uuid(),
                traceparent: None,
            };
            let results = self.broker.publish(vec![message]).await;
            results.into_iter().collect::<Result<(), _>>().map_err(|error| error.to_string())
        }
    }

    #[async_trait]
    impl RecordSink for Sink {
        async fn write(&self, records: &[AttemptRecord]) -> Result<(), String> {
            self.publish(encode(records)).await
        }

        async fn open(&self, event: &OpenEvent) -> Result<(), String> {
            let batch = RecordBatch { records: Vec::new(), opened: vec![event.clone()] };
            self.publish(batch.encode_to_vec().into()).await
        }
    }

    Arc::new(Sink { broker, ids })
}

/// A `RecordBatch` of these records, without copying them into one.
fn encode(records: &[AttemptRecord]) -> Bytes {
    let mut body = Vec::new();
    prost::encoding::message::encode_repeated(1, records, &mut body);
    body.into()
}

/// Straight to history in the same process: committed is durable.
#[must_use]
pub fn direct_sink(history: GrpcChannel) -> Arc<dyn RecordSink> {
    struct Sink(RecordingClient<GrpcChannel>);

    #[async_trait]
    impl RecordSink for Sink {
        async fn write(&self, records: &[AttemptRecord]) -> Result<(), String> {
            let request = RecordRequest { records: records.to_vec() };
            self.0.clone().record(request).await.map(drop).map_err(|status| status.to_string())
        }

        async fn open(&self, event: &OpenEvent) -> Result<(), String> {
            let request = OpenRequest { events: vec![event.clone()] };
            self.0.clone().open(request).await.map(drop).map_err(|status| status.to_string())
        }
    }

    let client = RecordingClient::new(history).max_decoding_message_size(64 << 20).max_encoding_message_size(64 << 20);
    Arc::new(Sink(client))
}

type Item = (AttemptRecord, oneshot::Sender<()>);

/// Takes records.
#[derive(Clone)]
pub(crate) struct Recorder {
    items: mpsc::Sender<Item>,
    sink: Arc<dyn RecordSink>,
    shutdown: CancellationToken,
}

impl Recorder {
    /// Returns `true` when the record is durable, `false` if the program ends before.
    pub(crate) async fn record(&self, record: AttemptRecord) -> bool {
        let (done, durable) = oneshot::channel();
        self.items.send((record, done)).await.is_ok() && durable.await.is_ok()
    }

    /// Tells history of an event that was dispatched without asking it. Returns when that is durable: `false` if the program
    /// ends before.
    pub(crate) async fn open(&self, event: &OpenEvent) -> bool {
        let sink = self.sink.as_ref();
        persist(&self.shutdown, || sink.open(event)).await
    }
}

/// Starts writing; it ends when the last [`Recorder`] is gone.
pub(crate) fn start(sink: Arc<dyn RecordSink>, capacity: usize, tasks: &Tasks) -> Recorder {
    let (items, receiver) = mpsc::channel(capacity);
    tasks.spawn("record", run(Arc::clone(&sink), receiver, tasks.clone()));
    Recorder { items, sink, shutdown: tasks.shutdown_token().clone() }
}

async fn run(sink: Arc<dyn RecordSink>, mut receiver: mpsc::Receiver<Item>, tasks: Tasks) {
    let room = Arc::new(Semaphore::new(UNDER_WAY));
    loop {
        // First room, then records: what comes meanwhile goes along.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let mut items = Vec::new();
        if receiver.recv_many(&mut items, BATCH).await == 0 {
            return;
        }
        let (sink, shutdown) = (Arc::clone(&sink), tasks.shutdown_token().clone());
        tasks.spawn("write records", async move {
            write(&*sink, items, &shutdown).await;
            drop(permit);
        });
    }
}

async fn write(sink: &dyn RecordSink, items: Vec<Item>, shutdown: &CancellationToken) {
    let (records, waiting): (Vec<_>, Vec<_>) = items.into_iter().unzip();
    let mut waiting = waiting.into_iter();
    for batch in split(&records) {
        // Whoever waits is told by dropping: its message comes again after the next start.
        if !persist(shutdown, || sink.write(batch)).await {
            return;
        }
        for done in waiting.by_ref().take(batch.len()) {
            // Whoever waited may be gone with the program's end.
            let _ = done.send(());
        }
    }
}

/// Writes until it succeeds; `false`: the program ends before.
async fn persist<F>(shutdown: &CancellationToken, write: impl Fn() -> F) -> bool
where
    F: Future<Output = Result<(), String>>,
{
    let mut failures: u32 = 0;
    while let Err(reason) = write().await {
        if shutdown.is_cancelled() && failures >= 3 {
            return false;
        }
        failures += 1;
        if failures.is_power_of_two() {
            tracing::warn!(reason, failures, "records are not taken by history; trying on");
        }
        tokio::time::sleep(Duration::from_millis(50 << failures.min(5))).await;
    }
    true
}

/// Parts of at most [`BATCH_BYTES`], but for a single record that is larger.
fn split(records: &[AttemptRecord]) -> Vec<&[AttemptRecord]> {
    let mut parts = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, record) in records.iter().enumerate() {
        let length = record.encoded_len();
        if index > start && bytes + length > BATCH_BYTES {
            parts.push(&records[start..index]);
            (start, bytes) = (index, 0);
        }
        bytes += length;
    }
    parts.push(&records[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Refuses the first two writes.
    #[derive(Default)]
    struct Reluctant {
        calls: AtomicUsize,
        written: AtomicUsize,
    }

    #[async_trait]
    impl RecordSink for Reluctant {
        async fn write(&self, records: &[AttemptRecord]) -> Result<(), String> {
            if self.calls.fetch_add(1, Ordering::SeqCst) < 2 {
                return Err("not now".into());
            }
            self.written.fetch_add(records.len(), Ordering::SeqCst);
            Ok(())
        }

        async fn open(&self, _: &OpenEvent) -> Result<(), String> {
            self.write(&[AttemptRecord::default()]).await
        }
    }

    #[tokio::test]
    async fn what_is_refused_is_written_again() {
        let sink = Arc::new(Reluctant::default());
        let tasks = Tasks::new();
        let recorder = start(Arc::clone(&sink) as Arc<dyn RecordSink>, 10, &tasks);
        let records = (0..50).map(|_| recorder.record(AttemptRecord::default()));
        assert!(futures::future::join_all(records).await.into_iter().all(|durable| durable));
        assert_eq!(sink.written.load(Ordering::SeqCst), 50);
        sink.calls.store(0, Ordering::SeqCst);
        assert!(recorder.open(&OpenEvent::default()).await);
        assert_eq!((sink.calls.load(Ordering::SeqCst), sink.written.load(Ordering::SeqCst)), (3, 51));
        drop(recorder);
        assert!(tasks.shut_down(Duration::from_secs(60)).await);
    }

    #[test]
    fn what_is_encoded_is_a_batch() {
        let records =
            vec![AttemptRecord { number: 1, ..Default::default() }, AttemptRecord { number: 2, ..Default::default() }];
        let batch = RecordBatch { records: records.clone(), opened: Vec::new() };
        assert_eq!(encode(&records), Bytes::from(batch.encode_to_vec()));
    }

    #[test]
    fn large_records_are_split() {
        let record = |bytes| AttemptRecord { body: vec![0; bytes].into(), ..Default::default() };
        let records = [
            record(10),
            record(BATCH_BYTES * 2),
            record(BATCH_BYTES / 2),
            record(BATCH_BYTES / 3),
            record(BATCH_BYTES / 3),
        ];
        let lengths: Vec<_> = split(&records).into_iter().map(<[_]>::len).collect();
        assert_eq!(lengths, [1, 1, 2, 1]);
    }
}
