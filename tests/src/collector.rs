//! A collector of traces (OTLP over gRPC) in this process.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{self as otlp, span::SpanKind, status::StatusCode},
};
use tokio::task::JoinSet;
use tonic::{Request, Response, Status};

use crate::{ports, wait::eventually};

/// A span as it was told.
#[derive(Clone, Debug)]
pub struct Span {
    /// The `service.name` of who told it.
    pub service: String,
    /// Its scope and name.
    pub name: String,
    /// `Server`, `Client`, …
    pub kind: SpanKind,
    /// In hex.
    pub trace_id: String,
    /// In hex.
    pub id: String,
    /// In hex; empty: none.
    pub parent: String,
    /// All of them as text.
    pub attributes: BTreeMap<String, String>,
    /// What went wrong.
    pub error: Option<String>,
    /// Nanoseconds since the Unix epoch.
    pub start: u64,
    /// Nanoseconds since the Unix epoch.
    pub end: u64,
}

type Spans = Arc<Mutex<Vec<Span>>>;

/// Listens until it is dropped.
#[derive(Debug)]
pub struct Collector {
    port: u16,
    spans: Spans,
    _server: JoinSet<()>,
}

impl Collector {
    /// Listens on a free port.
    pub fn start() -> Self {
        Self::start_at(ports::free())
    }

    /// Listens on a port of this machine.
    pub fn start_at(port: u16) -> Self {
        let spans = Spans::default();
        let service = TraceServiceServer::new(Service(Arc::clone(&spans)));
        let server = tonic::transport::Server::builder().add_service(service);
        let server = server.serve(SocketAddr::from(([127, 0, 0, 1], port)));
        let mut serving = JoinSet::new();
        serving.spawn(async move { server.await.expect("the collector listens") });
        Self { port, spans, _server: serving }
    }

    /// What `traces.otlp_endpoint` is to be.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What was told so far, the earliest first.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone();
        spans.sort_by_key(|span| span.start);
        spans
    }

    /// The spans of a trace, once there are so many.
    pub async fn trace(&self, trace_id: &str, count: usize, timeout: Duration) -> Vec<Span> {
        let of_trace = || self.spans().into_iter().filter(|span| span.trace_id == trace_id).collect::<Vec<_>>();
        eventually(timeout, format!("{count} spans of trace {trace_id}"), async || {
            let found = of_trace();
            (found.len() >= count).then_some(found)
        })
        .await
    }
}

struct Service(Spans);

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for resource in request.into_inner().resource_spans {
            let described = texts(resource.resource.unwrap_or_default().attributes);
            let service = described.get("service.name").cloned().unwrap_or_default();
            for of_scope in resource.scope_spans {
                let scope = of_scope.scope.unwrap_or_default().name;
                spans.extend(of_scope.spans.into_iter().map(|told| span(&service, &scope, told)));
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn span(service: &str, scope: &str, told: otlp::Span) -> Span {
    let kind = told.kind();
    let failed = told.status.filter(|status| status.code() == StatusCode::Error);
    Span {
        service: service.to_owned(),
        name: format!("{scope} {}", told.name),
        kind,
        trace_id: hex::encode(told.trace_id),
        id: hex::encode(told.span_id),
        parent: hex::encode(told.parent_span_id),
        attributes: texts(told.attributes),
        error: failed.map(|status| status.message),
        start: told.start_time_unix_nano,
        end: told.end_time_unix_nano,
    }
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    attributes.into_iter().map(|attribute| (attribute.key, text(attribute.value))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}
