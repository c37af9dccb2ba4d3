//! Entries of the store as the public schema has them.

use bytes::Bytes;
use domain::Timestamp;
use prost::Message as _;
use proto::{
    convert::timestamp,
    v1::{Delivery, DeliveryStatus, Entry, GetEventResponse, HttpRequest, HttpResponse},
};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    model::{HoldReason, Status},
    store::{self, WholeDelivery, WholeEntry},
    stored,
};

/// An entry without headers and bodies. `orphaned`: its project was deleted.
pub(crate) fn entry(entry: store::Entry, orphaned: bool) -> Entry {
    let id = domain::entry_id(entry.delivery.id, u32::try_from(entry.number).unwrap_or_default());
    Entry {
        id: id.to_string(),
        delivery_id: entry.delivery.id.to_string(),
        event_id: entry.delivery.event_id.to_string(),
        event_type: entry.delivery.event_type,
        webhook_id: entry.delivery.webhook_id,
        project_id: entry.delivery.project_id,
        attempt: entry.number,
        status: status(entry.status).into(),
        is_test: entry.delivery.is_test,
        time: Some(time(entry.time)),
        due_at: entry.due_at.map(time),
        waits_for: entry.held.map(waits_for).unwrap_or_default().to_owned(),
        duration_us: entry.duration_us,
        response_code: entry.response_code,
        error_class: entry.error_class,
        error: entry.error,
        url: entry.url,
        remote_address: entry.remote_address,
        request: None,
        response: None,
        orphaned,
        timings: None,
        trace_id: String::new(),
    }
}

const fn waits_for(reason: HoldReason) -> &'static str {
    match reason {
        HoldReason::Inactive => "webhook inactive",
        HoldReason::UnknownWebhook => "webhook not known to the dispatcher yet",
        HoldReason::Busy => "endpoint slow",
        HoldReason::RetryAfter => "endpoint asked to wait (Retry-After)",
        HoldReason::Overdue => "queued again after it was lost",
        HoldReason::Failing => "endpoint failing",
        // It is its turn.
        HoldReason::Requested => "",
    }
}

/// A delivery with everything. `orphaned`: its project was deleted.
pub(crate) fn delivery(whole: WholeDelivery, orphaned: bool) -> Delivery {
    let is = |wanted| whole.entries.iter().any(|entry| entry.entry.status == wanted);
    let stands = if is(Status::Pending) {
        Status::Pending
    } else if is(Status::Delivered) {
        Status::Delivered
    } else {
        Status::Failed
    };
    let body = whole.body.unwrap_or_default();
    Delivery {
        id: whole.delivery.id.to_string(),
        event_id: whole.delivery.event_id.to_string(),
        event_type: whole.delivery.event_type,
        webhook_id: whole.delivery.webhook_id,
        project_id: whole.delivery.project_id,
        status: status(stands).into(),
        is_test: whole.delivery.is_test,
        created_at: Some(time(whole.delivery.matched_at)),
        entries: whole.entries.into_iter().map(|entry| whole_entry(entry, &body, orphaned)).collect(),
        orphaned,
    }
}

/// What is read of a generic payload; the rest may be nested as deep as its publisher likes.
#[derive(Deserialize)]
struct Envelope {
    event: String,
    project: Project,
}

#[derive(Deserialize)]
struct Project {
    id: i64,
}

/// An event, of its generic payload.
///
/// # Errors
/// It is none.
pub(crate) fn event(id: Uuid, payload: Bytes) -> Result<GetEventResponse, serde_json::Error> {
    let Envelope { event, project } = serde_json::from_slice(&payload)?;
    Ok(GetEventResponse { event_id: id.to_string(), event_type: event, project_id: project.id, payload })
}

/// An entry with what was sent and what came back; nothing was sent where no attempt was made, and nothing came back
/// without a status.
pub(crate) fn whole_entry(whole: WholeEntry, body: &Bytes, orphaned: bool) -> Entry {
    let truncated = whole.entry.response_truncated;
    let mut entry = entry(whole.entry, orphaned);
    let stored = stored::read(&whole.request_headers);
    entry.trace_id = hex::encode(&stored.trace_id);
    if whole.made {
        entry.timings = stored.timings.map(|timings| stored::timings(timings, entry.duration_us));
        entry.request = Some(HttpRequest {
            headers: stored.headers,
            body: body.clone(),
            body_sha256: hex::encode(&stored.body_sha256),
            secret_ids: stored.secret_ids,
        });
        if entry.response_code != 0 {
            let response = HttpResponse::decode(whole.response_headers.as_slice()).unwrap_or_default();
            entry.response = Some(HttpResponse { body: whole.response_body.into(), truncated, ..response });
        }
    }
    entry
}

const fn status(status: Status) -> DeliveryStatus {
    match status {
        Status::Pending => DeliveryStatus::Pending,
        Status::Delivered => DeliveryStatus::Delivered,
        Status::Failed => DeliveryStatus::Failed,
    }
}

fn time(micros: i64) -> prost_types::Timestamp {
    timestamp(Timestamp::from_micros(micros))
}
