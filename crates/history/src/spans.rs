//! What the collector of traces is told of recording and queuing.

use domain::TraceContext;
use runtime::{Span, SpanKind};

use crate::model::{Delivery, Record, What};

const SCOPE: &str = "history";

/// Attempts are being recorded, each in the trace of its delivery.
pub(crate) fn recording(records: &[Record]) -> Vec<Span> {
    let sampled = records.iter().filter_map(|record| match &record.what {
        What::Attempt(attempt) => attempt.span.map(|span| (record, span)),
        _ => None,
    });
    let begin = |(record, parent): (&Record, TraceContext)| {
        let mut span = Span::begin(SCOPE, "record", SpanKind::Consumer, Some(parent));
        of_delivery(&mut span, &record.delivery);
        span.set("testmo.delivery.attempt", || i64::from(record.number));
        span
    };
    sampled.map(begin).collect()
}

/// They stand in history.
pub(crate) fn recorded(spans: Vec<Span>) {
    spans.into_iter().for_each(Span::end);
}

/// Where a delivery goes on from that is queued by itself. What has lost its trace, or never had one, begins a new one.
pub(crate) fn queuing(delivery: &Delivery) -> TraceContext {
    TraceContext::from_bytes(&delivery.trace).unwrap_or_else(|| {
        let mut span = Span::begin(SCOPE, "queue", SpanKind::Producer, None);
        of_delivery(&mut span, delivery);
        let context = span.context();
        span.end();
        context
    })
}

fn of_delivery(span: &mut Span, delivery: &Delivery) {
    span.set("testmo.delivery.id", || delivery.id.to_string());
    span.set("testmo.event.id", || delivery.event_id.to_string());
    span.set("testmo.webhook.id", || delivery.webhook_id);
    span.set("testmo.instance", || delivery.instance.clone());
}
