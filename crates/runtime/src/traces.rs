//! Traces: what a publish has led to, from service to service, told to an OpenTelemetry collector.
//!
//! Spans are made here and not by a tracer: several events share a message and several records a transaction, so there is
//! no current span that a tracer could go by. What a span leads to is handed on as a [`TraceContext`], in our own messages.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use domain::{Clock as _, SystemClock, SystemIds, Timestamp, TraceContext};
use opentelemetry::{
    InstrumentationScope, KeyValue, Value,
    trace::{SpanContext, SpanId, Status, TraceFlags, TraceId, TraceState},
};
use opentelemetry_otlp::{WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanEvents, SpanExporter, SpanLinks, SpanProcessor as _,
    },
};

pub use opentelemetry::trace::SpanKind;

use crate::{config::Config, grpc};

/// Spans that wait for the collector at most; what is more is lost, and logged.
const WAITING: usize = 16_384;
const BATCH: usize = 512;
/// How long a span waits for company.
const DELAY: Duration = Duration::from_secs(1);
/// How long the collector may take; also how long the end of a program waits for it.
const PATIENCE: Duration = Duration::from_secs(5);

static TRACES: OnceLock<Traces> = OnceLock::new();

struct Traces {
    processor: BatchSpanProcessor,
    /// Of the traces that begin here.
    ratio: f64,
}

/// Starts tracing, if there is a collector; a second call changes nothing.
///
/// # Errors
/// An address that no collector can be reached at; the text names the key.
pub(crate) fn init(service: &'static str, config: &Config) -> Result<(), String> {
    let Some(address) = &config.traces.otlp_endpoint else { return Ok(()) };
    let endpoint = grpc::endpoint("traces.otlp_endpoint", address, &config.services);
    let channel = endpoint.map_err(|error| error.to_string())?.connect_lazy();
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_channel(channel)
        .with_timeout(PATIENCE)
        .build()
        .map_err(|error| format!("traces.otlp_endpoint: {error}"))?;
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(WAITING)
        .with_max_export_batch_size(BATCH)
        .with_scheduled_delay(DELAY)
        .build();
    let resource = Resource::builder()
        .with_service_name(service)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let exporter = Calm { exporter, reached: AtomicBool::new(true) };
    let mut processor = BatchSpanProcessor::new(exporter, batches);
    processor.set_resource(&resource);
    let _ = TRACES.set(Traces { processor, ratio: config.traces.ratio });
    Ok(())
}

/// Gives the collector what still waits for it.
pub(crate) async fn end() {
    let ended =
        tokio::task::spawn_blocking(|| TRACES.get().map(|traces| traces.processor.shutdown_with_timeout(PATIENCE)));
    if let Ok(Some(Err(error))) = ended.await {
        tracing::warn!(%error, "the collector has not got the last spans");
    }
}

/// An exporter that logs when the collector is lost and when it is back, and not each batch that is lost meanwhile.
#[derive(Debug)]
struct Calm {
    exporter: opentelemetry_otlp::SpanExporter,
    reached: AtomicBool,
}

impl SpanExporter for Calm {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let told = self.exporter.export(batch).await;
        let reached = self.reached.swap(told.is_ok(), Ordering::Relaxed);
        match told {
            Ok(()) if !reached => tracing::info!("the collector takes spans again"),
            Err(error) if reached => {
                tracing::warn!(%error, "the collector takes no spans; they are lost until it does")
            }
            _ => {}
        }
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Something that takes time. It is told to the collector when it ends, if its trace is sampled.
#[derive(Debug)]
pub struct Span {
    context: TraceContext,
    recording: Option<Box<Recording>>,
}

/// What the collector is told of a span.
#[derive(Debug)]
struct Recording {
    scope: &'static str,
    name: &'static str,
    kind: SpanKind,
    parent: Option<TraceContext>,
    started: Timestamp,
    attributes: Vec<KeyValue>,
    status: Status,
}

impl Span {
    /// Begins a span of the service `scope`; without a parent, of a trace of its own.
    #[must_use]
    pub fn begin(scope: &'static str, name: &'static str, kind: SpanKind, parent: Option<TraceContext>) -> Self {
        Self::begin_with(TRACES.get().map(|traces| traces.ratio), scope, name, kind, parent)
    }

    fn begin_with(
        ratio: Option<f64>,
        scope: &'static str,
        name: &'static str,
        kind: SpanKind,
        parent: Option<TraceContext>,
    ) -> Self {
        let origin = parent.unwrap_or_else(|| {
            let fresh = TraceContext::fresh(&SystemIds);
            fresh.with_sampled(ratio.is_some_and(|ratio| is_drawn(&fresh, ratio)))
        });
        if ratio.is_none() || !origin.is_sampled() {
            return Self { context: origin, recording: None };
        }
        let context = if parent.is_some() { origin.child(&SystemIds) } else { origin };
        let (started, attributes, status) = (SystemClock.now(), Vec::new(), Status::Unset);
        Self {
            context,
            recording: Some(Box::new(Recording { scope, name, kind, parent, started, attributes, status })),
        }
    }

    /// What follows from it goes on from here.
    #[must_use]
    pub const fn context(&self) -> TraceContext {
        self.context
    }

    /// Whether the collector will be told.
    #[must_use]
    pub const fn is_recorded(&self) -> bool {
        self.recording.is_some()
    }

    /// Says more of it; `value` is asked for only if the collector will be told.
    pub fn set<V: Into<Value>>(&mut self, key: &'static str, value: impl FnOnce() -> V) {
        if let Some(recording) = &mut self.recording {
            recording.attributes.push(KeyValue::new(key, value()));
        }
    }

    /// It went wrong: `class` is one word, `text` is for people.
    pub fn fail(&mut self, class: &str, text: &str) {
        if let Some(recording) = &mut self.recording {
            recording.attributes.push(KeyValue::new("error.type", class.to_owned()));
            recording.status = Status::error(text.to_owned());
        }
    }

    /// It ends now. One that is dropped instead was given up, and nobody is told.
    pub fn end(self) {
        let Self { context, recording } = self;
        if let (Some(traces), Some(recording)) = (TRACES.get(), recording) {
            traces.processor.on_end(recording.into_data(&context));
        }
    }
}

impl Recording {
    fn into_data(self, context: &TraceContext) -> SpanData {
        let id = |context: &TraceContext| SpanId::from_bytes(*context.span_id());
        let trace_id = TraceId::from_bytes(*context.trace_id());
        SpanData {
            span_context: SpanContext::new(trace_id, id(context), TraceFlags::SAMPLED, false, TraceState::NONE),
            parent_span_id: self.parent.as_ref().map_or(SpanId::INVALID, id),
            parent_span_is_remote: self.parent.is_some(),
            span_kind: self.kind,
            name: self.name.into(),
            start_time: system_time(self.started),
            end_time: system_time(SystemClock.now()),
            attributes: self.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: self.status,
            instrumentation_scope: InstrumentationScope::builder(self.scope).build(),
        }
    }
}

fn system_time(time: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(time.as_micros()).unwrap_or_default())
}

/// Whether a trace is one of those that are sampled: the same everywhere, for it goes by the id.
fn is_drawn(trace: &TraceContext, ratio: f64) -> bool {
    let [.., a, b, c, d] = *trace.trace_id();
    f64::from(u32::from_be_bytes([a, b, c, d])) < ratio * (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(ratio: Option<f64>, parent: Option<TraceContext>) -> Span {
        Span::begin_with(ratio, "dispatcher", "match", SpanKind::Consumer, parent)
    }

    fn told(mut span: Span, change: impl FnOnce(&mut Span)) -> SpanData {
        change(&mut span);
        span.recording.unwrap().into_data(&span.context)
    }

    #[test]
    fn a_span_goes_on_from_its_parent() {
        let parent = TraceContext::fresh(&SystemIds).with_sampled(true);
        let span = begin(Some(0.0), Some(parent));
        let context = span.context();
        assert!(
            context.is_sampled() && context.trace_id() == parent.trace_id() && context.span_id() != parent.span_id()
        );
        let data = told(span, |span| {
            span.set("number", || 3);
            span.fail("timeout", "no answer");
        });
        assert_eq!(data.span_context.trace_id().to_bytes(), *parent.trace_id());
        assert_eq!(data.span_context.span_id().to_bytes(), *context.span_id());
        assert_eq!(data.parent_span_id.to_bytes(), *parent.span_id());
        assert_eq!(data.status, Status::error("no answer"));
        let attributes = [KeyValue::new("number", 3), KeyValue::new("error.type", "timeout")];
        assert_eq!(data.attributes, attributes);
        assert!(data.start_time <= data.end_time);
    }

    #[test]
    fn without_a_parent_a_trace_begins() {
        let span = begin(Some(1.0), None);
        let context = span.context();
        let data = told(span, |_| ());
        assert_eq!((data.parent_span_id, data.parent_span_is_remote), (SpanId::INVALID, false));
        assert_eq!(data.span_context.span_id().to_bytes(), *context.span_id());
    }

    #[test]
    fn what_is_not_sampled_is_handed_on_as_it_came() {
        let parent = TraceContext::fresh(&SystemIds);
        for (ratio, parent) in [(Some(1.0), parent), (None, parent), (None, parent.with_sampled(true))] {
            let span = begin(ratio, Some(parent));
            assert!(!span.is_recorded());
            assert_eq!(span.context(), parent);
        }
        assert!(!begin(None, None).context().is_sampled(), "nobody is told");
        assert!(!begin(Some(0.0), None).is_recorded());
    }

    #[test]
    fn so_many_are_sampled_as_was_asked_for() {
        let drawn = (0..10_000).filter(|_| is_drawn(&TraceContext::fresh(&SystemIds), 0.25)).count();
        assert!((2_200..2_800).contains(&drawn), "{drawn} of 10,000");
    }
}
