//! `/webhooks/{id}/explain`: why a webhook gets an event or does not. The rules are the subscription service's, the
//! event may be one that history has.

pub(super) mod docs;

use axum::{Json, extract::State};
use domain::{EventType, delivery_id};
use proto::{
    error::ErrorCode,
    v1::{self, SampleEvent, explain_webhook_request::Event},
};
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::shape;
use crate::{
    Services,
    body::Fields,
    caller::{Caller, answer},
    deliveries::status_name,
    error::Failure,
    page::{Single, some_text, time},
    path::WebhookId,
    query::NoQuery,
    read,
};

/// The ways to name an event, of which a request has one.
const WAYS: [&str; 3] = ["event_id", "event", "payload"];

/// The event that is asked about.
pub(crate) enum Asked {
    /// One in history.
    Past(Uuid),
    /// The sample of a type; 0: in the project that samples have.
    Sample(EventType, i64),
    /// The text of a generic payload.
    Pasted(String),
}

/// What comes of every rule.
#[derive(Serialize)]
struct ExplanationJson {
    /// Null: the payload has none.
    event_id: Option<String>,
    event: String,
    project: i64,
    delivers: bool,
    rules: Vec<RuleJson>,
    /// What history has of this event for this webhook; null: nothing, or the event is none of history's.
    delivery: Option<StandingJson>,
}

#[derive(Serialize)]
struct RuleJson {
    rule: String,
    passed: bool,
    reason: String,
    conditions: Vec<ConditionJson>,
}

#[derive(Serialize)]
struct ConditionJson {
    condition: String,
    passed: bool,
    found: Option<Box<RawValue>>,
    missing: bool,
    reason: Option<String>,
}

#[derive(Serialize)]
struct StandingJson {
    id: String,
    status: &'static str,
    created_at: Option<String>,
}

/// `POST /webhooks/{id}/explain`
async fn explain(
    State(services): State<Services>,
    caller: Caller,
    WebhookId(id): WebhookId,
    _: NoQuery,
    fields: Fields,
) -> Result<Json<Single<ExplanationJson>>, Failure> {
    let asked = asked(fields)?;
    let past = if let Some(Asked::Past(event_id)) = asked { Some(event_id) } else { None };
    let event = match asked {
        Some(Asked::Past(event_id)) => Some(Event::PayloadJson(payload(&services, &caller, event_id).await?)),
        Some(Asked::Sample(kind, project_id)) => {
            Some(Event::Sample(SampleEvent { r#type: kind.name().to_owned(), project_id }))
        }
        Some(Asked::Pasted(payload)) => Some(Event::PayloadJson(payload)),
        None => None,
    };
    let request = caller.request(v1::ExplainWebhookRequest { id, event });
    let explained = answer(services.webhooks().explain_webhook(request)).await?;
    let delivery = match past {
        Some(event_id) => standing(&services, &caller, delivery_id(event_id, id)).await?,
        None => None,
    };
    let rules = explained.rules.into_iter().map(RuleJson::try_from).collect::<Result<_, _>>()?;
    let result = ExplanationJson {
        event_id: some_text(explained.event_id),
        event: explained.event_type,
        project: explained.project_id,
        delivers: explained.delivers,
        rules,
        delivery,
    };
    Ok(Json(Single { result }))
}

/// What is asked about; there is always something where there is no mistake.
pub(crate) fn asked(mut fields: Fields) -> Result<Option<Asked>, Failure> {
    let given: Vec<&str> = WAYS.into_iter().filter(|way| fields.has(way)).collect();
    match given.as_slice() {
        [] => WAYS.iter().for_each(|way| fields.fault(way, "one of event_id, event and payload is required")),
        [_] => {}
        several => several.iter().for_each(|way| fields.fault(way, "give one of event_id, event and payload only")),
    }
    if fields.has("project") && !fields.has("event") {
        fields.fault("project", "goes with event only; a payload has its own project");
    }
    let past = fields.given("event_id", read::uuid).map(Asked::Past);
    let kind = fields.given("event", read::event_type);
    let project = fields.given("project", read::project).unwrap_or_default();
    let sample = kind.map(|kind| Asked::Sample(kind, project));
    let pasted = fields.object("payload").map(Asked::Pasted);
    fields.finish()?;
    Ok(past.or(sample).or(pasted))
}

/// The generic payload of an event in history.
async fn payload(services: &Services, caller: &Caller, event_id: Uuid) -> Result<String, Failure> {
    let request = caller.request(v1::GetEventRequest { event_id: event_id.to_string() });
    let event = answer(services.history().get_event(request)).await?;
    String::from_utf8(event.payload.into()).map_err(|_| Failure::incomplete("JSON where it should have some"))
}

/// Where a delivery stands; `None`: none was made.
async fn standing(services: &Services, caller: &Caller, delivery_id: Uuid) -> Result<Option<StandingJson>, Failure> {
    let request = caller.request(v1::GetDeliveryRequest { delivery_id: delivery_id.to_string() });
    let found = match answer(services.history().get_delivery(request)).await {
        Ok(found) => found.delivery.ok_or_else(|| Failure::incomplete("delivery"))?,
        Err(failure) if failure.code() == ErrorCode::NotFound => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let v1::Delivery { id, status, created_at, .. } = found;
    Ok(Some(StandingJson { id, status: status_name(status), created_at: time(created_at) }))
}

impl TryFrom<v1::RuleOutcome> for RuleJson {
    type Error = Failure;

    fn try_from(outcome: v1::RuleOutcome) -> Result<Self, Failure> {
        let v1::RuleOutcome { rule, passed, reason, conditions } = outcome;
        let conditions = conditions.into_iter().map(ConditionJson::try_from).collect::<Result<_, _>>()?;
        Ok(Self { rule, passed, reason, conditions })
    }
}

impl TryFrom<v1::ConditionOutcome> for ConditionJson {
    type Error = Failure;

    fn try_from(outcome: v1::ConditionOutcome) -> Result<Self, Failure> {
        let v1::ConditionOutcome { condition, passed, found_json, missing, reason } = outcome;
        let found = shape::json(found_json.unwrap_or_default())?;
        Ok(Self { condition, passed, found, missing, reason: some_text(reason) })
    }
}
