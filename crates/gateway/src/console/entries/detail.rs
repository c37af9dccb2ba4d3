//! One delivery whole: what was sent and what came back, attempt by attempt.

use askama::Template;
use axum::{
    body::Bytes,
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures::FutureExt as _;
use proto::v1;
use serde::Deserialize;
use uuid::Uuid;

use super::row::{Row, Standing};
use crate::{
    Services,
    caller::{Caller, answer},
    console::{
        form::Submitted,
        live::{self, Part},
        names::event_title,
        page::{Frame, Section, html, see_other},
        text::Text,
        trouble::{Shown, Trouble},
        visitor::Visitor,
        when::{When, duration, when},
    },
    error::Failure,
    path::DeliveryId,
};

#[derive(Template)]
#[template(path = "delivery.html")]
struct DeliveryPage {
    frame: Frame,
    delivery: Delivery,
    /// Where it is followed; `None`: nothing more is to come by itself.
    live: Option<String>,
}

/// The delivery, which is followed live.
#[derive(Template)]
#[template(path = "delivery_part.html")]
struct Delivery {
    id: String,
    event_id: Text,
    event: Text,
    title: Text,
    webhook_id: i64,
    project_id: i64,
    status: Standing,
    is_test: bool,
    orphaned: bool,
    created: Option<When>,
    may_retry: bool,
    /// Newest first.
    attempts: Vec<Attempt>,
    proof: String,
}

struct Attempt {
    row: Row,
    is_newest: bool,
    timings: Option<Timings>,
    trace_id: Text,
    request: Option<Message>,
    response: Option<Message>,
}

/// Where the time of an attempt went: what is known of it, as words.
struct Timings {
    steps: Vec<(&'static str, String)>,
    connection_reused: bool,
}

/// A request or a response.
struct Message {
    headers: Vec<(Text, Text)>,
    body: Text,
    bytes: usize,
    is_text: bool,
    truncated: bool,
    /// In hex; empty: it is not known.
    body_sha256: Text,
    /// The numbers of the secrets that signed it, as the webhook tells them.
    secret_ids: Vec<i64>,
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    done: String,
}

impl Message {
    fn new(headers: Vec<v1::Header>, body: &Bytes) -> Self {
        let headers = headers.into_iter().map(|header| (Text::line(header.name), Text::line(header.value))).collect();
        let text = str::from_utf8(body);
        let is_text = text.is_ok();
        let body_text = text.map_or_else(|_| BASE64_STANDARD.encode(body), str::to_owned);
        Self {
            headers,
            body: Text::block(body_text),
            bytes: body.len(),
            is_text,
            truncated: false,
            body_sha256: Text::line(String::new()),
            secret_ids: Vec::new(),
        }
    }

    fn of_request(request: v1::HttpRequest) -> Self {
        let (body_sha256, secret_ids) = (Text::line(request.body_sha256), request.secret_ids);
        Self { body_sha256, secret_ids, ..Self::new(request.headers, &request.body) }
    }

    fn of_response(response: v1::HttpResponse) -> Self {
        Self { truncated: response.truncated, ..Self::new(response.headers, &response.body) }
    }
}

impl Timings {
    fn of(timings: &v1::Timings) -> Self {
        let v1::Timings { dns_us, connect_us, tls_us, first_byte_us, total_us, connection_reused } = *timings;
        let steps = [
            ("DNS", dns_us),
            ("Connect", connect_us),
            ("TLS", tls_us),
            ("First byte", first_byte_us),
            ("Total", Some(total_us)),
        ];
        let steps = steps.into_iter().filter_map(|(title, time)| Some((title, duration(time?)))).collect();
        Self { steps, connection_reused }
    }
}

impl Delivery {
    fn of(delivery: v1::Delivery, proof: String) -> Self {
        let status = Standing::of(delivery.status);
        let last = delivery.entries.len();
        let attempts = delivery.entries.into_iter().enumerate().map(|(index, mut entry)| Attempt {
            is_newest: index + 1 == last,
            timings: entry.timings.as_ref().map(Timings::of),
            trace_id: Text::line(std::mem::take(&mut entry.trace_id)),
            request: entry.request.take().map(Message::of_request),
            response: entry.response.take().map(Message::of_response),
            row: Row::of(&entry),
        });
        let mut attempts: Vec<Attempt> = attempts.collect();
        attempts.reverse();
        Self {
            id: delivery.id,
            event_id: Text::line(delivery.event_id),
            title: Text::line(event_title(&delivery.event_type)),
            event: Text::line(delivery.event_type),
            webhook_id: delivery.webhook_id,
            project_id: delivery.project_id,
            status,
            is_test: delivery.is_test,
            orphaned: delivery.orphaned,
            created: when(delivery.created_at),
            may_retry: status.is_failed() && !delivery.is_test,
            attempts,
            proof,
        }
    }
}

async fn read(services: &Services, caller: &Caller, id: Uuid, proof: String) -> Result<Delivery, Trouble> {
    let request = v1::GetDeliveryRequest { delivery_id: id.to_string() };
    let found = answer(services.history().get_delivery(caller.request(request))).await?;
    let delivery = found.delivery.ok_or_else(|| Failure::incomplete("delivery"))?;
    Ok(Delivery::of(delivery, proof))
}

/// `GET /deliveries/{id}`
pub(super) async fn show(
    State(services): State<Services>,
    visitor: Visitor,
    Shown(DeliveryId(id)): Shown<DeliveryId>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let delivery = read(&services, &visitor.caller, id, visitor.proof.clone()).await?;
    let live = delivery.status.is_pending().then(|| format!("/deliveries/{id}/live"));
    let frame = Frame::new(format!("Delivery of {}", delivery.title), Section::Webhooks, &visitor).after(&asked.done);
    Ok(html(StatusCode::OK, &DeliveryPage { frame, delivery, live }))
}

/// `GET /deliveries/{id}/live`
pub(super) async fn live(
    State(services): State<Services>,
    visitor: Visitor,
    Shown(DeliveryId(id)): Shown<DeliveryId>,
) -> Result<Response, Trouble> {
    let closing = services.sessions.closing.clone();
    let Visitor { caller, proof, .. } = visitor;
    live::follow(closing, move || {
        let (services, caller, proof) = (services.clone(), caller.clone(), proof.clone());
        let look = async move {
            let delivery = read(&services, &caller, id, proof).await?;
            Part::new(&delivery, !delivery.status.is_pending())
        };
        look.boxed()
    })
}

/// `POST /deliveries/{id}/retry`
pub(super) async fn retry(
    State(services): State<Services>,
    Shown(DeliveryId(id)): Shown<DeliveryId>,
    Submitted { visitor, .. }: Submitted,
) -> Result<Response, Trouble> {
    let request = v1::RetryDeliveryRequest { delivery_id: id.to_string() };
    answer(services.history().retry_delivery(visitor.caller.request(request))).await?;
    Ok(see_other(&format!("/deliveries/{id}?done=retried")))
}
