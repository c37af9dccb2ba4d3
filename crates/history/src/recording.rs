//! The service `Recording`: what the other services tell history and ask it.

use std::sync::Arc;

use domain::Clock;
use proto::{
    error::{ApiError, ErrorCode},
    internal::v1::{
        CheckRequest, CheckResponse, OpenDelivery, OpenOutcome, OpenRequest, OpenResponse, OpenResult,
        QueueTestRequest, QueueTestResponse, RecordRequest, RecordResponse, recording_server::Recording,
    },
};
use runtime::{ServiceCredential, fail_point};
use tonic::{Request, Response, Status};

use crate::{
    convert::{self, Invalid},
    metrics::Metrics,
    model::{Opened, Record},
    queueing::{LEASE, Queueing},
    spans,
    store::{Store, StoreError},
};

/// The service; for callers with the services' credential.
pub(crate) struct RecordingService {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) queueing: Queueing,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) credential: ServiceCredential,
}

#[tonic::async_trait]
impl Recording for RecordingService {
    async fn open(&self, request: Request<OpenRequest>) -> Result<Response<OpenResponse>, Status> {
        self.credential.check(request.metadata())?;
        let events = all(request.into_inner().events, "events", convert::open_event)?;
        let opened = self.store.open(events, self.clock.now().as_micros()).await.map_err(store_status)?;
        fail_point("history.opened");
        Ok(Response::new(OpenResponse { results: opened.into_iter().map(result).collect() }))
    }

    async fn record(&self, request: Request<RecordRequest>) -> Result<Response<RecordResponse>, Status> {
        self.credential.check(request.metadata())?;
        let records = all(request.into_inner().records, "records", convert::record)?;
        let records: Arc<[Record]> = records.into();
        let spans = spans::recording(&records);
        self.store.record(Arc::clone(&records)).await.map_err(store_status)?;
        fail_point("history.recorded");
        spans::recorded(spans);
        self.metrics.written(&records);
        Ok(Response::new(RecordResponse {}))
    }

    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        self.credential.check(request.metadata())?;
        let items = all(request.into_inner().items, "items", convert::check_item)?;
        let checked = self.store.check(&items).await.map_err(store_status)?;
        let send = checked.iter().map(|checked| checked.send).collect();
        let previous_recorded = checked.iter().map(|checked| checked.previous_recorded).collect();
        Ok(Response::new(CheckResponse { send, previous_recorded }))
    }

    async fn queue_test(&self, request: Request<QueueTestRequest>) -> Result<Response<QueueTestResponse>, Status> {
        self.credential.check(request.metadata())?;
        let QueueTestRequest { delivery, body } = request.into_inner();
        let delivery = convert::test(delivery)
            .map_err(|fault| Status::from(ApiError::new(ErrorCode::Malformed, fault.to_string())))?;
        let now = self.clock.now();
        let leased_until = now.plus(LEASE).as_micros();
        let queued = self.store.queue_test(delivery, body, now.as_micros(), leased_until).await;
        if let Some(taken) = queued.map_err(store_status)? {
            self.queueing.queue_now(taken).await;
        }
        Ok(Response::new(QueueTestResponse {}))
    }
}

fn all<M, T>(messages: Vec<M>, list: &str, read: fn(M) -> Result<T, Invalid>) -> Result<Vec<T>, Status> {
    let read = messages.into_iter().enumerate().map(|(index, message)| {
        read(message).map_err(|fault| ApiError::new(ErrorCode::Malformed, format!("{list}[{index}].{fault}")).into())
    });
    read.collect()
}

fn result(opened: Opened) -> OpenResult {
    let (outcome, unsent) = match opened {
        Opened::New => (OpenOutcome::New, Vec::new()),
        Opened::Duplicate => (OpenOutcome::Duplicate, Vec::new()),
        Opened::Redelivered(unsent) => (OpenOutcome::Redelivered, unsent),
    };
    let unsent = unsent.into_iter().map(|(webhook_id, format)| OpenDelivery { webhook_id, format }).collect();
    OpenResult { outcome: outcome.into(), unsent }
}

/// What a caller is told when the store fails; the log has the rest.
pub(crate) fn store_status(error: StoreError) -> Status {
    tracing::error!(%error, "a request to history failed");
    match error {
        StoreError::Refused { .. } => ApiError::new(ErrorCode::Malformed, "history cannot store this").into(),
        _ => ApiError::new(ErrorCode::Unavailable, "history cannot reach its database now; try again").into(),
    }
}
