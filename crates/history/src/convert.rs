//! From the internal schema to what the stores take. What cannot be stored is refused here, by field: once accepted, a
//! record must never be what a database chokes on, or it would block its lane for ever.

use bytes::Bytes;
use domain::{SkipReason, TraceContext};
use prost::Message as _;
use proto::{
    convert::uuid_from,
    internal::v1::{self as internal, attempt_record},
    v1::{Header, HttpResponse},
};
use uuid::Uuid;

use crate::{
    model::{Attempt, CheckItem, Delivery, EventKey, HoldReason, OpenEvent, Record, What},
    stored,
};

/// What is wrong with a message; for callers and for the parked queue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Invalid(&'static str);

/// A record from a message.
pub(crate) fn record(record: internal::AttemptRecord) -> Result<Record, Invalid> {
    let delivery = delivery(record.delivery.ok_or(Invalid("delivery: is required"))?)?;
    let what = match record.what.ok_or(Invalid("what: one of attempt, hold, cancel is required"))? {
        attempt_record::What::Attempt(attempt) => What::Attempt(Box::new(self::attempt(attempt, &delivery.trace))),
        attempt_record::What::Hold(hold) => {
            let reason = hold_reason(hold.reason()).ok_or(Invalid("hold.reason: is required"))?;
            What::Hold { reason, due_at: hold.due_at, config_version: hold.config_version }
        }
        attempt_record::What::Cancel(cancel) => {
            What::Cancel { at: cancel.at, error_class: clean(cancel.error_class), error: clean(cancel.error) }
        }
    };
    Ok(Record { delivery, number: number(record.number)?, body: record.body, what })
}

const fn hold_reason(reason: internal::HoldReason) -> Option<HoldReason> {
    match reason {
        internal::HoldReason::Unspecified => None,
        internal::HoldReason::Inactive => Some(HoldReason::Inactive),
        internal::HoldReason::UnknownWebhook => Some(HoldReason::UnknownWebhook),
        internal::HoldReason::Busy => Some(HoldReason::Busy),
        internal::HoldReason::RetryAfter => Some(HoldReason::RetryAfter),
        internal::HoldReason::Failing => Some(HoldReason::Failing),
    }
}

/// An event to open from a message.
pub(crate) fn open_event(event: internal::OpenEvent) -> Result<OpenEvent, Invalid> {
    Ok(OpenEvent {
        key: EventKey {
            instance: instance(event.instance)?,
            event_id: uuid(&event.event_id, "event_id: must be 16 bytes")?,
        },
        publish_id: uuid(&event.publish_id, "publish_id: must be 16 bytes")?,
        claim: event.claim,
        redelivered: event.redelivered,
        event_type: clean(event.event_type),
        project_id: event.project_id,
        matched_at: event.matched_at,
        bodies: event.bodies.into_iter().map(|body| (clean(body.format), body.content)).collect(),
        deliveries: event.deliveries.into_iter().map(|to| (to.webhook_id, clean(to.format))).collect(),
        skipped: event.skipped.iter().map(|by| (by.webhook_id, skip_reason(by.reason()))).collect(),
    })
}

/// A reason that only a later dispatcher knows arrives as unspecified.
const fn skip_reason(reason: internal::SkipReason) -> SkipReason {
    match reason {
        internal::SkipReason::Unspecified | internal::SkipReason::Inactive => SkipReason::Inactive,
        internal::SkipReason::Plan => SkipReason::Plan,
        internal::SkipReason::ProjectDeleted => SkipReason::ProjectDeleted,
        internal::SkipReason::Failing => SkipReason::Failing,
    }
}

/// A test delivery from a message.
pub(crate) fn test(delivery: Option<internal::DeliveryRef>) -> Result<Delivery, Invalid> {
    let delivery = self::delivery(delivery.ok_or(Invalid("delivery: is required"))?)?;
    if delivery.is_test { Ok(delivery) } else { Err(Invalid("delivery.is_test: must be true")) }
}

/// What is about to be sent, from a message.
pub(crate) fn check_item(item: internal::CheckItem) -> Result<CheckItem, Invalid> {
    Ok(CheckItem {
        delivery_id: uuid(&item.delivery_id, "delivery_id: must be 16 bytes")?,
        number: number(item.number)?,
        generation: item.generation,
        matched_at: item.matched_at,
    })
}

fn delivery(delivery: internal::DeliveryRef) -> Result<Delivery, Invalid> {
    Ok(Delivery {
        id: uuid(&delivery.delivery_id, "delivery.delivery_id: must be 16 bytes")?,
        instance: instance(delivery.instance)?,
        webhook_id: delivery.webhook_id,
        event_id: uuid(&delivery.event_id, "delivery.event_id: must be 16 bytes")?,
        event_type: clean(delivery.event_type),
        project_id: delivery.project_id,
        matched_at: delivery.matched_at,
        format: clean(delivery.format),
        is_test: delivery.is_test,
        trace: TraceContext::from_bytes(&delivery.trace).map(|_| delivery.trace).unwrap_or_default(),
    })
}

fn attempt(attempt: internal::Attempt, trace: &[u8]) -> Attempt {
    Attempt {
        next_held: hold_reason(attempt.next_held()),
        started_at: attempt.started_at,
        duration_us: attempt.duration_us.max(0),
        delivered: attempt.delivered,
        response_code: attempt.response_code,
        error_class: clean(attempt.error_class),
        error: clean(attempt.error),
        url: clean(attempt.url),
        remote_address: clean(attempt.remote_address),
        request_headers: internal::StoredRequest {
            headers: headers(attempt.request_headers),
            body_sha256: attempt.body_sha256,
            secret_ids: attempt.secret_ids,
            trace_id: stored::trace_id(trace),
            timings: attempt.timings,
        }
        .encode_to_vec(),
        response_headers: HttpResponse {
            headers: headers(attempt.response_headers),
            body: Bytes::new(),
            truncated: attempt.response_truncated,
        }
        .encode_to_vec(),
        response_body: attempt.response_body,
        response_truncated: attempt.response_truncated,
        next_due_at: attempt.next_due_at.max(0),
        span: TraceContext::from_bytes(trace).and_then(|trace| trace.with_span_id(&attempt.span_id)),
    }
}

fn headers(headers: Vec<internal::RecordedHeader>) -> Vec<Header> {
    headers.into_iter().map(|header| Header { name: header.name, value: header.value }).collect()
}

fn uuid(bytes: &[u8], message: &'static str) -> Result<Uuid, Invalid> {
    uuid_from(bytes).ok_or(Invalid(message))
}

const fn number(number: i32) -> Result<i32, Invalid> {
    if number < 1 || number > domain::MOST_ATTEMPTS { Err(Invalid("number: must be 1 to 100")) } else { Ok(number) }
}

fn instance(name: String) -> Result<String, Invalid> {
    if name.is_empty() { Err(Invalid("instance: is required")) } else { Ok(clean(name)) }
}

/// PostgreSQL's text holds everything but the character NUL.
fn clean(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}
