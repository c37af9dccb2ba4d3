//! The way to history, and knowing whether it can be reached: batches must not pay for an outage one by one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use proto::{
    channel::GrpcChannel,
    internal::v1::{
        CheckItem, CheckRequest, CheckResponse, OpenEvent, OpenRequest, OpenResult, recording_client::RecordingClient,
    },
};
use runtime::Tasks;
use tokio::time::Instant;
use tonic::{Code, Response, Status};

/// How long history may be away before a batch goes on without it.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a call that history has taken may last.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);
/// How often an unreachable history is asked whether it is back.
const PROBE_INTERVAL: Duration = Duration::from_millis(200);
/// Messages hold bodies.
const MESSAGE_BYTES: usize = 64 << 20;

/// What history says of an attempt about to be made.
#[derive(Clone, Copy)]
pub(crate) struct Checked {
    /// Whether to make it.
    pub(crate) send: bool,
    /// Whether the attempt before it is recorded.
    pub(crate) previous_recorded: bool,
}

/// History as the dispatcher's loops share it.
#[derive(Clone)]
pub(crate) struct History {
    client: RecordingClient<GrpcChannel>,
    reachable: Arc<AtomicBool>,
    tasks: Tasks,
}

impl History {
    pub(crate) fn new(channel: GrpcChannel, tasks: Tasks) -> Self {
        let client = RecordingClient::new(channel)
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES);
        Self { client, reachable: Arc::new(AtomicBool::new(true)), tasks }
    }

    /// What is to be done with each event; `None`: go on without history.
    pub(crate) async fn open(&self, events: &[OpenEvent]) -> Option<Vec<OpenResult>> {
        let results = self.ask(|mut client| async move {
            let request = OpenRequest { events: events.to_vec() };
            client.open(request).await.map(|answer| answer.into_inner().results)
        });
        results.await.filter(|results| results.len() == events.len())
    }

    /// What it says of each delivery; `None`: go on without history.
    pub(crate) async fn check(&self, items: &[CheckItem]) -> Option<Vec<Checked>> {
        let answer = self.ask(|mut client| async move {
            let request = CheckRequest { items: items.to_vec() };
            client.check(request).await.map(Response::into_inner)
        });
        let CheckResponse { send, previous_recorded } =
            answer.await.filter(|answer| answer.send.len() == items.len())?;
        // An older history says nothing of attempts before.
        let recorded = previous_recorded.into_iter().chain(std::iter::repeat(false));
        Some(
            send.into_iter()
                .zip(recorded)
                .map(|(send, previous_recorded)| Checked { send, previous_recorded })
                .collect(),
        )
    }

    async fn ask<T, F>(&self, call: impl Fn(RecordingClient<GrpcChannel>) -> F) -> Option<T>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let deadline = Instant::now() + PATIENCE;
        while self.reachable.load(Ordering::Acquire) {
            let error = match tokio::time::timeout(CALL_TIMEOUT, call(self.client.clone())).await {
                Ok(Ok(answer)) => return Some(answer),
                Ok(Err(status)) if matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled) => {
                    status.to_string()
                }
                // It was reached: asking again would get the same answer.
                Ok(Err(status)) => {
                    tracing::error!(error = %status, "history refuses; deliveries go on and are recorded later");
                    return None;
                }
                Err(_) => format!("no answer within {} s", CALL_TIMEOUT.as_secs()),
            };
            if Instant::now() >= deadline {
                self.lost(&error);
                return None;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        None
    }

    /// From now on nobody waits for history; one task finds out when it is back.
    fn lost(&self, error: &str) {
        if !self.reachable.swap(false, Ordering::AcqRel) {
            return;
        }
        tracing::warn!(error, "history cannot be reached; deliveries go on and are recorded later");
        let history = self.clone();
        self.tasks.spawn("wait for history", async move {
            let shutdown = history.tasks.shutdown_token().clone();
            while !history.probe().await {
                tokio::select! {
                    () = tokio::time::sleep(PROBE_INTERVAL) => {}
                    () = shutdown.cancelled() => return,
                }
            }
            history.reachable.store(true, Ordering::Release);
            tracing::info!("history reached again");
        });
    }

    /// A question that goes through to its database.
    async fn probe(&self) -> bool {
        let nobody = CheckItem { delivery_id: vec![0; 16].into(), number: 1, ..CheckItem::default() };
        let mut client = self.client.clone();
        let answer = client.check(CheckRequest { items: vec![nobody] });
        matches!(tokio::time::timeout(CALL_TIMEOUT, answer).await, Ok(Ok(_)))
    }
}
