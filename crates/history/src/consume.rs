//! Takes records from the lane `history` into the store.
//!
//! A message is acknowledged after the commit that holds it. While the store fails, nothing is: messages stay in hand
//! and are tried again, more and more slowly, and the broker keeps the rest.

use std::{sync::Arc, time::Duration};

use broker::{Broker, Incoming, Lane};
use bytes::Bytes;
use prost::Message as _;
use proto::internal::v1::RecordBatch;
use tokio_util::sync::CancellationToken;

use crate::{
    convert,
    metrics::Metrics,
    model::Record,
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
    let writer = Writer { store: store.as_ref(), metrics: &metrics, patience: PATIENCE };
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
    records: Vec<Record>,
    /// What was wrong with others of its records.
    fault: Option<String>,
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
        if !group.is_empty() && (records + read.records.len() > RECORDS || bytes + size > BYTES) {
            groups.push(std::mem::take(&mut group));
            (records, bytes) = (0, 0);
        }
        records += read.records.len();
        bytes += size;
        group.push(read);
    }
    if !group.is_empty() {
        groups.push(group);
    }
    groups
}

fn read(message: Incoming) -> Option<Read> {
    match records(message.body.clone()) {
        Ok((records, fault)) => Some(Read { message, records, fault }),
        Err(error) => {
            park(message, &format!("not a RecordBatch: {error}"));
            None
        }
    }
}

/// The records of a message that can be read, and what is wrong with the others.
fn records(body: Bytes) -> Result<(Vec<Record>, Option<String>), prost::DecodeError> {
    let batch = RecordBatch::decode(body)?;
    if batch.records.is_empty() {
        // Nobody sends none: it is something else, of which this schema knows no field.
        return Ok((Vec::new(), Some("records: none are there".to_owned())));
    }
    let mut records = Vec::with_capacity(batch.records.len());
    let mut fault = None;
    for (index, record) in batch.records.into_iter().enumerate() {
        match convert::record(record) {
            Ok(record) => records.push(record),
            Err(invalid) => fault = Some(format!("records[{index}].{invalid}")),
        }
    }
    Ok((records, fault))
}

/// Writes records, whatever the store does.
struct Writer<'a> {
    store: &'a dyn Store,
    metrics: &'a Metrics,
    patience: Duration,
}

impl Writer<'_> {
    /// Writes a group and settles its messages. A group that the store refuses goes message by message and, where it
    /// refuses that too, record by record: what can be stored is, and only messages with something at fault are parked.
    async fn write(&self, mut group: Vec<Read>) {
        let records = group.iter_mut().flat_map(|read| std::mem::take(&mut read.records)).collect();
        if self.persist(records).await.is_ok() {
            return group.into_iter().for_each(Read::done);
        }
        let is_one = group.len() == 1;
        for read in group {
            // Again: the records have been given away, and this is rare.
            let Ok((records, _)) = self::records(read.message.body.clone()) else { continue };
            if !is_one && self.persist(records.as_slice().into()).await.is_ok() {
                read.done();
            } else {
                self.write_singly(read, records).await;
            }
        }
    }

    async fn write_singly(&self, mut read: Read, records: Vec<Record>) {
        for record in records {
            let name = format!("attempt {} of delivery {}", record.number, record.delivery.id);
            if let Err(error) = self.persist(Arc::new([record])).await {
                read.fault = Some(format!("{name}: {error}"));
            }
        }
        read.done();
    }

    /// Writes records, however long it takes.
    ///
    /// # Errors
    /// The store will never take them.
    async fn persist(&self, records: Arc<[Record]>) -> Result<(), StoreError> {
        let spans = spans::recording(&records);
        let mut pause = FIRST_PAUSE;
        loop {
            let written = tokio::time::timeout(self.patience, self.store.record(Arc::clone(&records))).await;
            match written.unwrap_or(Err(StoreError::Silent { seconds: self.patience.as_secs() })) {
                Ok(()) => {
                    if pause > FIRST_PAUSE {
                        tracing::info!("records can be written again");
                    }
                    spans::recorded(spans);
                    self.metrics.written(&records);
                    return Ok(());
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
