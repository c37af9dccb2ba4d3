//! `/webhooks/deliveries`: history.

mod docs;
mod export;

use axum::{Json, body::Bytes, extract::State, http::StatusCode};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use domain::ErrorClass;
use proto::v1::{self, DeliveryStatus, ListEntriesRequest};
use serde::Serialize;

use crate::{
    Services,
    body::NoBody,
    caller::{Caller, SystemAdmin, answer},
    error::Failure,
    page::{CursorPage, Single, some_text, time},
    path::{DeliveryId, WebhookId},
    query::{NoQuery, Query},
};

pub(crate) use docs::{routes, schemas};
pub(crate) use export::{FORMATS, Format, accepts_gzip, send as send_export};

/// Where an attempt or a delivery can stand, with its name.
pub(crate) const STATUSES: [(DeliveryStatus, &str); 3] = [
    (DeliveryStatus::Pending, "pending"),
    (DeliveryStatus::Delivered, "delivered"),
    (DeliveryStatus::Failed, "failed"),
];

/// The status of this name.
pub(crate) fn status_from(name: &str) -> Option<DeliveryStatus> {
    STATUSES.into_iter().find(|row| row.1 == name).map(|row| row.0)
}

/// A service that is newer than this one may know more.
pub(crate) fn status_name(status: i32) -> &'static str {
    STATUSES.into_iter().find(|row| i32::from(row.0) == status).map_or("unknown", |row| row.1)
}

/// One attempt, made or waited for.
#[derive(Serialize)]
pub(crate) struct EntryJson {
    id: String,
    delivery_id: String,
    event_id: String,
    event: String,
    webhook_id: i64,
    project_id: i64,
    attempt: i32,
    status: &'static str,
    is_test: bool,
    /// Whether its project was deleted.
    orphaned: bool,
    time: Option<String>,
    due_at: Option<String>,
    waits_for: Option<String>,
    /// Milliseconds, to the microsecond; null where no attempt was made: it is pending, or was cancelled.
    duration_ms: Option<f64>,
    response_code: Option<i32>,
    error: Option<ErrorJson>,
    /// Null where no attempt was made.
    url: Option<String>,
    remote_address: Option<String>,
}

#[derive(Serialize)]
struct ErrorJson {
    class: String,
    message: String,
}

/// An attempt with what was sent and what came back.
#[derive(Serialize)]
pub(crate) struct EntryDetailJson {
    #[serde(flatten)]
    entry: EntryJson,
    /// Null where it is not known.
    trace_id: Option<String>,
    /// Null where no attempt was made.
    timings: Option<TimingsJson>,
    request: Option<RequestJson>,
    response: Option<ResponseJson>,
}

/// Where the time of an attempt went, in milliseconds, to the microsecond; null: it did not come to that.
#[derive(Serialize)]
struct TimingsJson {
    dns_ms: Option<f64>,
    connect_ms: Option<f64>,
    tls_ms: Option<f64>,
    first_byte_ms: Option<f64>,
    total_ms: f64,
    connection_reused: bool,
}

#[derive(Serialize)]
struct RequestJson {
    headers: Vec<HeaderJson>,
    #[serde(flatten)]
    body: BodyJson,
    /// Null where it was not recorded yet.
    body_sha256: Option<String>,
    secret_ids: Vec<i64>,
}

#[derive(Serialize)]
struct ResponseJson {
    headers: Vec<HeaderJson>,
    #[serde(flatten)]
    body: BodyJson,
    truncated: bool,
}

#[derive(Serialize)]
struct HeaderJson {
    name: String,
    value: String,
}

#[derive(Serialize)]
struct BodyJson {
    body: String,
    body_encoding: &'static str,
}

/// One event for one webhook, with all its attempts.
#[derive(Serialize)]
pub(crate) struct DeliveryJson {
    id: String,
    event_id: String,
    event: String,
    webhook_id: i64,
    project_id: i64,
    status: &'static str,
    is_test: bool,
    /// Whether its project was deleted.
    orphaned: bool,
    created_at: Option<String>,
    attempts: Vec<EntryDetailJson>,
}

impl From<v1::Entry> for EntryJson {
    fn from(entry: v1::Entry) -> Self {
        let made =
            entry.status != i32::from(DeliveryStatus::Pending) && entry.error_class != ErrorClass::Cancelled.name();
        let error = ErrorJson { class: entry.error_class, message: entry.error };
        Self {
            id: entry.id,
            delivery_id: entry.delivery_id,
            event_id: entry.event_id,
            event: entry.event_type,
            webhook_id: entry.webhook_id,
            project_id: entry.project_id,
            attempt: entry.attempt,
            status: status_name(entry.status),
            is_test: entry.is_test,
            orphaned: entry.orphaned,
            time: time(entry.time),
            due_at: time(entry.due_at),
            waits_for: some_text(entry.waits_for),
            duration_ms: made.then(|| millis(entry.duration_us)),
            response_code: Some(entry.response_code).filter(|code| *code != 0),
            error: Some(error).filter(|error| !error.class.is_empty()),
            url: some_text(entry.url),
            remote_address: some_text(entry.remote_address),
        }
    }
}

impl From<v1::Entry> for EntryDetailJson {
    fn from(mut entry: v1::Entry) -> Self {
        let request = entry.request.take().map(|request| RequestJson {
            headers: headers(request.headers),
            body: body(&request.body),
            body_sha256: some_text(request.body_sha256),
            secret_ids: request.secret_ids,
        });
        let response = entry.response.take().map(|response| ResponseJson {
            headers: headers(response.headers),
            body: body(&response.body),
            truncated: response.truncated,
        });
        let trace_id = some_text(std::mem::take(&mut entry.trace_id));
        let timings = entry.timings.map(TimingsJson::from);
        Self { entry: entry.into(), trace_id, timings, request, response }
    }
}

impl From<v1::Timings> for TimingsJson {
    fn from(timings: v1::Timings) -> Self {
        Self {
            dns_ms: timings.dns_us.map(millis),
            connect_ms: timings.connect_us.map(millis),
            tls_ms: timings.tls_us.map(millis),
            first_byte_ms: timings.first_byte_us.map(millis),
            total_ms: millis(timings.total_us),
            connection_reused: timings.connection_reused,
        }
    }
}

impl From<v1::Delivery> for DeliveryJson {
    fn from(delivery: v1::Delivery) -> Self {
        Self {
            id: delivery.id,
            event_id: delivery.event_id,
            event: delivery.event_type,
            webhook_id: delivery.webhook_id,
            project_id: delivery.project_id,
            status: status_name(delivery.status),
            is_test: delivery.is_test,
            orphaned: delivery.orphaned,
            created_at: time(delivery.created_at),
            attempts: delivery.entries.into_iter().map(EntryDetailJson::from).collect(),
        }
    }
}

fn millis(micros: i64) -> f64 {
    micros as f64 / 1_000.0
}

fn headers(headers: Vec<v1::Header>) -> Vec<HeaderJson> {
    headers.into_iter().map(|header| HeaderJson { name: header.name, value: header.value }).collect()
}

/// As text where it is text, so that it can be read.
fn body(bytes: &Bytes) -> BodyJson {
    match str::from_utf8(bytes) {
        Ok(text) => BodyJson { body: text.to_owned(), body_encoding: "utf8" },
        Err(_) => BodyJson { body: BASE64_STANDARD.encode(bytes), body_encoding: "base64" },
    }
}

/// `GET /webhooks/deliveries`
async fn list(
    State(services): State<Services>,
    SystemAdmin(caller): SystemAdmin,
    query: Query,
) -> Result<Json<CursorPage<EntryJson>>, Failure> {
    entries(&services, &caller, query.entries(0)?).await
}

/// `GET /webhooks/{id}/deliveries`
async fn list_of_webhook(
    State(services): State<Services>,
    caller: Caller,
    WebhookId(id): WebhookId,
    query: Query,
) -> Result<Json<CursorPage<EntryJson>>, Failure> {
    entries(&services, &caller, query.entries(id)?).await
}

async fn entries(
    services: &Services,
    caller: &Caller,
    request: ListEntriesRequest,
) -> Result<Json<CursorPage<EntryJson>>, Failure> {
    let per_page = request.per_page;
    let found = answer(services.history().list_entries(caller.request(request))).await?;
    Ok(Json(CursorPage {
        result: found.entries.into_iter().map(EntryJson::from).collect(),
        per_page,
        next_cursor: some_text(found.next_cursor),
        prev_cursor: some_text(found.prev_cursor),
    }))
}

/// `DELETE /webhooks/deliveries`
async fn clear(
    State(services): State<Services>,
    SystemAdmin(caller): SystemAdmin,
    query: Query,
    _: NoBody,
) -> Result<StatusCode, Failure> {
    let request = v1::ClearEntriesRequest { confirm: query.confirmation()? };
    answer(services.history().clear_entries(caller.request(request))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The attempt that is made.
#[derive(Serialize)]
struct RetryJson {
    delivery_id: String,
    attempt: i32,
}

/// `POST /webhooks/deliveries/{id}/retry`
async fn retry(
    State(services): State<Services>,
    caller: Caller,
    DeliveryId(id): DeliveryId,
    _: NoQuery,
    _: NoBody,
) -> Result<(StatusCode, Json<Single<RetryJson>>), Failure> {
    let request = v1::RetryDeliveryRequest { delivery_id: id.to_string() };
    let v1::RetryDeliveryResponse { delivery_id, attempt } =
        answer(services.history().retry_delivery(caller.request(request))).await?;
    Ok((StatusCode::ACCEPTED, Json(Single { result: RetryJson { delivery_id, attempt } })))
}

/// `GET /webhooks/deliveries/{id}`
async fn read(
    State(services): State<Services>,
    caller: Caller,
    DeliveryId(id): DeliveryId,
    _: NoQuery,
) -> Result<Json<Single<DeliveryJson>>, Failure> {
    let request = v1::GetDeliveryRequest { delivery_id: id.to_string() };
    let found = answer(services.history().get_delivery(caller.request(request))).await?;
    let delivery = found.delivery.ok_or_else(|| Failure::incomplete("delivery"))?;
    Ok(Json(Single { result: delivery.into() }))
}
