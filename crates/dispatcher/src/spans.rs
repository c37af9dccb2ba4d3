//! What the collector of traces is told of matching and of attempts.

use bytes::Bytes;
use domain::TraceContext;
use proto::internal::v1::OpenOutcome;
use runtime::{Span, SpanKind};
use uuid::Uuid;

use crate::{
    delivery::{EventRef, Job},
    post::Posted,
    webhooks::Webhook,
};

const SCOPE: &str = "dispatcher";

/// An event is being matched, in the trace that its message names.
pub(crate) fn matching(trace: &[u8]) -> Span {
    Span::begin(SCOPE, "match", SpanKind::Consumer, TraceContext::from_bytes(trace))
}

/// It was; `opened` says as what history took it (`None`: nobody selects its type), and how many attempts follow now.
pub(crate) fn matched(mut span: Span, event: &EventRef, opened: Option<OpenOutcome>, deliveries: usize) {
    let outcome = match opened {
        None => "unselected",
        Some(OpenOutcome::Duplicate) => "duplicate",
        Some(OpenOutcome::Redelivered) => "redelivered",
        Some(OpenOutcome::New | OpenOutcome::Unspecified) => "new",
    };
    of_event(&mut span, event.id, event.kind.name(), event.instance.as_str());
    span.set("testmo.match.outcome", || outcome);
    span.set("testmo.match.deliveries", || i64::try_from(deliveries).unwrap_or(i64::MAX));
    span.end();
}

/// An attempt begins, in the trace of its delivery.
pub(crate) fn attempting(job: &Job, webhook: &Webhook) -> Span {
    let mut span = Span::begin(SCOPE, "attempt", SpanKind::Client, TraceContext::from_bytes(&job.delivery.trace));
    if let Ok(event_id) = Uuid::from_slice(&job.delivery.event_id) {
        of_event(&mut span, event_id, &job.delivery.event_type, &job.delivery.instance);
    }
    span.set("testmo.webhook.id", || webhook.id);
    span.set("testmo.delivery.id", || job.delivery_id.to_string());
    span.set("testmo.delivery.attempt", || i64::from(job.number));
    span.set("http.request.method", || "POST");
    span.set("url.full", || webhook.masked_url.clone());
    span
}

/// It has ended; the id of its span, for its record, if that is recorded.
pub(crate) fn attempted(mut span: Span, posted: &Posted) -> Bytes {
    if !span.is_recorded() {
        return Bytes::new();
    }
    if let Some(address) = posted.remote_address {
        span.set("network.peer.address", || address.ip().to_string());
        span.set("network.peer.port", || i64::from(address.port()));
    }
    if let Some(answer) = &posted.answer {
        span.set("http.response.status_code", || i64::from(answer.status));
    }
    if let Some((class, text)) = &posted.error {
        span.fail(class.name(), text);
    }
    let id = Bytes::copy_from_slice(span.context().span_id());
    span.end();
    id
}

fn of_event(span: &mut Span, id: Uuid, kind: &str, instance: &str) {
    span.set("testmo.event.id", || id.to_string());
    span.set("testmo.event.type", || kind.to_owned());
    span.set("testmo.instance", || instance.to_owned());
}
