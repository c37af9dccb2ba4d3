//! History, started.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize},
    },
    time::Duration,
};

use bytes::Bytes;
use domain::{ManualClock, SystemIds, Timestamp};
use history::{Parts, model::Record, store::open_sqlite};
use proto::{
    channel::{GrpcChannel, LocalServices},
    convert::uuid_bytes,
    internal::v1::{
        Attempt, AttemptRecord, AttemptTimings, Cancel, DeliveryRef, Hold, HoldReason, RecordRequest, RecordedHeader,
        attempt_record::What, configuration_server::ConfigurationServer, recording_client::RecordingClient,
    },
    v1::{
        BatchGetStatsRequest, Delivery, ExportEntriesRequest, ExportEntriesResponse, GetDeliveryRequest,
        GetEventRequest, GetEventResponse, GetStatsRequest, GetStatsResponse, ListEntriesRequest, ListEntriesResponse,
        RetryDeliveryRequest, RetryDeliveryResponse, history_client::HistoryClient,
    },
};
use runtime::{ServiceCredential, Tasks};
use tonic::{Request, Status, Streaming, service::Routes};
use uuid::Uuid;

use crate::{
    doubles::{Queue, Subscription, Tokens},
    flaky::Flaky,
};

pub(crate) const START: i64 = 1_700_000_000_000_000;

/// History with everything around it.
pub(crate) struct Started {
    pub(crate) queue: Arc<Queue>,
    pub(crate) subscription: Subscription,
    pub(crate) store: Arc<Flaky>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) bare: GrpcChannel,
    pub(crate) recording: RecordingClient<GrpcChannel>,
    pub(crate) tasks: Tasks,
    _folder: tempfile::TempDir,
}

impl Started {
    pub(crate) async fn new() -> Self {
        Self::with(&[], Duration::ZERO).await
    }

    /// When this was recorded before it started, and with so much patience for endpoints that fail.
    pub(crate) async fn with(records: &[Record], deactivate_after: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open_sqlite(&folder.path().join("history.db"), true).await.unwrap();
        store.record(records.into()).await.unwrap();
        let store = Arc::new(Flaky { store, fails: AtomicBool::new(false), tried: AtomicUsize::new(0) });
        let (queue, subscription) = (Arc::new(Queue::default()), Subscription::default());
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(START)));
        let credential = ServiceCredential::random(&SystemIds);
        let others = LocalServices::default();
        others.set(Routes::new(ConfigurationServer::new(subscription.clone())));
        let tasks = Tasks::new();
        let parts = Parts {
            store: Arc::clone(&store) as _,
            broker: Arc::clone(&queue) as _,
            consume_records: true,
            configuration: credential.attach(others.channel()),
            authenticator: Arc::new(Tokens),
            credential: credential.clone(),
            clock: Arc::clone(&clock) as _,
            ids: Arc::new(SystemIds),
            deactivate_after,
        };
        let own = LocalServices::default();
        own.set(history::start(parts, &tasks));
        let recording = RecordingClient::new(credential.attach(own.channel()));
        Self { queue, subscription, store, clock, bare: own.channel(), recording, tasks, _folder: folder }
    }

    pub(crate) fn history(&self) -> HistoryClient<GrpcChannel> {
        HistoryClient::new(self.bare.clone())
    }

    pub(crate) async fn record(&self, records: Vec<AttemptRecord>) {
        self.recording.clone().record(RecordRequest { records }).await.unwrap();
    }

    pub(crate) async fn list(&self, token: &str, request: ListEntriesRequest) -> Result<ListEntriesResponse, Status> {
        let mut history = HistoryClient::new(self.bare.clone());
        history.list_entries(with_token(token, request)).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn export(
        &self,
        token: &str,
        request: ExportEntriesRequest,
    ) -> Result<Streaming<ExportEntriesResponse>, Status> {
        let mut history = HistoryClient::new(self.bare.clone());
        history.export_entries(with_token(token, request)).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn get(&self, token: &str, delivery_id: impl ToString) -> Result<Delivery, Status> {
        let mut history = HistoryClient::new(self.bare.clone());
        let request = GetDeliveryRequest { delivery_id: delivery_id.to_string() };
        let answer = history.get_delivery(with_token(token, request)).await?;
        Ok(answer.into_inner().delivery.unwrap())
    }

    pub(crate) async fn retry(&self, token: &str, delivery_id: impl ToString) -> Result<RetryDeliveryResponse, Status> {
        let mut history = HistoryClient::new(self.bare.clone());
        let request = RetryDeliveryRequest { delivery_id: delivery_id.to_string() };
        history.retry_delivery(with_token(token, request)).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn stats(&self, token: &str, request: GetStatsRequest) -> Result<GetStatsResponse, Status> {
        let mut history = HistoryClient::new(self.bare.clone());
        history.get_stats(with_token(token, request)).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn many_stats(
        &self,
        token: &str,
        request: BatchGetStatsRequest,
    ) -> Result<HashMap<i64, GetStatsResponse>, Status> {
        let mut history = HistoryClient::new(self.bare.clone());
        history.batch_get_stats(with_token(token, request)).await.map(|answer| answer.into_inner().stats)
    }

    pub(crate) async fn event(&self, token: &str, event_id: impl ToString) -> Result<GetEventResponse, Status> {
        let mut history = HistoryClient::new(self.bare.clone());
        let request = GetEventRequest { event_id: event_id.to_string() };
        history.get_event(with_token(token, request)).await.map(tonic::Response::into_inner)
    }
}

pub(crate) fn with_token<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

/// Waits until something is so.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    blackbox::wait::eventually(Duration::from_secs(20), what, async || is_so().await.then_some(())).await;
}

pub(crate) const EVENT: Uuid = Uuid::from_u128(0xe);
/// The trace context of [`record`]s: trace id, span id, flags.
pub(crate) const TRACE: &[u8] = b"its own trace id, no mor\x01";

pub(crate) fn delivery_id(webhook_id: i64) -> Uuid {
    domain::delivery_id(EVENT, webhook_id)
}

/// A record about the delivery to a webhook of `acme`, in project 1.
pub(crate) fn record(webhook_id: i64, number: i32, what: What) -> AttemptRecord {
    AttemptRecord {
        delivery: Some(DeliveryRef {
            delivery_id: uuid_bytes(delivery_id(webhook_id)),
            instance: "acme".into(),
            webhook_id,
            event_id: uuid_bytes(EVENT),
            event_type: "run.completed".into(),
            project_id: 1,
            matched_at: START,
            format: "generic".into(),
            is_test: false,
            trace: Bytes::from_static(TRACE),
        }),
        number,
        body: "{}".into(),
        what: Some(what),
    }
}

pub(crate) fn failed(next_due_at: i64) -> What {
    What::Attempt(Attempt {
        started_at: START + 10,
        duration_us: 5,
        response_code: 500,
        error_class: "server_error".into(),
        error: "answered \0 500".into(),
        url: "https://example.com/".into(),
        request_headers: vec![RecordedHeader { name: "user-agent".into(), value: "Testmo-Webhooks/1".into() }],
        response_headers: vec![RecordedHeader { name: "x-one".into(), value: "1".into() }],
        response_body: "sorry".into(),
        response_truncated: true,
        next_due_at,
        body_sha256: vec![0xab; 32].into(),
        secret_ids: vec![3, 2],
        timings: Some(AttemptTimings { dns_us: Some(1), first_byte_us: Some(4), ..AttemptTimings::default() }),
        ..Attempt::default()
    })
}

pub(crate) fn delivered() -> What {
    delivered_at(START + 20)
}

pub(crate) fn delivered_at(started_at: i64) -> What {
    What::Attempt(Attempt { started_at, delivered: true, response_code: 204, ..Attempt::default() })
}

pub(crate) fn hold(config_version: i64) -> What {
    hold_for(HoldReason::Inactive, config_version)
}

pub(crate) fn hold_for(reason: HoldReason, config_version: i64) -> What {
    What::Hold(Hold { due_at: START, reason: reason.into(), config_version })
}

pub(crate) fn cancel() -> What {
    What::Cancel(Cancel { at: START, error_class: "cancelled".into(), error: "webhook deleted".into() })
}
