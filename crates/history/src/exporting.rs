//! Exports: a store hands on its entries, and a stream of the service takes them, no faster than its reader does.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures::StreamExt as _;
use prost::Message as _;
use proto::{
    error::{ApiError, ErrorCode},
    v1::{ExportEntriesResponse, ExportedEntry},
};
use runtime::Tasks;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::{
    cursor::Cursors,
    entries,
    recording::store_status,
    registry::Registry,
    store::{Completion, Exported, ListQuery, Store},
};

/// Exports at the same time in this process. Each keeps a connection to the database, and the database from cleaning up.
const AT_ONCE: usize = 2;
/// How long somebody waits for a place.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of a message, roughly; an entry has up to some hundred KiB.
const MESSAGE_BYTES: usize = 1 << 20;

/// What an export is answered with.
pub(crate) type Stream = Pin<Box<dyn futures::Stream<Item = Result<ExportEntriesResponse, Status>> + Send>>;

/// Where exports run.
pub(crate) struct Exporting {
    tasks: Tasks,
    places: Arc<Semaphore>,
}

impl Exporting {
    pub(crate) fn new(tasks: Tasks) -> Self {
        Self { tasks, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Starts an export of what a list has from its page on. It ends when its reader is gone.
    ///
    /// # Errors
    /// Too many run, and go on doing so.
    pub(crate) async fn start(
        &self,
        store: Arc<dyn Store>,
        registry: Arc<Registry>,
        query: ListQuery,
        cursors: Cursors,
    ) -> Result<Stream, Status> {
        // One that has been read to its end may not have left its place yet.
        let place = tokio::time::timeout(PATIENCE, Arc::clone(&self.places).acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            let message = format!("{AT_ONCE} exports are running, as many as may at once; try again when one is done");
            return Err(ApiError::new(ErrorCode::RateLimited, message).into());
        };
        // One part waits for the reader while the next one is read.
        let (parts, read) = mpsc::channel(1);
        let (answers, stream) = mpsc::channel(1);
        let shutdown = self.tasks.shutdown_token().clone();
        self.tasks.spawn("history export", async move {
            let export = async {
                let told = tell(read, &answers, &registry, &cursors);
                let last = match tokio::join!(store.export(&query, parts), told) {
                    (Ok(Completion::Whole), ()) => {
                        Ok(ExportEntriesResponse { complete: true, ..ExportEntriesResponse::default() })
                    }
                    (Ok(Completion::Unread), ()) => return,
                    (Err(error), ()) => {
                        tracing::warn!(%error, "an export ended early");
                        Err(store_status(error))
                    }
                };
                // Whoever reads may have gone.
                drop(answers.send(last).await);
            };
            shutdown.run_until_cancelled(export).await;
            drop(place);
        });
        Ok(ReceiverStream::new(stream).boxed())
    }
}

/// Makes messages of what the store hands on, until there is nothing more or nobody to read it.
async fn tell(
    mut read: mpsc::Receiver<Exported>,
    answers: &mpsc::Sender<Result<ExportEntriesResponse, Status>>,
    registry: &Registry,
    cursors: &Cursors,
) {
    while let Some(part) = read.recv().await {
        let entries = match part {
            Exported::Total(total) => {
                let first = ExportEntriesResponse { total, ..ExportEntriesResponse::default() };
                if answers.send(Ok(first)).await.is_err() {
                    return;
                }
                continue;
            }
            Exported::Entries(entries) => entries,
        };
        let mut message = ExportEntriesResponse::default();
        let mut bytes = 0;
        for (whole, body) in entries {
            let delivery = &whole.entry.delivery;
            let orphaned = registry.is_deleted_project(&delivery.instance, delivery.project_id);
            let cursor = cursors.older_than(whole.entry.position());
            let entry = entries::whole_entry(whole, &body.unwrap_or_default(), orphaned);
            let exported = ExportedEntry { entry: Some(entry), cursor };
            bytes += exported.encoded_len();
            message.entries.push(exported);
            if bytes >= MESSAGE_BYTES {
                bytes = 0;
                if answers.send(Ok(std::mem::take(&mut message))).await.is_err() {
                    return;
                }
            }
        }
        if !message.entries.is_empty() && answers.send(Ok(message)).await.is_err() {
            return;
        }
    }
}
