//! Takes records from the lane `history` into the store.
//!
//! A message is acknowledged after the commit that holds it. While the store fails, nothing is: messages stay in hand
//! and are tried again, more and more slowly, and the broker keeps the rest.

use std::{sync::Arc, time::Duration};

use broker::{Broker, Incoming, Lane};
use prost::Message as _;
use proto::internal::v1::RecordBatch;
use tokio_util::sync::CancellationToken;

use crate::{
    convert,
    model::Record,
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

/// Runs until shutdown, or until the broker is closed.
pub(crate) async fn run(store: Arc<dyn Store>, broker: Arc<dyn Broker>, shutdown: CancellationToken) {
    let mut consumer = match broker.consume(Lane::History, PREFETCH).await {
        Ok(consumer) => consumer,
        Err(error) => {
            tracing::error!(%error, "cannot consume records");
            return;
        }
    };
    let work = async {
        loop {
            let messages = consumer.recv_batch(MESSAGES).await;
            if messages.is_empty() {
                return;
            }
            for group in groups(messages) {
                write(store.as_ref(), group).await;
            }
        }
    };
    // What is in hand then goes back to the broker; what was committed without being acknowledged comes again, harmless.
    let _ = shutdown.run_until_cancelled(work).await;
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
    let batch = match RecordBatch::decode(message.body.clone()) {
        Ok(batch) => batch,
        Err(error) => {
            park(message, &format!("not a RecordBatch: {error}"));
            return None;
        }
    };
    let mut records = Vec::with_capacity(batch.records.len());
    let mut fault = None;
    for (index, record) in batch.records.into_iter().enumerate() {
        match convert::record(record) {
            Ok(record) => records.push(record),
            Err(invalid) => fault = Some(format!("records[{index}].{invalid}")),
        }
    }
    Some(Read { message, records, fault })
}

/// Writes a group and settles its messages. A group that the store refuses goes message by message, so that only what is
/// at fault is parked.
async fn write(store: &dyn Store, group: Vec<Read>) {
    let records: Arc<[Record]> = group.iter().flat_map(|read| read.records.iter().cloned()).collect();
    match persist(store, records).await {
        Ok(()) => group.into_iter().for_each(Read::done),
        Err(_) if group.len() > 1 => {
            for read in group {
                write_one(store, read).await;
            }
        }
        Err(error) => group.into_iter().for_each(|read| park(read.message, &error.to_string())),
    }
}

async fn write_one(store: &dyn Store, read: Read) {
    match persist(store, read.records.as_slice().into()).await {
        Ok(()) => read.done(),
        Err(error) => park(read.message, &error.to_string()),
    }
}

/// Writes records, however long it takes.
///
/// # Errors
/// The store will never take them.
async fn persist(store: &dyn Store, records: Arc<[Record]>) -> Result<(), StoreError> {
    let mut pause = FIRST_PAUSE;
    loop {
        match store.record(Arc::clone(&records)).await {
            Ok(()) => {
                if pause > FIRST_PAUSE {
                    tracing::info!("records can be written again");
                }
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
