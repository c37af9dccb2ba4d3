//! The queues in one SQLite file, for one process: group commit, `synchronous=FULL`, leases in memory.
//!
//! `engine` is the task that owns everything, `lane` what it knows of each lane, `store` the SQL.

mod commands;
mod engine;
mod lane;
mod operation;
mod parked;
mod store;

use std::{fmt, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc, oneshot};

use self::{
    commands::{Control, Now, Publish, Shared},
    engine::Engine,
    lane::LaneState,
    parked::{Answer, Request},
    store::Store,
};
use crate::{
    Acker, Broker, BrokerError, Consumer, Lane, Outgoing, Parked, ParkedSelection, PublishError, Settlement,
    delays::Delays, parked::Way, tasks,
};

/// How an [`Embedded`] broker is to work.
#[derive(Clone)]
pub struct EmbeddedOptions {
    /// The delays that messages of the delivery lanes may have; zero need not be among them.
    pub delays: Vec<Duration>,
    /// Bytes of bodies that all lanes together, delayed messages included, may hold before [`Lane::Events`] is full.
    /// The other lanes never are: what goes into them takes the place of something that was let in before.
    pub max_queue_bytes: u64,
    /// The clock for due times: Unix time in microseconds.
    pub now: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl EmbeddedOptions {
    /// Options with 1 GiB.
    #[must_use]
    pub fn new(delays: Vec<Duration>, now: Arc<dyn Fn() -> i64 + Send + Sync>) -> Self {
        Self { delays, max_queue_bytes: 1 << 30, now }
    }
}

impl fmt::Debug for EmbeddedOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EmbeddedOptions")
            .field("delays", &self.delays)
            .field("max_queue_bytes", &self.max_queue_bytes)
            .finish_non_exhaustive()
    }
}

/// The broker in a file. Only one process can have it open.
///
/// Dropped without [`Broker::close`], it commits what it was given and then closes by itself.
pub struct Embedded {
    delays: Delays,
    publishes: Mutex<Option<mpsc::Sender<Publish>>>,
    control: mpsc::UnboundedSender<Control>,
    shared: Arc<Shared>,
}

impl fmt::Debug for Embedded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Embedded").field("delays", &self.delays).finish_non_exhaustive()
    }
}

impl Embedded {
    /// Opens the queue file, making it if there is none.
    ///
    /// # Errors
    /// [`BrokerError::Open`] if it cannot be read or written, or another process has it.
    pub async fn open(path: &Path, options: EmbeddedOptions) -> Result<Arc<Self>, BrokerError> {
        Self::start(Store::open(path).await?, options).await.map_err(|error| BrokerError::Open {
            address: path.display().to_string(),
            reason: format!("{error}; move the file away to start with an empty queue"),
        })
    }

    async fn start(mut store: Store, options: EmbeddedOptions) -> Result<Arc<Self>, sqlx::Error> {
        let highest = store.highest_id().await?;
        let mut lanes: [LaneState; Lane::ALL.len()] = Default::default();
        for lane in Lane::ALL {
            lanes[commands::index(lane)] = LaneState::new(store.totals(lane).await?, highest);
        }
        let (publishes, publish_commands) = mpsc::channel(1024);
        let (control, commands) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        shared.set_parked(store.parked_count().await?);
        let acker: Arc<dyn Acker> = Arc::new(ControlAcker(control.clone()));
        let now: Now = options.now;
        let engine = Engine::new(lanes, highest + 1, options.max_queue_bytes, now, acker, Arc::clone(&shared));
        drop(tasks::spawn(engine.run(store, publish_commands, commands)));
        Ok(Arc::new(Self {
            delays: Delays::new(options.delays),
            publishes: Mutex::new(Some(publishes)),
            control,
            shared,
        }))
    }

    async fn commit(&self, messages: Vec<Outgoing>) -> Option<Vec<Result<(), PublishError>>> {
        let publishes = self.publishes.lock().await.clone()?;
        let (answer, answered) = oneshot::channel();
        publishes.send(Publish { messages, answer }).await.ok()?;
        answered.await.ok()
    }

    async fn move_parked(&self, way: Way, selection: &ParkedSelection) -> Result<u64, BrokerError> {
        let selection = selection.clone();
        self.ask(|answer| Request::Move { way, selection, answer }).await
    }

    /// Sends a request and waits for its answer, which never comes from a broker that is closed.
    async fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request + Send) -> Result<T, BrokerError> {
        let (answer, answered) = oneshot::channel();
        self.control.send(Control::Parked(request(answer))).map_err(|_| BrokerError::Closed)?;
        answered.await.map_err(|_| BrokerError::Closed)?
    }
}

#[async_trait]
impl Broker for Embedded {
    async fn publish(&self, messages: Vec<Outgoing>) -> Vec<Result<(), PublishError>> {
        let mut results: Vec<_> = messages.iter().map(|message| self.delays.check(message)).collect();
        let accepted: Vec<_> = messages
            .into_iter()
            .zip(&results)
            .filter(|(_, result)| result.is_ok())
            .map(|(message, _)| message)
            .collect();
        if accepted.is_empty() {
            return results;
        }
        let mut committed = self.commit(accepted).await.map(Vec::into_iter);
        for result in results.iter_mut().filter(|result| result.is_ok()) {
            *result = committed
                .as_mut()
                .and_then(Iterator::next)
                .unwrap_or_else(|| Err(PublishError::Unavailable { reason: "broker is closed".to_owned() }));
        }
        results
    }

    async fn consume(&self, lane: Lane, prefetch: u16) -> Result<Consumer, BrokerError> {
        let prefetch = usize::from(prefetch.max(1));
        let (sender, receiver) = mpsc::channel(prefetch);
        if self.publishes.lock().await.is_none() {
            return Err(BrokerError::Closed);
        }
        self.control.send(Control::Consume { lane, prefetch, sender }).map_err(|_| BrokerError::Closed)?;
        Ok(Consumer::new(receiver))
    }

    async fn check(&self) -> Result<(), String> {
        if self.control.is_closed() {
            return Err(BrokerError::Closed.to_string());
        }
        self.shared.problem().map_or(Ok(()), Err)
    }

    async fn depth(&self, lane: Lane) -> Result<u64, String> {
        Ok(self.shared.depth(lane))
    }

    async fn parked_depth(&self) -> Result<u64, String> {
        Ok(self.shared.parked())
    }

    async fn parked(&self, limit: usize) -> Result<Vec<Parked>, BrokerError> {
        self.ask(|answer| Request::List { limit, answer }).await
    }

    async fn requeue_parked(&self, selection: &ParkedSelection) -> Result<u64, BrokerError> {
        self.move_parked(Way::BackToTheirLanes, selection).await
    }

    async fn drop_parked(&self, selection: &ParkedSelection) -> Result<u64, BrokerError> {
        self.move_parked(Way::Out, selection).await
    }

    async fn close(&self) {
        self.publishes.lock().await.take();
        let (answer, closed) = oneshot::channel();
        if self.control.send(Control::Close(answer)).is_ok() {
            // An error: it had been closed before.
            let _ = closed.await;
        }
    }
}

/// Sends settlements to the engine; once that has ended they mean nothing any more.
struct ControlAcker(mpsc::UnboundedSender<Control>);

impl Acker for ControlAcker {
    fn settle(&self, tag: u64, settlement: Settlement) {
        let Ok(id) = i64::try_from(tag) else { return };
        let _ = self.0.send(Control::Settle { id, settlement });
    }

    fn is_current(&self) -> bool {
        !self.0.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use uuid::Uuid;

    use super::*;

    fn message(number: u128) -> Outgoing {
        Outgoing {
            lane: Lane::Events,
            delay: Duration::ZERO,
            body: Bytes::from(vec![b'x'; 10_000]),
            message_id: Uuid::from_u128(number),
            traceparent: None,
        }
    }

    /// SQLite's own bound on the file gives the same error as a full disk.
    #[tokio::test]
    async fn a_full_disk_refuses_until_there_is_room() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut store = Store::open(&folder.path().join("queue.db")).await.expect("opened");
        store.limit_pages(200).await;
        let options = EmbeddedOptions::new(Vec::new(), Arc::new(|| 0));
        let broker = Embedded::start(store, options).await.expect("started");
        let mut taken = 0;
        let refused = loop {
            match broker.publish(vec![message(taken)]).await.pop().expect("a result") {
                Ok(()) => taken += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(&refused, PublishError::Unavailable { reason } if reason.contains("full")), "{refused}");
        assert!(taken > 10, "{taken}");
        assert!(broker.check().await.is_err());
        // Acknowledging is what makes room, and it must get through although publishing goes on.
        let mut consumer = broker.consume(Lane::Events, 100).await.expect("consuming");
        for _ in 0..10 {
            consumer.recv().await.expect("a message").ack();
        }
        while broker.publish(vec![message(taken)]).await.pop().expect("a result").is_err() {
            tokio::task::yield_now().await;
        }
        broker.check().await.expect("well again");
        for _ in 10..=taken {
            consumer.recv().await.expect("nothing is lost").ack();
        }
        broker.close().await;
    }
}
