//! Takes records from the lane `history` into the store.
//!
//! A message is acknowledged after the commit that holds it. While the store fails, nothing is: messages stay in hand
//! and are tried again, more and more slowly, and the broker keeps the rest.

use std::{sync::Arc, time::Duration};

use broker::{Broker, Incoming, Lane};
use bytes::Bytes;
use domain::Clock;
use prost::Message as _;
use proto::internal::v1::RecordBatch;
use runtime::fail_point;
use tokio_util::sync::CancellationToken;

use crate::{
    convert::{self, Invalid},
    metrics::Metrics,
    model::{OpenEvent, Record},
    spans,
    store::{Store, StoreError},
};

/// Messages in hand. More than a transaction takes, so that the next one is there when one is done.
const PREFETCH: u16 = 256;
const MESSAGES: usize = 128;
/// Records and bytes of bodies in a transaction, roughly.
const RECORDS: usize = 1000;
const BYTES: usize = 16 << 20;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);
/// How long a write may take; then it counts as failed and is tried again. Longer than a store's own limits.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs until shutdown, or until the broker is closed.
pub(crate) async fn run(
    store: Arc<dyn Store>,
    broker: Arc<dyn Broker>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
) {
    let mut consumer = match broker.consume(Lane::History, PREFETCH).await {
        Ok(consumer) => consumer,
        Err(error) => {
            tracing::error!(%error, "cannot consume records");
            return;
        }
    };
    let writer = Writer { store: store.as_ref(), clock: clock.as_ref(), metrics: &metrics, patience: PATIENCE };
    let work = async {
        loop {
            let messages = consumer.recv_batch(MESSAGES).await;
            if messages.is_empty() {
                return;
            }
            for group in groups(messages) {
                writer.write(group).await;
            }
        }
    };
    // What is in hand then goes back to the broker; what was committed without being acknowledged comes again, harmless.
    if shutdown.run_until_cancelled(work).await.is_some() {
        tracing::error!("the lane of records has ended; none are consumed any more");
    }
}

/// A message that was read.
struct Read {
    message: Incoming,
    content: Content,
    /// What was wrong with the rest of it.
    fault: Option<String>,
}

/// What is to be written.
#[derive(Default)]
pub(crate) struct Content {
    pub(crate) records: Vec<Record>,
    /// Events that were dispatched without asking.
    pub(crate) opened: Vec<OpenEvent>,
}

impl Content {
    fn add(&mut self, other: Self) {
        self.records.extend(other.records);
        self.opened.extend(other.opened);
    }
}

impl Read {
    /// All that it holds is committed.
    fn done(self) {
        match self.fault {
            None => self.message.ack(),
            Some(fault) => park(self.message, &fault),
        }
    }
}

fn park(message: Incoming, reason: &str) {
    tracing::error!(reason, "message with records is parked");
    message.park(reason);
}

/// Reads messages, parks those that cannot be read, and divides the others into transactions.
fn groups(messages: Vec<Incoming>) -> Vec<Vec<Read>> {
    let mut groups = Vec::new();
    let mut group = Vec::new();
    let (mut records, mut bytes) = (0, 0);
    for message in messages {
        let size = message.body.len();
        let Some(read) = read(message) else { continue };
        let length = read.content.records.len() + read.content.opened.len();
        if !group.is_empty() && (records + length > RECORDS || bytes + size > BYTES) {
            groups.push(std::mem::take(&mut group));
            (records, bytes) = (0, 0);
        }
        records += length;
        bytes += size;
        group.push(read);
    }
    if !group.is_empty() {
        groups.push(group);
    }
    groups
}

fn read(message: Incoming) -> Option<Read> {
    match content(message.body.clone()) {
        Ok((content, fault)) => Some(Read { message, content, fault }),
        Err(error) => {
            park(message, &format!("not a RecordBatch: {error}"));
            None
        }
    }
}

/// What of a message can be read, and what is wrong with the rest.
pub(crate) fn content(body: Bytes) -> Result<(Content, Option<String>), prost::DecodeError> {
    let batch = RecordBatch::decode(body)?;
    if batch.records.is_empty() && batch.opened.is_empty() {
        // Nobody sends nothing: it is something else, of which this schema knows no field.
        return Ok((Content::default(), Some("records: none are there".to_owned())));
    }
    let mut fault = None;
    let records = readable("records", batch.records, convert::record, &mut fault);
    let opened = readable("opened", batch.opened, convert::open_event, &mut fault);
    Ok((Content { records, opened }, fault))
}

/// Those of a list that can be read; what is wrong with another goes to `fault`.
fn readable<M, T>(
    list: &str,
    messages: Vec<M>,
    read: fn(M) -> Result<T, Invalid>,
    fault: &mut Option<String>,
) -> Vec<T> {
    let mut found = Vec::with_capacity(messages.len());
    for (index, message) in messages.into_iter().enumerate() {
        match read(message) {
            Ok(readable) => found.push(readable),
            Err(invalid) => *fault = Some(format!("{list}[{index}].{invalid}")),
        }
    }
    found
}

/// Writes, whatever the store does.
struct Writer<'a> {
    store: &'a dyn Store,
    clock: &'a dyn Clock,
    metrics: &'a Metrics,
    patience: Duration,
}

impl Writer<'_> {
    /// Writes a group and settles its messages. A group that the store refuses goes message by message and, where it
    /// refuses that too, one by one: what can be stored is, and only messages with something at fault are parked.
    async fn write(&self, mut group: Vec<Read>) {
        let mut all = Content::default();
        group.iter_mut().for_each(|read| all.add(std::mem::take(&mut read.content)));
        if self.persist(all).await.is_ok() {
            return group.into_iter().for_each(Read::done);
        }
        let is_one = group.len() == 1;
        for read in group {
            // Again: the content has been given away, and this is rare.
            let again = || content(read.message.body.clone()).map(|(content, _)| content).unwrap_or_default();
            if !is_one && self.persist(again()).await.is_ok() {
                read.done();
            } else {
                let content = again();
                self.write_singly(read, content).await;
            }
        }
    }

    async fn write_singly(&self, mut read: Read, content: Content) {
        for event in content.opened {
            let name = format!("event {}", event.key.event_id);
            if let Err(error) = self.open(vec![event]).await {
                read.fault = Some(format!("{name}: {error}"));
            }
        }
        for record in content.records {
            let name = format!("attempt {} of delivery {}", record.number, record.delivery.id);
            if let Err(error) = self.record(Arc::new([record])).await {
                read.fault = Some(format!("{name}: {error}"));
            }
        }
        read.done();
    }

    /// # Errors
    /// As of [`Self::insist`].
    async fn persist(&self, content: Content) -> Result<(), StoreError> {
        // First the events, so that no entry is there without its body.
        if !content.opened.is_empty() {
            self.open(content.opened).await?;
        }
        if content.records.is_empty() { Ok(()) } else { self.record(content.records.into()).await }
    }

    async fn open(&self, events: Vec<OpenEvent>) -> Result<(), StoreError> {
        let now = self.clock.now().as_micros();
        let store = self.store;
        self.insist(|| store.open(events.clone(), now)).await.map(drop)
    }

    async fn record(&self, records: Arc<[Record]>) -> Result<(), StoreError> {
        let spans = spans::recording(&records);
        let store = self.store;
        self.insist(|| store.record(Arc::clone(&records))).await?;
        fail_point("history.recorded");
        spans::recorded(spans);
        self.metrics.written(&records);
        Ok(())
    }

    /// Writes, however long it takes.
    ///
    /// # Errors
    /// The store will never take it.
    async fn insist<T, F>(&self, write: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut pause = FIRST_PAUSE;
        loop {
            let written = tokio::time::timeout(self.patience, write()).await;
            match written.unwrap_or(Err(StoreError::Silent { seconds: self.patience.as_secs() })) {
                Ok(written) => {
                    if pause > FIRST_PAUSE {
                        tracing::info!("records can be written again");
                    }
                    return Ok(written);
                }
                Err(error @ StoreError::Refused { .. }) => return Err(error),
                Err(error) => {
                    if pause == FIRST_PAUSE {
                        tracing::error!(%error, "cannot write records; trying again until it works");
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LAST_PAUSE);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
